/* How many are carried out at once: whoever is refused takes nobody's place. */
#include "utvag/metrics.h"

#include <check.h>

#include "utvag/embedded.h"

START_TEST(test_what_is_refused_keeps_nobody_out)
{
    char error[256] = "";
    struct contract *contract = contract_load(embedded_contract.text, embedded_contract.length, error, sizeof error);
    ck_assert_msg(contract, "%s", error);
    struct metrics *metrics = metrics_new(contract);
    ck_assert(metrics_admit(metrics, 2) && metrics_admit(metrics, 2));
    for (int i = 0; i < 100; i++) ck_assert(!metrics_admit(metrics, 2));
    metrics_leave(metrics);
    ck_assert(metrics_admit(metrics, 2));
    ck_assert(!metrics_admit(metrics, 2));
    metrics_free(metrics);
    contract_free(contract);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, test_what_is_refused_keeps_nobody_out);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
