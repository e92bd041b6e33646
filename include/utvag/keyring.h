/* The keys that the database never sees, in a folder (0700): key-encryption keys and blind keys by version, the
   MAC key of idempotency and cursors, the signing keys of tokens. Read at start; safe from any thread afterwards.

   kek-1, blind-1, mac-1   64 hexadecimal digits (256 bits of chance); a rotation adds the next number
   sign-<kid>.pem          P-256 private key; kid is its thumbprint (RFC 7638)
   sign-current, sign-next the kid that signs, and the one that verifiers learn before it does

   A folder or a key that group or others may read is refused. Whoever loses this folder loses every sealed member. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct keyring;
/* Makes the folder and whatever key it lacks; never replaces one. False with a reason in error. */
bool keyring_init(const char *path, char *error, size_t error_size) __attribute__((warn_unused_result));
/* Adds a version of the key-encryption key (data keys are re-wrapped afterwards, seal_rewrap), and lets the next
   signing key sign; the last one still verifies until the rotation after this. Running processes read it at start. */
bool keyring_rotate(const char *path, char *error, size_t error_size) __attribute__((warn_unused_result));

/* NULL with a reason, which holds no key, in error. */
struct keyring *keyring_open(const char *path, char *error, size_t error_size);
void keyring_free(struct keyring *ring); /* overwrites the keys */

enum { KEY_BYTES = 32 };
enum key_use { KEY_ENCRYPTION, KEY_BLIND, KEY_MAC };
int keyring_version(const struct keyring *ring, enum key_use use);                           /* the newest; from 1 */
const unsigned char *keyring_key(const struct keyring *ring, enum key_use use, int version); /* NULL if unknown */

struct signing_key {
    const char *kid;
    const char *private_pem, *public_pem;
    const char *jwk;
};
/* [0] signs; all verify. jwk is the public key as RFC 7517 has it. No text is ever empty: libjwt takes an empty key
   as "nothing to verify". */
const struct signing_key *keyring_signing(const struct keyring *ring, size_t *count);
