/* Answers: problems that say enough and no more, and the headers of every answer. */
#include "utvag/respond.h"

#include "tests/unit/ring.h"
#include "tests/unit/routes.h"
#include "utvag/config.h"

static struct arena *arena;
static struct config config;
static struct service service;
static struct request rq;
static struct response rs;
static struct pair headers[4];

static void setup(void)
{
    arena = arena_new(1 << 20);
    config =
        (struct config){ .base_url = "http://localhost", .origins = "https://app.utvag.example, https://two.example" };
    service = (struct service){ .config = &config };
    rq = (struct request){ .arena = arena,
                           .service = &service,
                           .method = "GET",
                           .url = "/v1/children",
                           .headers = headers,
                           .contract = &routes[1],
                           .language = ENGLISH,
                           .trace = "4bf92f3577b34da6a3ce929d0e0e4736",
                           .parent = "00f067aa0ba902b7" };
    rs = (struct response){ 0 };
}

static void teardown(void) { arena_free(arena); }

static void send_header(const char *name, const char *value)
{
    headers[rq.header_count++] = (struct pair){ name, value };
}

static const char *header(const char *name)
{
    for (size_t i = 0; i < rs.header_count; i++)
        if (strcmp(rs.headers[i].name, name) == 0) return rs.headers[i].value;
    return "";
}

static void answer(struct problem problem)
{
    respond_problem(&rq, &rs, &problem);
    respond_finish(&rq, &rs);
}

static void body_is(const char *text)
{
    ck_assert_uint_eq(rs.length, strlen(text));
    ck_assert_str_eq(rs.body, text);
}

START_TEST(test_problem_has_the_members_of_rfc_9457)
{
    answer(problem(404, "not_found"));
    body_is("{\"type\":\"urn:utvag:problem:not_found\",\"title\":\"Not found\",\"status\":404,"
            "\"detail\":\"What you ask for does not exist, or is not for you.\","
            "\"instance\":\"urn:uuid:4bf92f35-77b3-4da6-a3ce-929d0e0e4736\",\"code\":\"not_found\","
            "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}");
    ck_assert_int_eq(rs.status, 404);
    ck_assert_str_eq(header("Content-Type"), "application/problem+json");
    ck_assert_str_eq(header("Content-Language"), "en");
    ck_assert_str_eq(header("Cache-Control"), "no-store");
}
END_TEST

START_TEST(test_problem_lists_every_fault)
{
    const struct member_error errors[] = { { .pointer = "/needs/0", .code = "required" },
                                           { .parameter = "limit", .code = "too_small", .argument = "1" },
                                           { .code = "needs_missing" } };
    rq.language = SWEDISH;
    answer((struct problem){ .status = 422, .code = "body_invalid", .errors = errors, .error_count = 3 });
    const char *list = strstr(rs.body, "\"errors\"");
    ck_assert_ptr_nonnull(list);
    ck_assert_str_eq(list, "\"errors\":[{\"pointer\":\"/needs/0\",\"code\":\"required\",\"detail\":\"Måste anges.\"},"
                           "{\"parameter\":\"limit\",\"code\":\"too_small\",\"detail\":\"Ska vara minst 1.\"},"
                           "{\"code\":\"needs_missing\",\"detail\":\"Se code.\"}]}");
}
END_TEST

START_TEST(test_problem_drops_what_the_operation_had_said)
{
    rs.etag = "\"1.00000000\"";
    response_header(&rs, "Location", "/v1/children/1");
    answer(problem(409, "gates_failed"));
    ck_assert_str_eq(header("Location"), "");
    ck_assert_str_eq(header("ETag"), "");
}
END_TEST

START_TEST(test_statuses_carry_their_headers)
{
    answer(problem(401, "token_missing"));
    ck_assert_str_eq(header("WWW-Authenticate"), "Bearer realm=\"utvag\"");
    send_header("Authorization", "Bearer x");
    answer(problem(401, "token_expired"));
    ck_assert_str_eq(header("WWW-Authenticate"), "Bearer realm=\"utvag\", error=\"invalid_token\"");
    answer((struct problem){ .status = 405, .code = "method_not_allowed", .allow = "GET, HEAD" });
    ck_assert_str_eq(header("Allow"), "GET, HEAD");
    answer((struct problem){ .status = 503, .code = "overloaded", .retry_after = 7 });
    ck_assert_str_eq(header("Retry-After"), "7");
    answer(problem(503, "overloaded"));
    ck_assert_str_eq(header("Retry-After"), "1");
    rq.method = "PATCH";
    answer((struct problem){ .status = 415, .code = "media_type_unsupported", .allow = "application/json" });
    ck_assert_str_eq(header("Accept-Patch"), "application/json");
}
END_TEST

