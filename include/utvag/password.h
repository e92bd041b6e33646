/* Passwords and client secrets: scrypt (RFC 7914) by OWASP's figures, N=2^17 r=8 p=1: 128 MiB and a good part of a
   second each, so they wait in a lane of bounded width. Passwords are prepared as RFC 8265 (OpaqueString) says: one typed
   with composed or with combining marks is the same. Any thread may call. */
#pragma once
#include <stdbool.h>

enum { PASSWORD_SIZE = 160, PASSWORD_LEAST = 12 };
/* How many are hashed at once; 2 until it is called. Before threads start. */
void password_lane(int width);
/* Whether a new password, prepared as RFC 8265 (4.2) says, has at least PASSWORD_LEAST characters. */
bool password_is_long_enough(const char *password);
/* "$scrypt$17$8$1$salt$hash", base64url. False without memory. */
bool password_hash(const char *password, char out[PASSWORD_SIZE]) __attribute__((warn_unused_result));
/* Takes the same time for a NULL hash, or one that is not of this form, as for a wrong password, and says false. */
bool password_matches(const char *password, const char *hash) __attribute__((warn_unused_result));

/* For secrets that we made ourselves with 256 bits of chance: a plain SHA-256 is enough, and fast. */
enum { SECRET_SIZE = 44, SECRET_DIGEST_SIZE = 65 };
void secret_make(char out[SECRET_SIZE]);                              /* base64url */
void secret_digest(const char *secret, char out[SECRET_DIGEST_SIZE]); /* hexadecimal */
/* A NULL digest matches nothing. */
bool secret_matches(const char *secret, const char *digest) __attribute__((warn_unused_result));
