/* Public keys of others, as they are sent (JWK, RFC 7517 and 7518): P-256, and RSA of 2048 to 8192 bits. A key verifies
   with one algorithm, which its kind decides: never the key's holder, and never what it signed (RFC 8725, 3.1).
   Any thread may call. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

enum { JWK_THUMBPRINT_SIZE = 44 }; /* SHA-256 in base64url, with its NUL */

/* Whether it holds private or shared parts, which nobody should ever have sent. */
bool jwk_is_private(const json_t *jwk);
/* *pem: its SubjectPublicKeyInfo, malloc'd. *algorithm: ES256 or RS256, static. False, and both NULL, unless it is a
   public key of one of the two kinds, meant for signatures (`use`, `key_ops`, `alg` where they are there), in the one
   spelling that RFC 7518 (6.2, 6.3) has for it. */
bool jwk_public_pem(const json_t *jwk, char **pem, const char **algorithm) __attribute__((warn_unused_result));
/* The thumbprint (RFC 7638). False for what jwk_public_pem would not take for its kind's members. */
bool jwk_thumbprint(const json_t *jwk, char out[JWK_THUMBPRINT_SIZE]) __attribute__((warn_unused_result));
