/* Rates: a bucket a caller, emptied and filled again; logins counted before they are tried; one size of table. */
#include "utvag/rate.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "utvag/config.h"
#include "utvag/contract.h"

static struct config config;
static struct service service;
static const struct contract_operation limited = { .limited = true }, unlimited = { .limited = false };

static void setup(void)
{
    config = (struct config){ .rate_per_minute = 600, .failed_logins_per_minute = 3 };
    service = (struct service){ .config = &config, .rate = rate_new(&config) };
}

static void teardown(void) { rate_free(service.rate); }

static struct request from(const char *address, const char *principal)
{
    struct request rq = { .service = &service, .contract = &limited, .address = address };
    if (principal) {
        rq.caller.known = true;
        snprintf(rq.caller.id, sizeof rq.caller.id, "%s", principal);
    }
    return rq;
}

static int taken(struct request rq, int most)
{
    int count = 0;
    while (count < most && rate_take(&rq).status == 0) count++;
    return count;
}

START_TEST(test_a_bucket_holds_a_minute)
{
    ck_assert_int_eq(taken(from("192.0.2.1", NULL), 599), 599);
    struct request rq = from("192.0.2.1", NULL);
    while (rate_take(&rq).status == 0) ck_assert_int_lt(rq.rate.left, 3);
    struct problem refused = rate_take(&rq);
    ck_assert_int_eq(refused.status, 429);
    ck_assert_str_eq(refused.code, "rate_limited");
    ck_assert_int_eq(refused.retry_after, 1);
    ck_assert_int_eq(rq.rate.limit, 600);
    ck_assert_int_eq(rq.rate.left, 0);
}
END_TEST

START_TEST(test_a_bucket_fills_again)
{
    taken(from("192.0.2.1", NULL), 700);
    nanosleep(&(struct timespec){ 0, 250000000 }, NULL); /* two, at ten a second */
    int count = taken(from("192.0.2.1", NULL), 700);
    ck_assert_int_ge(count, 2);
    ck_assert_int_le(count, 12);
}
END_TEST

START_TEST(test_callers_have_buckets_of_their_own)
{
    taken(from("192.0.2.1", NULL), 700);
    ck_assert_int_eq(taken(from("192.0.2.2", NULL), 5), 5);
    ck_assert_int_eq(taken(from("192.0.2.1", "anna"), 5), 5);
    struct request rq = from("192.0.2.9", "anna");
    ck_assert_int_eq(rate_take(&rq).status, 0);
    ck_assert_int_eq(rq.rate.left, 594);
}
END_TEST

START_TEST(test_a_network_of_ipv6_is_one_address)
{
    taken(from("2001:db8::1", NULL), 700);
    struct request near = from("2001:db8::ffff:1", NULL), far = from("2001:db8:0:1::1", NULL);
    ck_assert_int_eq(rate_take(&near).status, 429);
    ck_assert_int_eq(rate_take(&far).status, 0);
}
END_TEST

START_TEST(test_what_knows_no_429_is_free)
{
    struct request rq = from("192.0.2.1", NULL);
    rq.contract = &unlimited;
    ck_assert_int_eq(taken(rq, 1000), 1000);
    ck_assert_int_eq(rq.rate.limit, 0);
}
END_TEST

START_TEST(test_zero_is_no_limit)
{
    teardown();
    config = (struct config){ 0 };
    service.rate = rate_new(&config);
    ck_assert_int_eq(taken(from("192.0.2.1", NULL), 1000), 1000);
    struct request rq = from("192.0.2.1", NULL);
    for (int i = 0; i < 20; i++) ck_assert_int_eq(rate_login_allowed(&rq, "anna", 4).status, 0);
}
END_TEST

static int attempts(const char *address, const char *account)
{
    struct request rq = from(address, NULL);
    int count = 0;
    while (count < 20 && rate_login_allowed(&rq, account, strlen(account)).status == 0) count++;
    rate_login_ended(&rq);
    return count;
}

START_TEST(test_failed_logins_count_by_address_and_by_account)
{
    ck_assert_int_eq(attempts("192.0.2.1", "anna"), 3);
    ck_assert_int_eq(attempts("192.0.2.1", "bo"), 0);   /* the address has had its share */
    ck_assert_int_eq(attempts("192.0.2.2", "anna"), 0); /* the account too */
    ck_assert_int_eq(attempts("192.0.2.2", "bo"), 3);   /* and a refusal tried nothing */
}
END_TEST

