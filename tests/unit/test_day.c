/* Which day it is, where the service's dates are meant. */
#include "utvag/day.h"

#include <check.h>
#include <stdlib.h>

/* Times in UTC; `TZ=Europe/Stockholm date -d @…` says the same. */
START_TEST(test_today_is_the_day_in_sweden)
{
    static const struct {
        time_t now;
        const char *day;
    } moments[] = {
        { 1798757999, "2026-12-31" }, /* 2026-12-31 22:59:59 */
        { 1798758000, "2027-01-01" }, /* 2026-12-31 23:00:00: winter, one hour ahead */
        { 1782856799, "2026-06-30" }, /* 2026-06-30 21:59:59 */
        { 1782856800, "2026-07-01" }, /* 2026-06-30 22:00:00: summer, two */
        { 1774738799, "2026-03-28" }, /* 2026-03-28 22:59:59 */
        { 1774738800, "2026-03-29" }, /* 2026-03-28 23:00:00: the night before summer time is winter still */
        { 1774821599, "2026-03-29" }, /* 2026-03-29 21:59:59 */
        { 1774821600, "2026-03-30" }, /* 2026-03-29 22:00:00: after it, summer */
        { 1792879199, "2026-10-24" }, /* 2026-10-24 21:59:59 */
        { 1792879200, "2026-10-25" }, /* 2026-10-24 22:00:00: the last night of summer time */
        { 1792969199, "2026-10-25" }, /* 2026-10-25 22:59:59 */
        { 1792969200, "2026-10-26" }, /* 2026-10-25 23:00:00: winter again */
        { 1711839600, "2024-03-31" }, /* 2024-03-30 23:00:00: the 31st is that Sunday */
        { 1711922400, "2024-04-01" }, /* 2024-03-31 22:00:00 */
    };
    char day[DAY_SIZE];
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        day_in_sweden(moments[i].now, day);
        ck_assert_str_eq(day, moments[i].day);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("day");
    TCase *tests = tcase_create("day");
    tcase_add_test(tests, test_today_is_the_day_in_sweden);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
