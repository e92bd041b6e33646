/* Only our own tokens, whole, in time and for us; nothing that libjwt alone would let pass (RFC 8725). */
#include "utvag/token.h"

#include <jwt.h>
#include <limits.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <time.h>

#include "tests/unit/ring.h"
#include "utvag/base64url.h"
#include "utvag/signing.h"
#include "utvag/token_cache.h"

#define ISSUER "https://utvag.example/v1"
#define USER "5f0c3d1e-7a41-4c2b-9d3e-0a1b2c3d4e5f"
#define AGENCY "0b9a6d0c-3f55-4e9b-8b1a-2c7d4e6f8a90"

#define SESSION "c3f1a2b4-5d6e-4f70-8a91-b2c3d4e5f601"
#define CERTIFICATE "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0"

static struct ring ring;
static struct arena *arena;
static struct token_verifier *verifier;
static struct caller caller;
static const struct signing_key *keys;

static void set_up(void)
{
    size_t count;
    ring = ring_make();
    arena = arena_new(4 << 20);
    verifier = token_verifier_new(ring.keys, ISSUER);
    keys = keyring_signing(ring.keys, &count);
}

static void tear_down(void)
{
    token_verifier_free(verifier);
    arena_free(arena);
    ring_drop(&ring);
}

static struct caller someone(void)
{
    return (struct caller){ .id = USER,
                            .agency = AGENCY,
                            .roles = 1u << ROLE_PARTNER | 1u << ROLE_INTAKE,
                            .epoch = 7,
                            .machine = true,
                            .officer = "officer:17",
                            .session = SESSION,
                            .certificate = CERTIFICATE };
}

/* A token of these claims and this header, made by libjwt; alg and key as the attacker likes. */
static char *forge(const json_t *claims, const char *kid, jwt_alg_t alg, const char *key)
{
    jwt_t *jwt = NULL;
    char *text = json_dumps(claims, 0);
    ck_assert_int_eq(jwt_new(&jwt), 0);
    ck_assert_int_eq(jwt_add_grants_json(jwt, text), 0);
    if (kid) jwt_add_header(jwt, "kid", kid);
    ck_assert_int_eq(jwt_set_alg(jwt, alg, (const unsigned char *)key, key ? (int)strlen(key) : 0), 0);
    char *token = jwt_encode_str(jwt);
    ck_assert_ptr_nonnull(token);
    char *copy = arena_copy(arena, token, strlen(token));
    free(token);
    free(text);
    jwt_free(jwt);
    return copy;
}

static json_t *good_claims(void)
{
    json_int_t now = time(NULL);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:[s], s:i, s:b, s:s}", "iss", ISSUER, "aud", "utvag",
                     "use", "access", "sub", USER, "agency", AGENCY, "iat", now, "nbf", now, "exp", now + TOKEN_SECONDS,
                     "roles", "partner", "epoch", 1, "machine", 0, "officer", "a.b_c:d-9");
}

static char *signed_well(const json_t *claims)
{
    return forge(claims, keys[0].kid, JWT_ALG_ES256, keys[0].private_pem);
}

static const char *verdict(const char *token)
{
    struct problem problem = token_verify(verifier, token, arena, &caller);
    if (problem.status == 0) return "valid";
    ck_assert_int_eq(problem.status, 401);
    ck_assert(!caller.known);
    return problem.code;
}

static void refuse(const char *token) { ck_assert_str_eq(verdict(token), "token_invalid"); }

