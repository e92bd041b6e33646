/* Keys in a folder: made once, refused when others may read them, rotated without losing what is in use. */
#include "utvag/keyring.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/ring.h"
#include "utvag/base64url.h"
#include "utvag/digest.h"
#include "utvag/signing.h"

static char error[256];

static const char *in_folder(const struct ring *ring, const char *name)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", ring->folder, name);
    return path;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    chmod(path, 0600);
}

static bool opens(const struct ring *ring)
{
    struct keyring *keys = keyring_open(ring->folder, error, sizeof error);
    keyring_free(keys);
    return keys != NULL;
}

START_TEST(test_init_makes_what_lacks_and_replaces_nothing)
{
    struct ring ring = ring_make();
    unsigned char before[KEY_BYTES];
    memcpy(before, keyring_key(ring.keys, KEY_BLIND, 1), KEY_BYTES);
    unlink(in_folder(&ring, "mac-1"));
    ck_assert(!opens(&ring));
    ck_assert(keyring_init(ring.folder, error, sizeof error));
    ring_reopen(&ring);
    ck_assert_int_eq(memcmp(before, keyring_key(ring.keys, KEY_BLIND, 1), KEY_BYTES), 0);
    ring_drop(&ring);
}
END_TEST

START_TEST(test_keys_differ_and_unknown_versions_are_null)
{
    struct ring ring = ring_make();
    const unsigned char *kek = keyring_key(ring.keys, KEY_ENCRYPTION, 1);
    ck_assert_int_eq(keyring_version(ring.keys, KEY_ENCRYPTION), 1);
    ck_assert_int_ne(memcmp(kek, keyring_key(ring.keys, KEY_BLIND, 1), KEY_BYTES), 0);
    ck_assert_int_ne(memcmp(kek, keyring_key(ring.keys, KEY_MAC, 1), KEY_BYTES), 0);
    ck_assert_ptr_null(keyring_key(ring.keys, KEY_ENCRYPTION, 0));
    ck_assert_ptr_nonnull(keyring_key(ring.keys, KEY_ENCRYPTION, 2)); /* the next one waits */
    ck_assert_ptr_null(keyring_key(ring.keys, KEY_ENCRYPTION, 3));
    ck_assert_ptr_null(keyring_key(ring.keys, KEY_ENCRYPTION, 65535));
    ring_drop(&ring);
}
END_TEST

START_TEST(test_readable_by_others_is_refused)
{
    struct ring ring = ring_make();
    chmod(ring.folder, 0750);
    ck_assert(!opens(&ring));
    ck_assert(!keyring_init(ring.folder, error, sizeof error));
    ck_assert(!keyring_rotate(ring.folder, error, sizeof error));
    chmod(ring.folder, 0700);
    ck_assert(opens(&ring));
    chmod(in_folder(&ring, "kek-1"), 0640);
    ck_assert(!opens(&ring));
    ck_assert_ptr_nonnull(strstr(error, "kek-1"));
    ring_drop(&ring);
}
END_TEST

START_TEST(test_damaged_keys_are_refused_and_never_quoted)
{
    static const char *const damaged[] = {
        "",
        "\n",
        "00",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "abababababababababababababababababababababababababababababababag",
        "ababababababababababababababababababababababababababababababababab",
    };
    struct ring ring = ring_make();
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        write_file(in_folder(&ring, "kek-1"), damaged[i]);
        ck_assert(!opens(&ring));
        ck_assert_ptr_null(strstr(error, "abab"));
    }
    ring_drop(&ring);
}
END_TEST

