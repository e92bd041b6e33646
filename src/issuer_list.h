/* Outside issuers as configured. Part of issuer.c. */
#pragma once
#include <jansson.h>
#include <stddef.h>

#include "utvag/jwks.h"

struct issuer {
    const char *name, *audience, *principal_claim; /* texts are the tree's */
    const json_t *require;                         /* NULL: nothing */
    const char *roles_claim;                       /* NULL: roles are not narrowed */
    const json_t *roles_map;
    struct jwks *keys;
};

struct issuers {
    json_t *tree;
    struct issuer *list;
    size_t count;
};
