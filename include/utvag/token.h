/* Access tokens: ES256 (RFC 7518), five minutes, the rules of RFC 8725. libjwt is used in this file only. */
#pragma once
#include <stddef.h>

#include "utvag/keyring.h"
#include "utvag/request.h"

enum { TOKEN_SECONDS = 300, TOKEN_LIMIT = 4096 };

struct token_verifier; /* remembers verified tokens by SHA-256 until they expire; safe from any thread */
struct token_verifier *token_verifier_new(const struct keyring *ring, const char *issuer);
void token_verifier_free(struct token_verifier *verifier);

/* The compact token for caller, in the arena; NULL on failure. */
char *token_sign(const struct keyring *ring, const char *issuer, const struct caller *caller, struct arena *arena);
/* Fills caller (without role), or says 401 token_invalid or token_expired. Texts live in the arena. */
struct problem token_verify(struct token_verifier *verifier, const char *token, struct arena *arena,
                            struct caller *caller) __attribute__((warn_unused_result));
