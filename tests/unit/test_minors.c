/* Who counts as a child, and who as young, to the day. */
#include <check.h>
#include <stdlib.h>

#include "api/circumstances.h"
#include "api/minors.h"

START_TEST(test_turns_18_on_the_birthday)
{
    ck_assert(minors_is_under_18("2008-11-24", "2026-11-23"));
    ck_assert(!minors_is_under_18("2008-11-24", "2026-11-24"));
    ck_assert(!minors_is_under_18("2008-11-24", "2026-11-25"));
}
END_TEST

START_TEST(test_new_year_is_a_day_like_others)
{
    ck_assert(minors_is_under_18("2009-01-01", "2026-12-31"));
    ck_assert(!minors_is_under_18("2009-01-01", "2027-01-01"));
    ck_assert(!minors_is_under_18("2008-12-31", "2026-12-31"));
}
END_TEST

START_TEST(test_leap_day_turns_18_on_first_of_march)
{
    ck_assert(minors_is_under_18("2008-02-29", "2026-02-28"));
    ck_assert(!minors_is_under_18("2008-02-29", "2026-03-01"));
}
END_TEST

START_TEST(test_without_a_date_a_child_is_one_and_an_applicant_is_not)
{
    ck_assert(minors_is_child(true, NULL, "2026-11-24"));
    ck_assert(!minors_is_child(false, NULL, "2026-11-24"));
}
END_TEST

START_TEST(test_a_date_says_more_than_the_kind_of_record)
{
    ck_assert(!minors_is_child(true, "2008-11-24", "2026-11-24"));
    ck_assert(minors_is_child(false, "2010-05-05", "2026-11-24"));
}
END_TEST

START_TEST(test_what_is_no_date_counts_as_a_child)
{
    ck_assert(minors_is_under_18("", "2026-11-24"));
    ck_assert(minors_is_under_18("okänt", "2026-11-24"));
}
END_TEST

START_TEST(test_young_is_from_13_to_25_years)
{
    ck_assert(!circumstances_is_young("2013-11-25", "2026-11-24"));
    ck_assert(circumstances_is_young("2013-11-24", "2026-11-24"));
    ck_assert(circumstances_is_young("2000-11-25", "2026-11-24"));
    ck_assert(!circumstances_is_young("2000-11-24", "2026-11-24"));
    ck_assert(!circumstances_is_young("okänt", "2026-11-24"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("minors");
    TCase *tests = tcase_create("minors");
    tcase_add_test(tests, test_turns_18_on_the_birthday);
    tcase_add_test(tests, test_new_year_is_a_day_like_others);
    tcase_add_test(tests, test_leap_day_turns_18_on_first_of_march);
    tcase_add_test(tests, test_without_a_date_a_child_is_one_and_an_applicant_is_not);
    tcase_add_test(tests, test_a_date_says_more_than_the_kind_of_record);
    tcase_add_test(tests, test_what_is_no_date_counts_as_a_child);
    tcase_add_test(tests, test_young_is_from_13_to_25_years);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
