/* One-time codes: RFC 6238's own, a step of drift and no more, and what an authenticator is given. */
#include "utvag/totp.h"

#include <string.h>

#include "tests/unit/ring.h"

/* "12345678901234567890", the secret of RFC 6238, appendix B. */
static const char secret[] = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

START_TEST(test_codes_of_rfc_6238)
{
    /* The last six of its eight digits: RFC 4226, 5.3, takes the value modulo 10^digits. */
    static const struct {
        time_t at;
        const char *code;
    } vectors[] = { { 59, "287082" },         { 1111111109, "081804" }, { 1111111111, "050471" },
                    { 1234567890, "005924" }, { 2000000000, "279037" }, { 20000000000, "353130" } };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        long long step;
        ck_assert(totp_match(secret, vectors[i].code, vectors[i].at, &step));
        ck_assert_int_eq(step, vectors[i].at / TOTP_STEP_SECONDS);
    }
}
END_TEST

START_TEST(test_drift_of_one_step_is_accepted_and_of_two_refused)
{
    const time_t at = 1234567890;
    long long step;
    for (int drift = -1; drift <= 1; drift++) {
        ck_assert(totp_match(secret, "005924", at + drift * TOTP_STEP_SECONDS, &step));
        ck_assert_int_eq(step, at / TOTP_STEP_SECONDS);
    }
    ck_assert(!totp_match(secret, "005924", at - 2 * TOTP_STEP_SECONDS, &step));
    ck_assert(!totp_match(secret, "005924", at + 2 * TOTP_STEP_SECONDS, &step));
}
END_TEST

START_TEST(test_nothing_but_six_digits_is_a_code)
{
    static const char *const others[] = {
        "", "00592", "0005924", "89005924", "00592a", " 05924", "-05924", "\xd9\xa0"
    };
    long long step;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert(!totp_match(secret, others[i], 1234567890, &step));
    ck_assert(!totp_match(secret, NULL, 1234567890, &step));
    ck_assert(!totp_match(NULL, "005924", 1234567890, &step));
    ck_assert(!totp_match("not base32!", "005924", 1234567890, &step));
}
END_TEST

START_TEST(test_secrets_differ)
{
    char one[TOTP_SECRET_SIZE], other[TOTP_SECRET_SIZE];
    ck_assert(totp_make(one));
    ck_assert(totp_make(other));
    ck_assert_uint_eq(strlen(one), TOTP_SECRET_SIZE - 1);
    ck_assert_uint_eq(strspn(one, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), TOTP_SECRET_SIZE - 1);
    ck_assert_str_ne(one, other);
}
END_TEST

START_TEST(test_uri_holds_what_an_authenticator_needs)
{
    struct arena *arena = arena_new(4096);
    ck_assert_str_eq(totp_uri(arena, "Utväg", "lena+a@utvag.example", secret),
                     "otpauth://totp/Utv%C3%A4g:lena%2Ba%40utvag.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
                     "&issuer=Utv%C3%A4g&algorithm=SHA1&digits=6&period=30");
    arena_free(arena);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("totp");
    tcase_add_test(tests, test_codes_of_rfc_6238);
    tcase_add_test(tests, test_drift_of_one_step_is_accepted_and_of_two_refused);
    tcase_add_test(tests, test_nothing_but_six_digits_is_a_code);
    tcase_add_test(tests, test_secrets_differ);
    tcase_add_test(tests, test_uri_holds_what_an_authenticator_needs);
    return ring_run("totp", tests);
}