/* RFC 7638, 3.2: the required members of a public EC key, sorted, without spaces. */
static void thumbprint_of(const json_t *jwk, char out[64])
{
    unsigned char digest[DIGEST_BYTES];
    json_t *required =
        json_pack("{s:O, s:O, s:O, s:O}", "kty", json_object_get(jwk, "kty"), "crv", json_object_get(jwk, "crv"), "x",
                  json_object_get(jwk, "x"), "y", json_object_get(jwk, "y"));
    char *text = json_dumps(required, JSON_COMPACT | JSON_SORT_KEYS);
    digest_sha256(text, strlen(text), digest);
    base64url_encode(digest, sizeof digest, out);
    free(text);
    json_decref(required);
}

START_TEST(test_signing_keys_are_whole_and_named_by_their_thumbprint)
{
    struct ring ring = ring_make();
    size_t count = 0;
    const struct signing_key *keys = keyring_signing(ring.keys, &count);
    ck_assert_uint_eq(count, 2);
    for (size_t i = 0; i < count; i++) {
        char thumbprint[64];
        json_t *jwk = json_loads(keys[i].jwk, JSON_REJECT_DUPLICATES, NULL);
        ck_assert_str_eq(json_string_value(json_object_get(jwk, "kid")), keys[i].kid);
        ck_assert_str_eq(json_string_value(json_object_get(jwk, "alg")), "ES256");
        ck_assert_uint_eq(strlen(keys[i].kid), 43);
        ck_assert_uint_eq(json_string_length(json_object_get(jwk, "x")), 43);
        ck_assert_uint_eq(json_string_length(json_object_get(jwk, "y")), 43);
        ck_assert_ptr_null(json_object_get(jwk, "d"));
        thumbprint_of(jwk, thumbprint);
        ck_assert_str_eq(thumbprint, keys[i].kid);
        ck_assert_ptr_nonnull(strstr(keys[i].public_pem, "BEGIN PUBLIC KEY"));
        ck_assert_ptr_null(strstr(keys[i].public_pem, "PRIVATE"));
        ck_assert_ptr_nonnull(strstr(keys[i].private_pem, "BEGIN PRIVATE KEY"));
        json_decref(jwk);
    }
    ring_drop(&ring);
}
END_TEST

START_TEST(test_other_texts_are_no_signing_key)
{
    struct signing_key key;
    ck_assert(!signing_read("", &key));
    ck_assert(!signing_read("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", &key));
    ck_assert_ptr_null(key.private_pem);
}
END_TEST

START_TEST(test_key_under_a_wrong_name_is_refused)
{
    struct ring ring = ring_make();
    size_t count;
    char from[160], to[160];
    snprintf(from, sizeof from, "%s/sign-%s.pem", ring.folder, keyring_signing(ring.keys, &count)[1].kid);
    snprintf(to, sizeof to, "%s/sign-%043d.pem", ring.folder, 0);
    ck_assert_int_eq(link(from, to), 0);
    ck_assert(!opens(&ring));
    ck_assert_ptr_nonnull(strstr(error, "thumbprint"));
    ring_drop(&ring);
}
END_TEST

static bool has_kid(const struct ring *ring, const char *kid)
{
    size_t count;
    const struct signing_key *keys = keyring_signing(ring->keys, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i].kid, kid) == 0) return true;
    return false;
}

START_TEST(test_rotation_keeps_what_is_in_use)
{
    struct ring ring = ring_make();
    size_t count;
    char first[64], second[64];
    unsigned char kek[KEY_BYTES];
    const struct signing_key *keys = keyring_signing(ring.keys, &count);
    snprintf(first, sizeof first, "%s", keys[0].kid);
    snprintf(second, sizeof second, "%s", keys[1].kid);
    memcpy(kek, keyring_key(ring.keys, KEY_ENCRYPTION, 1), KEY_BYTES);

    ck_assert_msg(keyring_rotate(ring.folder, error, sizeof error), "%s", error);
    ring_reopen(&ring);
    ck_assert_int_eq(keyring_version(ring.keys, KEY_ENCRYPTION), 2);
    ck_assert_int_eq(memcmp(kek, keyring_key(ring.keys, KEY_ENCRYPTION, 1), KEY_BYTES), 0);
    ck_assert_int_eq(keyring_version(ring.keys, KEY_BLIND), 1);
    ck_assert_str_eq(keyring_signing(ring.keys, &count)[0].kid, second); /* verifiers knew it already */
    ck_assert_uint_eq(count, 3);
    ck_assert(has_kid(&ring, first)); /* its tokens still verify */

    ck_assert_msg(keyring_rotate(ring.folder, error, sizeof error), "%s", error);
    ring_reopen(&ring);
    ck_assert(!has_kid(&ring, first));
    ck_assert(has_kid(&ring, second));
    keyring_signing(ring.keys, &count);
    ck_assert_uint_eq(count, 3);
    ring_drop(&ring);
}
END_TEST

