/* The string formats that a contract may name. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct format {
    const char *name;
    const char *code; /* of the fault where it does not hold: "format_" and the name, snake_case */
    bool (*holds)(const char *text, size_t length);
};
const struct format *format_find(const char *name); /* NULL if there is none */
