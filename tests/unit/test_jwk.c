/* What others send as their public keys: two kinds, whole, in one spelling, each with its own algorithm. */
#include "utvag/jwk.h"

#include <check.h>
#include <openssl/bn.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/base64url.h"
#include "utvag/signing.h"

/* RFC 7517, A.1, and the RSA key of RFC 7638, 3.1. */
#define X "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
#define Y "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
#define N                                                                                                            \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3o"  \
    "knjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHz" \
    "u6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8" \
    "awapJzKnqDKgw"

static json_t *ec(void) { return json_pack("{s:s, s:s, s:s, s:s}", "kty", "EC", "crv", "P-256", "x", X, "y", Y); }
static json_t *rsa(void) { return json_pack("{s:s, s:s, s:s}", "kty", "RSA", "e", "AQAB", "n", N); }

/* The algorithm, or "refused"; the key is taken over. */
static const char *read(json_t *key)
{
    char *pem;
    const char *algorithm;
    bool taken = jwk_public_pem(key, &pem, &algorithm);
    ck_assert_int_eq(taken, pem != NULL);
    ck_assert_int_eq(taken, algorithm != NULL);
    if (taken) ck_assert(strncmp(pem, "-----BEGIN PUBLIC KEY-----\n", 27) == 0);
    free(pem);
    json_decref(key);
    return taken ? algorithm : "refused";
}

static json_t *with(json_t *key, const char *name, json_t *value)
{
    if (value)
        json_object_set_new(key, name, value);
    else
        json_object_del(key, name);
    return key;
}

START_TEST(test_the_kind_decides_the_algorithm)
{
    ck_assert_str_eq(read(ec()), "ES256");
    ck_assert_str_eq(read(rsa()), "RS256");
    ck_assert_str_eq(read(with(ec(), "alg", json_string("ES256"))), "ES256");
    ck_assert_str_eq(read(with(rsa(), "alg", json_string("RS256"))), "RS256");
    static const char *const others[] = { "none", "HS256", "ES384", "PS256", "RS512", "" };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        ck_assert_str_eq(read(with(ec(), "alg", json_string(others[i]))), "refused");
        ck_assert_str_eq(read(with(rsa(), "alg", json_string(others[i]))), "refused");
    }
    ck_assert_str_eq(read(with(ec(), "alg", json_string("RS256"))), "refused");
    ck_assert_str_eq(read(with(ec(), "alg", json_null())), "refused");
}
END_TEST

START_TEST(test_a_key_of_ours_becomes_the_same_pem)
{
    struct signing_key made;
    ck_assert(signing_make(&made));
    json_t *key = json_loads(made.jwk, 0, NULL);
    char *pem, kid[JWK_THUMBPRINT_SIZE];
    const char *algorithm;
    ck_assert(jwk_public_pem(key, &pem, &algorithm) && jwk_thumbprint(key, kid));
    ck_assert_str_eq(pem, made.public_pem);
    ck_assert_str_eq(kid, made.kid);
    free(pem);
    json_decref(key);
    signing_free(&made);
}
END_TEST

START_TEST(test_thumbprint_of_the_standard)
{
    char kid[JWK_THUMBPRINT_SIZE];
    json_t *key = with(with(rsa(), "alg", json_string("RS256")), "kid", json_string("2011-04-29"));
    ck_assert(jwk_thumbprint(key, kid));
    ck_assert_str_eq(kid, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    ck_assert(!jwk_thumbprint(with(key, "e", NULL), kid));
    ck_assert(!jwk_thumbprint(with(key, "kty", json_string("oct")), kid));
    json_decref(key);
}
END_TEST

START_TEST(test_private_and_shared_parts_are_refused)
{
    static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *key = with(ec(), names[i], json_string("AQAB"));
        ck_assert(jwk_is_private(key));
        ck_assert_str_eq(read(key), "refused");
    }
    json_t *key = ec();
    ck_assert(!jwk_is_private(key));
    json_decref(key);
}
END_TEST

START_TEST(test_a_key_is_meant_for_signatures)
{
    ck_assert_str_eq(read(with(ec(), "use", json_string("sig"))), "ES256");
    ck_assert_str_eq(read(with(ec(), "use", json_string("enc"))), "refused");
    ck_assert_str_eq(read(with(ec(), "key_ops", json_pack("[s]", "verify"))), "ES256");
    ck_assert_str_eq(read(with(ec(), "key_ops", json_pack("[s]", "sign"))), "refused");
    ck_assert_str_eq(read(with(ec(), "key_ops", json_string("verify"))), "refused");
}
END_TEST