START_TEST(test_signed_token_is_verified_twice_alike)
{
    struct caller given = someone();
    const char *token = token_sign(ring.keys, ISSUER, &given, arena);
    ck_assert_ptr_nonnull(token);
    for (int i = 0; i < 2; i++) { /* the second comes from memory */
        caller = (struct caller){ 0 };
        ck_assert_str_eq(verdict(token), "valid");
        ck_assert(caller.known && caller.machine);
        ck_assert_str_eq(caller.id, USER);
        ck_assert_str_eq(caller.agency, AGENCY);
        ck_assert_uint_eq(caller.roles, given.roles);
        ck_assert_int_eq(caller.epoch, 7);
        ck_assert_str_eq(caller.officer, "officer:17");
        ck_assert_str_eq(caller.session, SESSION);
        ck_assert_str_eq(caller.certificate, CERTIFICATE);
    }
}
END_TEST

START_TEST(test_staff_without_agency_or_officer)
{
    struct caller given = { .id = USER, .roles = 1u << ROLE_ADMIN };
    const char *token = token_sign(ring.keys, ISSUER, &given, arena);
    for (int i = 0; i < 2; i++) {
        ck_assert_str_eq(verdict(token), "valid");
        ck_assert_str_eq(caller.agency, "");
        ck_assert_ptr_null(caller.officer);
        ck_assert(!caller.machine);
    }
}
END_TEST

START_TEST(test_no_token_is_signed_that_would_not_verify)
{
    struct caller given = someone();
    given.officer = "not allowed";
    ck_assert_ptr_null(token_sign(ring.keys, ISSUER, &given, arena));
    given = someone();
    given.id[0] = 'X';
    ck_assert_ptr_null(token_sign(ring.keys, ISSUER, &given, arena));
    given = someone();
    given.agency[35] = '\0';
    ck_assert_ptr_null(token_sign(ring.keys, ISSUER, &given, arena));
    given = someone();
    given.session[35] = '\0';
    ck_assert_ptr_null(token_sign(ring.keys, ISSUER, &given, arena));
    given = someone();
    given.certificate[42] = '=';
    ck_assert_ptr_null(token_sign(ring.keys, ISSUER, &given, arena));
}
END_TEST

START_TEST(test_claims_as_forged_here_are_good)
{
    json_t *claims = good_claims();
    ck_assert_str_eq(verdict(signed_well(claims)), "valid");
    ck_assert_str_eq(caller.officer, "a.b_c:d-9");
    ck_assert_str_eq(verdict(forge(claims, keys[1].kid, JWT_ALG_ES256, keys[1].private_pem)), "valid");
    json_decref(claims);
}
END_TEST

START_TEST(test_each_altered_character_is_refused)
{
    struct caller given = someone();
    const char *token = token_sign(ring.keys, ISSUER, &given, arena);
    size_t length = strlen(token);
    for (size_t i = 0; i < length; i++) {
        char *altered = arena_copy(arena, token, length);
        altered[i] = altered[i] == 'A' ? 'B' : 'A';
        refuse(altered);
    }
    char *spare = arena_copy(arena, token, length); /* bits of the last character that no byte has */
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    spare[length - 1] = letters[(size_t)(strchr(letters, spare[length - 1]) - letters) ^ 1];
    refuse(spare);
    ck_assert_str_eq(verdict(token), "valid");
}
END_TEST

START_TEST(test_what_has_not_a_tokens_shape_is_refused)
{
    char large[TOKEN_LIMIT + 100];
    struct caller given = someone();
    const char *token = token_sign(ring.keys, ISSUER, &given, arena);
    refuse(NULL);
    refuse("");
    refuse(".");
    refuse("..");
    refuse("a.b.c");
    refuse("e30.e30.");
    refuse(arena_text(arena, "%s.", token));
    refuse(arena_text(arena, "%s=", token));
    refuse(arena_text(arena, " %s", token));
    refuse(arena_text(arena, "%s\n", token));
    memset(large, 'A', sizeof large);
    large[sizeof large - 1] = '\0';
    refuse(large);
    large[100] = large[2000] = '.';
    refuse(large);
}
END_TEST

