#include <string.h>

#include "utvag/jws.h"
#include "utvag/token.h"

/* Tokens of outside issuers. Headers of others also name certificates, which we have no use for. */
static const char *const outside_header[] = { "alg", "typ", "kid", "x5t", "x5t#S256", NULL };

bool token_outside_read(const char *text, struct arena *arena, struct outside *out)
{
    struct jws jws;

    *out = (struct outside){ 0 };
    if (jws_read(text, &jws) && jws_header_holds(&jws, outside_header)) {
        const char *issuer = jws_text(jws.claims, "iss"), *key = jws_text(jws.header, "kid");
        out->issuer = issuer ? arena_copy(arena, issuer, strlen(issuer)) : NULL;
        out->key = key ? arena_copy(arena, key, strlen(key)) : NULL;
    }
    jws_free(&jws);
    return out->issuer && out->key;
}

json_t *token_outside_claims(const char *text, const char *public_pem, const char *algorithm)
{
    struct jws jws;
    bool valid =
        jws_read(text, &jws) && jws_header_holds(&jws, outside_header) && jws_signed_by(&jws, public_pem, algorithm);
    json_t *claims = valid ? json_incref(jws.claims) : NULL;
    jws_free(&jws);
    return claims;
}
