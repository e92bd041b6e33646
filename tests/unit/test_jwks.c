/* Keys of others, in a file that changes while threads look for them. */
#include "utvag/jwks.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "utvag/signing.h"

static char path[] = "/tmp/utvag-jwks-XXXXXX", error[256];
static struct signing_key first, second;

static void write_keys(const char *one, const char *other)
{
    char fresh[64];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "{\"keys\":[%s%s%s]}", one, other ? "," : "", other ? other : "");
    fclose(file);
    chmod(fresh, 0600);
    ck_assert_int_eq(rename(fresh, path), 0);
}

static void set_up(void)
{
    strcpy(path, "/tmp/utvag-jwks-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert(signing_make(&first) && signing_make(&second));
    write_keys(first.jwk, NULL);
}

static void tear_down(void)
{
    signing_free(&first);
    signing_free(&second);
    unlink(path);
}

static bool finds(struct jwks *jwks, const char *kid)
{
    struct arena *arena = arena_new(1 << 16);
    const char *pem, *algorithm;
    bool found = jwks_find(jwks, kid, arena, &pem, &algorithm);
    ck_assert(!found || (strstr(pem, "BEGIN PUBLIC KEY") && strcmp(algorithm, "ES256") == 0));
    arena_free(arena);
    return found;
}

START_TEST(test_new_key_is_found_at_once_and_a_removed_one_is_told)
{
    struct jwks *jwks = jwks_open(path, error, sizeof error);
    ck_assert_msg(jwks != NULL, "%s", error);
    ck_assert(finds(jwks, first.kid) && !finds(jwks, second.kid));
    ck_assert(!jwks_look(jwks));
    write_keys(second.jwk, NULL);
    ck_assert(finds(jwks, second.kid) && !finds(jwks, first.kid));
    ck_assert(jwks_look(jwks)); /* also what a search found */
    ck_assert(!jwks_look(jwks));
    jwks_free(jwks);
}
END_TEST

START_TEST(test_unreadable_file_leaves_the_keys_as_they_were)
{
    struct jwks *jwks = jwks_open(path, error, sizeof error);
    write_keys("7", NULL);
    ck_assert(!jwks_look(jwks) && finds(jwks, first.kid));
    unlink(path);
    ck_assert(!jwks_look(jwks) && finds(jwks, first.kid));
    write_keys(second.jwk, first.jwk);
    ck_assert(jwks_look(jwks) && finds(jwks, second.kid));
    jwks_free(jwks);
}
END_TEST

struct reading {
    struct jwks *jwks;
    atomic_bool stop;
    atomic_int missed;
};

static void *read_on(void *context)
{
    struct reading *reading = context;
    while (!atomic_load(&reading->stop)) {
        if (!finds(reading->jwks, first.kid)) atomic_fetch_add(&reading->missed, 1);
        (void)finds(reading->jwks, second.kid);
    }
    return NULL;
}

START_TEST(test_threads_find_keys_while_the_file_changes)
{
    enum { READERS = 3, CHANGES = 50 };
    struct reading reading = { .jwks = jwks_open(path, error, sizeof error) };
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++) pthread_create(&threads[i], NULL, read_on, &reading);
    for (int i = 0; i < CHANGES; i++) {
        write_keys(first.jwk, i % 2 ? NULL : second.jwk);
        (void)jwks_look(reading.jwks);
    }
    atomic_store(&reading.stop, true);
    for (int i = 0; i < READERS; i++) pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&reading.missed), 0);
    jwks_free(reading.jwks);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("jwks");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_new_key_is_found_at_once_and_a_removed_one_is_told);
    tcase_add_test(tests, test_unreadable_file_leaves_the_keys_as_they_were);
    tcase_add_test(tests, test_threads_find_keys_while_the_file_changes);
    tcase_set_timeout(tests, 60);
    Suite *suite = suite_create("jwks");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