START_TEST(test_oversized_token_is_refused_though_well_signed)
{
    json_t *claims = good_claims();
    char padding[TOKEN_LIMIT];
    memset(padding, 'x', sizeof padding);
    padding[sizeof padding - 1] = '\0';
    json_object_set_new(claims, "padding", json_string(padding));
    refuse(signed_well(claims));
    json_decref(claims);
}
END_TEST

START_TEST(test_algorithm_is_never_the_tokens_choice)
{
    json_t *claims = good_claims();
    refuse(forge(claims, keys[0].kid, JWT_ALG_NONE, NULL));
    refuse(forge(claims, keys[0].kid, JWT_ALG_HS256, keys[0].public_pem));
    refuse(forge(claims, keys[0].kid, JWT_ALG_HS512, keys[0].public_pem));
    json_decref(claims);
}
END_TEST

/* header and claims as they are, with a signature that is whole but worth nothing. */
static char *unsigned_token(const char *header, const char *claims)
{
    char parts[2][2048], signature[87];
    memset(signature, 'A', sizeof signature);
    signature[86] = '\0';
    base64url_encode(header, strlen(header), parts[0]);
    base64url_encode(claims, strlen(claims), parts[1]);
    return arena_text(arena, "%s.%s.%s", parts[0], parts[1], signature);
}

