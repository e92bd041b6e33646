/* Sealed texts open where they were sealed, whole, and nowhere else. */
#include "utvag/seal.h"

#include <pthread.h>

#include "tests/unit/ring.h"

#define RECORD "5f0c3d1e-7a41-4c2b-9d3e-0a1b2c3d4e5f"
static const struct seal_place place = { "persons", "sealed", RECORD };
static const char text[] = "{\"given_name\":\"Ada\"}";
enum { TEXT = sizeof text - 1, SEALED = TEXT + SEAL_OVERHEAD };

static struct ring ring;
static unsigned char key[KEY_BYTES], wrapped[SEAL_WRAPPED], sealed[SEALED];

static void set_up(void)
{
    ring = ring_make();
    ck_assert(seal_make_key(ring.keys, RECORD, key, wrapped));
    ck_assert(seal_close(key, &place, text, TEXT, sealed));
}

static void tear_down(void) { ring_drop(&ring); }

static bool opens(const struct seal_place *at, const unsigned char *bytes, size_t length)
{
    unsigned char out[SEALED];
    memset(out, 0x5a, sizeof out);
    if (seal_open(key, at, bytes, length, out)) return true;
    for (size_t i = 0; length > SEAL_OVERHEAD && i < length - SEAL_OVERHEAD; i++)
        ck_assert_msg(out[i] == 0 || out[i] == 0x5a, "what failed to open must not be left behind");
    return false;
}

START_TEST(test_opens_where_it_was_sealed)
{
    unsigned char again[KEY_BYTES], out[TEXT];
    ck_assert(seal_unwrap(ring.keys, RECORD, wrapped, sizeof wrapped, again));
    ck_assert_int_eq(memcmp(again, key, KEY_BYTES), 0);
    ck_assert(seal_open(again, &place, sealed, SEALED, out));
    ck_assert_int_eq(memcmp(out, text, TEXT), 0);
    ck_assert_ptr_null(memmem(sealed, SEALED, "Ada", 3));
}
END_TEST

START_TEST(test_empty_text)
{
    unsigned char out[1], none[SEAL_OVERHEAD];
    ck_assert(seal_close(key, &place, "", 0, none));
    ck_assert(seal_open(key, &place, none, sizeof none, out));
    none[20] ^= 1;
    ck_assert(!seal_open(key, &place, none, sizeof none, out));
}
END_TEST

START_TEST(test_each_flipped_bit_is_noticed)
{
    for (size_t i = 0; i < SEALED * 8; i++) {
        unsigned char altered[SEALED];
        memcpy(altered, sealed, SEALED);
        altered[i / 8] ^= (unsigned char)(1 << i % 8);
        ck_assert_msg(!opens(&place, altered, SEALED), "bit %zu", i);
    }
    ck_assert(opens(&place, sealed, SEALED));
}
END_TEST

START_TEST(test_each_flipped_bit_of_a_wrapped_key_is_noticed)
{
    unsigned char out[KEY_BYTES];
    for (size_t i = 0; i < SEAL_WRAPPED * 8; i++) {
        unsigned char altered[SEAL_WRAPPED];
        memcpy(altered, wrapped, SEAL_WRAPPED);
        altered[i / 8] ^= (unsigned char)(1 << i % 8);
        ck_assert_msg(!seal_unwrap(ring.keys, RECORD, altered, sizeof altered, out), "bit %zu", i);
    }
}
END_TEST

START_TEST(test_other_places_are_refused)
{
    static const struct seal_place others[] = {
        { "persons", "sealed_place", RECORD },
        { "contacts", "sealed", RECORD },
        { "persons", "sealed", "5f0c3d1e-7a41-4c2b-9d3e-0a1b2c3d4e50" },
        { "personss", "ealed", RECORD }, /* the same letters, divided elsewhere */
        { "persons", "", "sealed" RECORD },
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) ck_assert(!opens(&others[i], sealed, SEALED));
}
END_TEST