START_TEST(test_token_endpoint_speaks_oauth_too)
{
    rq.contract = &routes[7];
    answer(problem(401, "token_missing"));
    ck_assert_ptr_nonnull(strstr(rs.body, "\"error\":\"invalid_client\""));
    answer(problem(400, "invalid_grant"));
    ck_assert_ptr_nonnull(strstr(rs.body, "\"error\":\"invalid_grant\""));
}
END_TEST

static void read_tagged(const char *known)
{
    rq.header_count = 0;
    rs = (struct response){ .etag = "\"3.9f2c41ab\"" };
    send_header("If-None-Match", known);
    respond_body(&rs, 200, "application/json", "{}", 2);
    respond_finish(&rq, &rs);
}

START_TEST(test_known_etag_is_not_modified)
{
    read_tagged("\"2.00000000\", W/\"3.9f2c41ab\"");
    ck_assert_int_eq(rs.status, 304);
    ck_assert_uint_eq(rs.length, 2); /* of the answer that is not sent */
    ck_assert_str_eq(header("ETag"), "\"3.9f2c41ab\"");
    ck_assert_str_eq(header("Content-Type"), "");
    read_tagged("*");
    ck_assert_int_eq(rs.status, 304);
    read_tagged("\"3.9f2c41ab-gzip\""); /* other bytes */
    ck_assert_int_eq(rs.status, 200);
    read_tagged("\"3.9f2c41a\", \"3.9f2c41ab");
    ck_assert_int_eq(rs.status, 200);
    read_tagged("\"4.9f2c41ab\"");
    ck_assert_int_eq(rs.status, 200);
    rq.method = "POST";
    read_tagged("*");
    ck_assert_int_eq(rs.status, 200);
}
END_TEST

START_TEST(test_only_open_and_tagged_answers_are_kept)
{
    read_tagged("\"0\"");
    ck_assert_str_eq(header("Cache-Control"), "no-store");
    rq.contract = &routes[6];
    read_tagged("\"0\"");
    ck_assert_str_eq(header("Cache-Control"), "public, max-age=60");
    rq.contract = &routes[5];
    read_tagged("\"0\"");
    ck_assert_str_eq(header("Cache-Control"), "private, no-cache");
    rs = (struct response){ 0 };
    respond_body(&rs, 200, "application/json", "{}", 2);
    respond_finish(&rq, &rs);
    ck_assert_str_eq(header("Cache-Control"), "no-store");
}
END_TEST

