/* What a client takes, and how gladly. */
#include "utvag/accept.h"

#include <check.h>
#include <stdlib.h>

static const struct {
    const char *accept, *type;
    int weight;
} cases[] = {
    { NULL, "text/csv", 1000 },
    { "", "text/csv", 1000 },
    { "*/*", "text/csv", 1000 },
    { "text/csv", "text/csv", 1000 },
    { "TEXT/CSV", "text/csv", 1000 },
    { "text/*", "text/csv", 1000 },
    { "text/csvx", "text/csv", 0 },
    { "text/cs", "text/csv", 0 },
    { "tex/*", "text/csv", 0 },
    { "application/json", "text/csv", 0 },
    { "text/csv;q=0.25", "text/csv", 250 },
    { "text/csv ; q=0.25", "text/csv", 250 },
    { "text/csv; charset=utf-8; Q=0.5", "text/csv", 500 },
    { "text/csv;q=7", "text/csv", 1000 },
    { "text/csv;q=-1", "text/csv", 0 },
    { "text/csv;q=", "text/csv", 0 },
    { "text/csv;q=0, */*", "text/csv", 0 },
    { "*/*, text/*;q=0", "text/csv", 0 },
    { "*/*;q=0.1, text/*;q=0.2, text/csv;q=0.3", "text/csv", 300 },
    { "text/csv;q=0.3, text/*;q=0.2, */*;q=0.1", "text/html", 200 },
    { "text/csv;q=0.3, text/*;q=0.2, */*;q=0.1", "image/png", 100 },
    { ",;,", "text/csv", 0 },
    { ";q=1", "text/csv", 0 },
    { ",", "text/csv", 0 },
};

START_TEST(test_weight_is_that_of_the_most_specific_range)
{
    ck_assert_int_eq(accept_weight(cases[_i].accept, cases[_i].type), cases[_i].weight);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("accept");
    TCase *tests = tcase_create("accept");
    tcase_add_loop_test(tests, test_weight_is_that_of_the_most_specific_range, 0, sizeof cases / sizeof *cases);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
