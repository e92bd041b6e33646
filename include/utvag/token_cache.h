/* Verified tokens, by SHA-256 of their text, until they expire. Of fixed size: a new token takes the place of one
   that ends sooner. Any thread may call. Part of token.c. */
#pragma once
#include <stdbool.h>

#include "utvag/digest.h"
#include "utvag/request.h"

struct token_cache;
struct token_cache *token_cache_new(void);
void token_cache_free(struct token_cache *cache);

/* Fills caller, its texts copied into the arena. now: seconds since 1970. */
bool token_cache_find(struct token_cache *cache, const unsigned char digest[DIGEST_BYTES], long long now,
                      struct arena *arena, struct caller *caller);
void token_cache_add(struct token_cache *cache, const unsigned char digest[DIGEST_BYTES], long long expires,
                     const struct caller *caller);
