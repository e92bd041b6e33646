/* One value is found however it was written, and the index tells nothing of it. */
#include "utvag/blind.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "tests/unit/ring.h"

static struct ring ring;
static unsigned char one[BLIND_BYTES], other[BLIND_BYTES];

static void set_up(void) { ring = ring_make(); }

static void tear_down(void) { ring_drop(&ring); }

static bool same(const char *index, const char *value, const char *written)
{
    ck_assert_msg(blind_token(ring.keys, index, value, one), "%s", value);
    ck_assert_msg(blind_token(ring.keys, index, written, other), "%s", written);
    return memcmp(one, other, BLIND_BYTES) == 0;
}

START_TEST(test_phone_forms_of_one_number)
{
    static const char *const forms[] = { "070-123 45 67",       "0701234567",    "+46 70 123 45 67",
                                         "+46 (0)70-123 45 67", "0046701234567", "(+46) 70 1234567",
                                         "０７０１２３４５６７" };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        ck_assert_msg(same("phone", "+46701234567", forms[i]), "%s", forms[i]);
    ck_assert(!same("phone", "+46701234567", "+45701234567"));
    ck_assert(!same("phone", "+46701234567", "0701234568"));
    ck_assert(same("phone", "0460-123 45", "+4646012345")); /* the area code of Olofström begins as our country's */
}
END_TEST

START_TEST(test_identity_number_forms_of_one_person)
{
    static const char *const forms[] = { "19701063-2391", "701063-2391", "7010632391" };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        ck_assert_msg(same("identity_number", "197010632391", forms[i]), "%s", forms[i]);
    ck_assert(!same("identity_number", "197010632391", "187010632391"));
    ck_assert(same("identity_number", "ab-123 456", "AB123456"));
    ck_assert(!same("identity_number", "AB123456", "AB123457"));
    ck_assert(!blind_token(ring.keys, "identity_number", " - ", one));
}
END_TEST

START_TEST(test_texts_are_folded)
{
    ck_assert(same("email", "Åsa.Öberg@Example.SE", "a\xcc\x8asa.oberg@example.se"));
    ck_assert(same("address", "  Storgatan \t 1 ", "storgatan 1"));
    ck_assert(same("email", "ﬁa@example.se", "fia@example.se"));          /* a ligature */
    ck_assert(same("email", "a\xe2\x80\x8b@example.se", "a@example.se")); /* a zero-width space */
    ck_assert(!same("email", "a@example.se", "b@example.se"));
}
END_TEST

START_TEST(test_nothing_left_and_not_utf8)
{
    ck_assert(!blind_token(ring.keys, "phone", "none", one));
    ck_assert(!blind_token(ring.keys, "phone", "", one));
    ck_assert(!blind_token(ring.keys, "phone", "123456789012345678901234567890123", one));
    ck_assert(!blind_token(ring.keys, "email", " \t", one));
    ck_assert(!blind_token(ring.keys, "email", "\xff\xfe", one));
    ck_assert(!blind_token(ring.keys, "identity_number", "\xff", one));
}
END_TEST

START_TEST(test_fields_and_rings_share_no_tokens)
{
    struct ring stranger = ring_make();
    ck_assert(blind_token(ring.keys, "email", "x1", one));
    ck_assert(blind_token(ring.keys, "alias", "x1", other));
    ck_assert_int_ne(memcmp(one, other, BLIND_BYTES), 0);
    ck_assert(blind_token(stranger.keys, "email", "x1", other));
    ck_assert_int_ne(memcmp(one, other, BLIND_BYTES), 0);
    ring_drop(&stranger);
}
END_TEST

static size_t names(const char *written, const char *born, unsigned char (*out)[BLIND_BYTES])
{
    return blind_name_tokens(ring.keys, written, born, out, 8);
}

static size_t shared(const char *some, const char *others, const char *born)
{
    unsigned char left[8][BLIND_BYTES], right[8][BLIND_BYTES];
    size_t lefts = names(some, "1980-01-01", left), rights = names(others, born, right), count = 0;
    for (size_t i = 0; i < lefts; i++)
        for (size_t j = 0; j < rights; j++) count += memcmp(left[i], right[j], BLIND_BYTES) == 0;
    return count;
}

START_TEST(test_words_of_a_name)
{
    unsigned char out[8][BLIND_BYTES];
    ck_assert_uint_eq(names("Anna-Karin  Öberg", "1980-01-01", out), 3);
    ck_assert_uint_eq(names("Anna anna ANNA", "1980-01-01", out), 1);
    ck_assert_uint_eq(names(" - ", "1980-01-01", out), 0);
    ck_assert_uint_eq(names("\xff", "1980-01-01", out), 0);
    ck_assert_uint_eq(names("a b c d e f g h i j", "1980-01-01", out), 8);
    ck_assert_uint_eq(shared("Öberg, Anna", "karin anna oberg", "1980-01-01"), 2);
    ck_assert_uint_eq(shared("O'Brien", "OBrien", "1980-01-01"), 1);
    ck_assert_uint_eq(shared("O’Brien", "obrien", "1980-01-01"), 1);
}
END_TEST

START_TEST(test_names_are_bound_to_the_birth_date)
{
    unsigned char out[8][BLIND_BYTES];
    ck_assert_uint_eq(shared("Anna", "Anna", "1980-01-02"), 0);
    ck_assert_uint_eq(names("Anna", NULL, out), 0);
    ck_assert_uint_eq(names("Anna", "", out), 0);
    ck_assert_uint_eq(names("Anna", "1980-01", out), 0);
}
END_TEST

START_TEST(test_mac_separates_purposes)
{
    ck_assert(blind_mac(ring.keys, "cursor", "x", 1, one));
    ck_assert(blind_mac(ring.keys, "cursor", "x", 1, other));
    ck_assert_int_eq(memcmp(one, other, BLIND_BYTES), 0);
    ck_assert(blind_mac(ring.keys, "idempotency", "x", 1, other));
    ck_assert_int_ne(memcmp(one, other, BLIND_BYTES), 0);
    ck_assert(blind_mac(ring.keys, "cursor", "", 0, other));
}
END_TEST

/* The same by OpenSSL's own HKDF and one-shot HMAC. */
START_TEST(test_derivation_is_hkdf)
{
    unsigned char derived[32];
    unsigned int written = 0;
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char digest[] = "SHA256", info[] = "utvag mac cursor";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)keyring_key(ring.keys, KEY_MAC, 1), KEY_BYTES),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof info - 1),
        OSSL_PARAM_END,
    };
    ck_assert_int_eq(EVP_KDF_derive(context, derived, sizeof derived, parameters), 1);
    HMAC(EVP_sha256(), derived, sizeof derived, (const unsigned char *)"x", 1, other, &written);
    ck_assert(blind_mac(ring.keys, "cursor", "x", 1, one));
    ck_assert_int_eq(memcmp(one, other, BLIND_BYTES), 0);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("blind");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_phone_forms_of_one_number);
    tcase_add_test(tests, test_identity_number_forms_of_one_person);
    tcase_add_test(tests, test_texts_are_folded);
    tcase_add_test(tests, test_nothing_left_and_not_utf8);
    tcase_add_test(tests, test_fields_and_rings_share_no_tokens);
    tcase_add_test(tests, test_words_of_a_name);
    tcase_add_test(tests, test_names_are_bound_to_the_birth_date);
    tcase_add_test(tests, test_mac_separates_purposes);
    tcase_add_test(tests, test_derivation_is_hkdf);
    return ring_run("blind", tests);
}
