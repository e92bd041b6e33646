/* The keys that the database never sees, in a folder (0700): key-encryption keys and blind keys by version, the
   MAC key of idempotency and cursors, the signing keys of tokens.

   kek-1, blind-1, mac-1   64 hexadecimal digits (256 bits of chance); a rotation adds the next kek
   kek-current             the version that wraps; the one after it is there already
   sign-<kid>.pem          P-256 private key; kid is its thumbprint (RFC 7638)
   sign-current, sign-next the kid that signs, and the one that verifiers learn before it does

   Whatever key comes into use was in the folder for a whole rotation: hosts whose copies of it change one after the
   other understand each other all the time. A process that runs takes what is new from the folder: when it meets a
   version or a kid that it does not know, and when it is told to look (keyring_look). Any thread may call, but for
   keyring_free. What was given out stays valid until then; a folder that cannot be read leaves the keys as they were.

   A folder or a key that group or others may read is refused. Whoever loses this folder loses every sealed member. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct keyring;
/* Makes the folder and whatever key it lacks; never replaces one. False with a reason in error. */
bool keyring_init(const char *path, char *error, size_t error_size) __attribute__((warn_unused_result));
/* The next key-encryption key wraps from now on (data keys are re-wrapped afterwards, seal_rewrap), and the next signing
   key signs; each gets a next one. The signing key before still verifies until the rotation after this, which removes
   it; key-encryption keys stay. Repeated after it was cut short, it goes on. */
bool keyring_rotate(const char *path, char *error, size_t error_size) __attribute__((warn_unused_result));

/* NULL with a reason, which holds no key, in error. */
struct keyring *keyring_open(const char *path, char *error, size_t error_size);
void keyring_free(struct keyring *ring); /* overwrites the keys */
/* Takes what changed in the folder. Costs three calls of stat if nothing did; a folder that cannot be read is logged once
   for each reason, and tried again once a second at most. */
void keyring_look(const struct keyring *ring);
/* Grows whenever a look found other keys. */
unsigned keyring_generation(const struct keyring *ring);

enum { KEY_BYTES = 32 };
enum key_use { KEY_ENCRYPTION, KEY_BLIND, KEY_MAC };
int keyring_version(const struct keyring *ring, enum key_use use); /* the one in use; from 1 */
/* NULL if unknown, in the folder too. */
const unsigned char *keyring_key(const struct keyring *ring, enum key_use use, int version);

struct signing_key {
    const char *kid;
    const char *private_pem, *public_pem;
    const char *jwk;
};
/* [0] signs, [1] will; all verify. jwk is the public key as RFC 7517 has it. No text is ever empty: libjwt takes an empty key
   as "nothing to verify". */
const struct signing_key *keyring_signing(const struct keyring *ring, size_t *count);
/* The one of this kid; NULL if it is in the folder neither. */
const struct signing_key *keyring_verifying(const struct keyring *ring, const char *kid);
