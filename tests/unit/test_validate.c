/* The request held against the contract: what stops it, and in which order. */
#include "utvag/validate.h"

#include "tests/unit/ring.h"
#include "utvag/config.h"

static const struct schema text_schema = { .types = SCHEMA_STRING, .max_length = 20 };
static const struct schema short_schema = { .types = SCHEMA_STRING, .max_length = 4 };
static const struct schema limit_schema = {
    .types = SCHEMA_INTEGER, .has_minimum = true, .minimum = 1, .has_maximum = true, .maximum = 100
};
static const struct schema_property members[] = { { "name", true, &text_schema }, { "note", false, &text_schema } };
static const struct schema body_schema = {
    .types = SCHEMA_OBJECT, .closed = true, .properties = members, .property_count = 2
};
static const struct contract_parameter parameters[] = {
    { .name = "id", .place = IN_PATH, .required = true, .schema = &short_schema },
    { .name = "limit", .place = IN_QUERY, .schema = &limit_schema },
    { .name = "status", .place = IN_QUERY, .schema = &short_schema },
    { .name = "If-Match", .place = IN_HEADER, .required = true, .schema = &text_schema },
    { .name = "Idempotency-Key", .place = IN_HEADER, .required = true, .schema = &text_schema },
    { .name = "traceparent", .place = IN_HEADER, .schema = &short_schema },
};
static const char *const types[] = { "application/merge-patch+json", "application/json", NULL };
static const char *const answer_types[] = { "application/json", NULL };
static const char *const form_types[] = { "application/x-www-form-urlencoded", "application/json", NULL };

static const struct config config = { .body_limit = 1000, .depth_limit = 4 };
static const struct service service = { .config = &config };
static struct arena *arena;
static struct contract_operation operation;
static struct request rq;
static struct pair headers[8], query[4], path[2];

static void header(const char *name, const char *value) { headers[rq.header_count++] = (struct pair){ name, value }; }

static void setup(void)
{
    arena = arena_new(1 << 20);
    memset(query, 0, sizeof query);
    path[0] = (struct pair){ "id", "abc" };
    operation = (struct contract_operation){ .id = "changeChild",
                                             .method = "PATCH",
                                             .parameters = parameters,
                                             .parameter_count = sizeof parameters / sizeof *parameters,
                                             .answer_type = "application/json",
                                             .answer_types = answer_types,
                                             .body = &body_schema,
                                             .body_required = true,
                                             .body_types = types };
    rq = (struct request){ .arena = arena,
                           .service = &service,
                           .method = "PATCH",
                           .headers = headers,
                           .query = query,
                           .path_values = path,
                           .contract = &operation,
                           .body = "{\"name\":\"Å\"}" };
    rq.body_length = strlen(rq.body);
    header("If-Match", "\"3.9f2c41ab\"");
    header("idempotency-key", "k");
    header("Content-Type", "application/json");
}

static void teardown(void)
{
    json_decref(rq.json);
    arena_free(arena);
}

static struct problem validate(void)
{
    json_decref(rq.json);
    rq.json = NULL;
    return validate_request(&rq);
}

static struct problem with_body(const char *body)
{
    rq.body = body;
    rq.body_length = strlen(body);
    return validate();
}

static void stopped(struct problem problem, int status, const char *code)
{
    ck_assert_int_eq(problem.status, status);
    ck_assert_str_eq(problem.code, code);
}

START_TEST(test_valid_request_passes)
{
    ck_assert_int_eq(validate().status, 0);
    ck_assert_str_eq(json_string_value(json_object_get(rq.json, "name")), "Å");
}
END_TEST

START_TEST(test_path_that_names_nothing_is_404)
{
    path[0].value = "much too long";
    rq.header_count = 0;
    stopped(validate(), 404, "not_found");
    ck_assert_uint_eq(validate().error_count, 0);
}
END_TEST

START_TEST(test_every_bad_parameter_is_told)
{
    query[0] = (struct pair){ "limit", "0" };
    query[1] = (struct pair){ "status", "too long" };
    headers[1].name = "X-Other";
    struct problem problem = validate();
    stopped(problem, 400, "parameters_invalid");
    ck_assert_uint_eq(problem.error_count, 3);
    ck_assert_str_eq(problem.errors[0].parameter, "limit");
    ck_assert_str_eq(problem.errors[0].code, "too_small");
    ck_assert_str_eq(problem.errors[1].parameter, "status");
    ck_assert_str_eq(problem.errors[2].parameter, "Idempotency-Key");
    ck_assert_str_eq(problem.errors[2].code, "required");
}
END_TEST

START_TEST(test_bad_traceparent_is_no_reason_to_refuse)
{
    header("traceparent", "not a trace");
    ck_assert_int_eq(validate().status, 0);
}
END_TEST

START_TEST(test_version_is_asked_for)
{
    headers[0].name = "X-Other";
    stopped(validate(), 428, "if_match_required");
    headers[0] = (struct pair){ "If-Match", "*" };
    stopped(validate(), 400, "if_match_invalid");
}
END_TEST

