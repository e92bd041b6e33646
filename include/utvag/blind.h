/* Blind indexes: HMAC-SHA-256 of a normalised value under a key that the database never sees. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "utvag/keyring.h"

enum { BLIND_BYTES = 32 };
/* index names the field: its key is derived from the ring's blind key (HKDF), so that no two fields share tokens.
   value is normalised here: "phone" to + and digits (a leading 0 is Sweden's +46); "identity_number" to letters and digits;
   others NFKC, casefolded, marks stripped (utf8proc). False if nothing is left of it. */
bool blind_token(const struct keyring *ring, const char *index, const char *value, unsigned char out[BLIND_BYTES]);
/* A token for each word of a name, bound to the birth date (YYYY-MM-DD). Returns their number, at most `most`. */
size_t blind_name_tokens(const struct keyring *ring, const char *names, const char *birth_date,
                         unsigned char (*out)[BLIND_BYTES], size_t most);
/* MAC of a request body under the ring's MAC key, for idempotency and cursors; purpose separates the uses. */
bool blind_mac(const struct keyring *ring, const char *purpose, const void *bytes, size_t length,
               unsigned char out[BLIND_BYTES]);
