/* A file with the public keys of somebody else (JWK Set, RFC 7517), read again when it changes. Keys of other kinds, for
   other uses or without a name are passed over; a private key among them is refused, and so is a file that others than
   its owner may write: whoever changes it becomes anyone. Any thread may call. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "utvag/arena.h"

struct jwks;
/* path must outlive it. NULL with a reason in error. */
struct jwks *jwks_open(const char *path, char *error, size_t error_size);
void jwks_free(struct jwks *jwks);
/* Whether there are other keys than when this was last asked. A file that cannot be read leaves them as they were, and is logged. */
bool jwks_look(struct jwks *jwks);
/* The key of that name, in the arena, and its algorithm (jwk.h). False if there is none, in the file neither. */
bool jwks_find(struct jwks *jwks, const char *kid, struct arena *arena, const char **pem, const char **algorithm)
    __attribute__((warn_unused_result));
