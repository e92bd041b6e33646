/* Ids: those of persons tell nothing, those of the log are in order. */
#include "utvag/uuid.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "tests/unit/ring.h"
#include "utvag/digest.h"

enum { MANY = 2000, THREADS = 4 };

START_TEST(test_v4_has_version_and_variant_and_differs)
{
    char one[UUID_SIZE], other[UUID_SIZE];
    for (int i = 0; i < 100; i++) {
        uuid_v4(one);
        uuid_v4(other);
        ck_assert(uuid_valid(one));
        ck_assert_int_eq(one[14], '4');
        ck_assert_ptr_nonnull(strchr("89ab", one[19]));
        ck_assert_str_ne(one, other);
    }
}
END_TEST

START_TEST(test_v7_carries_the_time)
{
    char text[UUID_SIZE], digits[13] = "";
    long long before = (long long)time(NULL);
    uuid_v7(text);
    ck_assert(uuid_valid(text));
    ck_assert_int_eq(text[14], '7');
    ck_assert_ptr_nonnull(strchr("89ab", text[19]));
    memcpy(digits, text, 8);
    memcpy(digits + 8, text + 9, 4);
    long long seconds = (long long)(strtoull(digits, NULL, 16) / 1000);
    ck_assert(seconds >= before && seconds <= before + 5);
}
END_TEST

START_TEST(test_v7_is_in_order)
{
    char last[UUID_SIZE], next[UUID_SIZE];
    uuid_v7(last);
    for (int i = 0; i < MANY; i++) {
        uuid_v7(next);
        ck_assert_str_lt(last, next);
        memcpy(last, next, sizeof last);
    }
}
END_TEST

static void *make_many(void *out)
{
    char(*made)[UUID_SIZE] = out;
    for (int i = 0; i < MANY; i++) uuid_v7(made[i]);
    return NULL;
}

static int compare(const void *one, const void *other) { return strcmp(one, other); }

START_TEST(test_v7_of_threads_never_share_a_tick)
{
    static char made[THREADS * MANY][UUID_SIZE];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, make_many, made[i * MANY]);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    qsort(made, sizeof made / sizeof *made, sizeof *made, compare);
    for (size_t i = 1; i < THREADS * MANY; i++) ck_assert_int_ne(strncmp(made[i - 1], made[i], 18), 0);
}
END_TEST

START_TEST(test_only_the_written_form_is_valid)
{
    static const char *const wrong[] = {
        "",
        "0",
        "01234567-89ab-4def-8123-456789abcde",
        "01234567-89ab-4def-8123-456789abcdef0",
        "01234567-89AB-4def-8123-456789abcdef",
        "0123456789ab-4def-8123-456789abcdef-0",
        "{1234567-89ab-4def-8123-456789abcde}",
        "01234567-89ab-4def-8123-456789abcdeg",
    };
    ck_assert(uuid_valid("01234567-89ab-4def-8123-456789abcdef"));
    ck_assert(!uuid_valid(NULL));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) ck_assert_msg(!uuid_valid(wrong[i]), "%s", wrong[i]);
}
END_TEST

/* More than a thread keeps at a time, so that the block is used up and asked for anew several times. */
START_TEST(test_chance_is_handed_out_once)
{
    unsigned char pieces[100][24];
    for (size_t i = 0; i < 100; i++) {
        digest_chance(pieces[i], sizeof pieces[i]);
        for (size_t j = 0; j < i; j++) ck_assert_mem_ne(pieces[i], pieces[j], sizeof pieces[i]);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("uuid");
    tcase_add_test(tests, test_v4_has_version_and_variant_and_differs);
    tcase_add_test(tests, test_v7_carries_the_time);
    tcase_add_test(tests, test_v7_is_in_order);
    tcase_add_test(tests, test_v7_of_threads_never_share_a_tick);
    tcase_add_test(tests, test_only_the_written_form_is_valid);
    tcase_add_test(tests, test_chance_is_handed_out_once);
    return ring_run("uuid", tests);
}
