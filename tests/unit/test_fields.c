/* fields: of each record what was asked for and its id, from any JSON that a record may hold; nothing else changes. */
#include "utvag/fields.h"

#include <check.h>
#include <string.h>

#include "utvag/contract.h"

static struct arena *arena;
static struct request rq;
static struct response rs;
static struct pair query[] = { { "fields", NULL }, { NULL, NULL } };

static const struct schema text = { .types = SCHEMA_STRING };
static const struct schema_property base[] = { { .name = "id", .schema = &text }, { .name = "name", .schema = &text } };
static const struct schema_property more[] = { { .name = "age", .schema = &text } };
static const struct schema branch = { .properties = more, .property_count = 1 };
static const struct schema *const branches[] = { &branch };
static const struct schema record = { .properties = base, .property_count = 2, .one_of = branches, .one_of_count = 1 };
static const struct contract_operation one = { .record = &record };
static const struct contract_operation many = { .record = &record, .list = "people" };

static void setup(void)
{
    arena = arena_new(1 << 20);
    rq = (struct request){ .arena = arena, .contract = &one, .query = query };
}

static void teardown(void) { arena_free(arena); }

static void gives(const char *fields, const char *body, const char *expected)
{
    query[0].value = fields;
    rs = (struct response){ .status = 200, .body = body, .length = strlen(body), .etag = "\"3.00000000\"" };
    ck_assert_int_eq(fields_select(&rq, &rs).status, 0);
    ck_assert_msg(rs.length == strlen(expected) && memcmp(rs.body, expected, rs.length) == 0, "%s of %s: %.*s", fields,
                  body, (int)rs.length, rs.body);
}

START_TEST(test_a_record_keeps_what_is_named_and_its_id)
{
    static const char body[] = "{\"id\":\"1\",\"name\":\"a\",\"age\":3,\"x\":{\"name\":1}}";
    gives("name", body, "{\"id\":\"1\",\"name\":\"a\"}");
    gives("x,age", body, "{\"id\":\"1\",\"age\":3,\"x\":{\"name\":1}}");
    gives("gone", body, "{\"id\":\"1\"}");
    gives("nam", body, "{\"id\":\"1\"}");
    gives("name", "{}", "{}");
    gives("name", "{\"age\":3}", "{}");
}
END_TEST

START_TEST(test_any_json_is_passed_over)
{
    gives("b", "{\"a\":\"},{\\\"b\\\":1\",\"b\":2}", "{\"b\":2}");
    gives("b", "{\"a\":\"\\\\\",\"b\":[1,{\"c\":\"]\"},[]],\"d\":null}", "{\"b\":[1,{\"c\":\"]\"},[]]}");
    gives("b", "{\"a\":[[{}],{}],\"b\":\"å\\u00e5\"}", "{\"b\":\"å\\u00e5\"}");
    gives("a", "{\"a\":-1.5e3,\"b\":true}", "{\"a\":-1.5e3}");
}
END_TEST

START_TEST(test_a_list_keeps_what_stands_beside_its_records)
{
    rq.contract = &many;
    gives("name",
          "{\"people\":[{\"id\":\"1\",\"name\":\"a\",\"age\":3},{\"id\":\"2\",\"age\":4}],\"_meta\":{\"limit\":2}}",
          "{\"people\":[{\"id\":\"1\",\"name\":\"a\"},{\"id\":\"2\"}],\"_meta\":{\"limit\":2}}");
    gives("name", "{\"people\":[],\"_meta\":{},\"_links\":{}}", "{\"people\":[],\"_meta\":{},\"_links\":{}}");
    gives("name", "{\"_meta\":{},\"people\":[{}]}", "{\"_meta\":{},\"people\":[{}]}");
}
END_TEST

START_TEST(test_the_tag_is_of_what_is_sent)
{
    static const char body[] = "{\"id\":\"1\",\"name\":\"a\",\"age\":3}";
    gives("name", body, "{\"id\":\"1\",\"name\":\"a\"}");
    const char *tag = rs.etag;
    ck_assert_int_eq(strncmp(tag, "\"3.", 3), 0);
    ck_assert_uint_eq(strlen(tag), strlen("\"3.00000000\""));
    gives("age", body, "{\"id\":\"1\",\"age\":3}");
    ck_assert_str_ne(rs.etag, tag);
    query[0].value = NULL;
    rs = (struct response){ .status = 200, .body = body, .length = strlen(body), .etag = "\"3.00000000\"" };
    ck_assert_int_eq(fields_select(&rq, &rs).status, 0);
    ck_assert(rs.body == body);
    ck_assert_str_eq(rs.etag, "\"3.00000000\"");
}
END_TEST

START_TEST(test_what_no_record_has_is_refused)
{
    static const struct {
        const char *fields;
        int status;
    } cases[] = { { "id", 0 }, { "name,age", 0 }, { "nam", 400 }, { "name,names", 400 }, { "name,ID", 400 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        query[0].value = cases[i].fields;
        struct problem refused = fields_check(&rq);
        ck_assert_int_eq(refused.status, cases[i].status);
        if (!refused.status) continue;
        ck_assert_str_eq(refused.code, "parameters_invalid");
        ck_assert_str_eq(refused.errors[0].code, "field_unknown");
        ck_assert_str_eq(refused.errors[0].parameter, "fields");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fields");
    TCase *tests = tcase_create("fields");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_record_keeps_what_is_named_and_its_id);
    tcase_add_test(tests, test_any_json_is_passed_over);
    tcase_add_test(tests, test_a_list_keeps_what_stands_beside_its_records);
    tcase_add_test(tests, test_the_tag_is_of_what_is_sent);
    tcase_add_test(tests, test_what_no_record_has_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
