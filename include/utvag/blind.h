/* Blind indexes: HMAC-SHA-256 of a normalised value under a key that the database never sees: equal values are
   found, no value can be read. Whoever holds the key tries all personnummer in seconds, so it stays beside the
   key-encryption key. Tokens are made by the newest blind key; a new one means that values are indexed anew.
   Any thread may call. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "utvag/keyring.h"

enum { BLIND_BYTES = 32 };
/* index names the field: its key is derived from the ring's blind key (HKDF, RFC 5869), so that no two fields share
   tokens. value is normalised here:
   "phone"            + and digits; a leading 0 is Sweden's +46, a leading 00 is +, and (0) after +46 goes
   "identity_number"  the stored form of identity.h as of today, else letters and digits
   others             NFKC, casefolded, marks stripped (utf8proc), runs of spaces made one
   False if nothing is left of it, or it is not UTF-8. */
bool blind_token(const struct keyring *ring, const char *index, const char *value, unsigned char out[BLIND_BYTES])
    __attribute__((warn_unused_result));
/* A token for each different word of a name (hyphens divide, apostrophes do not), bound to the birth date
   (YYYY-MM-DD): names alone are few enough to be counted and guessed. Returns their number, at most `most`; 0 also
   without a birth date. */
size_t blind_name_tokens(const struct keyring *ring, const char *names, const char *birth_date,
                         unsigned char (*out)[BLIND_BYTES], size_t most);
/* MAC of a request body under the ring's MAC key, for idempotency and cursors; purpose separates the uses.
   False if the ring has no such key. */
bool blind_mac(const struct keyring *ring, const char *purpose, const void *bytes, size_t length,
               unsigned char out[BLIND_BYTES]) __attribute__((warn_unused_result));