START_TEST(test_none_with_a_signature_of_the_right_length)
{
    static const char *const algorithms[] = { "none", "None", "", "ES384", "RS256", "es256" };
    json_t *claims = good_claims();
    char *text = json_dumps(claims, 0);
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
        refuse(unsigned_token(
            arena_text(arena, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"%s\"}", algorithms[i], keys[0].kid), text));
    refuse(unsigned_token(arena_text(arena, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", keys[0].kid), text));
    refuse(unsigned_token(arena_text(arena, "{\"typ\":\"JWT\",\"kid\":\"%s\"}", keys[0].kid), text));
    free(text);
    json_decref(claims);
}
END_TEST

START_TEST(test_kid_is_one_of_ours_and_its_own)
{
    struct signing_key stranger;
    json_t *claims = good_claims();
    ck_assert(signing_make(&stranger));
    refuse(forge(claims, stranger.kid, JWT_ALG_ES256, stranger.private_pem));
    refuse(forge(claims, keys[0].kid, JWT_ALG_ES256, stranger.private_pem));
    refuse(forge(claims, keys[1].kid, JWT_ALG_ES256, keys[0].private_pem));
    refuse(forge(claims, NULL, JWT_ALG_ES256, keys[0].private_pem));
    refuse(forge(claims, "", JWT_ALG_ES256, keys[0].private_pem));
    signing_free(&stranger);
    json_decref(claims);
}
END_TEST

static char *with_header(const char *name, const char *value, const json_t *claims)
{
    jwt_t *jwt = NULL;
    char *text = json_dumps(claims, 0);
    jwt_new(&jwt);
    jwt_add_grants_json(jwt, text);
    jwt_add_header(jwt, "kid", keys[0].kid);
    jwt_add_header(jwt, name, value);
    jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *)keys[0].private_pem, (int)strlen(keys[0].private_pem));
    char *token = jwt_encode_str(jwt);
    char *copy = arena_copy(arena, token, strlen(token));
    free(token);
    free(text);
    jwt_free(jwt);
    return copy;
}

START_TEST(test_header_holds_nothing_else)
{
    json_t *claims = good_claims();
    refuse(with_header("crit", "exp", claims));
    refuse(with_header("jku", "https://attacker.example/keys", claims));
    refuse(with_header("x5u", "https://attacker.example/cert", claims));
    json_decref(claims);
}
END_TEST

/* Sets one claim of good ones, signs them well, and says the verdict. value NULL: the claim is left out. */
static const char *with_claim(const char *name, json_t *value)
{
    json_t *claims = good_claims();
    if (value)
        json_object_set_new(claims, name, value);
    else
        json_object_del(claims, name);
    const char *result = verdict(signed_well(claims));
    json_decref(claims);
    return result;
}

START_TEST(test_every_claim_must_be_there)
{
    static const char *const names[] = { "iss", "aud", "use", "sub", "iat", "nbf", "exp", "roles", "epoch", "machine" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_msg(strcmp(with_claim(names[i], NULL), "token_invalid") == 0, "%s", names[i]);
    ck_assert_str_eq(with_claim("agency", NULL), "valid");
    ck_assert_str_eq(with_claim("officer", NULL), "valid");
}
END_TEST

START_TEST(test_claims_of_a_wrong_value_or_type)
{
    char officer[TOKEN_OFFICER + 2];
    memset(officer, 'x', sizeof officer);
    officer[sizeof officer - 1] = '\0';
    json_int_t now = time(NULL);
    const struct {
        const char *name;
        json_t *value;
    } wrong[] = {
        { "iss", json_string("https://other.example/v1") },
        { "iss", json_string("") },
        { "iss", json_null() },
        { "aud", json_string("other") },
        { "aud", json_pack("[s]", "utvag") },
        { "use", json_string("refresh") },
        { "use", json_true() },
        { "sub", json_string("admin") },
        { "sub", json_integer(1) },
        { "agency", json_string("") },
        { "agency", json_null() },
        { "agency", json_string("x" AGENCY) },
        { "exp", json_string("99999999999") },
        { "exp", json_real(99999999999.0) },
        { "exp", json_null() },
        { "exp", json_integer(now + TOKEN_SECONDS + 30) }, /* on a slow machine iat is later than now */
        { "exp", json_integer(-1) },
        { "exp", json_integer(INT64_MAX) },
        { "iat", json_integer(now + 60) },
        { "iat", json_string("0") },
        { "iat", json_integer(0) },
        { "nbf", json_integer(now + 60) },
        { "nbf", json_real(0.5) },
        { "roles", json_string("admin") },
        { "roles", json_pack("[s]", "root") },
        { "roles", json_pack("[i]", 1) },
        { "roles", json_object() },
        { "roles", json_pack("[s, n]", "admin") },
        { "epoch", json_string("1") },
        { "epoch", json_integer(-1) },
        { "epoch", json_integer(1LL << 32) },
        { "machine", json_integer(1) },
        { "machine", json_string("false") },
        { "machine", json_null() },
        { "officer", json_string("") },
        { "officer", json_string("a b") },
        { "officer", json_string("å") },
        { "officer", json_string(officer) },
        { "officer", json_integer(1) },
        { "officer", json_null() },
        { "sid", json_string("") },
        { "sid", json_null() },
        { "sid", json_string("x" SESSION) },
        { "cnf", json_null() },
        { "cnf", json_string(CERTIFICATE) },
        { "cnf", json_object() },
        { "cnf", json_pack("{s:s}", "jkt", CERTIFICATE) },
        { "cnf", json_pack("{s:s}", "x5t#S256", CERTIFICATE "A") },
        { "cnf", json_pack("{s:s}", "x5t#S256", "short") },
        { "cnf", json_pack("{s:s, s:s}", "x5t#S256", CERTIFICATE, "jkt", CERTIFICATE) },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(strcmp(with_claim(wrong[i].name, wrong[i].value), "token_invalid") == 0, "%s, row %zu",
                      wrong[i].name, i);
    officer[TOKEN_OFFICER] = '\0';
    ck_assert_str_eq(with_claim("officer", json_string(officer)), "valid");
}
END_TEST

START_TEST(test_expired_is_told_apart)
{
    json_int_t now = time(NULL);
    ck_assert_str_eq(with_claim("exp", json_integer(now - 1)), "token_expired");
    ck_assert_str_eq(with_claim("exp", json_integer(now)), "token_expired"); /* no leeway */
    ck_assert_str_eq(with_claim("exp", json_integer(0)), "token_expired");
    ck_assert_str_eq(with_claim("iat", json_integer(now + 20)), "valid"); /* the signer's clock may be ahead */
}
END_TEST

START_TEST(test_memory_forgets_at_the_end)
{
    json_int_t now = time(NULL);
    json_t *claims = good_claims();
    json_object_set_new(claims, "exp", json_integer(now + 2));
    const char *token = signed_well(claims);
    ck_assert_str_eq(verdict(token), "valid");
    ck_assert_str_eq(verdict(token), "valid");
    while (time(NULL) < now + 2) nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    ck_assert_str_eq(verdict(token), "token_expired");
    json_decref(claims);
}
END_TEST

/* Signed by us through OpenSSL itself, for what libjwt would not write. */
static char *sign_raw(const char *header, const char *claims)
{
    char parts[2][2048], text[4096], signature[87];
    unsigned char der[128], raw[64];
    size_t length = sizeof der;
    base64url_encode(header, strlen(header), parts[0]);
    base64url_encode(claims, strlen(claims), parts[1]);
    snprintf(text, sizeof text, "%s.%s", parts[0], parts[1]);
    BIO *bio = BIO_new_mem_buf(keys[0].private_pem, -1);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    ck_assert_int_eq(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pkey), 1);
    ck_assert_int_eq(EVP_DigestSign(context, der, &length, (unsigned char *)text, strlen(text)), 1);
    const unsigned char *at = der;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)length);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + 32, 32);
    base64url_encode(raw, sizeof raw, signature);
    ECDSA_SIG_free(pair);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
    BIO_free(bio);
    return arena_text(arena, "%s.%s", text, signature);
}

