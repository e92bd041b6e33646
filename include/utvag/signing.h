/* Signing keys of tokens: P-256, as PEM and as JWK (RFC 7517). Part of the key ring. */
#pragma once
#include <stdbool.h>

#include "utvag/keyring.h"

/* A new key. All four texts are malloc'd; signing_free frees them. False: OpenSSL failed, and nothing is kept. */
bool signing_make(struct signing_key *out) __attribute__((warn_unused_result));
/* The same from a private key in PEM. False unless it is a P-256 key. */
bool signing_read(const char *private_pem, struct signing_key *out) __attribute__((warn_unused_result));
void signing_free(struct signing_key *key); /* overwrites the private key */
