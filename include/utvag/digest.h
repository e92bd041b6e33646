/* SHA-256, HMAC-SHA-256 and chance. The algorithms are fetched once; contexts are kept per thread. Where OpenSSL has no
   memory, or the kernel no chance to give, the process ends: to go on would mean predictable keys. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { DIGEST_BYTES = 32, DIGEST_HEX = 2 * DIGEST_BYTES + 1 };

void digest_sha256(const void *bytes, size_t length, unsigned char out[DIGEST_BYTES]);
void digest_hmac(const unsigned char key[DIGEST_BYTES], const void *bytes, size_t length,
                 unsigned char out[DIGEST_BYTES]);
/* Takes the same time wherever they differ. */
bool digest_equal(const void *one, const void *other, size_t length);
/* Lower case, with a NUL: out takes 2 * length + 1. */
void digest_hex(const void *bytes, size_t length, char *out);
/* Bytes from the kernel's generator (getrandom), fit for keys: OpenSSL's own is seeded from it, and takes ten times as
   long for a few bytes. */
void digest_random(void *out, size_t length);
/* The same for what is no secret, such as the ids of a trace: from a block that the thread keeps, and asks for anew when it
   is used up. A byte is handed out once, and forgotten. */
void digest_chance(void *out, size_t length);
