/* The formats that the contract may name, each by what it takes and what it does not. */
#include "utvag/format.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void check_all(const char *name, const char *const *texts, bool expected)
{
    const struct format *format = format_find(name);
    ck_assert_ptr_nonnull(format);
    for (; *texts; texts++) {
        /* A copy without a NUL, so that reading past its end is caught. */
        size_t length = strlen(*texts);
        char *copy = malloc(length ? length : 1);
        memcpy(copy, *texts, length);
        ck_assert_msg(format->holds(copy, length) == expected, "%s %s: %s", name, expected ? "refuses" : "takes",
                      *texts);
        free(copy);
    }
}

#define TAKES(name, ...) check_all(name, (const char *const[]){ __VA_ARGS__, NULL }, true)
#define REFUSES(name, ...) check_all(name, (const char *const[]){ __VA_ARGS__, NULL }, false)

START_TEST(test_date_is_of_the_calendar)
{
    TAKES("date", "2026-11-24", "2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31");
    REFUSES("date", "", "2026-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "2026-11-00", "2026-1-1",
            "20261124", "2026-11-24T00:00:00Z", "0000-01-01", "2026-11-2x", " 2026-11-24", "2026-11-24 ");
}
END_TEST

START_TEST(test_date_time_takes_any_zone)
{
    TAKES("date-time", "2026-11-24T08:15:00Z", "2026-11-24t08:15:00z", "2026-11-24T08:15:00+01:00",
          "2026-11-24T08:15:00.5-09:30", "2026-11-24T08:15:00.123456789Z", "2026-11-24T00:00:00+14:00");
    REFUSES("date-time", "", "2026-11-24", "2026-11-24T08:15Z", "2026-11-24T08:15:00", "2026-11-24 08:15:00Z",
            "2026-11-24T24:00:00Z", "2026-11-24T08:60:00Z", "2026-11-24T08:15:61Z", "2026-02-30T08:15:00Z",
            "2026-11-24T08:15:00.Z", "2026-11-24T08:15:00.1234567890Z", "2026-11-24T08:15:00+1:00",
            "2026-11-24T08:15:00+0100", "2026-11-24T08:15:00+16:00", "2026-11-24T08:15:00+01:60",
            "2026-11-24T08:15:00Zx", "2026-11-24T08:15:00.", "2026-11-24T08:15:0");
}
END_TEST

START_TEST(test_leap_second_ends_a_utc_day)
{
    TAKES("date-time", "2016-12-31T23:59:60Z", "2017-01-01T00:59:60+01:00", "2016-12-31T18:59:60-05:00");
    REFUSES("date-time", "2016-12-31T23:58:60Z", "2016-12-31T23:59:60+01:00", "2016-12-31T12:00:60Z");
}
END_TEST

