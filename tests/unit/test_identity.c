/* Swedish identity numbers: what is valid, in which forms, and what could be one. */
#include "utvag/identity.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct tm today = { .tm_year = 2026 - 1900, .tm_mon = 10, .tm_mday = 24 };
static char out[IDENTITY_SIZE];

static bool personnummer(const char *text) { return identity_personnummer(text, strlen(text), &today, out); }

static bool samordningsnummer(const char *text) { return identity_samordningsnummer(text, strlen(text), &today, out); }

static bool interim(const char *text) { return identity_interim(text, strlen(text), out); }

static bool lma(const char *text) { return identity_lma(text, strlen(text), out); }

static bool organisation(const char *text) { return identity_organisation(text, strlen(text), out); }

static bool resembles(const char *text) { return identity_resembles(text, strlen(text)); }

START_TEST(test_every_written_form_of_a_personnummer_is_stored_alike)
{
    static const char *const forms[] = { "199001012385", "19900101-2385", "900101-2385", "9001012385" };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        ck_assert_msg(personnummer(forms[i]), "%s", forms[i]);
        ck_assert_str_eq(out, "199001012385");
    }
}
END_TEST

START_TEST(test_check_digit_must_hold)
{
    for (char c = '0'; c <= '9'; c++) {
        char text[] = "19900101238x";
        text[11] = c;
        ck_assert_int_eq(personnummer(text), c == '5');
    }
}
END_TEST

START_TEST(test_the_century_takes_no_part_in_the_check)
{
    ck_assert(personnummer("189001012385"));
    ck_assert(personnummer("199001012385"));
}
END_TEST

START_TEST(test_number_000_is_refused)
{
    ck_assert(!personnummer("199001010009")); /* its check digit is right */
    ck_assert(personnummer("199001010017"));
}
END_TEST

START_TEST(test_the_date_must_exist)
{
    ck_assert(!personnummer("199013012381")); /* month 13; check digits are right throughout */
    ck_assert(!personnummer("199002302389"));
    ck_assert(!personnummer("199000012386"));
    ck_assert(!personnummer("199001002386"));
    ck_assert(personnummer("200002292381"));  /* a leap day */
    ck_assert(!personnummer("190002292381")); /* 1900 was no leap year */
}
END_TEST

START_TEST(test_plus_means_a_century_more_from_the_year_of_100)
{
    ck_assert(personnummer("121212+1212"));
    ck_assert_str_eq(out, "191212121212");
    ck_assert(personnummer("121212-1212"));
    ck_assert_str_eq(out, "201212121212");
    ck_assert(personnummer("900101+2385"));
    ck_assert_str_eq(out, "189001012385");
}
END_TEST

/* 1926-12-31 turns 100 in 2026 and is written with +; with - it would be 2026-12-31, which is to come. */
START_TEST(test_nobody_is_born_after_today)
{
    ck_assert(personnummer("261231+2385"));
    ck_assert_str_eq(out, "192612312385");
    ck_assert(!personnummer("261231-2385"));
    ck_assert(!personnummer("202612312385"));
    ck_assert(personnummer("261124-2385") && strcmp(out, "202611242385") == 0);
    ck_assert(!personnummer("261125-2384"));
    ck_assert(!personnummer("209001012385"));
}
END_TEST

START_TEST(test_other_spellings_are_no_personnummer)
{
    static const char *const texts[] = { "",
                                         "1",
                                         "900101",
                                         "19900101 2385",
                                         "19900101+2385",
                                         "900101_2385",
                                         "9001012385 ",
                                         " 9001012385",
                                         "90010l-2385",
                                         "1990-01-01-2385",
                                         "00199001012385",
                                         "900101--2385",
                                         "179001012385",
                                         "٩٠٠١٠١٢٣٨٥" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) ck_assert_msg(!personnummer(texts[i]), "%s", texts[i]);
}
END_TEST

START_TEST(test_samordningsnummer_has_its_day_raised_by_60)
{
    ck_assert(samordningsnummer("701063-2391")); /* Skatteverket's example */
    ck_assert_str_eq(out, "197010632391");
    ck_assert(samordningsnummer("19701063-2391"));
    ck_assert(!personnummer("701063-2391"));
    ck_assert(!samordningsnummer("199001012385"));
    ck_assert(!samordningsnummer("701063-2392"));
}
END_TEST

START_TEST(test_samordningsnummer_has_a_day_that_exists)
{
    ck_assert(samordningsnummer("197002882384"));  /* 28 February */
    ck_assert(!samordningsnummer("197002892383")); /* 29 February 1970 */
    ck_assert(!samordningsnummer("197001922389")); /* day 92 */
}
END_TEST

START_TEST(test_each_letter_of_an_interim_number_counts_as_one)
{
    for (const char *letter = "TRSUWXJKLMN"; *letter; letter++) {
        char text[] = "900101-x238";
        text[7] = *letter;
        int valid = 0;
        for (char c = '0'; c <= '9'; c++) {
            text[10] = c;
            valid += interim(text);
        }
        ck_assert_int_eq(valid, 1);
    }
    ck_assert(interim("900101-T239"));
    ck_assert_str_eq(out, "900101-T239");
    ck_assert(interim("900101t239"));
    ck_assert_str_eq(out, "900101-T239");
}
END_TEST

