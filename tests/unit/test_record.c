/* Records: sealed members leave a body, and come back where their marker stands. */
#include "utvag/record.h"

#include "tests/unit/ring.h"

static const char contract_text[] =
    "{\"record\":{\"type\":\"object\",\"additionalProperties\":false,\"x-record\":\"persons\",\"properties\":{"
    "\"id\":{\"type\":\"string\",\"readOnly\":true},\"kind\":{\"type\":\"string\"},"
    "\"name\":{\"type\":[\"string\",\"null\"],\"x-sealed\":true,\"x-blind\":\"name_birth_date\"},"
    "\"born\":{\"type\":[\"string\",\"null\"],\"format\":\"date\",\"x-sealed\":true,\"x-blind\":\"name_birth_date\"},"
    "\"contact\":{\"type\":[\"object\",\"null\"],\"x-sealed\":true,\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"string\"}}},"
    "\"city\":{\"type\":[\"string\",\"null\"],\"x-sealed\":\"sealed_place\"},"
    "\"numbers\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"x-record\":\"identifiers\",\"properties\":{"
    "\"number\":{\"type\":\"string\",\"x-sealed\":true,\"x-blind\":\"identity_number\"}}}}}}}";

static struct ring ring;
static struct arena *arena;
static struct service service;
static struct contract_operation operation = { .id = "updatePerson" };
static struct request rq;
static json_t *contract;
static struct schema_set *set;
static const struct schema *schema;
static const struct pair path[] = { { "id", "8c0e6a52-93b4-4f0b-8f63-3ab5a7f3f6d0" }, { NULL, NULL } };

static void setup(void)
{
    char error[256] = "";
    ring = ring_make();
    arena = arena_new(1 << 20);
    service = (struct service){ .keyring = ring.keys };
    rq = (struct request){ .arena = arena,
                           .service = &service,
                           .contract = &operation,
                           .path_values = path,
                           .caller = { .known = true, .role = ROLE_PARTNER } };
    contract = json_loads(contract_text, 0, NULL);
    set = schema_set_new(contract);
    schema = schema_compile(set, json_object_get(contract, "record"), "/record", error, sizeof error);
    ck_assert_msg(schema != NULL, "%s", error);
}

static void teardown(void)
{
    schema_set_free(set);
    json_decref(contract);
    arena_free(arena);
    ring_drop(&ring);
}