START_TEST(test_email_has_one_at_and_a_domain_with_a_dot)
{
    TAKES("email", "a@b.se", "lena.lindqvist@utvag.example", "o'brien+x@sub.exempel.se", "1@2.se",
          "a@xn--rksmrgs-5wao1o.se");
    REFUSES("email", "", "a", "a@", "@b.se", "a@b", "a@@b.se", "a b@c.se", ".a@b.se", "a.@b.se", "a..b@c.se", "a@-b.se",
            "a@b-.se", "a@b..se", "a@.se", "a@b.se.", "\"a\"@b.se", "a@[127.0.0.1]", "å@b.se",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@b.se", "a@b.se\n");
}
END_TEST

START_TEST(test_uuid_is_in_lower_case)
{
    TAKES("uuid", "8c0e6a52-93b4-4f0b-8f63-3ab5a7f3f6d0", "00000000-0000-0000-0000-000000000000");
    REFUSES("uuid", "", "8C0E6A52-93B4-4F0B-8F63-3AB5A7F3F6D0", "8c0e6a5293b44f0b8f633ab5a7f3f6d0",
            "{8c0e6a52-93b4-4f0b-8f63-3ab5a7f3f6d0}", "8c0e6a52-93b4-4f0b-8f63-3ab5a7f3f6dg",
            "8c0e6a52-93b4-4f0b-8f63-3ab5a7f3f6d", "8c0e6a52a93b4-4f0b-8f63-3ab5a7f3f6d0");
}
END_TEST

START_TEST(test_uri_is_absolute)
{
    TAKES("uri", "https://api.utvag.example/v1?a=b#c", "urn:uuid:8c0e6a52-93b4-4f0b-8f63-3ab5a7f3f6d0", "a:%C3%A5");
    REFUSES("uri", "", "https", "https:", "//utvag.example", "/v1", "1a:b", "a:b c", "a:<b>", "a:%C", "a:%zz", "a:å",
            ":a");
}
END_TEST

START_TEST(test_identity_numbers_by_kind)
{
    TAKES("personnummer", "199001012385", "19900101-2385", "900101-2385", "900101+2385");
    REFUSES("personnummer", "", "199001012384", "701063-2391", "212000-0142", "299001012380");
    TAKES("samordningsnummer", "701063-2391", "197010632391");
    REFUSES("samordningsnummer", "", "199001012385", "701063-2390");
    TAKES("interim", "900101-T239");
    REFUSES("interim", "", "900101-T238", "900101-2385");
    TAKES("lma", "12-345678", "12-345678/1");
    REFUSES("lma", "", "12345678");
    TAKES("organisationsnummer", "212000-0142", "162120000142");
    REFUSES("organisationsnummer", "", "212000-0141", "900101-2385");
}
END_TEST

START_TEST(test_kommunkod_begins_with_a_county)
{
    TAKES("kommunkod", "0114", "0180", "0380", "1080", "1280", "1480", "1780", "2281", "2584");
    REFUSES("kommunkod", "", "0280", "1180", "1580", "1680", "2680", "0080", "9999", "180", "00180", "018a", "0100");
}
END_TEST

START_TEST(test_reference_may_not_look_like_an_identity_number)
{
    TAKES("reference", "soc-2026-0117", "A", "handl-4711");
    REFUSES("reference", "", "19900101-2385", "x900101-2385", "900101-T239");
}
END_TEST

START_TEST(test_password_has_twelve_characters)
{
    TAKES("password", "tolv tecken!", "åååååååååååå");
    REFUSES("password", "", "elva tecken", "a\u030aa\u030aa\u030aa\u030aa\u030aa\u030a");
}
END_TEST

START_TEST(test_bankgiro_has_its_check_digit)
{
    TAKES("bankgiro", "991-2346", "5050-1055", "50501055", "9912346");
    REFUSES("bankgiro", "", "991-2345", "5050-1054", "505-01055", "123456", "5050--1055", "-50501055");
}
END_TEST

START_TEST(test_plusgiro_has_its_check_digit)
{
    TAKES("plusgiro", "28-1", "2865-4", "28654", "90000-1", "4789017-3");
    REFUSES("plusgiro", "", "0", "28-2", "2-81", "12345678-2", "--", "28650 0");
}
END_TEST

START_TEST(test_swedish_account_is_checked_as_its_bank_documents)
{
    TAKES("kontonummer", "5439-1024039", "6789-123456789", "3300-0007012057", "8327-12345", "81059-994057437");
    REFUSES("kontonummer", "", "5439-1024038", "5439-102403", "6789-123456788", "3300-0007012058", "81050-994057437",
            "54391024039", "5439-", "-1024039", "5439-1024039-", "0439-1024039", "5439-10240390");
}
END_TEST

START_TEST(test_iban_and_bic)
{
    TAKES("iban", "SE4550000000058398257466", "GB82WEST12345698765432", "RO49AAAA1B31007593840000");
    REFUSES("iban", "", "SE4550000000058398257467", "SE45 5000 0000 0583 9825 7466", "se4550000000058398257466",
            "GB82WEST1234569876543", "SE455000000005839825746");
    TAKES("iban-se", "SE4550000000058398257466");
    REFUSES("iban-se", "", "SE4550000000058398257467", "GB82WEST12345698765432");
    TAKES("bic", "ESSESESS", "NDEASESS", "DEUTDEFF500");
    REFUSES("bic", "", "ESSESES", "ESSESESS1", "E5SESESS", "essesess", "ESSE5ESS");
}
END_TEST

START_TEST(test_an_unknown_format_is_not_found)
{
    ck_assert_ptr_null(format_find("identity-number"));
    ck_assert_ptr_null(format_find(""));
}
END_TEST

START_TEST(test_every_format_has_the_code_of_its_fault)
{
    ck_assert_str_eq(format_find("date-time")->code, "format_date_time");
    ck_assert_str_eq(format_find("personnummer")->code, "format_personnummer");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("format");
    TCase *tests = tcase_create("formats");
    tcase_add_test(tests, test_date_is_of_the_calendar);
    tcase_add_test(tests, test_date_time_takes_any_zone);
    tcase_add_test(tests, test_leap_second_ends_a_utc_day);
    tcase_add_test(tests, test_email_has_one_at_and_a_domain_with_a_dot);
    tcase_add_test(tests, test_uuid_is_in_lower_case);
    tcase_add_test(tests, test_uri_is_absolute);
    tcase_add_test(tests, test_identity_numbers_by_kind);
    tcase_add_test(tests, test_kommunkod_begins_with_a_county);
    tcase_add_test(tests, test_reference_may_not_look_like_an_identity_number);
    tcase_add_test(tests, test_password_has_twelve_characters);
    tcase_add_test(tests, test_bankgiro_has_its_check_digit);
    tcase_add_test(tests, test_plusgiro_has_its_check_digit);
    tcase_add_test(tests, test_swedish_account_is_checked_as_its_bank_documents);
    tcase_add_test(tests, test_iban_and_bic);
    tcase_add_test(tests, test_an_unknown_format_is_not_found);
    tcase_add_test(tests, test_every_format_has_the_code_of_its_fault);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