static void rotate(const struct ring *ring)
{
    ck_assert_msg(keyring_rotate(ring->folder, error, sizeof error), "%s", error);
}

START_TEST(test_running_process_takes_what_a_rotation_made)
{
    struct ring ring = ring_make();
    size_t count;
    const struct signing_key *before = keyring_signing(ring.keys, &count);
    const unsigned char *kek = keyring_key(ring.keys, KEY_ENCRYPTION, 1);
    unsigned generation = keyring_generation(ring.keys);
    keyring_look(ring.keys);
    sleep(1); /* the folder is so young that it is read again then */
    keyring_look(ring.keys);
    ck_assert_uint_eq(keyring_generation(ring.keys), generation); /* nothing changed */
    rotate(&ring);
    ck_assert_int_eq(keyring_version(ring.keys, KEY_ENCRYPTION), 1); /* until it looks */
    keyring_look(ring.keys);
    ck_assert_int_eq(keyring_version(ring.keys, KEY_ENCRYPTION), 2);
    ck_assert_uint_eq(keyring_generation(ring.keys), generation + 1);
    const struct signing_key *after = keyring_signing(ring.keys, &count);
    ck_assert_str_eq(after[0].kid, before[1].kid); /* what was given out is still there to compare */
    ck_assert_int_eq(memcmp(kek, keyring_key(ring.keys, KEY_ENCRYPTION, 1), KEY_BYTES), 0);
    ring_drop(&ring);
}
END_TEST

START_TEST(test_unknown_names_are_looked_for_in_the_folder)
{
    struct ring ring = ring_make(), other = ring_make();
    size_t count;
    ck_assert_ptr_null(keyring_verifying(ring.keys, keyring_signing(other.keys, &count)[0].kid));
    rotate(&ring);
    ck_assert_ptr_nonnull(keyring_key(ring.keys, KEY_ENCRYPTION, 3));
    rotate(&ring);
    struct keyring *fresh = keyring_open(ring.folder, error, sizeof error);
    const char *kid = keyring_signing(fresh, &count)[1].kid;
    ck_assert_ptr_nonnull(keyring_verifying(ring.keys, kid));
    keyring_free(fresh);
    ring_drop(&ring);
    ring_drop(&other);
}
END_TEST

/* Two hosts whose copies of the folder differ by one rotation: each has what the other uses. */
START_TEST(test_every_key_is_known_a_rotation_before_it_is_used)
{
    struct ring ring = ring_make();
    for (int i = 0; i < 3; i++) {
        size_t count;
        struct keyring *late = keyring_open(ring.folder, error, sizeof error);
        char next[64];
        snprintf(next, sizeof next, "%s", keyring_signing(late, &count)[1].kid);
        int version = keyring_version(late, KEY_ENCRYPTION);
        ck_assert_ptr_nonnull(keyring_key(late, KEY_ENCRYPTION, version + 1));
        keyring_free(late);
        rotate(&ring);
        ring_reopen(&ring);
        ck_assert_str_eq(keyring_signing(ring.keys, &count)[0].kid, next);
        ck_assert_int_eq(keyring_version(ring.keys, KEY_ENCRYPTION), version + 1);
    }
    ring_drop(&ring);
}
END_TEST