static json_t *sealed(const char *text)
{
    json_t *body = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(body);
    ck_assert_int_eq(record_seal(&rq, body, schema).status, 0);
    return body;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* What a view makes of a stored row: members before it, the marker, members after it. */
static const char *stored(const json_t *row, const char *column, const char *before, const char *after)
{
    return arena_text(arena, "{%s\"$seal\" : \"persons/%s/%s/%s/%s\"%s}", before, text_of(row, "id"), column,
                      text_of(row, "data_key") + 2, text_of(row, column) + 2, after);
}

static const char *opened(const char *body)
{
    const char *out;
    size_t length;
    struct problem stop = record_open(&rq, body, strlen(body), &out, &length);
    ck_assert_int_eq(stop.status, 0);
    ck_assert_uint_eq(length, strlen(out));
    return out;
}

START_TEST(test_sealed_members_leave_the_body)
{
    json_t *row = sealed("{\"kind\":\"child\",\"name\":\"Elira\",\"city\":\"Umeå\"}");
    char *text = json_dumps(row, 0);
    ck_assert_ptr_null(strstr(text, "Elira"));
    ck_assert_ptr_null(strstr(text, "Ume"));
    ck_assert_str_eq(text_of(row, "kind"), "child");
    ck_assert(uuid_valid(text_of(row, "id")));
    ck_assert_ptr_nonnull(json_object_get(row, "sealed"));
    ck_assert_ptr_nonnull(json_object_get(row, "sealed_place"));
    free(text);
    json_decref(row);
}
END_TEST

START_TEST(test_opening_puts_members_where_the_marker_was)
{
    json_t *row = sealed("{\"name\":\"Elira \\\"$seal\\\" Hoxha\"}");
    ck_assert_str_eq(opened(stored(row, "sealed", "\"id\" : 1, ", "")),
                     "{\"id\":1,\"name\":\"Elira \\\"$seal\\\" Hoxha\"}");
    ck_assert_str_eq(opened(stored(row, "sealed", "", ", \"id\" : 1")),
                     "{\"name\":\"Elira \\\"$seal\\\" Hoxha\",\"id\":1}");
    json_decref(row);
}
END_TEST

START_TEST(test_a_marker_without_key_leaves_no_comma)
{
    ck_assert_str_eq(opened("{\"id\" : 1, \"$seal\" : null}"), "{\"id\":1}");
    ck_assert_str_eq(opened("{\"$seal\" : null, \"id\" : 1}"), "{\"id\":1}");
    ck_assert_str_eq(opened("{\"$seal\":null}"), "{}");
    ck_assert_str_eq(opened("{\"a\" : 1, \"$seal\" : null, \"$seal\" : null, \"b\" : 2}"), "{\"a\":1,\"b\":2}");
}
END_TEST

START_TEST(test_text_that_looks_like_a_marker_is_left_alone)
{
    const char *body = "{\"note\":\"\\\"$seal\\\":null  \\\\\",\"word\":\"$seal\",\"x\":1}";
    ck_assert_str_eq(opened(body), body);
}
END_TEST

START_TEST(test_a_seal_moved_to_another_row_does_not_open)
{
    json_t *row = sealed("{\"name\":\"Elira\"}");
    const char *out;
    size_t length;
    char *body = arena_text(arena, "%s", stored(row, "sealed", "", ""));
    char *id = strstr(body, text_of(row, "id"));
    memcpy(id, path[0].value, 36);
    ck_assert_int_eq(record_open(&rq, body, strlen(body), &out, &length).status, 500);
    json_decref(row);
}
END_TEST

START_TEST(test_an_auditor_opens_no_seal)
{
    json_t *row = sealed("{\"name\":\"Elira\"}");
    rq.caller.role = ROLE_AUDITOR;
    ck_assert_str_eq(opened(stored(row, "sealed", "\"id\" : 1, ", "")), "{\"id\":1}");
    json_decref(row);
}
END_TEST

START_TEST(test_the_fund_opens_seals_only_where_the_contract_says_so)
{
    static const struct contract_operation opening = { .id = "readPayment", .opens = 1u << ROLE_FUND_MANAGER };
    json_t *row = sealed("{\"name\":\"Elira\"}");
    rq.caller.role = ROLE_FUND_MANAGER;
    ck_assert_str_eq(opened(stored(row, "sealed", "\"id\" : 1, ", "")), "{\"id\":1}");
    rq.contract = &opening;
    ck_assert_str_eq(opened(stored(row, "sealed", "\"id\" : 1, ", "")), "{\"id\":1,\"name\":\"Elira\"}");
    rq.caller.role = ROLE_AUDITOR;
    ck_assert_str_eq(opened(stored(row, "sealed", "\"id\" : 1, ", "")), "{\"id\":1}");
    json_decref(row);
}
END_TEST

START_TEST(test_nested_records_have_keys_of_their_own)
{
    json_t *row = sealed("{\"numbers\":[{\"number\":\"198112189876\"},{\"number\":\"197010632391\"}]}");
    json_t *one = json_array_get(json_object_get(row, "numbers"), 0),
           *two = json_array_get(json_object_get(row, "numbers"), 1);
    ck_assert_str_ne(text_of(one, "data_key"), text_of(two, "data_key"));
    ck_assert_ptr_null(json_object_get(one, "number"));
    ck_assert_uint_eq(json_array_size(json_object_get(one, "blind")), 1);
    json_decref(row);
}
END_TEST

START_TEST(test_names_are_indexed_only_with_the_birth_date)
{
    json_t *alone = sealed("{\"name\":\"Elira Hoxha\"}"),
           *both = sealed("{\"name\":\"Elira Hoxha\",\"born\":\"2015-02-18\"}");
    ck_assert_uint_eq(json_array_size(json_object_get(alone, "blind")), 0);
    ck_assert_uint_eq(json_array_size(json_object_get(both, "blind")), 2);
    json_decref(alone);
    json_decref(both);
}
END_TEST

static struct problem merge(json_t *patch, const char *text)
{
    json_t *current = json_loads(opened(text), 0, NULL);
    struct problem stop = record_merge(&rq, patch, schema, current, text);
    json_decref(current);
    return stop;
}

/* The record of the path, with the members of text sealed. */
static json_t *record_of_path(const char *text)
{
    json_t *patch = json_loads(text, 0, NULL);
    ck_assert_int_eq(merge(patch, "{\"kind\" : \"child\"}").status, 0);
    return patch;
}

START_TEST(test_merge_keeps_what_the_patch_does_not_name)
{
    json_t *row = record_of_path("{\"name\":\"Elira\",\"contact\":{\"a\":\"1\",\"b\":\"2\"}}");
    const char *body = stored(row, "sealed", "\"id\" : \"x\", ", "");
    json_t *patch = json_loads("{\"born\":\"2015-02-18\",\"contact\":{\"a\":null}}", 0, NULL);
    ck_assert_int_eq(merge(patch, body).status, 0);
    ck_assert_ptr_null(json_object_get(patch, "born"));
    ck_assert_ptr_null(json_object_get(patch, "data_key")); /* the record's own was used again */
    json_object_set(patch, "data_key", json_object_get(row, "data_key"));
    ck_assert_str_eq(opened(stored(patch, "sealed", "", "")),
                     "{\"name\":\"Elira\",\"born\":\"2015-02-18\",\"contact\":{\"b\":\"2\"}}");
    ck_assert_uint_eq(json_array_size(json_object_get(patch, "blind")), 1);
    json_decref(patch);
    json_decref(row);
}
END_TEST

START_TEST(test_merge_removes_what_is_null)
{
    json_t *row = record_of_path("{\"name\":\"Elira\"}");
    json_t *patch = json_loads("{\"name\":null}", 0, NULL);
    ck_assert_int_eq(merge(patch, stored(row, "sealed", "", "")).status, 0);
    json_object_set(patch, "data_key", json_object_get(row, "data_key"));
    ck_assert_str_eq(opened(stored(patch, "sealed", "\"id\" : 1, ", "")), "{\"id\":1}");
    json_decref(patch);
    json_decref(row);
}
END_TEST

START_TEST(test_merge_refuses_a_changed_read_only_member)
{
    json_t *same = json_loads("{\"id\":\"x\",\"kind\":\"y\"}", 0, NULL), *other = json_loads("{\"id\":\"z\"}", 0, NULL);
    ck_assert_int_eq(merge(same, "{\"id\" : \"x\"}").status, 0);
    struct problem stop = merge(other, "{\"id\" : \"x\"}");
    ck_assert_int_eq(stop.status, 422);
    ck_assert_str_eq(stop.errors[0].pointer, "/id");
    ck_assert_str_eq(stop.errors[0].code, "read_only");
    json_decref(same);
    json_decref(other);
}
END_TEST

START_TEST(test_a_search_keeps_tokens_only)
{
    json_t *body = json_loads("{\"name\":\"Elira\",\"born\":\"2015-02-18\"}", 0, NULL);
    ck_assert_int_eq(record_blind(&rq, body, schema).status, 0);
    ck_assert_ptr_null(json_object_get(body, "name"));
    ck_assert_uint_eq(json_array_size(json_object_get(body, "blind")), 1);
    json_decref(body);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("record");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_sealed_members_leave_the_body);
    tcase_add_test(tests, test_opening_puts_members_where_the_marker_was);
    tcase_add_test(tests, test_a_marker_without_key_leaves_no_comma);
    tcase_add_test(tests, test_text_that_looks_like_a_marker_is_left_alone);
    tcase_add_test(tests, test_a_seal_moved_to_another_row_does_not_open);
    tcase_add_test(tests, test_an_auditor_opens_no_seal);
    tcase_add_test(tests, test_the_fund_opens_seals_only_where_the_contract_says_so);
    tcase_add_test(tests, test_nested_records_have_keys_of_their_own);
    tcase_add_test(tests, test_names_are_indexed_only_with_the_birth_date);
    tcase_add_test(tests, test_merge_keeps_what_the_patch_does_not_name);
    tcase_add_test(tests, test_merge_removes_what_is_null);
    tcase_add_test(tests, test_merge_refuses_a_changed_read_only_member);
    tcase_add_test(tests, test_a_search_keeps_tokens_only);
    return ring_run("record", tests);
}
