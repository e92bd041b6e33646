/* The schemas of one contract while they are compiled: shared by schema_compile.c and schema_keywords.c only. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "utvag/arena.h"
#include "utvag/schema.h"

/* A schema that is another one with annotations of its own beside the $ref; made when all others are. */
struct schema_copy {
    struct schema_copy *next;
    struct schema *to;
    const struct schema *from;
    const json_t *beside;
    bool done;
};

struct schema_patterns {
    struct schema_patterns *next;
    struct schema_pattern *pattern;
};

struct schema_set {
    const json_t *contract; /* borrowed */
    struct arena *arena;    /* holds every schema */
    void *compiled;         /* tsearch tree of struct schema by place */
    struct schema_copy *copies;
    struct schema_patterns *patterns;
    char *error;
    size_t error_size;
};

/* Notes the first reason, with its place; false. */
bool schema_fail(struct schema_set *set, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The schema at place, compiled now or before; NULL after a failure. */
struct schema *schema_compile_node(struct schema_set *set, const json_t *node, const char *place);
/* place/key, the key escaped (RFC 6901), in the set's arena. */
const char *schema_place(struct schema_set *set, const char *place, const char *key);

/* Reads every keyword of node into schema. */
bool schema_read_keywords(struct schema_set *set, struct schema *schema, const json_t *node);
/* Reads one of the annotations that may stand beside a $ref. */
bool schema_read_beside(struct schema_set *set, struct schema *schema, const char *keyword, const json_t *value);
bool schema_may_stand_beside(const char *keyword);
