/* Passwords are slow to try, secrets of ours are not. */
#include "utvag/password.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/unit/ring.h"

static const char password[] = "korrekt häst batteri häftklammer";
/* Made outside, by Python's hashlib.scrypt with salt 0…15. */
static const char known[] = "$scrypt$17$8$1$AAECAwQFBgcICQoLDA0ODw$54-62vySh4MkgbYBcqqU7wyw5mGEkg5a8vLn8iAZLcA";

static double seconds_of(const char *given, const char *hash)
{
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    ck_assert(!password_matches(given, hash));
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

START_TEST(test_round_and_salted)
{
    char one[PASSWORD_SIZE], other[PASSWORD_SIZE];
    ck_assert(password_hash(password, one));
    ck_assert(password_hash(password, other));
    ck_assert_str_ne(one, other);
    ck_assert_int_eq(strncmp(one, "$scrypt$17$8$1$", 15), 0);
    ck_assert(password_matches(password, one));
    ck_assert(!password_matches("korrekt häst batteri häftklammer ", one));
}
END_TEST

START_TEST(test_known_answer)
{
    ck_assert(password_matches(password, known));
    ck_assert(!password_matches("", known));
    ck_assert(!password_matches(NULL, known));
}
END_TEST

START_TEST(test_other_forms_match_nothing)
{
    char altered[PASSWORD_SIZE];
    memcpy(altered, known, sizeof known);
    altered[10] = '0'; /* a weaker cost */
    ck_assert(!password_matches(password, altered));
    memcpy(altered, known, sizeof known);
    altered[sizeof known - 2] ^= 4; /* the hash */
    ck_assert(!password_matches(password, altered));
    ck_assert(!password_matches(password, ""));
}
END_TEST

START_TEST(test_unknown_user_takes_as_long_as_a_wrong_password)
{
    double wrong = seconds_of("wrong", known), unknown = seconds_of("wrong", NULL), bad = seconds_of("wrong", "$x$");
    ck_assert_double_gt(unknown, wrong / 3);
    ck_assert_double_gt(bad, wrong / 3);
}
END_TEST

/* RFC 8265, 4.2: one password from whichever keyboard. */
START_TEST(test_composed_or_not_it_is_the_same)
{
    char hash[PASSWORD_SIZE];
    ck_assert(password_matches("korrekt ha\u0308st batteri ha\u0308ftklammer", known));
    ck_assert(password_matches("korrekt\u00a0häst\u3000batteri häftklammer", known));
    ck_assert(password_hash("\xff\xfe is no UTF-8", hash));
    ck_assert(!password_matches("korrekt hast batteri haftklammer", known));
}
END_TEST

START_TEST(test_length_is_counted_composed)
{
    ck_assert(password_is_long_enough("tolv tecken!"));
    ck_assert(!password_is_long_enough("elva tecken"));
    ck_assert(password_is_long_enough("åååååååååååå"));
    ck_assert(!password_is_long_enough("a\u030aa\u030aa\u030aa\u030aa\u030aa\u030a"));
    ck_assert(!password_is_long_enough("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
}
END_TEST

static atomic_int matched, at_work, most_at_work;

typedef int scrypt_function(const char *, size_t, const unsigned char *, size_t, uint64_t, uint64_t, uint64_t, uint64_t,
                            unsigned char *, size_t);

/* In the place of OpenSSL's, which it calls: counts how many work at one time. */
int EVP_PBE_scrypt(const char *given, size_t given_length, const unsigned char *salt, size_t salt_length, uint64_t n,
                   uint64_t r, uint64_t p, uint64_t memory, unsigned char *key, size_t key_length)
{
    scrypt_function *real;
    *(void **)&real = dlsym(RTLD_NEXT, "EVP_PBE_scrypt");
    int now = ++at_work;
    if (now > most_at_work) most_at_work = now;
    int done = real(given, given_length, salt, salt_length, n, r, p, memory, key, key_length);
    at_work--;
    return done;
}

static void *match(void *unused)
{
    (void)unused;
    if (password_matches(password, known)) matched++;
    return NULL;
}

START_TEST(test_lane_lets_everyone_through_and_no_more_at_once_than_it_is_wide)
{
    pthread_t threads[3];
    password_lane(1);
    ck_assert_int_eq(most_at_work, 0);
    for (size_t i = 0; i < 3; i++) pthread_create(&threads[i], NULL, match, NULL);
    for (size_t i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    ck_assert_int_eq(matched, 3);
    ck_assert_int_eq(most_at_work, 1);
}
END_TEST

START_TEST(test_secret_matches_its_own_digest_and_no_other)
{
    char secret[SECRET_SIZE], other[SECRET_SIZE], digest[SECRET_DIGEST_SIZE];
    secret_make(secret);
    secret_make(other);
    ck_assert_uint_eq(strlen(secret), SECRET_SIZE - 1);
    ck_assert_str_ne(secret, other);
    secret_digest(secret, digest);
    ck_assert(secret_matches(secret, digest));
    ck_assert(!secret_matches(other, digest));
    ck_assert(!secret_matches(secret, NULL));
    ck_assert(!secret_matches(NULL, digest));
    ck_assert(!secret_matches(secret, ""));
    secret_digest("abc", digest); /* FIPS 180-4 */
    ck_assert_str_eq(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("password");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, test_round_and_salted);
    tcase_add_test(tests, test_known_answer);
    tcase_add_test(tests, test_other_forms_match_nothing);
    tcase_add_test(tests, test_unknown_user_takes_as_long_as_a_wrong_password);
    tcase_add_test(tests, test_composed_or_not_it_is_the_same);
    tcase_add_test(tests, test_length_is_counted_composed);
    tcase_add_test(tests, test_lane_lets_everyone_through_and_no_more_at_once_than_it_is_wide);
    tcase_add_test(tests, test_secret_matches_its_own_digest_and_no_other);
    return ring_run("password", tests);
}
