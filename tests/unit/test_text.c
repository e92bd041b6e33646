/* Texts by code, and the choice of language. */
#include "utvag/text.h"

#include <ctype.h>
#include <glob.h>

#include "api/resources.h"
#include "tests/unit/ring.h"

#define ROW(table) table,
static const struct text *const tables[] = { text_platform, RULES(ROW) NULL };
#undef ROW

/* As the service does when it starts. */
static void add_rules(void)
{
    for (const struct text *const *table = tables + 1; *table; table++) text_add(*table);
}

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

/* Every code that the platform can say is written as a literal after one of these. */
static void codes_have_texts(const char *source)
{
    static const char *const before[] = { "problem(", "problem_later(", ".code = \"", "fault(check, ", "\"format_" };
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        for (const char *at = source; (at = strstr(at, before[i])); at++) {
            if (at > source && (isalnum((unsigned char)at[-1]) || at[-1] == '_'))
                continue; /* the end of another name */
            const char *end = at + strcspn(at, ";{\n"), *quote = memchr(at, '"', (size_t)(end - at));
            size_t length = quote ? strspn(quote + 1, "abcdefghijklmnopqrstuvwxyz_0123456789") : 0;
            if (!length || quote[1 + length] != '"') continue;
            char code[64];
            snprintf(code, sizeof code, "%.*s", (int)length, quote + 1);
            ck_assert_msg(text_find(code) != NULL, "no text for %s", code);
        }
}

START_TEST(test_every_code_that_is_said_has_a_text)
{
    glob_t found;
    char pattern[512];
    const char *root = getenv("UTVAG_SOURCE");
    add_rules();
    snprintf(pattern, sizeof pattern, "%s/{src,api}/*.c", root ? root : ".");
    ck_assert_int_eq(glob(pattern, GLOB_BRACE, NULL, &found), 0);
    ck_assert_uint_gt(found.gl_pathc, 60);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        FILE *file = fopen(found.gl_pathv[i], "r");
        static char source[1 << 18];
        ck_assert_ptr_nonnull(file);
        source[fread(source, 1, sizeof source - 1, file)] = '\0';
        fclose(file);
        codes_have_texts(source);
    }
    globfree(&found);
}
END_TEST

START_TEST(test_every_text_is_in_both_languages)
{
    for (const struct text *const *table = tables; *table; table++)
        for (const struct text *row = *table; row->code; row++) {
            ck_assert_msg(*row->swedish && *row->english, "%s", row->code);
            ck_assert_msg(!strstr(row->swedish, "{}") == !strstr(row->english, "{}"), "%s", row->code);
        }
}
END_TEST

/* Of two rows, the second would never be told. */
START_TEST(test_every_code_has_one_row)
{
    add_rules();
    for (const struct text *const *table = tables; *table; table++)
        for (const struct text *row = *table; row->code; row++)
            ck_assert_msg(text_find(row->code) == row, "%s", row->code);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("text");
    tcase_add_loop_test(tests, test_language_is_chosen_by_weight, 0, sizeof choices / sizeof *choices);
    tcase_add_test(tests, test_texts_are_found_in_both_languages);
    tcase_add_test(tests, test_unknown_code_has_a_plain_sentence);
    tcase_add_test(tests, test_added_tables_are_searched);
    tcase_add_test(tests, test_every_code_that_is_said_has_a_text);
    tcase_add_test(tests, test_every_code_has_one_row);
    tcase_add_test(tests, test_every_text_is_in_both_languages);
    return ring_run("text", tests);
}