START_TEST(test_duplicate_names_are_refused)
{
    json_t *claims = good_claims();
    char *text = json_dumps(claims, 0);
    const char *header = arena_text(arena, "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", keys[0].kid);
    ck_assert_str_eq(verdict(sign_raw(header, text)), "valid"); /* so that what follows is refused for its own sake */
    refuse(sign_raw(header, arena_text(arena, "{\"sub\":\"%s\",%s", AGENCY, text + 1)));
    refuse(sign_raw(header, arena_text(arena, "{\"roles\":[\"admin\"],%s", text + 1)));
    refuse(sign_raw(header, arena_text(arena, "%s{}", text)));
    refuse(sign_raw(arena_text(arena, "{\"alg\":\"none\",%s", header + 1), text));
    refuse(sign_raw(arena_text(arena, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", keys[0].kid), text));
    refuse(sign_raw(arena_text(arena, "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":[\"%s\"]}", keys[0].kid), text));
    refuse(sign_raw(header, "[]"));
    refuse(sign_raw(header, "null"));
    free(text);
    json_decref(claims);
}
END_TEST

static void rotate(void)
{
    char error[256];
    ck_assert_msg(keyring_rotate(ring.folder, error, sizeof error), "%s", error);
    keyring_look(ring.keys);
}

/* It is good for one rotation more, and is not remembered beyond. */
START_TEST(test_token_of_the_key_before_last_is_refused)
{
    struct caller who = someone();
    const char *first = token_sign(ring.keys, ISSUER, &who, arena);
    rotate();
    ck_assert_int_eq(token_verify(verifier, first, arena, &caller).status, 0);
    const char *second = token_sign(ring.keys, ISSUER, &who, arena);
    ck_assert_int_eq(token_verify(verifier, second, arena, &caller).status, 0);
    rotate();
    ck_assert_int_eq(token_verify(verifier, first, arena, &caller).status, 401);
    ck_assert_int_eq(token_verify(verifier, second, arena, &caller).status, 0);
}
END_TEST

/* Another host rotated, and this one has not looked yet. */
START_TEST(test_token_of_a_key_that_is_new_in_the_folder)
{
    char error[256];
    struct caller who = someone();
    for (int i = 0; i < 2; i++) ck_assert(keyring_rotate(ring.folder, error, sizeof error));
    struct keyring *other = keyring_open(ring.folder, error, sizeof error);
    const char *token = token_sign(other, ISSUER, &who, arena);
    ck_assert_int_eq(token_verify(verifier, token, arena, &caller).status, 0);
    keyring_free(other);
}
END_TEST

START_TEST(test_another_issuers_verifier_refuses)
{
    struct token_verifier *other = token_verifier_new(ring.keys, "https://other.example");
    struct caller given = someone();
    const char *token = token_sign(ring.keys, ISSUER, &given, arena);
    ck_assert_str_eq(verdict(token), "valid");
    ck_assert_int_eq(token_verify(other, token, arena, &caller).status, 401);
    token_verifier_free(other);
    ck_assert_ptr_null(token_verifier_new(ring.keys, ""));
    ck_assert_ptr_null(token_verifier_new(ring.keys, NULL));
}
END_TEST

START_TEST(test_full_memory_only_costs_time)
{
    struct token_cache *cache = token_cache_new();
    struct caller given = someone(), found;
    unsigned char digest[DIGEST_BYTES];
    size_t remembered = 0;
    for (int i = 0; i < 20000; i++) {
        digest_sha256(&i, sizeof i, digest);
        token_cache_add(cache, digest, 1000 + i, &given);
        ck_assert(token_cache_find(cache, digest, 999, arena, &found));
        ck_assert(!token_cache_find(cache, digest, 1000 + i, arena, &found));
    }
    for (int i = 0; i < 20000; i++) {
        digest_sha256(&i, sizeof i, digest);
        remembered += token_cache_find(cache, digest, 999, arena, &found);
    }
    ck_assert_uint_gt(remembered, 3500);
    ck_assert_uint_le(remembered, 4096);
    token_cache_free(cache);
}
END_TEST

static void *verify_many(void *token)
{
    struct arena *mine = arena_new(1 << 20);
    struct caller found;
    size_t valid = 0;
    for (int i = 0; i < 200; i++) valid += token_verify(verifier, token, mine, &found).status == 0;
    arena_free(mine);
    return (void *)valid;
}

START_TEST(test_threads_share_a_verifier)
{
    pthread_t threads[4];
    char *tokens[2];
    void *valid;
    for (size_t i = 0; i < 2; i++) {
        struct caller given = someone();
        given.epoch = (int)i;
        tokens[i] = token_sign(ring.keys, ISSUER, &given, arena);
    }
    for (size_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, verify_many, tokens[i % 2]);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], &valid);
        ck_assert_uint_eq((size_t)valid, 200);
    }
}
END_TEST

/* Assertions. */

static bool assertion_holds(const char *name, json_t *value)
{
    struct assertion found;
    json_int_t now = time(NULL);
    json_t *claims = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "iss", USER, "sub", USER, "aud", ISSUER, "jti", "j-1",
                               "iat", now, "exp", now + ASSERTION_SECONDS);
    if (name && value) json_object_set_new(claims, name, value);
    if (name && !value) json_object_del(claims, name);
    const char *text = forge(claims, NULL, JWT_ALG_ES256, keys[1].private_pem);
    json_decref(claims);
    bool held = token_assertion_verify(text, keys[1].public_pem, ISSUER, arena, &found);
    if (held) {
        ck_assert_str_eq(found.client, USER);
        ck_assert_str_eq(found.id, "j-1");
        ck_assert(token_assertion_read(text, arena, &found));
        ck_assert_str_eq(found.client, USER);
        ck_assert_ptr_null(found.key);
    }
    ck_assert(!token_assertion_verify(text, keys[0].public_pem, ISSUER, arena, &found));
    ck_assert(!token_assertion_verify(text, "", ISSUER, arena, &found));
    ck_assert(!token_assertion_verify(text, NULL, ISSUER, arena, &found));
    return held;
}

