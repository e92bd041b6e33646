/* A contract while it is compiled: shared by contract.c, contract_operation.c and contract_check.c only. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "utvag/arena.h"
#include "utvag/contract.h"

struct contract {
    struct arena *arena; /* holds every operation */
    struct schema_set *schemas;
    json_t *tree;
    struct published yaml, json;
    const char *origin; /* scheme and host of the first server's URL */
    const char *base;   /* its path part, without a slash at its end */
    struct contract_operation *operations;
    size_t count, room;
    char *error; /* while it is compiled */
    size_t error_size;
};

/* Notes the first reason, with its place; false. */
bool contract_fail(struct contract *contract, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Text in the contract's arena, for places too; "" when out of memory. */
const char *contract_text(struct contract *contract, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Every key of node is among the names, which end with NULL; node is an object. */
bool contract_check_keys(struct contract *contract, const json_t *node, const char *place, const char *const *names);
/* node[key] is a text and not empty. */
bool contract_check_text(struct contract *contract, const json_t *node, const char *place, const char *key);
/* Follows a $ref to a component of the kind ("parameters", "responses", …); *place becomes the target's. */
const json_t *contract_follow(struct contract *contract, const json_t *node, const char *kind, const char **place);
const struct schema *contract_schema(struct contract *contract, const json_t *node, const char *place);

struct contract_path {
    const char *template, *base; /* the path as the contract has it, and what stands before it */
    const json_t *item;
};
/* Compiles one operation of a path item and appends it. */
bool contract_add_operation(struct contract *contract, const struct contract_path *path, const char *method);

/* Whether a body that has this schema would hand a sealed member over in the clear: no record is around it, or a branch of
   the record says otherwise than the record itself. *place is then the schema's. */
bool contract_has_unsealed(const struct schema *schema, const char **place);
