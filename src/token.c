#include "utvag/token.h"

#include <jansson.h>
#include <jwt.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "utvag/base64url.h"
#include "utvag/token_cache.h"

enum {
    LEEWAY_SECONDS = 30,
    SIGNATURE_BYTES = 64, /* of ES256 */
    RSA_LEAST = 256,
    RSA_MOST = 1024, /* of RS256: the size of the key (jwk.h) */
    ID_LIMIT = 128
};

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

/* The parts of a compact token: header.claims.signature (RFC 7515, 7.1). */

struct parts {
    size_t length;          /* of the whole */
    size_t signature_bytes; /* decoded */
    json_t *header, *claims;
};

static void parts_free(struct parts *parts)
{
    json_decref(parts->header);
    json_decref(parts->claims);
}

/* Duplicate names are refused: of two, libjwt takes the last and others the first. */
static json_t *parse_object(const char *text, size_t length)
{
    unsigned char bytes[TOKEN_LIMIT];
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

static bool take_apart(const char *token, struct parts *out)
{
    const char *first, *second;

    *out = (struct parts){ .length = token ? strnlen(token, TOKEN_LIMIT + 1) : 0 };
    if (out->length == 0 || out->length > TOKEN_LIMIT) return false;
    first = strchr(token, '.');
    second = first ? strchr(first + 1, '.') : NULL;
    if (!second) return false;
    out->signature_bytes = signature_bytes(second + 1, out->length - (size_t)(second + 1 - token));
    if (out->signature_bytes == 0) return false;
    out->header = parse_object(token, (size_t)(first - token));
    out->claims = parse_object(first + 1, (size_t)(second - first - 1));
    return out->header && out->claims;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool text_is(const json_t *object, const char *name, const char *expected)
{
    const char *text = text_of(object, name);
    return text && strcmp(text, expected) == 0;
}

/* From 0 on. */
static bool integer_of(const json_t *object, const char *name, long long *out)
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

static bool header_among(const json_t *header, const char *const *known)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)header, name, value) {
        if (!json_is_string(value) || !is_among(name, known)) return false;
    }
    return !json_object_get(header, "typ") || text_is(header, "typ", "JWT");
}

/* Nothing but what a header of ours has: no crit, no jwk, no x5u. */
static bool header_known(const struct parts *parts)
{
    static const char *const known[] = { "alg", "typ", "kid", NULL };
    return header_among(parts->header, known) && text_is(parts->header, "alg", "ES256") &&
           parts->signature_bytes == SIGNATURE_BYTES;
}

static bool verifies(const char *token, const char *public_pem, jwt_alg_t algorithm)
{
    jwt_t *jwt = NULL;
    size_t length = strlen(public_pem);

    if (length == 0 || length > INT_MAX) return false;
    bool valid = jwt_decode(&jwt, token, (const unsigned char *)public_pem, (int)length) == 0 && jwt &&
                 jwt_get_alg(jwt) == algorithm;
    jwt_free(jwt);
    return valid;
}

static bool signed_by(const char *token, const char *public_pem) { return verifies(token, public_pem, JWT_ALG_ES256); }

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
    const char *text = text_of(claims, name);
    if (!uuid_valid(text)) return false;
    memcpy(out, text, UUID_SIZE);
    return true;
}

/* The confirmation that the holder must give (RFC 7800, 3.1), of the one kind that we know: one that we do not is refused,
   since a token must never be worth more than its maker meant. */
static bool read_confirmation(const json_t *claims, struct caller *caller)
{
    const json_t *confirmation = json_object_get(claims, "cnf");
    const char *text = text_of(confirmation, "x5t#S256");

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
    if (!json_is_boolean(machine) || !integer_of(claims, "epoch", &epoch) || epoch > INT_MAX) return false;
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
    return integer_of(claims, "exp", expires) && integer_of(claims, "iat", &issued) &&
           integer_of(claims, "nbf", &from) && issued <= now + LEEWAY_SECONDS && from <= now + LEEWAY_SECONDS &&
           *expires - issued <= TOKEN_SECONDS;
}

static const char *key_of(const struct keyring *ring, const json_t *header)
{
    const char *kid = text_of(header, "kid");
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

static struct problem verify_parts(struct token_verifier *verifier, const char *token, const struct parts *parts,
                                   struct arena *arena, struct caller *caller)
{
    unsigned char digest[DIGEST_BYTES];
    remembered_as(verifier, token, parts->length, digest);
    const char *key = header_known(parts) ? key_of(verifier->ring, parts->header) : NULL;
    long long now = time(NULL), expires = 0;

    if (!key || !signed_by(token, key)) return problem(401, "token_invalid");
    if (!text_is(parts->claims, "iss", verifier->issuer) || !text_is(parts->claims, "aud", audience_name) ||
        !text_is(parts->claims, "use", use_name) || !times_hold(parts->claims, now, &expires) ||
        !read_caller(parts->claims, arena, caller))
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
    struct parts parts;

    if (remembered(verifier, token, arena, caller)) return PROBLEM_NONE;
    struct problem found = take_apart(token, &parts) ? verify_parts(verifier, token, &parts, arena, caller)
                                                     : problem(401, "token_invalid");
    parts_free(&parts);
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

static char *encode(const struct signing_key *key, const char *claims, struct arena *arena)
{
    jwt_t *jwt = NULL;
    char *text = NULL, *copy = NULL;

    if (jwt_new(&jwt) == 0 && jwt_add_grants_json(jwt, claims) == 0 && jwt_add_header(jwt, "kid", key->kid) == 0 &&
        jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *)key->private_pem, (int)strlen(key->private_pem)) == 0)
        text = jwt_encode_str(jwt);
    if (text && strlen(text) <= TOKEN_LIMIT) copy = arena_copy(arena, text, strlen(text));
    free(text);
    jwt_free(jwt);
    return copy;
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
    char *token = text ? encode(&keys[0], text, arena) : NULL;
    free(text);
    json_decref(claims);
    return token;
}

