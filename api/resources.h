/* What is offered. A new resource: its file, and one line here. Only src/main.c and the fuzzers read this list. */
#pragma once
#include "utvag/operation.h"
#include "utvag/text.h"

/* Each is a table of struct operation, defined in the file of its name, ended by a row without id. */
#define RESOURCES(X) \
    X(codes)

#define RESOURCE_DECLARE(table) extern const struct operation table[];
RESOURCES(RESOURCE_DECLARE)
#undef RESOURCE_DECLARE

/* api/rules.c: the texts of the domain's rules, by code. */
extern const struct text rules[];
