/* From method and raw target to an operation: one spelling a resource, and no operation for anything else. */
#include "utvag/router.h"

#include "tests/unit/ring.h"
#include "tests/unit/routes.h"

static struct arena *arena;
static struct router *router;
static struct request rq;

static void setup(void)
{
    arena = arena_new(1 << 20);
    router = router_new(NULL);
    ck_assert_ptr_nonnull(router);
}

static void teardown(void)
{
    router_free(router);
    arena_free(arena);
}

static struct problem match(const char *method, const char *url)
{
    rq = (struct request){ .arena = arena, .method = method, .url = url, .head = strcmp(method, "HEAD") == 0 };
    return router_match(router, &rq);
}

static void leads_to(const char *method, const char *url, const char *id)
{
    struct problem problem = match(method, url);
    ck_assert_msg(problem.status == 0, "%s %s: %d", method, url, problem.status);
    ck_assert_str_eq(rq.contract->id, id);
}

static void stops(const char *method, const char *url, int status, const char *code)
{
    struct problem problem = match(method, url);
    ck_assert_msg(problem.status == status, "%s %s: %d", method, url, problem.status);
    ck_assert_str_eq(problem.code, code);
}

START_TEST(test_paths_lead_to_operations)
{
    leads_to("GET", "/v1", "getRoot");
    leads_to("GET", "/v1/", "getRoot");
    leads_to("GET", "/v1/children", "listChildren");
    leads_to("POST", "/v1/children", "createChild");
    leads_to("GET", "/.well-known/jwks.json", "getKeys");
    leads_to("GET", "/v1/children/abc", "readChild");
    ck_assert_str_eq(request_path(&rq, "id"), "abc");
    leads_to("GET", "/v1/children/abc/needs/7", "readNeed");
    ck_assert_str_eq(request_path(&rq, "child_id"), "abc");
    ck_assert_str_eq(request_path(&rq, "id"), "7");
    ck_assert_ptr_null(request_path(&rq, "other"));
}
END_TEST

START_TEST(test_literal_segment_beats_parameter)
{
    leads_to("POST", "/v1/children/search", "searchChildren");
    leads_to("GET", "/v1/children/search/needs/1",
             "readNeed"); /* the parameter is tried when the literal leads nowhere */
}
END_TEST

START_TEST(test_head_is_get)
{
    leads_to("HEAD", "/v1/children", "listChildren");
    stops("HEAD", "/v1/children/search", 405, "method_not_allowed");
}
END_TEST

START_TEST(test_wrong_method_is_told_from_wrong_path)
{
    stops("DELETE", "/v1/children", 405, "method_not_allowed");
    ck_assert_str_eq(match("DELETE", "/v1/children").allow, "GET, HEAD, POST, OPTIONS");
    stops("get", "/v1/children", 405, "method_not_allowed");
    stops("GET", "/v1/childre", 404, "not_found");
    stops("GET", "/v1/children/", 404, "not_found");
    stops("GET", "/", 404, "not_found");
    stops("GET", "/v1/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u", 404, "not_found");
}
END_TEST

START_TEST(test_options_tells_what_a_path_allows)
{
    ck_assert_int_eq(match("OPTIONS", "/v1/children/abc").status, 0);
    ck_assert_ptr_null(rq.contract);
    ck_assert_str_eq(rq.allow, "GET, HEAD, OPTIONS");
    ck_assert_int_eq(match("OPTIONS", "*").status, 0);
    stops("OPTIONS", "/v1/nothing", 404, "not_found");
}
END_TEST

static const char *const bad_targets[] = {
    "",
    "*",
    "api.utvag.example:443",
    "http://api.utvag.example/v1",
    "v1",
    "//v1",
    "/v1//children",
    "/v1/children/%00",
    "/v1/children/%2f",
    "/v1/children/a%62c",
    "/v1/children/ABC",
    "/v1/./children",
    "/v1/../children",
    "/v1/children/..",
    "/v1/children/a;b=c",
    "/v1/children/\xc3\xa5",
    "/v1/children/a+b",
    "/v1/children#x",
    "/v1/children?limit=%",
    "/v1/children?limit=%g1",
    "/v1/children?limit=%0",
    "/v1/children?limit=%00",
    "/v1/children?status=%ff",
    "/v1/children?status=%c0%af",
    "/v1/children?status=%ed%a0%80",
    "/v1/children?status=\xc3\xa5",
    "/v1/children?=1",
    "/v1/children?status=a b",
};

START_TEST(test_bad_targets_are_refused) { stops("GET", bad_targets[_i], 400, "target_invalid"); }
END_TEST

START_TEST(test_long_target_is_refused)
{
    char url[2100] = "/v1/children?status=";
    size_t length = strlen(url);
    memset(url + length, 'a', 2048 - length);
    leads_to("GET", url, "listChildren");
    url[2048] = 'a';
    stops("GET", url, 414, "target_too_long");
}
END_TEST

START_TEST(test_query_is_decoded)
{
    leads_to("GET", "/v1/children?limit=5&status=%C3%A5+b%26c", "listChildren");
    ck_assert_str_eq(request_query(&rq, "limit"), "5");
    ck_assert_str_eq(request_query(&rq, "status"), "å b&c");
    leads_to("GET", "/v1/children?", "listChildren");
    leads_to("GET", "/v1/children?&limit&", "listChildren");
    ck_assert_str_eq(request_query(&rq, "limit"), "");
    ck_assert_ptr_null(request_query(&rq, "status"));
}
END_TEST

START_TEST(test_unknown_and_repeated_parameters_are_refused)
{
    stops("GET", "/v1/children?limit=5&personnummer=191212121212", 400, "parameter_unknown");
    ck_assert_uint_eq(match("GET", "/v1/children?personnummer=1").error_count, 0);
    stops("GET", "/v1/children?limit&limit", 400, "parameter_repeated");
    ck_assert_str_eq(match("GET", "/v1/children?limit=1&status=x&limit=2").errors[0].parameter, "limit");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("router");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_paths_lead_to_operations);
    tcase_add_test(tests, test_literal_segment_beats_parameter);
    tcase_add_test(tests, test_head_is_get);
    tcase_add_test(tests, test_wrong_method_is_told_from_wrong_path);
    tcase_add_test(tests, test_options_tells_what_a_path_allows);
    tcase_add_loop_test(tests, test_bad_targets_are_refused, 0, sizeof bad_targets / sizeof *bad_targets);
    tcase_add_test(tests, test_long_target_is_refused);
    tcase_add_test(tests, test_query_is_decoded);
    tcase_add_test(tests, test_unknown_and_repeated_parameters_are_refused);
    return ring_run("router", tests);
}
