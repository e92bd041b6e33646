/* Access tokens: ES256 (RFC 7518), five minutes, the rules of RFC 8725: the key's algorithm is fixed and never taken
   from the token, and every claim is checked for value and type. And the assertions that machine clients sign in
   with (RFC 7523), and tokens of outside issuers. Any thread may call. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "utvag/digest.h"
#include "utvag/jws.h"
#include "utvag/keyring.h"
#include "utvag/request.h"

enum {
    TOKEN_SECONDS = 300, /* a token lives; one that says longer is none of ours */
    TOKEN_LIMIT = JWS_LIMIT,
    TOKEN_OFFICER = 64,     /* characters of an acting officer: A-Z a-z 0-9 . _ : - */
    ASSERTION_SECONDS = 60, /* an assertion may live at most, by its own clock and by ours */
};

struct token_verifier; /* remembers verified tokens by SHA-256 until they expire */
/* ring and issuer must outlive it. NULL without memory, an issuer or signing keys. */
struct token_verifier *token_verifier_new(const struct keyring *ring, const char *issuer);
void token_verifier_free(struct token_verifier *verifier);

/* The compact token for caller, in the arena; NULL on failure, or if caller's id, agency or officer would not be
   taken back. Lives TOKEN_SECONDS from now. */
char *token_sign(const struct keyring *ring, const char *issuer, const struct caller *caller, struct arena *arena);
/* Fills caller (without role), or says 401 token_invalid or token_expired. Texts live in the arena. Whether the
   holder is still active is not known here: each transaction asks. */
struct problem token_verify(struct token_verifier *verifier, const char *token, struct arena *arena,
                            struct caller *caller) __attribute__((warn_unused_result));

struct assertion {
    const char *client; /* iss and sub */
    const char *key;    /* the header's kid; NULL: it names none */
    const char *id;     /* jti: the caller accepts each once until `expires` */
    long long expires;  /* seconds since 1970 */
};
/* Whom an assertion says that it is from, and by which key, so that they can be looked up: nothing is verified yet, and
   nothing else is filled in. False if it is not one. */
bool token_assertion_read(const char *text, struct arena *arena, struct assertion *out)
    __attribute__((warn_unused_result));
/* Whether it is signed (ES256) by public_pem, meant for audience (our issuer) and for nobody else, and not older than it
   may be (RFC 7523, 3). Texts live in the arena. */
bool token_assertion_verify(const char *text, const char *public_pem, const char *audience, struct arena *arena,
                            struct assertion *out) __attribute__((warn_unused_result));

/* What a token of an outside issuer (issuer.h) says of itself: nothing is verified yet. */
struct outside {
    const char *issuer, *key; /* iss; kid of the header */
};
/* Texts in the arena. False if it is no token that we could verify. */
bool token_outside_read(const char *text, struct arena *arena, struct outside *out) __attribute__((warn_unused_result));
/* Its claims, to be given back to jansson, if public_pem verifies it by algorithm (ES256, RS256): the key's own, never the
   token's choice. NULL otherwise. No claim has been looked at. */
json_t *token_outside_claims(const char *text, const char *public_pem, const char *algorithm);

/* Under what name the verifier remembers a token. Taken before the key is looked up that verifies it: keys change. */
void token_name(struct token_verifier *verifier, const char *text, unsigned char name[DIGEST_BYTES]);
/* From now on token_verify knows it, until expires (seconds since 1970). */
void token_remember(struct token_verifier *verifier, const unsigned char name[DIGEST_BYTES], long long expires,
                    const struct caller *caller);
/* Whatever was verified up to now is verified anew. */
void token_forget(struct token_verifier *verifier);