START_TEST(test_wrapped_key_of_another_record_is_refused)
{
    unsigned char out[KEY_BYTES];
    ck_assert(!seal_unwrap(ring.keys, "5f0c3d1e-7a41-4c2b-9d3e-0a1b2c3d4e50", wrapped, sizeof wrapped, out));
    ck_assert(!seal_unwrap(ring.keys, RECORD, wrapped, sizeof wrapped - 1, out));
    ck_assert(!seal_unwrap(ring.keys, RECORD, wrapped, 0, out));
}
END_TEST

START_TEST(test_cut_texts_are_refused)
{
    for (size_t length = 0; length < SEALED; length++) ck_assert(!opens(&place, sealed, length));
}
END_TEST

START_TEST(test_same_text_never_looks_the_same)
{
    unsigned char again[SEALED];
    ck_assert(seal_close(key, &place, text, TEXT, again));
    ck_assert_int_ne(memcmp(again, sealed, SEALED), 0);
}
END_TEST

START_TEST(test_a_place_too_long_is_refused)
{
    char column[300];
    memset(column, 'c', sizeof column);
    column[sizeof column - 1] = '\0';
    struct seal_place far = { "persons", column, RECORD };
    unsigned char out[SEALED];
    ck_assert(!seal_close(key, &far, text, TEXT, out));
}
END_TEST

START_TEST(test_rotation_rewraps_and_sealed_texts_stay)
{
    unsigned char out[TEXT], again[KEY_BYTES], newer[SEAL_WRAPPED];
    char error[256];
    ck_assert(keyring_rotate(ring.folder, error, sizeof error));
    ring_reopen(&ring);
    ck_assert(seal_unwrap(ring.keys, RECORD, wrapped, sizeof wrapped, again)); /* the old version still opens */
    ck_assert(seal_rewrap(ring.keys, RECORD, wrapped, sizeof wrapped, newer));
    ck_assert_int_eq(newer[1], 2);
    ck_assert(seal_unwrap(ring.keys, RECORD, newer, sizeof newer, again));
    ck_assert(seal_open(again, &place, sealed, SEALED, out));
    ck_assert(!seal_rewrap(ring.keys, "another", wrapped, sizeof wrapped, newer));
}
END_TEST

START_TEST(test_another_ring_opens_nothing)
{
    struct ring other = ring_make();
    unsigned char out[KEY_BYTES];
    ck_assert(!seal_unwrap(other.keys, RECORD, wrapped, sizeof wrapped, out));
    ring_drop(&other);
}
END_TEST

static void *open_many(void *unused)
{
    unsigned char again[KEY_BYTES], out[TEXT];
    size_t opened = 0;
    (void)unused;
    for (int i = 0; i < 500; i++)
        opened += seal_unwrap(ring.keys, RECORD, wrapped, sizeof wrapped, again) &&
                  seal_open(again, &place, sealed, SEALED, out);
    return (void *)opened;
}

START_TEST(test_threads_do_not_disturb_each_other)
{
    pthread_t threads[4];
    void *opened = NULL;
    for (size_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, open_many, NULL);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], &opened);
        ck_assert_uint_eq((size_t)opened, 500);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("seal");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_opens_where_it_was_sealed);
    tcase_add_test(tests, test_empty_text);
    tcase_add_test(tests, test_each_flipped_bit_is_noticed);
    tcase_add_test(tests, test_each_flipped_bit_of_a_wrapped_key_is_noticed);
    tcase_add_test(tests, test_other_places_are_refused);
    tcase_add_test(tests, test_wrapped_key_of_another_record_is_refused);
    tcase_add_test(tests, test_cut_texts_are_refused);
    tcase_add_test(tests, test_same_text_never_looks_the_same);
    tcase_add_test(tests, test_a_place_too_long_is_refused);
    tcase_add_test(tests, test_rotation_rewraps_and_sealed_texts_stay);
    tcase_add_test(tests, test_another_ring_opens_nothing);
    tcase_add_test(tests, test_threads_do_not_disturb_each_other);
    return ring_run("seal", tests);
}
