/* One request on its way through the pipeline, and the answer that grows beside it. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "utvag/arena.h"
#include "utvag/contract.h"
#include "utvag/problem.h"
#include "utvag/role.h"
#include "utvag/service.h"
#include "utvag/text.h"
#include "utvag/uuid.h"

struct pair {
    const char *name, *value;
};

/* The SHA-256 of a certificate in base64url (RFC 8705, 3.1), with its NUL. */
enum { THUMBPRINT_SIZE = 44 };

struct caller {
    bool known;
    char id[UUID_SIZE];     /* the principal: a user or a machine client */
    char agency[UUID_SIZE]; /* "" for staff */
    unsigned roles;         /* bits 1u << enum role, as the token says */
    enum role role;         /* the one that lets her into this operation */
    int epoch;
    bool machine;
    const char *officer;               /* acting officer: claim or X-Acting-Officer; NULL if not stated */
    char session[UUID_SIZE];           /* the sign-in that the token comes from, for it may be ended; "" for none */
    char certificate[THUMBPRINT_SIZE]; /* the only one that the token may come with (RFC 8705, x5t#S256); "": any */
};

/* What the caller's bucket (rate.h) held after this request; limit 0: it was not asked. */
struct rate_share {
    int limit, left;
    int seconds; /* until it is full again; after a refusal: until there is one */
};

/* The attempt to sign in that rate.h counts as failed until it has passed. */
struct rate_login {
    bool trying;
    uint64_t address, account; /* its buckets */
};

struct turns;
struct request {
    struct arena *arena;
    const struct service *service;

    const char *method, *url;   /* raw, as received */
    const struct pair *headers; /* names as received */
    size_t header_count;
    const char *body;
    size_t body_length;
    const char *address;     /* of the client */
    const char *certificate; /* the client's, as RFC 8705 has its thumbprint (x5t#S256); NULL: none was shown */
    uint64_t started_ns;     /* CLOCK_MONOTONIC */

    char trace[33], parent[17]; /* W3C trace context; parent is our own span's id */
    enum language language;

    const struct contract_operation *contract; /* after the router */
    const struct pair *path_values, *query;    /* decoded; NULL-named pair ends each */
    struct caller caller;                      /* after authentication */
    json_t *json;                              /* the validated body, owned; NULL if none */

    const char *allow;  /* what the path allows, for OPTIONS and 405 */
    bool head;          /* HEAD: the answer goes without its body */
    bool audited;       /* an audit row of this request is durable */
    struct turns *turn; /* whose place it holds while it is carried out, or NULL */
    struct rate_share rate;
    struct rate_login login;
    bool replayed;  /* the answer is the one that its Idempotency-Key got before */
    void *database; /* db.c's own: results that live until the answer is sent */
};

enum { RESPONSE_HEADERS = 32 };
struct response {
    int status;       /* 0 until set */
    const char *type; /* media type */
    const char *body;
    size_t length;
    struct pair headers[RESPONSE_HEADERS];
    size_t header_count;
    const char *etag;
    bool close;
    struct stream *stream; /* in place of a body; owned by the response: stream.h */
};

/* Language, HEAD and trace context (W3C: a valid traceparent is joined, else a trace begins here). */
void request_begin(struct request *rq);
/* Refuses what two HTTP parsers may read in two ways (RFC 9112, 6.3 and 11.2), with 400 and an end of the
   connection: libmicrohttpd lets such requests pass. */
struct problem request_guard(struct request *rq) __attribute__((warn_unused_result));
/* Bytes of the head as nearly everybody writes it: one space after each colon and none before the line's end, CRLF. A
   head of another length may be as good, or hide something. */
size_t request_head_length(const struct request *rq);

const char *request_header(const struct request *rq, const char *name); /* any case; NULL if absent */
/* Of a header that is a list: its lines joined by commas (RFC 9110, 5.3), in the arena if there are several. NULL if absent, or
   when out of memory. */
const char *request_list(const struct request *rq, const char *name);
const char *request_query(const struct request *rq, const char *name); /* decoded; NULL if absent */
const char *request_path(const struct request *rq, const char *name);  /* path parameter; NULL if absent */
/* The version that If-Match names: 0 if the header is absent, -1 if it is not one tag that we could have given. */
int request_version(const struct request *rq);

/* Both strings must outlive the answer. A name that is there already is replaced. */
void response_header(struct response *rs, const char *name, const char *value);