START_TEST(test_assertion_needs_each_claim_as_it_should_be)
{
    json_int_t now = time(NULL);
    ck_assert(assertion_holds(NULL, NULL));
    ck_assert(assertion_holds("iat", NULL));
    ck_assert(!assertion_holds("jti", NULL));
    ck_assert(!assertion_holds("jti", json_string("")));
    ck_assert(!assertion_holds("sub", json_string(AGENCY)));
    ck_assert(!assertion_holds("aud", json_string("https://other.example")));
    ck_assert(!assertion_holds("aud", NULL));
    ck_assert(!assertion_holds("exp", NULL));
    ck_assert(!assertion_holds("exp", json_integer(now)));
    ck_assert(!assertion_holds("exp", json_integer(now + ASSERTION_SECONDS + 2)));
    ck_assert(!assertion_holds("exp", json_string("99999999999")));
    ck_assert(!assertion_holds("exp", json_real((double)now + 30)));
    ck_assert(!assertion_holds("aud", json_pack("[s]", ISSUER))); /* one audience, in one spelling */
    ck_assert(!assertion_holds("aud", json_pack("[s, s]", ISSUER, "https://other.example")));
    ck_assert(!assertion_holds("iss", json_string(AGENCY)));
    ck_assert(!assertion_holds("sub", NULL));
    ck_assert(!assertion_holds("jti", json_integer(1)));
    ck_assert(!assertion_holds("iat", json_integer(now - ASSERTION_SECONDS)));
    ck_assert(!assertion_holds("iat", json_string("0")));
    ck_assert(!assertion_holds("iat", json_integer(now + 60)));
    ck_assert(!assertion_holds("nbf", json_string("0")));
    struct assertion found;
    ck_assert(!token_assertion_read("nonsense", arena, &found));
    ck_assert(!token_assertion_read(NULL, arena, &found));
}
END_TEST

