/* Signed claims in their compact form, header.claims.signature (JWS, RFC 7515, 7.1; JWT, RFC 7519). What libjwt does not
   look at is looked at here: one spelling of everything, no name twice, no header that nobody asked for, and an algorithm
   that the key decides (RFC 8725, 3.1). libjwt is used in jws.c only. Any thread may call. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "utvag/arena.h"
#include "utvag/keyring.h"

enum { JWS_LIMIT = 4096 }; /* characters */

struct jws {
    const char *text; /* the caller's */
    size_t length, signature_bytes;
    json_t *header, *claims;
};

/* Takes it apart; nothing is verified. False if it is none. jws_free in either case. */
bool jws_read(const char *text, struct jws *out) __attribute__((warn_unused_result));
void jws_free(struct jws *jws);
/* Whether the header has texts of these names only (the last is NULL), and no type but JWT. */
bool jws_header_holds(const struct jws *jws, const char *const *names);
extern const char *const jws_header[]; /* alg, typ, kid: no crit, no jwk, no x5u */
/* Whether public_pem verifies it by algorithm (ES256, RS256), which is the key's own. */
bool jws_signed_by(const struct jws *jws, const char *public_pem, const char *algorithm)
    __attribute__((warn_unused_result));
/* Claims, as JSON, signed by ES256; in the arena. NULL on failure, or if it would be too long. */
char *jws_sign(const char *claims, const struct signing_key *key, struct arena *arena);

/* Members of the header and the claims. NULL or false if it is not there, or of another type. */
const char *jws_text(const json_t *object, const char *name);
bool jws_text_is(const json_t *object, const char *name, const char *expected);
bool jws_integer(const json_t *object, const char *name, long long *out); /* from 0 on */