/* Assertions of machine clients (RFC 7523, 3). */

static bool id_valid(const char *text) { return text && *text && strnlen(text, ID_LIMIT + 1) <= ID_LIMIT; }

static bool copy_text(const json_t *object, const char *name, struct arena *arena, const char **out)
{
    const char *text = text_of(object, name);
    *out = id_valid(text) ? arena_copy(arena, text, strlen(text)) : NULL;
    return *out != NULL;
}

/* iss and sub are one, the client; kid is optional. */
static bool read_claimed(const struct parts *parts, struct arena *arena, struct assertion *out)
{
    if (!header_known(parts) || !copy_text(parts->claims, "iss", arena, &out->client) ||
        !text_is(parts->claims, "sub", out->client))
        return false;
    return !json_object_get(parts->header, "kid") || copy_text(parts->header, "kid", arena, &out->key);
}

bool token_assertion_read(const char *text, struct arena *arena, struct assertion *out)
{
    struct parts parts;

    *out = (struct assertion){ 0 };
    bool read = take_apart(text, &parts) && read_claimed(&parts, arena, out);
    parts_free(&parts);
    if (!read) *out = (struct assertion){ 0 };
    return read;
}

/* When the assertion began, at the latest: `iat` and `nbf` may be left out, and the client's clock may be a little
   ahead. False if one of them is not a time, or lies ahead. */
static bool read_begin(const json_t *claims, long long now, long long *begin)
{
    long long from;
    *begin = now;
    if (json_object_get(claims, "nbf") && (!integer_of(claims, "nbf", &from) || from > now + LEEWAY_SECONDS))
        return false;
    if (!json_object_get(claims, "iat")) return true;
    return integer_of(claims, "iat", begin) && *begin <= now + LEEWAY_SECONDS;
}

static bool assertion_in_time(const json_t *claims, long long *expires)
{
    long long now = time(NULL), begin;
    return read_begin(claims, now, &begin) && integer_of(claims, "exp", expires) && *expires > now &&
           *expires - begin <= ASSERTION_SECONDS;
}

bool token_assertion_verify(const char *text, const char *public_pem, const char *audience, struct arena *arena,
                            struct assertion *out)
{
    struct parts parts;

    *out = (struct assertion){ 0 };
    bool valid = take_apart(text, &parts) && public_pem && read_claimed(&parts, arena, out) &&
                 signed_by(text, public_pem) && text_is(parts.claims, "aud", audience) &&
                 copy_text(parts.claims, "jti", arena, &out->id) && assertion_in_time(parts.claims, &out->expires);
    parts_free(&parts);
    if (!valid) *out = (struct assertion){ 0 };
    return valid;
}

/* Tokens of outside issuers. */

/* Headers of others also name certificates, which we have no use for. Nothing else: no crit, no jwk, no jku. */
static bool outside_header_known(const struct parts *parts)
{
    static const char *const known[] = { "alg", "typ", "kid", "x5t", "x5t#S256", NULL };
    bool ec = text_is(parts->header, "alg", "ES256"), rsa = text_is(parts->header, "alg", "RS256");
    size_t bytes = parts->signature_bytes;
    return header_among(parts->header, known) &&
           ((ec && bytes == SIGNATURE_BYTES) || (rsa && bytes >= RSA_LEAST && bytes <= RSA_MOST));
}

bool token_outside_read(const char *text, struct arena *arena, struct outside *out)
{
    struct parts parts;

    *out = (struct outside){ 0 };
    if (take_apart(text, &parts) && outside_header_known(&parts)) {
        const char *issuer = text_of(parts.claims, "iss"), *key = text_of(parts.header, "kid");
        out->algorithm = text_is(parts.header, "alg", "ES256") ? "ES256" : "RS256";
        out->issuer = issuer ? arena_copy(arena, issuer, strlen(issuer)) : NULL;
        out->key = key ? arena_copy(arena, key, strlen(key)) : NULL;
    }
    parts_free(&parts);
    return out->issuer && out->key;
}

json_t *token_outside_claims(const char *text, const char *public_pem, const char *algorithm)
{
    struct parts parts;
    jwt_alg_t expected = strcmp(algorithm, "ES256") == 0 ? JWT_ALG_ES256 : JWT_ALG_RS256;
    bool valid = take_apart(text, &parts) && outside_header_known(&parts) && text_is(parts.header, "alg", algorithm) &&
                 verifies(text, public_pem, expected);
    json_t *claims = valid ? json_incref(parts.claims) : NULL;
    parts_free(&parts);
    return claims;
}
