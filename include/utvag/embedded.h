/* Files that travel inside the binary. The bytes are followed by a NUL that length does not count. */
#pragma once
#include <stddef.h>

struct embedded {
    const char *name; /* the file's, without folder and ending: "0001_roles" */
    const char *text;
    size_t length;
};

extern const struct embedded embedded_migrations[]; /* sql/migrations/, in order; ends with a row without name */
extern const struct embedded embedded_contract;     /* openapi.yaml */
extern const struct embedded embedded_demo;         /* sql/demo.sql */
extern const struct embedded embedded_demo_cases;   /* sql/demo.json */
