/* Passwords and client secrets: scrypt, OWASP's figures (N=2^17 r=8 p=1), in a lane of bounded width. */
#pragma once
#include <stdbool.h>

enum { PASSWORD_SIZE = 160 };
void password_lane(int width); /* before threads start */
bool password_hash(const char *password, char out[PASSWORD_SIZE]); /* "$scrypt$17$8$1$salt$hash" */
/* Takes the same time for a NULL hash as for a wrong password, and then says false. */
bool password_matches(const char *password, const char *hash);
/* For secrets that we made ourselves with 256 bits of chance: a plain SHA-256 is enough, and fast. */
void secret_make(char out[44]);                           /* base64url */
void secret_digest(const char *secret, char out[65]);     /* hexadecimal */
bool secret_matches(const char *secret, const char *digest);
