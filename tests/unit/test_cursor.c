/* A cursor goes on from its own page, and nothing else is taken for one. */
#include "utvag/cursor.h"

#include "tests/unit/ring.h"

#define ID "5f0c3d1e-7a41-4c2b-9d3e-0a1b2c3d4e5f"
static const char scope[] = "listApplicants|-created_at|status=open";
static const char sort_key[] = "2026-11-24T08:15:30.123456+00:00";

static struct ring ring;
static struct service service;
static struct request rq;
static const char *key, *id;

static void set_up(void)
{
    ring = ring_make();
    service.keyring = ring.keys;
    rq = (struct request){ .arena = arena_new(1 << 20), .service = &service };
}

static void tear_down(void)
{
    arena_free(rq.arena);
    ring_drop(&ring);
}

static void refuse(const char *under, const char *text)
{
    struct problem problem = cursor_read(&rq, under, text, &key, &id);
    ck_assert_int_eq(problem.status, 400);
    ck_assert_str_eq(problem.code, "cursor_invalid");
    ck_assert_uint_eq(problem.error_count, 1);
    ck_assert_str_eq(problem.errors[0].parameter, "cursor");
}

START_TEST(test_reads_what_was_made)
{
    const char *text = cursor_make(&rq, scope, sort_key, ID);
    ck_assert_int_eq(cursor_read(&rq, scope, text, &key, &id).status, 0);
    ck_assert_str_eq(key, sort_key);
    ck_assert_str_eq(id, ID);
    ck_assert_uint_eq(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), strlen(text));
    ck_assert_str_eq(text, cursor_make(&rq, scope, sort_key, ID)); /* one page, one ETag */
}
END_TEST

START_TEST(test_empty_key_and_id)
{
    ck_assert_int_eq(cursor_read(&rq, "", cursor_make(&rq, "", "", ""), &key, &id).status, 0);
    ck_assert_str_eq(key, "");
    ck_assert_str_eq(id, "");
}
END_TEST

START_TEST(test_other_scope_is_refused)
{
    const char *text = cursor_make(&rq, scope, sort_key, ID);
    refuse("listApplicants|created_at|status=open", text);
    refuse("", text);
    refuse(scope, cursor_make(&rq, "", scope, "x"));
}
END_TEST

START_TEST(test_each_altered_character_is_refused)
{
    const char *text = cursor_make(&rq, scope, sort_key, ID);
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        char *altered = arena_copy(rq.arena, text, length);
        altered[i] = altered[i] == 'A' ? 'B' : 'A';
        refuse(scope, altered);
    }
    for (size_t cut = 0; cut < length; cut++) refuse(scope, arena_copy(rq.arena, text, cut));
    refuse(scope, arena_text(rq.arena, "%sA", text));
    refuse(scope, arena_text(rq.arena, "%s=", text));
}
END_TEST

START_TEST(test_other_texts_are_refused)
{
    char large[5000];
    memset(large, 'A', sizeof large);
    large[sizeof large - 1] = '\0';
    refuse(scope, "");
    refuse(scope, "AAAA");
    refuse(scope, "åäö");
    refuse(scope, large);
}
END_TEST

START_TEST(test_another_ring_is_refused)
{
    struct ring stranger = ring_make();
    const char *text = cursor_make(&rq, scope, sort_key, ID);
    service.keyring = stranger.keys;
    refuse(scope, text);
    ring_drop(&stranger);
}
END_TEST

START_TEST(test_full_arena_makes_none)
{
    struct request small = { .arena = arena_new(64), .service = &service };
    ck_assert_ptr_null(cursor_make(&small, scope, sort_key, ID));
    arena_free(small.arena);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("cursor");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_reads_what_was_made);
    tcase_add_test(tests, test_empty_key_and_id);
    tcase_add_test(tests, test_other_scope_is_refused);
    tcase_add_test(tests, test_each_altered_character_is_refused);
    tcase_add_test(tests, test_other_texts_are_refused);
    tcase_add_test(tests, test_another_ring_is_refused);
    tcase_add_test(tests, test_full_arena_makes_none);
    return ring_run("cursor", tests);
}
