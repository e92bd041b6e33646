/* openapi.yaml, compiled: the routes, who may call them, what they take. Made at start, const afterwards. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "utvag/role.h"
#include "utvag/schema.h"

enum parameter_place { IN_PATH, IN_QUERY, IN_HEADER };

struct contract_parameter {
    const char *name;
    enum parameter_place place;
    bool required;
    const struct schema *schema;
    const char *column;     /* x-column: this query parameter filters a list on that column; NULL otherwise */
    const char *comparison; /* x-comparison: "=", ">=" or "<="; "=" if not said */
};

struct operation; /* operation.h */

struct contract_operation {
    const char *id;     /* operationId */
    const char *method; /* "GET" */
    const char *path;   /* template as in the contract, with the base of its servers: "/v1/children/{id}" */

    bool open;              /* security: [] : no token is asked for */
    const enum role *roles; /* in the contract's order: the first that the caller holds lets her in */
    size_t role_count;
    unsigned role_bits; /* the same, as struct caller has them */

    const struct contract_parameter *parameters;
    size_t parameter_count;
    const struct schema *body; /* NULL: takes none */
    bool body_required;
    const char *const *body_types; /* media types, lower case, ended by NULL */
    bool form;                     /* the body is application/x-www-form-urlencoded */

    int success;                     /* the one 2xx status declared */
    const char *answer_type;         /* its media type, the first of several, or NULL for an empty answer */
    const char *const *answer_types; /* all of them, ended by NULL; NULL for an empty answer */
    const struct schema *answer;     /* the schema of its body, or NULL */
    const struct schema *record; /* of one record: the answer's, or that of a list's items; NULL if it has no members */
    const char *list;            /* x-list: the plural member that holds a page, or NULL */
    const char *location;        /* x-location: template of the Location header, with {id} */
    const char *purpose;         /* x-purpose: why case data is used when the caller does not say; NULL: no case data */
    const char *action;          /* x-action: the name under `actions` of an application */
    const char *event;           /* x-event: type of the outbox row */
    const char *sort;            /* default of the `sort` parameter, or NULL */
    unsigned opens;              /* x-opens: role bits that see what is sealed here, and open no seal elsewhere */
    bool limited;  /* 429 is among the responses: requests are counted, and refused when there are too many */
    bool personal; /* x-purpose is set: answers are no-store and audited */

    const struct operation *operation; /* bound by contract_bind */
};

struct contract;

/* yaml is the embedded text. On failure NULL, and error says what and where. */
struct contract *contract_load(const char *yaml, size_t length, char *error, size_t error_size);
void contract_free(struct contract *contract);

/* Binds each operation of the contract to the handler of its name. tables ends with NULL; a table ends with a row
   without id. False, with the name in error, when either side lacks the other. */
bool contract_bind(struct contract *contract, const struct operation *const *tables, char *error, size_t error_size);

size_t contract_count(const struct contract *contract);
const struct contract_operation *contract_at(const struct contract *contract, size_t index);
const struct contract_parameter *contract_parameter(const struct contract_operation *operation,
                                                    enum parameter_place place, const char *name);
/* The operation that reads the record which a path's first {id} names ("/v1/needs/{id}/…": readNeed), or NULL. */
const struct contract_operation *contract_reader(const struct contract *contract, const char *path);

enum { PUBLISHED_DIGEST = 8 };

/* The contract as it is handed out. */
struct published {
    char *text;
    size_t length;
    char etag[2 * PUBLISHED_DIGEST + 3]; /* of these bytes */
};

/* Puts `origin` ("https://host:port"), where this service is reached, in place of that of the contract's first server.
   Once, before threads start. False when out of memory. */
bool contract_publish(struct contract *contract, const char *origin) __attribute__((warn_unused_result));
const struct published *contract_yaml(const struct contract *contract);
const struct published *contract_json(const struct contract *contract);
const json_t *contract_tree(const struct contract *contract);