START_TEST(test_unreadable_folder_leaves_the_keys_as_they_were)
{
    struct ring ring = ring_make();
    rotate(&ring);
    chmod(in_folder(&ring, "kek-2"), 0644);
    keyring_look(ring.keys);
    ck_assert_int_eq(keyring_version(ring.keys, KEY_ENCRYPTION), 1);
    chmod(in_folder(&ring, "kek-2"), 0600);
    write_file(in_folder(&ring, "kek-current"), "4"); /* half copied: kek-4 is still on its way */
    keyring_look(ring.keys);
    ck_assert_int_eq(keyring_version(ring.keys, KEY_ENCRYPTION), 1);
    write_file(in_folder(&ring, "kek-current"), "2");
    sleep(1); /* what it could not read, it tries again once a second */
    keyring_look(ring.keys);
    ck_assert_int_eq(keyring_version(ring.keys, KEY_ENCRYPTION), 2);
    ring_drop(&ring);
}
END_TEST

START_TEST(test_marks_that_are_no_version_are_refused)
{
    static const char *const marks[] = { "", "0", "1000", "-1", "1x", "01", "3" };
    struct ring ring = ring_make();
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        write_file(in_folder(&ring, "kek-current"), marks[i]);
        ck_assert_msg(!opens(&ring), "%s", marks[i]);
    }
    ring_drop(&ring);
}
END_TEST

/* From before there was a mark: the newest wraps, and init adds what is missing. */
START_TEST(test_folder_without_a_mark_is_completed)
{
    struct ring ring = ring_make();
    unlink(in_folder(&ring, "kek-current"));
    unlink(in_folder(&ring, "kek-2"));
    ring_reopen(&ring);
    ck_assert_int_eq(keyring_version(ring.keys, KEY_ENCRYPTION), 1);
    ck_assert(keyring_init(ring.folder, error, sizeof error));
    keyring_look(ring.keys);
    ck_assert_int_eq(keyring_version(ring.keys, KEY_ENCRYPTION), 1);
    ck_assert_ptr_nonnull(keyring_key(ring.keys, KEY_ENCRYPTION, 2));
    ring_drop(&ring);
}
END_TEST

START_TEST(test_rotation_that_was_cut_short_goes_on)
{
    struct ring ring = ring_make();
    size_t count;
    char first[64], second[64];
    const struct signing_key *keys = keyring_signing(ring.keys, &count);
    snprintf(first, sizeof first, "%s", keys[0].kid);
    snprintf(second, sizeof second, "%s", keys[1].kid);
    write_file(in_folder(&ring, "sign-current"), second); /* the next one was not made yet */
    ring_reopen(&ring);
    ck_assert_str_eq(keyring_signing(ring.keys, &count)[0].kid, second);
    rotate(&ring);
    ring_reopen(&ring);
    ck_assert_str_eq(keyring_signing(ring.keys, &count)[0].kid, second);
    ck_assert(has_kid(&ring, first));
    ck_assert_uint_eq(count, 2 + 1);
    ring_drop(&ring);
}
END_TEST

static void *rotate_once(void *context)
{
    char reason[256];
    return keyring_rotate(context, reason, sizeof reason) ? context : NULL;
}

START_TEST(test_rotations_at_one_time_come_one_after_the_other)
{
    enum { AT_ONCE = 4 };
    struct ring ring = ring_make();
    pthread_t threads[AT_ONCE];
    void *done;
    size_t count;
    for (int i = 0; i < AT_ONCE; i++) pthread_create(&threads[i], NULL, rotate_once, ring.folder);
    for (int i = 0; i < AT_ONCE; i++) {
        pthread_join(threads[i], &done);
        ck_assert_ptr_nonnull(done);
    }
    ring_reopen(&ring);
    ck_assert_int_eq(keyring_version(ring.keys, KEY_ENCRYPTION), 1 + AT_ONCE);
    keyring_signing(ring.keys, &count);
    ck_assert_uint_eq(count, 3);
    ring_drop(&ring);
}
END_TEST

