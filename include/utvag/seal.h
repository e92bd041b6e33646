/* Sealing: key-encryption key -> data key of a record -> AES-256-GCM, 96-bit random nonce, and as additional data
   the table, column and row that the text belongs to and the version of the key. Contexts are kept per thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "utvag/keyring.h"

enum {
    SEAL_OVERHEAD = 1 + 12 + 16,                 /* format, nonce, tag */
    SEAL_WRAPPED = 2 + 12 + KEY_BYTES + 16,      /* key version (big endian), nonce, wrapped data key, tag */
};
struct seal_place { const char *table, *column, *record; };

bool seal_make_key(const struct keyring *ring, const char *record, unsigned char key[KEY_BYTES],
                   unsigned char wrapped[SEAL_WRAPPED]);
bool seal_unwrap(const struct keyring *ring, const char *record, const unsigned char *wrapped, size_t length,
                 unsigned char key[KEY_BYTES]);
/* out takes length + SEAL_OVERHEAD bytes. */
bool seal_close(const unsigned char key[KEY_BYTES], const struct seal_place *place, const void *text, size_t length,
                unsigned char *out);
/* out takes length - SEAL_OVERHEAD bytes. False if anything was altered or belongs elsewhere. */
bool seal_open(const unsigned char key[KEY_BYTES], const struct seal_place *place, const unsigned char *sealed,
               size_t length, unsigned char *out);
