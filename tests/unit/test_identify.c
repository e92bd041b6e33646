/* Who is let into an operation, and as what. */
#include "utvag/identify.h"

#include "tests/unit/ring.h"
#include "utvag/token.h"

static const enum role roles[] = { ROLE_DECISION_MAKER, ROLE_PARTNER };
static struct contract_operation operation;
static struct request rq;
static struct pair headers[2];

static void setup(void)
{
    operation = (struct contract_operation){ .method = "POST", .roles = roles, .role_count = 2 };
    rq = (struct request){ .contract = &operation, .headers = headers };
    rq.caller.known = true;
}

static struct problem authorise(unsigned held)
{
    rq.caller.roles = held;
    return identify_authorise(&rq);
}

static void officer(const char *value)
{
    headers[0] = (struct pair){ "X-Acting-Officer", value };
    rq.header_count = 1;
}

static void stopped(struct problem problem, int status, const char *code)
{
    ck_assert_int_eq(problem.status, status);
    ck_assert_str_eq(problem.code, code);
}

START_TEST(test_first_role_of_the_contract_lets_in)
{
    ck_assert_int_eq(authorise(1u << ROLE_PARTNER | 1u << ROLE_DECISION_MAKER).status, 0);
    ck_assert_int_eq(rq.caller.role, ROLE_DECISION_MAKER);
    ck_assert_int_eq(authorise(1u << ROLE_PARTNER).status, 0);
    ck_assert_int_eq(rq.caller.role, ROLE_PARTNER);
}
END_TEST

START_TEST(test_other_roles_do_not)
{
    stopped(authorise(0), 403, "role_missing");
    stopped(authorise(~(1u << ROLE_PARTNER | 1u << ROLE_DECISION_MAKER)), 403, "role_missing");
    operation.role_count = 0; /* an operation that names no role lets nobody in */
    stopped(authorise(~0u), 403, "role_missing");
}
END_TEST

START_TEST(test_open_operation_asks_nobody)
{
    operation.open = true;
    ck_assert_int_eq(authorise(0).status, 0);
    ck_assert_int_eq(identify_caller(&rq).status, 0);
}
END_TEST

START_TEST(test_bearer_is_the_only_scheme)
{
    stopped(identify_caller(&rq), 401, "token_missing");
    rq.header_count = 1;
    headers[0] = (struct pair){ "Authorization", "Basic YTpi" };
    stopped(identify_caller(&rq), 401, "token_missing");
}
END_TEST

#define CERTIFICATE "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0"

START_TEST(test_bound_token_comes_with_its_certificate)
{
    struct ring ring = ring_make();
    struct arena *arena = arena_new(1 << 20);
    struct token_verifier *verifier = token_verifier_new(ring.keys, "https://utvag.example");
    struct service service = { .tokens = verifier };
    struct caller given = { .id = "5f0c3d1e-7a41-4c2b-9d3e-0a1b2c3d4e5f", .certificate = CERTIFICATE };
    const char *token = token_sign(ring.keys, "https://utvag.example", &given, arena);
    headers[0] = (struct pair){ "Authorization", arena_text(arena, "Bearer %s", token) };
    rq.header_count = 1, rq.service = &service, rq.arena = arena;
    for (int i = 0; i < 2; i++) { /* the second comes from memory */
        rq.certificate = CERTIFICATE;
        ck_assert_int_eq(identify_caller(&rq).status, 0);
        ck_assert(rq.caller.known);
        rq.certificate = NULL;
        stopped(identify_caller(&rq), 401, "token_invalid");
        ck_assert(!rq.caller.known); /* whoever stole it takes nothing of hers */
        rq.certificate = "AwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0";
        stopped(identify_caller(&rq), 401, "token_invalid");
    }
    token_verifier_free(verifier);
    arena_free(arena);
    ring_drop(&ring);
}
END_TEST

START_TEST(test_machine_of_an_agency_states_its_officer_when_it_writes)
{
    rq.caller.machine = true;
    ck_assert_int_eq(authorise(1u << ROLE_PARTNER).status, 0); /* a machine of the house */
    strcpy(rq.caller.agency, "8d5f3a5e-3c55-4f6e-9a43-0c0d6f6f2b11");
    stopped(authorise(1u << ROLE_PARTNER), 400, "acting_officer_required");
    operation.method = "GET";
    ck_assert_int_eq(authorise(1u << ROLE_PARTNER).status, 0);
    operation.method = "POST";
    officer("handl-4711");
    ck_assert_int_eq(authorise(1u << ROLE_PARTNER).status, 0);
    ck_assert_str_eq(rq.caller.officer, "handl-4711");
}
END_TEST

static const char *const bad_officers[] = { "", "7010632391", "701063-2391", "a b", "å", "handl\x7f" };

START_TEST(test_officer_is_an_opaque_reference)
{
    rq.caller.machine = true;
    strcpy(rq.caller.agency, "8d5f3a5e-3c55-4f6e-9a43-0c0d6f6f2b11");
    officer(bad_officers[_i]);
    stopped(authorise(1u << ROLE_PARTNER), 400, "acting_officer_invalid");
}
END_TEST

START_TEST(test_officer_of_the_token_cannot_be_changed)
{
    rq.caller.machine = true;
    rq.caller.officer = "handl-1";
    strcpy(rq.caller.agency, "8d5f3a5e-3c55-4f6e-9a43-0c0d6f6f2b11");
    officer("handl-2");
    stopped(authorise(1u << ROLE_PARTNER), 400, "acting_officer_invalid");
    officer("handl-1");
    ck_assert_int_eq(authorise(1u << ROLE_PARTNER).status, 0);
}
END_TEST

START_TEST(test_people_do_not_act_for_others)
{
    strcpy(rq.caller.agency, "8d5f3a5e-3c55-4f6e-9a43-0c0d6f6f2b11");
    officer("handl-2");
    ck_assert_int_eq(authorise(1u << ROLE_PARTNER).status, 0);
    ck_assert_ptr_null(rq.caller.officer);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("identify");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, test_first_role_of_the_contract_lets_in);
    tcase_add_test(tests, test_other_roles_do_not);
    tcase_add_test(tests, test_open_operation_asks_nobody);
    tcase_add_test(tests, test_bearer_is_the_only_scheme);
    tcase_add_test(tests, test_bound_token_comes_with_its_certificate);
    tcase_add_test(tests, test_machine_of_an_agency_states_its_officer_when_it_writes);
    tcase_add_loop_test(tests, test_officer_is_an_opaque_reference, 0, sizeof bad_officers / sizeof *bad_officers);
    tcase_add_test(tests, test_officer_of_the_token_cannot_be_changed);
    tcase_add_test(tests, test_people_do_not_act_for_others);
    return ring_run("identify", tests);
}