START_TEST(test_points_off_the_curve_and_other_curves)
{
    ck_assert_str_eq(read(with(ec(), "y", json_string(X))), "refused");
    ck_assert_str_eq(read(with(ec(), "crv", json_string("P-384"))), "refused");
    ck_assert_str_eq(read(with(ec(), "crv", json_string("secp256k1"))), "refused");
    ck_assert_str_eq(read(with(ec(), "crv", NULL)), "refused");
    ck_assert_str_eq(read(with(ec(), "kty", json_string("OKP"))), "refused");
    ck_assert_str_eq(read(with(ec(), "kty", json_string("oct"))), "refused");
    ck_assert_str_eq(read(with(with(ec(), "x", json_string("AA")), "y", json_string("AA"))), "refused");
    ck_assert_str_eq(read(with(ec(), "x", json_string(X "A"))), "refused");
    ck_assert_str_eq(read(with(ec(), "x", json_string(X "="))), "refused");
    ck_assert_str_eq(read(with(ec(), "x", json_integer(1))), "refused");
    ck_assert_str_eq(read(json_string("EC")), "refused");
}
END_TEST

/* The modulus of N to a power, behind some zero bytes: as good as N in all but its length. */
static json_t *power(int exponent, size_t zeros)
{
    unsigned char bytes[2048] = { 0 };
    char text[BASE64URL_LENGTH(sizeof bytes) + 1];
    size_t filled;
    ck_assert(base64url_decode(N, strlen(N), bytes, &filled));
    BIGNUM *n = BN_bin2bn(bytes, (int)filled, NULL), *product = BN_dup(n);
    BN_CTX *context = BN_CTX_new();
    for (int i = 1; i < exponent; i++) ck_assert_int_eq(BN_mul(product, product, n, context), 1);
    memset(bytes, 0, sizeof bytes);
    int length = BN_bn2bin(product, bytes + zeros);
    base64url_encode(bytes, (size_t)length + zeros, text);
    BN_free(n);
    BN_free(product);
    BN_CTX_free(context);
    return json_string(text);
}

START_TEST(test_moduli_have_limits_and_one_spelling)
{
    ck_assert_str_eq(read(with(rsa(), "n", power(1, 0))), "RS256");
    ck_assert_str_eq(read(with(rsa(), "n", power(1, 1))), "refused");
    ck_assert_str_eq(read(with(rsa(), "n", power(4, 0))), "RS256");
    ck_assert_str_eq(read(with(rsa(), "n", power(5, 0))), "refused");
    ck_assert_str_eq(read(with(rsa(), "kty", json_string("oct"))), "refused");
}
END_TEST

START_TEST(test_weak_moduli)
{
    char shorter[sizeof N];
    strcpy(shorter, N);
    shorter[171] = '\0'; /* 1024 bits */
    ck_assert_str_eq(read(with(rsa(), "n", json_string(shorter))), "refused");
    ck_assert_str_eq(read(with(rsa(), "e", json_string("AQ"))), "refused");   /* 1 */
    ck_assert_str_eq(read(with(rsa(), "e", json_string("AQAC"))), "refused"); /* even */
    ck_assert_str_eq(read(with(rsa(), "e", json_string("AAEAAQ"))), "refused");
    ck_assert_str_eq(read(with(rsa(), "e", NULL)), "refused");
    strcpy(shorter, N);
    shorter[0] = 'A', shorter[1] = 'v'; /* 2048 bits less some */
    ck_assert_str_eq(read(with(rsa(), "n", json_string(shorter))), "refused");
    strcpy(shorter, N);
    shorter[sizeof N - 2] = 'A'; /* even */
    ck_assert_str_eq(read(with(rsa(), "n", json_string(shorter))), "refused");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("jwk");
    tcase_add_test(tests, test_the_kind_decides_the_algorithm);
    tcase_add_test(tests, test_a_key_of_ours_becomes_the_same_pem);
    tcase_add_test(tests, test_thumbprint_of_the_standard);
    tcase_add_test(tests, test_private_and_shared_parts_are_refused);
    tcase_add_test(tests, test_a_key_is_meant_for_signatures);
    tcase_add_test(tests, test_points_off_the_curve_and_other_curves);
    tcase_add_test(tests, test_moduli_have_limits_and_one_spelling);
    tcase_add_test(tests, test_weak_moduli);
    Suite *suite = suite_create("jwk");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