struct reading {
    struct keyring *keys;
    atomic_bool stop;
    atomic_int faults;
    atomic_long rounds;
};

/* Whatever is given out is whole: a signing key that its own name finds, a version that has a key. */
static void *read_on(void *context)
{
    struct reading *reading = context;
    while (!atomic_load(&reading->stop)) {
        size_t count;
        const struct signing_key *keys = keyring_signing(reading->keys, &count);
        int version = keyring_version(reading->keys, KEY_ENCRYPTION);
        bool whole = count >= 2 && strlen(keys[0].kid) == 43 && strstr(keys[0].private_pem, "BEGIN PRIVATE KEY") &&
                     keyring_key(reading->keys, KEY_ENCRYPTION, version) &&
                     !keyring_verifying(reading->keys, "nobody-has-this-kid");
        if (!whole) atomic_fetch_add(&reading->faults, 1);
        atomic_fetch_add(&reading->rounds, 1);
    }
    return NULL;
}

START_TEST(test_threads_read_while_keys_are_rotated)
{
    enum { READERS = 4, ROTATIONS = 20 };
    struct ring ring = ring_make();
    struct reading reading = { .keys = ring.keys };
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++) pthread_create(&threads[i], NULL, read_on, &reading);
    for (int i = 0; i < ROTATIONS; i++) {
        rotate(&ring);
        keyring_look(ring.keys);
    }
    atomic_store(&reading.stop, true);
    for (int i = 0; i < READERS; i++) pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&reading.faults), 0);
    ck_assert_int_gt(atomic_load(&reading.rounds), ROTATIONS);
    ck_assert_int_eq(keyring_version(ring.keys, KEY_ENCRYPTION), 1 + ROTATIONS);
    ring_drop(&ring);
}
END_TEST

START_TEST(test_missing_folder_says_so)
{
    ck_assert_ptr_null(keyring_open("/nonexistent/keys", error, sizeof error));
    ck_assert_ptr_nonnull(strstr(error, "/nonexistent/keys"));
    ck_assert(!keyring_init("/nonexistent/keys", error, sizeof error));
    keyring_free(NULL);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("keyring");
    tcase_add_test(tests, test_init_makes_what_lacks_and_replaces_nothing);
    tcase_add_test(tests, test_keys_differ_and_unknown_versions_are_null);
    tcase_add_test(tests, test_readable_by_others_is_refused);
    tcase_add_test(tests, test_damaged_keys_are_refused_and_never_quoted);
    tcase_add_test(tests, test_signing_keys_are_whole_and_named_by_their_thumbprint);
    tcase_add_test(tests, test_other_texts_are_no_signing_key);
    tcase_add_test(tests, test_key_under_a_wrong_name_is_refused);
    tcase_add_test(tests, test_rotation_keeps_what_is_in_use);
    tcase_add_test(tests, test_running_process_takes_what_a_rotation_made);
    tcase_add_test(tests, test_unknown_names_are_looked_for_in_the_folder);
    tcase_add_test(tests, test_every_key_is_known_a_rotation_before_it_is_used);
    tcase_add_test(tests, test_unreadable_folder_leaves_the_keys_as_they_were);
    tcase_add_test(tests, test_marks_that_are_no_version_are_refused);
    tcase_add_test(tests, test_folder_without_a_mark_is_completed);
    tcase_add_test(tests, test_rotation_that_was_cut_short_goes_on);
    tcase_add_test(tests, test_rotations_at_one_time_come_one_after_the_other);
    tcase_add_test(tests, test_threads_read_while_keys_are_rotated);
    tcase_add_test(tests, test_missing_folder_says_so);
    tcase_set_timeout(tests, 60);
    return ring_run("keyring", tests);
}
