/* Texts by code, and the choice of language. */
#include "utvag/text.h"

#include "tests/unit/ring.h"

static const struct {
    const char *accepts;
    enum language language;
} choices[] = {
    { NULL, ENGLISH },
    { "", ENGLISH },
    { "sv", SWEDISH },
    { "SV-se", SWEDISH },
    { "en", ENGLISH },
    { "de", ENGLISH },
    { "*", ENGLISH },
    { "sv;q=0.5, en;q=0.4", SWEDISH },
    { "sv;q=0.4,en;q=0.5", ENGLISH },
    { "sv, en", SWEDISH },
    { "en, sv", ENGLISH },
    { "sv;q=0", ENGLISH },
    { "de, sv;q=0.1", SWEDISH },
    { "svx", ENGLISH },
    { "sv;q=x", ENGLISH },
    { "sv-SE,sv;q=0.9,en-US;q=0.8,en;q=0.7", SWEDISH },
    { ",,;;q=,", ENGLISH },
    { "s", ENGLISH },
    { "sv;q=2", ENGLISH },
};

START_TEST(test_language_is_chosen_by_weight)
{
    ck_assert_int_eq(text_language(choices[_i].accepts), choices[_i].language);
}
END_TEST

START_TEST(test_texts_are_found_in_both_languages)
{
    ck_assert_str_eq(text_sentence("not_found", ENGLISH), "What you ask for does not exist, or is not for you.");
    ck_assert_str_eq(text_sentence("not_found", SWEDISH), "Det som söks finns inte, eller är inte till för dig.");
    ck_assert_str_eq(text_reason(404, SWEDISH), "Finns inte");
    ck_assert_str_eq(text_reason(404, ENGLISH), "Not found");
    ck_assert_str_eq(text_reason(499, ENGLISH), "Error");
}
END_TEST

START_TEST(test_unknown_code_has_a_plain_sentence)
{
    ck_assert_ptr_null(text_find("no_such_code"));
    ck_assert_ptr_null(text_find(NULL));
    ck_assert_str_eq(text_sentence("no_such_code", ENGLISH), "See code.");
}
END_TEST

START_TEST(test_added_tables_are_searched)
{
    static const struct text more[] = {
        { "needs_missing", 409, "/needs", "Minst ett behov behövs.", "At least one need is needed." },
        { NULL, 0, NULL, NULL, NULL },
    };
    text_add(more);
    ck_assert_int_eq(text_find("needs_missing")->status, 409);
    ck_assert_str_eq(text_sentence("needs_missing", SWEDISH), "Minst ett behov behövs.");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("text");
    tcase_add_loop_test(tests, test_language_is_chosen_by_weight, 0, sizeof choices / sizeof *choices);
    tcase_add_test(tests, test_texts_are_found_in_both_languages);
    tcase_add_test(tests, test_unknown_code_has_a_plain_sentence);
    tcase_add_test(tests, test_added_tables_are_searched);
    return ring_run("text", tests);
}
