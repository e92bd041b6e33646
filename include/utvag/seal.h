/* Sealing: key-encryption key -> data key of a record -> AES-256-GCM with a random nonce of 96 bits. Additional data
   bind each sealed text to its format, table, column and record, and each wrapped data key to its record and to the
   version of the key-encryption key; what was moved does not open. Contexts are kept per thread; any thread may call.
   GDPR article 32: what a stolen database or backup holds names nobody. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "utvag/keyring.h"

enum {
    SEAL_OVERHEAD = 1 + 12 + 16,            /* format, nonce, tag */
    SEAL_WRAPPED = 2 + 12 + KEY_BYTES + 16, /* key version (big endian), nonce, wrapped data key, tag */
};
/* Together at most 240 bytes; record is the row's uuid. */
struct seal_place {
    const char *table, *column, *record;
};

/* A new data key, and the same wrapped by the newest key-encryption key. The caller overwrites key after use
   (explicit_bzero). False, with nothing in key, if OpenSSL failed. */
bool seal_make_key(const struct keyring *ring, const char *record, unsigned char key[KEY_BYTES],
                   unsigned char wrapped[SEAL_WRAPPED]) __attribute__((warn_unused_result));
/* False if it was altered, belongs to another record, or its key-encryption key is not in the ring. */
bool seal_unwrap(const struct keyring *ring, const char *record, const unsigned char *wrapped, size_t length,
                 unsigned char key[KEY_BYTES]) __attribute__((warn_unused_result));
/* The same data key under the newest key-encryption key: what rotation does to each row, sealed texts staying. */
bool seal_rewrap(const struct keyring *ring, const char *record, const unsigned char *wrapped, size_t length,
                 unsigned char out[SEAL_WRAPPED]) __attribute__((warn_unused_result));
/* out takes length + SEAL_OVERHEAD bytes. */
bool seal_close(const unsigned char key[KEY_BYTES], const struct seal_place *place, const void *text, size_t length,
                unsigned char *out) __attribute__((warn_unused_result));
/* out takes length - SEAL_OVERHEAD bytes, without a NUL. False if anything was altered or belongs elsewhere. */
bool seal_open(const unsigned char key[KEY_BYTES], const struct seal_place *place, const unsigned char *sealed,
               size_t length, unsigned char *out) __attribute__((warn_unused_result));
