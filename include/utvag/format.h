/* The string formats that a contract may name. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct format {
    const char *name;
    bool (*holds)(const char *text, size_t length);
};
const struct format *format_find(const char *name); /* NULL if there is none */
