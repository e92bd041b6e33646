/* The head of a request: what two parsers could read in two ways is refused. */
#include "utvag/request.h"

#include "tests/unit/ring.h"

static struct request rq;

static void make(const struct pair *headers, size_t count)
{
    rq = (struct request){ .method = "POST", .url = "/v1", .headers = headers, .header_count = count };
}

static struct problem guard(const struct pair *headers, size_t count)
{
    make(headers, count);
    return request_guard(&rq);
}

#define HEADERS(...) \
    ((const struct pair[]){ __VA_ARGS__ }), sizeof((const struct pair[]){ __VA_ARGS__ }) / sizeof(struct pair)
#define HOST                            \
    {                                   \
        "Host", "api.utvag.example:443" \
    }

static void stopped(struct problem problem, const char *code)
{
    ck_assert_int_eq(problem.status, 400);
    ck_assert_str_eq(problem.code, code);
    ck_assert(problem.close);
}

START_TEST(test_plain_requests_pass)
{
    ck_assert_int_eq(guard(HEADERS(HOST)).status, 0);
    ck_assert_int_eq(guard(HEADERS({ "host", "[::1]:8080" }, { "Content-Length", "0" })).status, 0);
    ck_assert_int_eq(guard(HEADERS(HOST, { "transfer-encoding", "chunked" }, { "X-A", "tab\tin" })).status, 0);
    ck_assert_int_eq(guard(HEADERS(HOST, { "Accept", "a/b" }, { "Accept", "c/d" })).status, 0);
}
END_TEST

START_TEST(test_the_length_of_a_plain_head_is_known)
{
    make(NULL, 0);
    ck_assert_uint_eq(request_head_length(&rq), strlen("POST /v1 HTTP/1.1\r\n\r\n"));
    make(HEADERS({ "Host", "a" }, { "X", "" }));
    ck_assert_uint_eq(request_head_length(&rq), strlen("POST /v1 HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"));
}
END_TEST

START_TEST(test_two_lengths_are_refused)
{
    stopped(guard(HEADERS(HOST, { "Content-Length", "1" }, { "Content-Length", "1" })), "framing_ambiguous");
    stopped(guard(HEADERS(HOST, { "Content-Length", "1" }, { "content-length", "2" })), "framing_ambiguous");
    stopped(guard(HEADERS(HOST, { "Content-Length", "1" }, { "Transfer-Encoding", "chunked" })), "framing_ambiguous");
    stopped(guard(HEADERS(HOST, { "Transfer-Encoding", "chunked" }, { "transfer-encoding", "x" })),
            "framing_ambiguous");
    stopped(guard(HEADERS(HOST, { "Transfer-Encoding", "gzip, chunked" })), "framing_ambiguous");
    stopped(guard(HEADERS(HOST, { "Content-Length", "1, 1" })), "framing_ambiguous");
    stopped(guard(HEADERS(HOST, { "Content-Length", "+1" })), "framing_ambiguous");
    stopped(guard(HEADERS(HOST, { "Content-Length", "" })), "framing_ambiguous");
}
END_TEST

START_TEST(test_names_and_values_are_clean)
{
    stopped(guard(HEADERS(HOST, { "Content-Length ", "1" })), "header_invalid");
    stopped(guard(HEADERS(HOST, { "X\tTransfer-Encoding", "chunked" })), "header_invalid");
    stopped(guard(HEADERS(HOST, { "", "1" })), "header_invalid");
    stopped(guard(HEADERS(HOST, { "X-\xc3\xa5", "1" })), "header_invalid");
    stopped(guard(HEADERS(HOST, { "X-A", "1\rX-B: 2" })), "header_invalid");
    stopped(guard(HEADERS(HOST, { "X-A", "\x7f" })), "header_invalid");
}
END_TEST

START_TEST(test_host_is_needed_once)
{
    stopped(guard(NULL, 0), "host_invalid");
    stopped(guard(HEADERS(HOST, HOST)), "host_invalid");
    stopped(guard(HEADERS({ "Host", "" })), "host_invalid");
    stopped(guard(HEADERS({ "Host", "a b" })), "host_invalid");
    stopped(guard(HEADERS({ "Host", "a/b" })), "host_invalid");
}
END_TEST

