#include "utvag/jws.h"

#include <jwt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/base64url.h"

enum {
    EC_BYTES = 64, /* of a signature by P-256 (RFC 7518, 3.4) */
    RSA_LEAST = 256,
    RSA_MOST = 1024, /* by RSA: the size of the key (jwk.h) */
};

/* What a header of ours has. */
const char *const jws_header[] = { "alg", "typ", "kid", NULL };

void jws_free(struct jws *jws)
{
    json_decref(jws->header);
    json_decref(jws->claims);
}

/* Duplicate names are refused: of two, libjwt takes the last and others the first. */
static json_t *parse_object(const char *text, size_t length)
{
    unsigned char bytes[JWS_LIMIT];
    size_t filled;

    if (!base64url_decode(text, length, bytes, &filled)) return NULL;
    json_t *value = json_loadb((const char *)bytes, filled, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(value)) return value;
    json_decref(value);
    return NULL;
}

/* Also the signature has one spelling only: else a token altered in spare bits would pass. The number of its bytes; 0 if
   it is none. */
static size_t signature_bytes(const char *text, size_t length)
{
    unsigned char bytes[RSA_MOST + 2];
    size_t filled;
    bool whole = length > 0 && length <= BASE64URL_LENGTH(RSA_MOST) && base64url_decode(text, length, bytes, &filled);
    return whole ? filled : 0;
}

bool jws_read(const char *text, struct jws *out)
{
    const char *first, *second;

    *out = (struct jws){ .text = text, .length = text ? strnlen(text, JWS_LIMIT + 1) : 0 };
    if (!text || out->length == 0 || out->length > JWS_LIMIT) return false;
    first = strchr(text, '.');
    second = first ? strchr(first + 1, '.') : NULL;
    if (!second) return false;
    out->signature_bytes = signature_bytes(second + 1, out->length - (size_t)(second + 1 - text));
    if (out->signature_bytes == 0) return false;
    out->header = parse_object(text, (size_t)(first - text));
    out->claims = parse_object(first + 1, (size_t)(second - first - 1));
    return out->header && out->claims;
}

const char *jws_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

bool jws_text_is(const json_t *object, const char *name, const char *expected)
{
    const char *text = jws_text(object, name);
    return text && strcmp(text, expected) == 0;
}

bool jws_integer(const json_t *object, const char *name, long long *out)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = json_integer_value(value);
    return true;
}

static bool is_among(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0) return true;
    return false;
}

bool jws_header_holds(const struct jws *jws, const char *const *names)
{
    const char *name;
    json_t *value;

    json_object_foreach(jws->header, name, value) {
        if (!json_is_string(value) || !is_among(name, names)) return false;
    }
    return !json_object_get(jws->header, "typ") || jws_text_is(jws->header, "typ", "JWT");
}

/* libjwt takes whichever algorithm the header names: it is settled before, and looked at again afterwards. */
bool jws_signed_by(const struct jws *jws, const char *public_pem, const char *algorithm)
{
    jwt_t *jwt = NULL;
    size_t length = strlen(public_pem), bytes = jws->signature_bytes;
    bool ec = strcmp(algorithm, "ES256") == 0;
    bool fits = ec ? bytes == EC_BYTES : bytes >= RSA_LEAST && bytes <= RSA_MOST;

    if (length == 0 || length > INT_MAX || !fits || !jws_text_is(jws->header, "alg", algorithm)) return false;
    bool valid = jwt_decode(&jwt, jws->text, (const unsigned char *)public_pem, (int)length) == 0 && jwt &&
                 jwt_get_alg(jwt) == (ec ? JWT_ALG_ES256 : JWT_ALG_RS256);
    jwt_free(jwt);
    return valid;
}

char *jws_sign(const char *claims, const struct signing_key *key, struct arena *arena)
{
    jwt_t *jwt = NULL;
    char *text = NULL, *copy = NULL;

    if (jwt_new(&jwt) == 0 && jwt_add_grants_json(jwt, claims) == 0 && jwt_add_header(jwt, "kid", key->kid) == 0 &&
        jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *)key->private_pem, (int)strlen(key->private_pem)) == 0)
        text = jwt_encode_str(jwt);
    if (text && strlen(text) <= JWS_LIMIT) copy = arena_copy(arena, text, strlen(text));
    free(text);
    jwt_free(jwt);
    return copy;
}
