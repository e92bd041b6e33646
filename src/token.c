#include "utvag/token.h"

#include <jansson.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "utvag/base64url.h"
#include "utvag/jws.h"
#include "utvag/token_cache.h"

enum { LEEWAY_SECONDS = 30 };

static const char audience_name[] = "utvag", use_name[] = "access";

struct token_verifier {
    const struct keyring *ring;
    const char *issuer;
    struct token_cache *cache;
    atomic_uint forgotten; /* how often */
};

struct token_verifier *token_verifier_new(const struct keyring *ring, const char *issuer)
{
    size_t count = 0;
    struct token_verifier *verifier = calloc(1, sizeof *verifier);
    const struct signing_key *keys = keyring_signing(ring, &count);

    if (verifier) *verifier = (struct token_verifier){ .ring = ring, .issuer = issuer, .cache = token_cache_new() };
    /* libjwt takes an empty key as "nothing to verify" */
    bool sound = verifier && verifier->cache && issuer && *issuer && count > 0;
    for (size_t i = 0; sound && i < count; i++) sound = *keys[i].kid && *keys[i].public_pem;
    if (sound) return verifier;
    token_verifier_free(verifier);
    return NULL;
}

void token_verifier_free(struct token_verifier *verifier)
{
    if (!verifier) return;
    token_cache_free(verifier->cache);
    free(verifier);
}

/* Claims of an access token. */

static bool officer_valid(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    size_t length = strnlen(text, TOKEN_OFFICER + 1);
    return length >= 1 && length <= TOKEN_OFFICER && strspn(text, allowed) == length;
}

static bool read_roles(const json_t *roles, struct caller *caller)
{
    size_t index;
    json_t *value;

    if (!json_is_array(roles)) return false;
    json_array_foreach((json_t *)roles, index, value) {
        enum role role = json_is_string(value) ? role_find(json_string_value(value)) : ROLE_COUNT;
        if (role == ROLE_COUNT) return false;
        caller->roles |= 1u << role;
    }
    return true;
}

static bool read_officer(const json_t *claims, struct arena *arena, struct caller *caller)
{
    const json_t *value = json_object_get(claims, "officer");
    const char *text = json_string_value(value);

    if (!value) return true;
    if (!text || !officer_valid(text)) return false;
    caller->officer = arena_copy(arena, text, strlen(text));
    return caller->officer != NULL;
}

static bool thumbprint_valid(const char *text)
{
    unsigned char bytes[DIGEST_BYTES];
    size_t filled, length = strnlen(text, THUMBPRINT_SIZE);
    return length == THUMBPRINT_SIZE - 1 && base64url_decode(text, length, bytes, &filled);
}

static bool read_uuid(const json_t *claims, const char *name, char out[UUID_SIZE])
{
    const char *text = jws_text(claims, name);
    if (!uuid_valid(text)) return false;
    memcpy(out, text, UUID_SIZE);
    return true;
}

/* The confirmation that the holder must give (RFC 7800, 3.1), of the one kind that we know: one that we do not is refused,
   since a token must never be worth more than its maker meant. */
static bool read_confirmation(const json_t *claims, struct caller *caller)
{
    const json_t *confirmation = json_object_get(claims, "cnf");
    const char *text = jws_text(confirmation, "x5t#S256");

    if (!confirmation) return true;
    if (!text || json_object_size(confirmation) != 1 || !thumbprint_valid(text)) return false;
    memcpy(caller->certificate, text, THUMBPRINT_SIZE);
    return true;
}

static bool read_caller(const json_t *claims, struct arena *arena, struct caller *caller)
{
    const json_t *machine = json_object_get(claims, "machine");
    long long epoch;

    *caller = (struct caller){ .known = true, .role = ROLE_COUNT, .machine = json_is_true(machine) };
    if (!json_is_boolean(machine) || !jws_integer(claims, "epoch", &epoch) || epoch > INT_MAX) return false;
    caller->epoch = (int)epoch;
    return read_uuid(claims, "sub", caller->id) &&
           (!json_object_get(claims, "agency") || read_uuid(claims, "agency", caller->agency)) &&
           (!json_object_get(claims, "sid") || read_uuid(claims, "sid", caller->session)) &&
           read_confirmation(claims, caller) && read_roles(json_object_get(claims, "roles"), caller) &&
           read_officer(claims, arena, caller);
}

/* All of time but the end, which has an answer of its own. */
static bool times_hold(const json_t *claims, long long now, long long *expires)
{
    long long issued, from;
    return jws_integer(claims, "exp", expires) && jws_integer(claims, "iat", &issued) &&
           jws_integer(claims, "nbf", &from) && issued <= now + LEEWAY_SECONDS && from <= now + LEEWAY_SECONDS &&
           *expires - issued <= TOKEN_SECONDS;
}

static const char *key_of(const struct keyring *ring, const json_t *header)
{
    const char *kid = jws_text(header, "kid");
    const struct signing_key *key = kid ? keyring_verifying(ring, kid) : NULL;
    return key ? key->public_pem : NULL;
}