START_TEST(test_logins_that_pass_cost_nothing)
{
    struct request rq = from("192.0.2.1", NULL);
    for (int i = 0; i < 20; i++) {
        struct problem refused = rate_login_allowed(&rq, "anna", 4);
        ck_assert_int_eq(refused.status, 0);
        rate_login_passed(&rq);
    }
    ck_assert_int_eq(attempts("192.0.2.1", "anna"), 3);
    struct problem refused = rate_login_allowed(&rq, "anna", 4);
    ck_assert_int_ge(refused.retry_after, 19);
    ck_assert_int_le(refused.retry_after, 20);
}
END_TEST

/* One of those who sign in at one time, from places of their own. */
struct
try {
    pthread_t thread;
    struct request rq;
    int status;
};

static void *try_login(void *argument)
{
    struct try *try = argument;
    try->status = rate_login_allowed(&try->rq, "anna", 4).status;
    return NULL;
}

static void begin(struct try *try, const char *address)
{
    *try = (struct try){ .rq = from(address, NULL), .status = -1 };
    pthread_create(&try->thread, NULL, try_login, try);
}

static int result(struct try *try)
{
    pthread_join(try->thread, NULL);
    return try->status;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

START_TEST(test_who_is_right_waits_for_those_who_are_right)
{
    static const char *const addresses[] = { "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5" };
    struct try tries[5];
    for (size_t i = 0; i < 3; i++) {
        begin(&tries[i], addresses[i]);
        ck_assert_int_eq(result(&tries[i]), 0);
    }
    begin(&tries[3], addresses[3]);
    begin(&tries[4], addresses[4]);
    usleep(50000);
    rate_login_passed(&tries[0].rq);
    rate_login_passed(&tries[1].rq);
    ck_assert_int_eq(result(&tries[3]), 0);
    ck_assert_int_eq(result(&tries[4]), 0);
}
END_TEST

START_TEST(test_who_waits_is_refused_when_those_before_have_failed)
{
    struct try tries[4];
    double before = seconds();
    for (size_t i = 0; i < 3; i++) {
        begin(&tries[i], "192.0.2.1");
        ck_assert_int_eq(result(&tries[i]), 0);
    }
    begin(&tries[3], "192.0.2.1");
    for (size_t i = 0; i < 3; i++) rate_login_ended(&tries[i].rq);
    ck_assert_int_eq(result(&tries[3]), 429);
    ck_assert_int_eq(attempts("192.0.2.1", "anna"), 0);
    ck_assert_msg(seconds() - before < 3, "nothing was in the air to be waited for");
}
END_TEST

START_TEST(test_few_wait_and_the_rest_is_refused_at_once)
{
    struct try tries[3], waiting[16], more;
    for (size_t i = 0; i < 3; i++) {
        begin(&tries[i], "192.0.2.1");
        ck_assert_int_eq(result(&tries[i]), 0);
    }
    for (size_t i = 0; i < 16; i++) begin(&waiting[i], "192.0.2.1");
    usleep(300000);
    double before = seconds();
    begin(&more, "192.0.2.1");
    ck_assert_int_eq(result(&more), 429);
    ck_assert(seconds() - before < 3);
    for (size_t i = 0; i < 3; i++) rate_login_ended(&tries[i].rq);
    for (size_t i = 0; i < 16; i++) ck_assert_int_eq(result(&waiting[i]), 429);
}
END_TEST

/* More callers than places: none is refused for another's sake, and whoever asks too often is still stopped. */
START_TEST(test_a_flood_of_callers_takes_no_more_memory)
{
    char address[64];
    for (unsigned i = 0; i < 200000; i++) {
        snprintf(address, sizeof address, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        struct request rq = from(address, NULL);
        ck_assert_int_eq(rate_take(&rq).status, 0);
    }
    ck_assert_int_lt(taken(from("192.0.2.1", NULL), 10000), 10000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rate");
    TCase *tests = tcase_create("rate");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_bucket_holds_a_minute);
    tcase_add_test(tests, test_a_bucket_fills_again);
    tcase_add_test(tests, test_callers_have_buckets_of_their_own);
    tcase_add_test(tests, test_a_network_of_ipv6_is_one_address);
    tcase_add_test(tests, test_what_knows_no_429_is_free);
    tcase_add_test(tests, test_zero_is_no_limit);
    tcase_add_test(tests, test_failed_logins_count_by_address_and_by_account);
    tcase_add_test(tests, test_logins_that_pass_cost_nothing);
    tcase_add_test(tests, test_who_is_right_waits_for_those_who_are_right);
    tcase_add_test(tests, test_who_waits_is_refused_when_those_before_have_failed);
    tcase_add_test(tests, test_few_wait_and_the_rest_is_refused_at_once);
    tcase_add_test(tests, test_a_flood_of_callers_takes_no_more_memory);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