/* An assertion of these times, in seconds from now; LLONG_MIN: left out. */
static bool lives(long long issued, long long from, long long expires)
{
    struct assertion found;
    json_int_t now = time(NULL);
    json_t *claims = json_pack("{s:s, s:s, s:s, s:s, s:I}", "iss", USER, "sub", USER, "aud", ISSUER, "jti", "j-1",
                               "exp", now + expires);
    if (issued != LLONG_MIN) json_object_set_new(claims, "iat", json_integer(now + issued));
    if (from != LLONG_MIN) json_object_set_new(claims, "nbf", json_integer(now + from));
    const char *text = forge(claims, "client-1", JWT_ALG_ES256, keys[1].private_pem);
    json_decref(claims);
    bool valid = token_assertion_verify(text, keys[1].public_pem, ISSUER, arena, &found);
    if (valid) ck_assert_str_eq(found.key, "client-1");
    return valid;
}

START_TEST(test_assertion_lives_a_minute_by_its_own_clock_too)
{
    ck_assert(lives(0, 0, ASSERTION_SECONDS));        /* as openid-client makes them */
    ck_assert(lives(20, 20, 20 + ASSERTION_SECONDS)); /* by a clock that is ahead */
    ck_assert(!lives(40, 40, 40 + ASSERTION_SECONDS));
    ck_assert(lives(-50, LLONG_MIN, 10));
    ck_assert(!lives(-51, LLONG_MIN, 10));
    ck_assert(!lives(0, LLONG_MIN, ASSERTION_SECONDS + 1));
    ck_assert(lives(LLONG_MIN, LLONG_MIN, ASSERTION_SECONDS));
    ck_assert(!lives(LLONG_MIN, LLONG_MIN, ASSERTION_SECONDS + 2));
    ck_assert(!lives(0, 40, ASSERTION_SECONDS));
    ck_assert(!lives(-30, -30, 0));
}
END_TEST