START_TEST(test_other_letters_are_no_interim_number)
{
    ck_assert(!interim("900101-A239"));
    ck_assert(!interim("900101-1239"));
    ck_assert(!interim("901301-T235"));
    ck_assert(!interim("900101-T23"));
    ck_assert(!interim("19900101-T239"));
}
END_TEST

START_TEST(test_lma_number_is_stored_without_the_cards_suffix)
{
    ck_assert(lma("12-345678"));
    ck_assert_str_eq(out, "12-345678");
    ck_assert(lma("12-345678/1"));
    ck_assert_str_eq(out, "12-345678");
    ck_assert(lma("12-345678/12"));
    ck_assert(!lma("12345678"));
    ck_assert(!lma("12-345678/"));
    ck_assert(!lma("12-345678/123"));
    ck_assert(!lma("12-34567"));
    ck_assert(!lma("1a-345678"));
}
END_TEST

START_TEST(test_organisationsnummer_is_one_in_every_spelling)
{
    static const char *const forms[] = { "212000-0142", "2120000142", "162120000142", "16212000-0142" };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        ck_assert_msg(organisation(forms[i]), "%s", forms[i]);
        ck_assert_str_eq(out, "2120000142");
    }
    ck_assert(!organisation("212000-0143"));
    ck_assert(!organisation("212000+0142"));
    ck_assert(!organisation("192120000142"));
    ck_assert(!organisation("900101-2385")); /* the third digit is below 2: a person */
    ck_assert(!organisation("21200-0142"));
}
END_TEST

START_TEST(test_stored_form_is_one_for_all_spellings)
{
    char stored[IDENTITY_SIZE];
    ck_assert(identity_stored("900101-2385", 11, &today, stored));
    ck_assert_str_eq(stored, "199001012385");
    ck_assert(identity_stored("701063-2391", 11, &today, stored));
    ck_assert_str_eq(stored, "197010632391");
    ck_assert(identity_stored("12-345678/1", 11, &today, stored));
    ck_assert_str_eq(stored, "12-345678");
    ck_assert(!identity_stored("AA1234567", 9, &today, stored));
}
END_TEST

START_TEST(test_what_could_be_an_identity_number_is_recognised)
{
    static const char *const texts[] = {
        "900101-2385",         "9001012385",  "199001012385",  "19900101-2385",   "1990-01-01-2385",
        "19900101 2385",       "900101+2385", "701063-2391",   "900101-2384",     "soc-900101-2385",
        "barn199001012385",    "900101-T239", "12-345678",     "12-345678/1",     "2026-900101-2385",
        "dnr 19900101.2385/b", "900101t239",  "19900101-T239", "900101-2385-2026"
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) ck_assert_msg(resembles(texts[i]), "%s", texts[i]);
}
END_TEST

START_TEST(test_an_honest_reference_is_left_alone)
{
    static const char *const texts[] = { "soc-2026-0117",
                                         "A-17",
                                         "case 42",
                                         "212000-0142",
                                         "2026/117-3",
                                         "handl-4711",
                                         "5f0c6f0e-7d1c-4f57-9a3e-0a52d3a5b6c1",
                                         "1234567",
                                         "SN 2026:000123",
                                         "9999999999",
                                         "" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) ck_assert_msg(!resembles(texts[i]), "%s", texts[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("identity");
    TCase *tests = tcase_create("numbers");
    tcase_add_test(tests, test_every_written_form_of_a_personnummer_is_stored_alike);
    tcase_add_test(tests, test_check_digit_must_hold);
    tcase_add_test(tests, test_the_century_takes_no_part_in_the_check);
    tcase_add_test(tests, test_number_000_is_refused);
    tcase_add_test(tests, test_the_date_must_exist);
    tcase_add_test(tests, test_plus_means_a_century_more_from_the_year_of_100);
    tcase_add_test(tests, test_nobody_is_born_after_today);
    tcase_add_test(tests, test_other_spellings_are_no_personnummer);
    tcase_add_test(tests, test_samordningsnummer_has_its_day_raised_by_60);
    tcase_add_test(tests, test_samordningsnummer_has_a_day_that_exists);
    tcase_add_test(tests, test_each_letter_of_an_interim_number_counts_as_one);
    tcase_add_test(tests, test_other_letters_are_no_interim_number);
    tcase_add_test(tests, test_lma_number_is_stored_without_the_cards_suffix);
    tcase_add_test(tests, test_organisationsnummer_is_one_in_every_spelling);
    tcase_add_test(tests, test_stored_form_is_one_for_all_spellings);
    tcase_add_test(tests, test_what_could_be_an_identity_number_is_recognised);
    tcase_add_test(tests, test_an_honest_reference_is_left_alone);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
