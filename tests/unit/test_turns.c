/* How many are carried out at once, and how long one waits for a place. */
#include "utvag/turns.h"

#include <check.h>
#include <pthread.h>
#include <time.h>

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

START_TEST(test_who_is_refused_takes_nobody_s_place)
{
    struct turns *turns = turns_new(2, 1);
    ck_assert(turns_take(turns) && turns_take(turns));
    for (int i = 0; i < 20; i++) ck_assert(!turns_take(turns));
    turns_give(turns);
    ck_assert(turns_take(turns));
    ck_assert(!turns_take(turns));
    turns_free(turns);
}
END_TEST

START_TEST(test_a_refusal_comes_after_the_wait)
{
    struct turns *turns = turns_new(1, 50);
    ck_assert(turns_take(turns));
    int64_t before = now_ms();
    ck_assert(!turns_take(turns));
    ck_assert_int_ge(now_ms() - before, 49);
    turns_free(turns);
}
END_TEST

static void *give_soon(void *turns)
{
    const struct timespec pause = { 0, 20000000 };
    nanosleep(&pause, NULL);
    turns_give(turns);
    return NULL;
}

START_TEST(test_who_waits_gets_the_place_that_is_given_back)
{
    struct turns *turns = turns_new(1, 60000);
    pthread_t giver;
    ck_assert(turns_take(turns));
    ck_assert_int_eq(pthread_create(&giver, NULL, give_soon, turns), 0);
    ck_assert(turns_take(turns));
    pthread_join(giver, NULL);
    turns_free(turns);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("turns");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, test_who_is_refused_takes_nobody_s_place);
    tcase_add_test(tests, test_a_refusal_comes_after_the_wait);
    tcase_add_test(tests, test_who_waits_gets_the_place_that_is_given_back);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