START_TEST(test_assertion_header_and_names)
{
    struct assertion found;
    json_int_t now = time(NULL);
    json_t *claims =
        json_pack("{s:s, s:s, s:s, s:s, s:I}", "iss", USER, "sub", USER, "aud", ISSUER, "jti", "j-1", "exp", now + 30);
    char *text = json_dumps(claims, 0);
    const char *header = "{\"alg\":\"ES256\",\"kid\":\"a\"}";
    const char *good = sign_raw(header, text);
    ck_assert(token_assertion_verify(good, keys[0].public_pem, ISSUER, arena, &found));
    const char *const bad[] = {
        sign_raw("{\"alg\":\"ES256\",\"kid\":\"\"}", text),
        sign_raw("{\"alg\":\"ES256\",\"kid\":1}", text),
        sign_raw("{\"alg\":\"ES256\",\"jku\":\"https://attacker.example\"}", text),
        sign_raw(header, arena_text(arena, "{\"sub\":\"%s\",%s", USER, text + 1)),
        sign_raw(header, arena_text(arena, "{\"jti\":\"j-2\",%s", text + 1)),
        forge(claims, "a", JWT_ALG_HS256, keys[0].public_pem),
        forge(claims, "a", JWT_ALG_NONE, NULL),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!token_assertion_verify(bad[i], keys[0].public_pem, ISSUER, arena, &found), "row %zu", i);
    free(text);
    json_decref(claims);
}
END_TEST

START_TEST(test_an_access_token_is_no_assertion_and_the_reverse)
{
    struct assertion found;
    struct caller given = someone();
    const char *token = token_sign(ring.keys, ISSUER, &given, arena);
    ck_assert(!token_assertion_verify(token, keys[0].public_pem, ISSUER, arena, &found));
    json_int_t now = time(NULL);
    json_t *claims = json_pack("{s:s, s:s, s:s, s:s, s:I}", "iss", USER, "sub", USER, "aud", ISSUER, "jti", "j-1",
                               "exp", now + ASSERTION_SECONDS);
    refuse(signed_well(claims));
    json_decref(claims);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("token");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_signed_token_is_verified_twice_alike);
    tcase_add_test(tests, test_staff_without_agency_or_officer);
    tcase_add_test(tests, test_no_token_is_signed_that_would_not_verify);
    tcase_add_test(tests, test_claims_as_forged_here_are_good);
    tcase_add_test(tests, test_each_altered_character_is_refused);
    tcase_add_test(tests, test_what_has_not_a_tokens_shape_is_refused);
    tcase_add_test(tests, test_oversized_token_is_refused_though_well_signed);
    tcase_add_test(tests, test_algorithm_is_never_the_tokens_choice);
    tcase_add_test(tests, test_none_with_a_signature_of_the_right_length);
    tcase_add_test(tests, test_kid_is_one_of_ours_and_its_own);
    tcase_add_test(tests, test_header_holds_nothing_else);
    tcase_add_test(tests, test_every_claim_must_be_there);
    tcase_add_test(tests, test_claims_of_a_wrong_value_or_type);
    tcase_add_test(tests, test_expired_is_told_apart);
    tcase_add_test(tests, test_memory_forgets_at_the_end);
    tcase_add_test(tests, test_duplicate_names_are_refused);
    tcase_add_test(tests, test_token_of_the_key_before_last_is_refused);
    tcase_add_test(tests, test_token_of_a_key_that_is_new_in_the_folder);
    tcase_add_test(tests, test_another_issuers_verifier_refuses);
    tcase_add_test(tests, test_full_memory_only_costs_time);
    tcase_add_test(tests, test_threads_share_a_verifier);
    tcase_add_test(tests, test_assertion_needs_each_claim_as_it_should_be);
    tcase_add_test(tests, test_assertion_lives_a_minute_by_its_own_clock_too);
    tcase_add_test(tests, test_assertion_header_and_names);
    tcase_add_test(tests, test_an_access_token_is_no_assertion_and_the_reverse);
    return ring_run("token", tests);
}