static const struct {
    const char *accept;
    int status;
} accepts[] = {
    { "", 0 },
    { "*/*", 0 },
    { "application/json", 0 },
    { "APPLICATION/JSON", 0 },
    { "application/*", 0 },
    { "text/html;q=1.0, application/json;q=0.1", 0 },
    { "*/*;q=0", 406 },
    { "text/html", 406 },
    { "application/jsonx", 406 },
    { "application/json;q=0, */*", 406 },
    { "application/json ; q=0.0", 406 },
    { ",;,", 406 },
};

START_TEST(test_accept_that_takes_no_answer_of_ours_is_406)
{
    header("Accept", accepts[_i].accept);
    ck_assert_int_eq(validate().status, accepts[_i].status);
}
END_TEST

static const struct {
    const char *type;
    int status;
} contents[] = {
    { "application/json", 0 },
    { "Application/Merge-Patch+JSON", 0 },
    { "application/json; charset=UTF-8", 0 },
    { "application/json;charset=\"utf-8\"", 0 },
    { "application/json; charset=utf-16", 415 },
    { "application/json; charset=utf-80", 415 },
    { "text/json", 415 },
    { "", 415 },
    { "application/json+x", 415 },
};

START_TEST(test_body_of_another_media_type_or_charset_is_415)
{
    headers[2].value = contents[_i].type;
    struct problem problem = validate();
    ck_assert_int_eq(problem.status, contents[_i].status);
    if (problem.status) ck_assert_str_eq(problem.allow, "application/merge-patch+json, application/json");
}
END_TEST

START_TEST(test_compressed_body_is_refused)
{
    header("Content-Encoding", "gzip");
    stopped(validate(), 415, "content_encoding_unsupported");
}
END_TEST

START_TEST(test_body_is_json_within_bounds)
{
    stopped(with_body(""), 400, "body_required");
    stopped(with_body("{"), 400, "json_invalid");
    stopped(with_body("{\"name\":\"a\",\"name\":\"b\"}"), 400, "json_invalid");
    stopped(with_body("{\"name\":\"\\u0000\"}"), 400, "json_invalid");
    stopped(with_body("{\"name\":\"\\udc00\"}"), 400, "json_invalid");
    stopped(with_body("[[[[[]]]]]"), 400, "json_too_deep");
    ck_assert_int_eq(with_body("{\"name\":\"[[[[[\\\"{\"}").status, 0);
    rq.body_length = config.body_limit + 1; /* never read */
    stopped(validate(), 413, "body_too_large");
}
END_TEST

START_TEST(test_body_follows_the_schema)
{
    struct problem problem = with_body("{\"note\":1}");
    stopped(problem, 422, "body_invalid");
    ck_assert_uint_eq(problem.error_count, 2);
    stopped(with_body("[]"), 422, "body_invalid");
}
END_TEST

START_TEST(test_form_becomes_an_object)
{
    operation.form = true;
    operation.body_types = form_types;
    headers[2].value = "application/x-www-form-urlencoded";
    ck_assert_int_eq(with_body("name=%C3%85+%26&note=").status, 0);
    ck_assert_str_eq(json_string_value(json_object_get(rq.json, "name")), "Å &");
    stopped(with_body("name=a&name=b"), 400, "form_invalid");
    stopped(with_body("name=%00"), 400, "form_invalid");
    stopped(with_body("other=1"), 400, "body_invalid"); /* RFC 6749, 5.2 */
}
END_TEST

START_TEST(test_no_body_where_none_is_taken)
{
    operation.body = NULL;
    stopped(validate(), 400, "body_unexpected");
    ck_assert_int_eq(with_body("").status, 0);
}
END_TEST

START_TEST(test_optional_body_may_be_absent)
{
    operation.body_required = false;
    ck_assert_int_eq(with_body("").status, 0);
    ck_assert_ptr_null(rq.json);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("validate");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_valid_request_passes);
    tcase_add_test(tests, test_path_that_names_nothing_is_404);
    tcase_add_test(tests, test_every_bad_parameter_is_told);
    tcase_add_test(tests, test_bad_traceparent_is_no_reason_to_refuse);
    tcase_add_test(tests, test_version_is_asked_for);
    tcase_add_loop_test(tests, test_accept_that_takes_no_answer_of_ours_is_406, 0, sizeof accepts / sizeof *accepts);
    tcase_add_loop_test(tests, test_body_of_another_media_type_or_charset_is_415, 0,
                        sizeof contents / sizeof *contents);
    tcase_add_test(tests, test_compressed_body_is_refused);
    tcase_add_test(tests, test_body_is_json_within_bounds);
    tcase_add_test(tests, test_body_follows_the_schema);
    tcase_add_test(tests, test_form_becomes_an_object);
    tcase_add_test(tests, test_no_body_where_none_is_taken);
    tcase_add_test(tests, test_optional_body_may_be_absent);
    return ring_run("validate", tests);
}
