#include <string.h>
#include <time.h>

#include "utvag/jws.h"
#include "utvag/token.h"

/* Assertions of machine clients (RFC 7523, 3). */

enum { LEEWAY_SECONDS = 30, ID_LIMIT = 128 };

static bool id_valid(const char *text) { return text && *text && strnlen(text, ID_LIMIT + 1) <= ID_LIMIT; }

static bool copy_text(const json_t *object, const char *name, struct arena *arena, const char **out)
{
    const char *text = jws_text(object, name);
    *out = id_valid(text) ? arena_copy(arena, text, strlen(text)) : NULL;
    return *out != NULL;
}

/* iss and sub are one, the client; kid is optional. */
static bool read_claimed(const struct jws *jws, struct arena *arena, struct assertion *out)
{
    if (!jws_header_holds(jws, jws_header) || !copy_text(jws->claims, "iss", arena, &out->client) ||
        !jws_text_is(jws->claims, "sub", out->client))
        return false;
    return !json_object_get(jws->header, "kid") || copy_text(jws->header, "kid", arena, &out->key);
}

bool token_assertion_read(const char *text, struct arena *arena, struct assertion *out)
{
    struct jws jws;

    *out = (struct assertion){ 0 };
    bool read = jws_read(text, &jws) && read_claimed(&jws, arena, out);
    jws_free(&jws);
    if (!read) *out = (struct assertion){ 0 };
    return read;
}

/* When the assertion began, at the latest: `iat` and `nbf` may be left out, and the client's clock may be a little
   ahead. False if one of them is not a time, or lies ahead. */
static bool read_begin(const json_t *claims, long long now, long long *begin)
{
    long long from;
    *begin = now;
    if (json_object_get(claims, "nbf") && (!jws_integer(claims, "nbf", &from) || from > now + LEEWAY_SECONDS))
        return false;
    if (!json_object_get(claims, "iat")) return true;
    return jws_integer(claims, "iat", begin) && *begin <= now + LEEWAY_SECONDS;
}

static bool assertion_in_time(const json_t *claims, long long *expires)
{
    long long now = time(NULL), begin;
    return read_begin(claims, now, &begin) && jws_integer(claims, "exp", expires) && *expires > now &&
           *expires - begin <= ASSERTION_SECONDS;
}

bool token_assertion_verify(const char *text, const char *public_pem, const char *audience, struct arena *arena,
                            struct assertion *out)
{
    struct jws jws;

    *out = (struct assertion){ 0 };
    bool valid = jws_read(text, &jws) && public_pem && read_claimed(&jws, arena, out) &&
                 jws_signed_by(&jws, public_pem, "ES256") && jws_text_is(jws.claims, "aud", audience) &&
                 copy_text(jws.claims, "jti", arena, &out->id) && assertion_in_time(jws.claims, &out->expires);
    jws_free(&jws);
    if (!valid) *out = (struct assertion){ 0 };
    return valid;
}
