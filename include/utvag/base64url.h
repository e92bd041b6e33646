/* Base64url without padding (RFC 4648, section 5). Strict: each sequence of bytes has one spelling. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define BASE64URL_LENGTH(bytes) (((bytes)*4 + 2) / 3) /* characters, without the NUL */

/* out takes BASE64URL_LENGTH(length) + 1 characters. */
void base64url_encode(const void *bytes, size_t length, char *out);
/* out takes length * 3 / 4 bytes. False for a character outside the alphabet, a length that no bytes have, and
   spare bits that are not zero (else several texts would stand for the same signature). */
bool base64url_decode(const char *text, size_t length, unsigned char *out, size_t *out_length);
