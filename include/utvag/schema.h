/* JSON Schema 2020-12, the subset that the contract uses, compiled once and const afterwards.
   Threads: reading is safe from any. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "utvag/arena.h"
#include "utvag/problem.h"

enum schema_type {
    SCHEMA_NULL = 1,
    SCHEMA_BOOLEAN = 2,
    SCHEMA_INTEGER = 4,
    SCHEMA_NUMBER = 8,
    SCHEMA_STRING = 16,
    SCHEMA_ARRAY = 32,
    SCHEMA_OBJECT = 64,
};

struct schema_property {
    const char *name;
    bool required;
    const struct schema *schema;
};

struct schema {
    unsigned types;    /* enum schema_type, or-ed; 0: any */
    const char *place; /* JSON pointer into the contract, for messages at start */

    const struct schema_property *properties;
    size_t property_count;
    bool closed; /* additionalProperties: false */
    const struct schema *items;
    size_t min_items, max_items; /* max 0: none */
    bool unique_items;

    size_t min_length, max_length; /* code points; max 0: none */
    const struct schema_pattern *pattern;
    const struct format *format;
    const char *earliest, *latest; /* x-earliest, x-latest: the dates that are taken; "today" is the day in Sweden */
    bool has_minimum, has_maximum;
    double minimum, maximum;
    const json_t *enumeration; /* array, or NULL */
    const json_t *constant;    /* or NULL */

    const struct schema *const *one_of;
    size_t one_of_count;
    const char *discriminator; /* propertyName, or NULL */

    bool read_only;
    /* The service's own annotations */
    const char *sealed; /* x-sealed: the sealed group, a column's name ("sealed" for true), or NULL */
    const char *record; /* x-record: the table whose row this object becomes, or NULL */
    const char *blind;  /* x-blind: the blind index that the member feeds, or NULL */
};

/* Compiles the schema at `pointer` of `contract`; refers through $ref to others, each compiled once.
   NULL, with the reason and its place in error, on a keyword or format that is not known. */
struct schema_set;
struct schema_set *schema_set_new(const json_t *contract);
void schema_set_free(struct schema_set *set);
const struct schema *schema_compile(struct schema_set *set, const json_t *node, const char *pointer, char *error,
                                    size_t error_size);

const struct schema *schema_member(const struct schema *object, const char *name); /* NULL if there is none */

/* Whether a number is an integer as JSON Schema means it (2020-12 Core, 4.2.2: 100.0 and 1E2 are). A real from 2^53 on no
   longer tells which integer was written, and is none. */
bool schema_is_integral(const json_t *value);

/* Every fault of value at once, as member errors in the arena; pointers start with `base` ("" for a body).
   Returns their number (at most 100 are told). */
size_t schema_faults(const struct schema *schema, const json_t *value, const char *base, struct arena *arena,
                     const struct member_error **errors);
/* The same for a parameter's text, read as the schema's type. */
size_t schema_parameter_faults(const struct schema *schema, const char *name, const char *text, struct arena *arena,
                               const struct member_error **errors);
