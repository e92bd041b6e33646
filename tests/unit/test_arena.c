/* Memory of a request: zeroed, bounded, and gone when the answer is. */
#include "utvag/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "tests/unit/ring.h"

static bool all_zero(const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i]) return false;
    return true;
}

START_TEST(test_pieces_are_zeroed_and_aligned)
{
    struct arena *arena = arena_new(1 << 20);
    for (size_t size = 0; size < 200; size++) {
        unsigned char *piece = arena_alloc(arena, size);
        ck_assert_ptr_nonnull(piece);
        ck_assert_uint_eq((uintptr_t)piece % _Alignof(max_align_t), 0);
        ck_assert(all_zero(piece, size));
        memset(piece, 0xab, size);
    }
    arena_free(arena);
}
END_TEST

START_TEST(test_ceiling_holds_and_reset_lifts_it)
{
    struct arena *arena = arena_new(4096);
    ck_assert_ptr_null(arena_alloc(arena, 4097));
    ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX));
    ck_assert_ptr_null(arena_copy(arena, "", SIZE_MAX));
    ck_assert_ptr_nonnull(arena_alloc(arena, 4096));
    ck_assert_ptr_null(arena_alloc(arena, 1));
    ck_assert_ptr_null(arena_alloc(arena, 0));
    arena_reset(arena);
    ck_assert_ptr_nonnull(arena_alloc(arena, 4096));
    arena_free(arena);
}
END_TEST

START_TEST(test_small_pieces_count_whole)
{
    struct arena *arena = arena_new(1024);
    size_t given = 0;
    while (arena_alloc(arena, 1)) given++;
    ck_assert_uint_le(given, 1024 / _Alignof(max_align_t));
    arena_free(arena);
}
END_TEST

START_TEST(test_pieces_larger_than_a_block_and_many_blocks)
{
    struct arena *arena = arena_new(8 << 20);
    unsigned char *large = arena_alloc(arena, 1 << 20);
    ck_assert_ptr_nonnull(large);
    memset(large, 1, 1 << 20);
    for (int i = 0; i < 100; i++) {
        unsigned char *piece = arena_alloc(arena, 40000);
        ck_assert_ptr_nonnull(piece);
        memset(piece, i, 40000);
    }
    ck_assert_int_eq(large[(1 << 20) - 1], 1);
    arena_reset(arena);
    ck_assert(all_zero(arena_alloc(arena, 60000), 60000));
    arena_free(arena);
}
END_TEST

START_TEST(test_nothing_of_the_last_request_is_left)
{
    struct arena *arena = arena_new(1 << 20);
    char *secret = arena_copy(arena, "198001012384", 12);
    ck_assert_str_eq(secret, "198001012384");
    arena_reset(arena);
    char *again = arena_alloc(arena, 13);
    ck_assert_ptr_eq(again, secret); /* the same bytes, handed out anew */
    ck_assert(all_zero((unsigned char *)again, 13));
    arena_free(arena);
}
END_TEST

#ifdef __SANITIZE_ADDRESS__
START_TEST(test_sanitizer_sees_what_is_not_handed_out)
{
    struct arena *arena = arena_new(1 << 20);
    char *piece = arena_alloc(arena, 24);
    ck_assert(!__asan_address_is_poisoned(piece + 23));
    ck_assert(__asan_address_is_poisoned(piece + 24));
    arena_reset(arena);
    ck_assert(__asan_address_is_poisoned(piece));
    arena_free(arena);
}
END_TEST
#endif

START_TEST(test_text_is_formatted)
{
    struct arena *arena = arena_new(256);
    ck_assert_str_eq(arena_text(arena, "%s-%d", "å", 7), "å-7");
    ck_assert_str_eq(arena_text(arena, "%s", ""), "");
    ck_assert_str_eq(arena_copy(arena, NULL, 0), "");
    ck_assert_ptr_null(arena_text(arena, "%300s", "x"));
    arena_free(arena);
    arena_free(NULL);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("arena");
    tcase_add_test(tests, test_pieces_are_zeroed_and_aligned);
    tcase_add_test(tests, test_ceiling_holds_and_reset_lifts_it);
    tcase_add_test(tests, test_small_pieces_count_whole);
    tcase_add_test(tests, test_pieces_larger_than_a_block_and_many_blocks);
    tcase_add_test(tests, test_nothing_of_the_last_request_is_left);
#ifdef __SANITIZE_ADDRESS__
    tcase_add_test(tests, test_sanitizer_sees_what_is_not_handed_out);
#endif
    tcase_add_test(tests, test_text_is_formatted);
    return ring_run("arena", tests);
}