/* What was verified with other keys is not found again: its key may be gone. */
static void remembered_as(struct token_verifier *verifier, const char *token, size_t length,
                          unsigned char digest[DIGEST_BYTES])
{
    unsigned keys = keyring_generation(verifier->ring) + atomic_load(&verifier->forgotten);
    digest_sha256(token, length, digest);
    for (size_t i = 0; i < sizeof keys; i++) digest[DIGEST_BYTES - 1 - i] ^= (unsigned char)(keys >> 8 * i);
}

void token_name(struct token_verifier *verifier, const char *text, unsigned char name[DIGEST_BYTES])
{
    remembered_as(verifier, text, strlen(text), name);
}

void token_remember(struct token_verifier *verifier, const unsigned char name[DIGEST_BYTES], long long expires,
                    const struct caller *caller)
{
    token_cache_add(verifier->cache, name, expires, caller);
}

void token_forget(struct token_verifier *verifier) { atomic_fetch_add(&verifier->forgotten, 1); }

static struct problem verify_jws(struct token_verifier *verifier, const struct jws *jws, struct arena *arena,
                                 struct caller *caller)
{
    unsigned char digest[DIGEST_BYTES];
    remembered_as(verifier, jws->text, jws->length, digest);
    const char *key = jws_header_holds(jws, jws_header) ? key_of(verifier->ring, jws->header) : NULL;
    long long now = time(NULL), expires = 0;

    if (!key || !jws_signed_by(jws, key, "ES256")) return problem(401, "token_invalid");
    if (!jws_text_is(jws->claims, "iss", verifier->issuer) || !jws_text_is(jws->claims, "aud", audience_name) ||
        !jws_text_is(jws->claims, "use", use_name) || !times_hold(jws->claims, now, &expires) ||
        !read_caller(jws->claims, arena, caller))
        return problem(401, "token_invalid");
    if (expires <= now) return problem(401, "token_expired");
    token_cache_add(verifier->cache, digest, expires, caller);
    return PROBLEM_NONE;
}

static bool remembered(struct token_verifier *verifier, const char *token, struct arena *arena, struct caller *caller)
{
    unsigned char digest[DIGEST_BYTES];
    size_t length = token ? strnlen(token, TOKEN_LIMIT + 1) : 0;

    if (length == 0 || length > TOKEN_LIMIT) return false;
    remembered_as(verifier, token, length, digest);
    return token_cache_find(verifier->cache, digest, time(NULL), arena, caller);
}

struct problem token_verify(struct token_verifier *verifier, const char *token, struct arena *arena,
                            struct caller *caller)
{
    struct jws jws;

    if (remembered(verifier, token, arena, caller)) return PROBLEM_NONE;
    struct problem found =
        jws_read(token, &jws) ? verify_jws(verifier, &jws, arena, caller) : problem(401, "token_invalid");
    jws_free(&jws);
    if (found.status) *caller = (struct caller){ .role = ROLE_COUNT };
    return found;
}

/* Signing. */

static json_t *claims_of(const char *issuer, const struct caller *caller)
{
    json_int_t now = time(NULL);
    json_t *roles = json_array();

    for (int role = 0; role < ROLE_COUNT; role++)
        if (caller->roles & 1u << role) json_array_append_new(roles, json_string(role_name((enum role)role)));
    json_t *claims = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:i, s:b}", "iss", issuer, "aud",
                               audience_name, "use", use_name, "sub", caller->id, "iat", now, "nbf", now, "exp",
                               now + TOKEN_SECONDS, "roles", roles, "epoch", caller->epoch, "machine", caller->machine);
    if (claims && caller->agency[0]) json_object_set_new(claims, "agency", json_string(caller->agency));
    if (claims && caller->officer) json_object_set_new(claims, "officer", json_string(caller->officer));
    if (claims && caller->session[0]) json_object_set_new(claims, "sid", json_string(caller->session));
    if (claims && caller->certificate[0])
        json_object_set_new(claims, "cnf", json_pack("{s:s}", "x5t#S256", caller->certificate));
    return claims;
}

char *token_sign(const struct keyring *ring, const char *issuer, const struct caller *caller, struct arena *arena)
{
    size_t count;
    const struct signing_key *keys = keyring_signing(ring, &count);

    if (count == 0 || !uuid_valid(caller->id) || (caller->agency[0] && !uuid_valid(caller->agency)) ||
        (caller->session[0] && !uuid_valid(caller->session)) ||
        (caller->certificate[0] && !thumbprint_valid(caller->certificate)) ||
        (caller->officer && !officer_valid(caller->officer)) || caller->epoch < 0)
        return NULL;
    json_t *claims = claims_of(issuer, caller);
    char *text = claims ? json_dumps(claims, JSON_COMPACT) : NULL;
    char *token = text ? jws_sign(text, &keys[0], arena) : NULL;
    free(text);
    json_decref(claims);
    return token;
}