START_TEST(test_every_answer_is_guarded)
{
    config.base_url = "https://api.utvag.example";
    respond_finish(&rq, &rs);
    ck_assert_int_eq(rs.status, 500); /* an operation that said nothing */
    ck_assert_str_eq(header("X-Content-Type-Options"), "nosniff");
    ck_assert_str_eq(header("Referrer-Policy"), "no-referrer");
    ck_assert_str_ne(header("Content-Security-Policy"), "");
    ck_assert_str_ne(header("Strict-Transport-Security"), "");
    ck_assert_str_eq(header("traceparent"), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    ck_assert_ptr_nonnull(strstr(header("Vary"), "Origin"));
    ck_assert_str_eq(header("Access-Control-Allow-Origin"), "");
}
END_TEST

START_TEST(test_only_configured_origins_may_read)
{
    send_header("Origin", "https://two.example");
    answer(problem(404, "not_found"));
    ck_assert_str_eq(header("Access-Control-Allow-Origin"), "https://two.example");
    ck_assert_ptr_nonnull(strstr(header("Access-Control-Expose-Headers"), "ETag"));
    headers[0].value = "https://two.example.evil";
    answer(problem(404, "not_found"));
    ck_assert_str_eq(header("Access-Control-Allow-Origin"), "");
    headers[0].value = "https://app.utvag.exampl";
    answer(problem(404, "not_found"));
    ck_assert_str_eq(header("Access-Control-Allow-Origin"), "");
}
END_TEST

START_TEST(test_preflight_is_answered)
{
    rq.method = "OPTIONS";
    rq.allow = "GET, HEAD, OPTIONS";
    rq.contract = NULL;
    send_header("Origin", "https://app.utvag.example");
    send_header("Access-Control-Request-Method", "GET");
    ck_assert_int_eq(respond_options(&rq, &rs).status, 0);
    respond_finish(&rq, &rs);
    ck_assert_int_eq(rs.status, 204);
    ck_assert_str_eq(header("Allow"), "GET, HEAD, OPTIONS");
    ck_assert_str_eq(header("Access-Control-Allow-Methods"), "GET, HEAD, OPTIONS");
    ck_assert_ptr_nonnull(strstr(header("Access-Control-Allow-Headers"), "If-Match"));
}
END_TEST

static void answer_known(const struct contract_operation *operation, const char *accept, const char *known)
{
    static char text[5000];
    memset(text, 'a', sizeof text);
    rq.contract = operation;
    rq.method = operation->method;
    rq.header_count = 0;
    rs = (struct response){ .etag = "\"3.9f2c41ab\"" };
    send_header("Accept-Encoding", accept);
    if (known) send_header("If-None-Match", known);
    respond_body(&rs, 200, "application/json", text, sizeof text);
    respond_finish(&rq, &rs);
}

static void answer_long(const struct contract_operation *operation, const char *accept)
{
    answer_known(operation, accept, NULL);
}

START_TEST(test_long_readings_are_compressed)
{
    answer_long(&routes[1], "br, gzip;q=0.5");
    ck_assert_str_eq(header("Content-Encoding"), "gzip");
    ck_assert_str_eq(header("ETag"), "\"3.9f2c41ab-gzip\"");
    ck_assert_uint_lt(rs.length, 200);
    ck_assert_int_eq(memcmp(rs.body, "\x1f\x8b", 2), 0);
    answer_long(&routes[4], "*"); /* a search is case data too */
    ck_assert_str_eq(header("Content-Encoding"), "gzip");
}
END_TEST

START_TEST(test_known_etag_of_what_would_be_compressed_is_that_of_its_bytes)
{
    answer_known(&routes[1], "gzip", "\"3.9f2c41ab-gzip\"");
    ck_assert_int_eq(rs.status, 304);
    ck_assert_str_eq(header("ETag"), "\"3.9f2c41ab-gzip\"");
    ck_assert_str_eq(header("Content-Encoding"), "");
    ck_assert_uint_lt(rs.length, 200);
    answer_known(&routes[1], "gzip", "\"3.9f2c41ab\"");
    ck_assert_int_eq(rs.status, 200);
}
END_TEST

START_TEST(test_tokens_and_unasked_answers_are_not_compressed)
{
    answer_long(&routes[7], "gzip"); /* the token endpoint */
    ck_assert_str_eq(header("Content-Encoding"), "");
    answer_long(&routes[1], "gzip;q=0");
    ck_assert_str_eq(header("Content-Encoding"), "");
    answer_long(&routes[1], "br, xgzip");
    ck_assert_uint_eq(rs.length, 5000);
    ck_assert_str_eq(header("ETag"), "\"3.9f2c41ab\"");
}
END_TEST

START_TEST(test_full_arena_still_answers)
{
    rq.arena = arena_new(64);
    answer(problem(404, "not_found"));
    ck_assert_int_eq(rs.status, 500);
    ck_assert_ptr_nonnull(strstr(rs.body, "out_of_memory"));
    arena_free(rq.arena);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("respond");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_problem_has_the_members_of_rfc_9457);
    tcase_add_test(tests, test_problem_lists_every_fault);
    tcase_add_test(tests, test_problem_drops_what_the_operation_had_said);
    tcase_add_test(tests, test_statuses_carry_their_headers);
    tcase_add_test(tests, test_token_endpoint_speaks_oauth_too);
    tcase_add_test(tests, test_known_etag_is_not_modified);
    tcase_add_test(tests, test_only_open_and_tagged_answers_are_kept);
    tcase_add_test(tests, test_every_answer_is_guarded);
    tcase_add_test(tests, test_only_configured_origins_may_read);
    tcase_add_test(tests, test_preflight_is_answered);
    tcase_add_test(tests, test_long_readings_are_compressed);
    tcase_add_test(tests, test_known_etag_of_what_would_be_compressed_is_that_of_its_bytes);
    tcase_add_test(tests, test_tokens_and_unasked_answers_are_not_compressed);
    tcase_add_test(tests, test_full_arena_still_answers);
    return ring_run("respond", tests);
}
