/* Sessions: a person signs in by e-mail address, password and a code, and ends it. */
#include <string.h>
#include <time.h>

#include "api/second_factor.h"
#include "api/tokens.h"
#include "utvag/blind.h"
#include "utvag/config.h"
#include "utvag/digest.h"
#include "utvag/operation.h"
#include "utvag/password.h"
#include "utvag/rate.h"
#include "utvag/token.h"

/* The index of users' addresses: a table of its own tokens, so that no user is found among those we help. */
static const char *address_token(struct request *rq, const char *email)
{
    unsigned char token[BLIND_BYTES] = { 0 };
    char hex[2 * BLIND_BYTES + 1];
    if (!blind_token(rq->service->keyring, "user_email", email, token)) memset(token, 0, sizeof token);
    digest_hex(token, sizeof token, hex);
    return arena_text(rq->arena, "\\x%s", hex);
}

static const char *member(const struct request *rq, const char *name)
{
    return json_string_value(json_object_get(rq->json, name));
}

static struct problem begin_login(struct request *rq, const char *account, struct holder *holder)
{
    static const struct statement statement = {
        .name = "begin_login", .sql = "page AS (SELECT * FROM begin_login($1::bytea))", .many = true, .silent = true
    };
    const char *const values[] = { account };
    struct rows rows = { 0 };
    *holder = (struct holder){ .agency = "" };
    TRY(db_login(rq, &statement, 1, values, &rows));
    return rows.count ? holder_read(rq, &rows.row[0], holder) : PROBLEM_NONE;
}

/* What the end of a login is judged by: the rules are SQL's, judge_login. False if what was shown is wrong already. */
static bool prove(struct request *rq, const struct holder *holder, json_t *terms)
{
    const char *code = member(rq, "totp"), *recovery = member(rq, "recovery_code");
    bool matches = password_matches(member(rq, "password"), holder->hash);
    long long step = 0;
    if (code) {
        matches = totp_match(holder->totp, code, time(NULL), &step) && matches;
        json_object_set_new(terms, "step", json_integer(step));
    } else if (recovery) {
        char digest[SECRET_DIGEST_SIZE];
        second_factor_digest(recovery, digest);
        json_object_set_new(terms, "recovery", json_string(digest));
    }
    return matches;
}

static struct problem end_login(struct request *rq, struct holder *holder, const char *refresh)
{
    static const struct statement statement = {
        .name = "end_login",
        .sql = "page AS (SELECT * FROM end_login($1::uuid, $2::boolean, $3::jsonb))",
        .many = true,
        .silent = true
    };
    const struct config *config = rq->service->config;
    char session[UUID_SIZE], digest[SECRET_DIGEST_SIZE];
    struct rows rows;
    uuid_v7(session);
    secret_digest(refresh, digest);
    json_t *terms =
        json_pack("{s:s, s:s, s:i, s:i, s:b, s:s*}", "session", session, "refresh", digest, "epoch", holder->epoch,
                  "seconds", config->session_hours * 3600, "demo", config->demo, "certificate", holder->certificate);
    bool proven = prove(rq, holder, terms);
    const char *const values[] = { holder->id, proven ? "true" : "false", token_terms(rq, terms) };
    if (!values[2]) return problem(500, "out_of_memory");
    TRY(db_login(rq, &statement, 3, values, &rows));
    if (rows.count) return holder_read(rq, &rows.row[0], holder);
    return (struct problem){ .status = 401, .code = "login_failed", .audited = true };
}

static struct problem both_codes(struct request *rq)
{
    struct member_error *error = arena_alloc(rq->arena, sizeof *error);
    if (!error) return problem(500, "out_of_memory");
    *error = (struct member_error){ .pointer = "/recovery_code", .code = "not_with_totp" };
    return (struct problem){ .status = 422, .code = "body_invalid", .errors = error, .error_count = 1 };
}

/* Outside the demo nobody signs in without a code. That is told before anything is looked up: it says nothing of the
   address or the password. */
static struct problem require_code(struct request *rq)
{
    bool code = member(rq, "totp"), recovery = member(rq, "recovery_code");
    if (code && recovery) return both_codes(rq);
    if (code || recovery || rq->service->config->demo) return PROBLEM_NONE;
    return db_refuse(rq, problem(401, "totp_required"));
}

/* Unknown, locked, suspended and mistaken take the same steps, and the same time, to the same answer. */
static struct problem create_session(struct request *rq, struct response *rs)
{
    struct holder holder;
    const char *account = address_token(rq, member(rq, "email")), *certificate;
    char *refresh = arena_alloc(rq->arena, SECRET_SIZE);
    if (!account || !refresh) return problem(500, "out_of_memory");
    TRY(certificate_asked(rq, &certificate));
    TRY(rate_login_allowed(rq, account, strlen(account)));
    TRY(require_code(rq));
    TRY(begin_login(rq, account, &holder));
    holder.certificate = certificate;
    secret_make(refresh);
    TRY(end_login(rq, &holder, refresh));
    rate_login_passed(rq);
    return token_answer(rq, rs, &holder, &(struct grant){ .refresh = refresh });
}

/* The caller's own: with it end all of its tokens, this one too. */
static struct problem delete_current_session(struct request *rq, struct response *rs)
{
    static const struct statement statement = { .name = "end_own_sign_in",
                                                .sql = "page AS (SELECT * FROM end_own_sign_in($1::uuid))" };
    const char *const values[] = { *rq->caller.session ? rq->caller.session : NULL };
    struct rows rows;
    TRY(db_run(rq, &statement, 1, values, &rows));
    if (!rows.count) return problem(404, "not_found");
    rs->status = 204;
    return PROBLEM_NONE;
}

const struct operation sessions[] = {
    { "createSession", create_session, NULL, NULL },
    { "deleteCurrentSession", delete_current_session, NULL, NULL },
    { 0 },
};