START_TEST(test_what_decides_is_there_once)
{
    stopped(guard(HEADERS(HOST, { "Authorization", "Bearer a" }, { "authorization", "Bearer b" })), "header_repeated");
    stopped(guard(HEADERS(HOST, { "If-Match", "\"1\"" }, { "If-Match", "\"2\"" })), "header_repeated");
    stopped(guard(HEADERS(HOST, { "X-Purpose", "a" }, { "x-purpose", "b" })), "header_repeated");
}
END_TEST

START_TEST(test_valid_trace_is_joined)
{
    make(HEADERS({ "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00" }));
    request_begin(&rq);
    ck_assert_str_eq(rq.trace, "4bf92f3577b34da6a3ce929d0e0e4736");
    ck_assert_uint_eq(strlen(rq.parent), 16);
    ck_assert_str_ne(rq.parent, "00f067aa0ba902b7");
    make(HEADERS({ "traceparent", "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more" }));
    request_begin(&rq);
    ck_assert_str_eq(rq.trace, "4bf92f3577b34da6a3ce929d0e0e4736");
}
END_TEST

static const char *const bad_traces[] = {
    "",
    "00-4bf9",
    "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
    "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-zz",
};

START_TEST(test_bad_trace_begins_a_new_one)
{
    make(HEADERS({ "traceparent", bad_traces[_i] }));
    request_begin(&rq);
    ck_assert_uint_eq(strlen(rq.trace), 32);
    ck_assert_uint_eq(strspn(rq.trace, "0123456789abcdef"), 32);
    ck_assert_str_ne(rq.trace, "4bf92f3577b34da6a3ce929d0e0e4736");
}
END_TEST

static const struct {
    const char *tag;
    int version;
} tags[] = {
    { "\"3.9f2c41ab\"", 3 },
    { "W/\"12.9f2c41ab\"", 12 },
    { "\"7\"", 7 },
    { "\"3.9f2c41ab-gzip\"", 3 },
    { "\"3.9f2c41ab-br\"", -1 },
    { "*", -1 },
    { "3", -1 },
    { "\"\"", -1 },
    { "\"0\"", -1 },
    { "\"-1\"", -1 },
    { "\"3\", \"4\"", -1 },
    { "\"3.xyz\"", -1 },
    { "\"99999999999\"", -1 },
    { "", -1 },
};

START_TEST(test_if_match_names_a_version)
{
    make(HEADERS({ "If-Match", tags[_i].tag }));
    ck_assert_int_eq(request_version(&rq), tags[_i].version);
}
END_TEST

START_TEST(test_headers_of_an_answer_replace_each_other)
{
    struct response rs = { 0 };
    response_header(&rs, "ETag", "\"1\"");
    response_header(&rs, "etag", "\"2\"");
    ck_assert_uint_eq(rs.header_count, 1);
    ck_assert_str_eq(rs.headers[0].value, "\"2\"");
    make(NULL, 0);
    ck_assert_int_eq(request_version(&rq), 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("request");
    tcase_add_test(tests, test_plain_requests_pass);
    tcase_add_test(tests, test_the_length_of_a_plain_head_is_known);
    tcase_add_test(tests, test_two_lengths_are_refused);
    tcase_add_test(tests, test_names_and_values_are_clean);
    tcase_add_test(tests, test_host_is_needed_once);
    tcase_add_test(tests, test_what_decides_is_there_once);
    tcase_add_test(tests, test_valid_trace_is_joined);
    tcase_add_loop_test(tests, test_bad_trace_begins_a_new_one, 0, sizeof bad_traces / sizeof *bad_traces);
    tcase_add_loop_test(tests, test_if_match_names_a_version, 0, sizeof tags / sizeof *tags);
    tcase_add_test(tests, test_headers_of_an_answer_replace_each_other);
    return ring_run("request", tests);
}
