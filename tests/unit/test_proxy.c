/* What a proxy of ours says of its clients, and what nobody else may say. */
#include "utvag/proxy.h"

#include <check.h>
#include <string.h>

#include "utvag/config.h"

static const struct config config = { .proxies = "192.0.2.7,2001:db8::7" };
static const struct service service = { .config = &config };
static struct arena *arena;

static void setup(void) { arena = arena_new(1 << 20); }
static void teardown(void) { arena_free(arena); }

static const char *shown(const char *connected, const struct pair *headers, size_t count)
{
    struct request rq = { .arena = arena, .service = &service, .headers = headers, .header_count = count };
    return proxy_client_certificate(&rq, connected, "own");
}

static const char *proxied(const char *value) { return shown("192.0.2.7", &(struct pair){ "client-cert", value }, 1); }

/* Of the bytes 30 03 02 01 05: a sequence, if no certificate. */
static const char thumbprint[] = "QXx3Y8TjIKa3R7PLDG0i-TdBspoytIWUuOtMFE_m1yk";

START_TEST(test_a_client_of_a_proxy_is_known_by_what_it_adds)
{
    ck_assert_str_eq(proxied(":MAMCAQU=:"), thumbprint);
    ck_assert_str_eq(proxied("-----BEGIN%20CERTIFICATE-----%0AMAMC%0AAQU%3D%0A-----END%20CERTIFICATE-----%0A"),
                     thumbprint);
    ck_assert_str_eq(shown("2001:db8::7", &(struct pair){ "Client-Cert", ":MAMCAQU=:" }, 1), thumbprint);
}
END_TEST

START_TEST(test_nobody_else_says_whose_certificate_it_is)
{
    ck_assert_str_eq(shown("192.0.2.8", &(struct pair){ "Client-Cert", ":MAMCAQU=:" }, 1), "own");
    ck_assert_str_eq(shown("192.0.2.8", NULL, 0), "own");
}
END_TEST

START_TEST(test_the_proxys_own_certificate_is_never_its_clients)
{
    ck_assert_ptr_null(shown("192.0.2.7", NULL, 0));
    ck_assert_ptr_null(proxied(""));
}
END_TEST

START_TEST(test_what_a_proxy_says_twice_is_not_believed)
{
    const struct pair twice[] = { { "Client-Cert", ":MAMCAQU=:" }, { "client-cert", ":MAMCAQU=:" } };
    ck_assert_ptr_null(shown("192.0.2.7", twice, 2));
}
END_TEST

START_TEST(test_what_is_no_certificate_shows_none)
{
    static const char *const bad[] = {
        ":",
        "::",
        ":=:",
        ":====:",
        ":MAMCAQU:",
        ":MAMCAQU=",
        "MAMCAQU=",
        ":MAMC AQU=:",
        ":MAMCAQV=:",
        ":AAMCAQU=:",
        ":MAMCAQU=:, :MAMCAQU=:",
        ":MAM-AQU=:",
        "-----BEGIN%20CERTIFICATE-----",
        "%",
        "%4",
        "%zz",
        "(null)",
        "-----BEGIN%20CERTIFICATE----------END%20CERTIFICATE-----",
        "x-----BEGIN%20CERTIFICATE-----MAMCAQU%3D-----END%20CERTIFICATE-----",
        "-----BEGIN%20PUBLIC%20KEY-----MAMCAQU%3D-----END%20PUBLIC%20KEY-----",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) ck_assert_msg(!proxied(bad[i]), "%s", bad[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proxy");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_client_of_a_proxy_is_known_by_what_it_adds);
    tcase_add_test(tests, test_nobody_else_says_whose_certificate_it_is);
    tcase_add_test(tests, test_the_proxys_own_certificate_is_never_its_clients);
    tcase_add_test(tests, test_what_a_proxy_says_twice_is_not_believed);
    tcase_add_test(tests, test_what_is_no_certificate_shows_none);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
