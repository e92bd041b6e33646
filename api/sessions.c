/* Sessions: a person signs in by e-mail address and password. */
#include <string.h>

#include "api/tokens.h"
#include "utvag/blind.h"
#include "utvag/digest.h"
#include "utvag/operation.h"
#include "utvag/password.h"
#include "utvag/rate.h"

/* The index of users' addresses: a table of its own tokens, so that no user is found among those we help. */
static const char *address_token(struct request *rq, const char *email)
{
    unsigned char token[BLIND_BYTES] = { 0 };
    char hex[2 * BLIND_BYTES + 1];
    if (!blind_token(rq->service->keyring, "user_email", email, token)) memset(token, 0, sizeof token);
    digest_hex(token, sizeof token, hex);
    return arena_text(rq->arena, "\\x%s", hex);
}

static struct problem begin_login(struct request *rq, const char *account, struct holder *holder)
{
    static const struct statement statement = { .name = "begin_login",
                                                .sql = "page AS (SELECT * FROM begin_login($1::bytea))",
                                                .many = true };
    const char *const values[] = { account };
    struct rows rows = { 0 };
    *holder = (struct holder){ .agency = "" };
    TRY(db_login(rq, &statement, 1, values, &rows));
    return rows.count ? holder_read(rq, &rows.row[0], holder) : PROBLEM_NONE;
}

static struct problem end_login(struct request *rq, const struct holder *holder)
{
    static const struct statement statement = { .name = "end_login",
                                                .sql = "page AS (SELECT * FROM end_login($1::uuid))" };
    const char *const values[] = { holder->id };
    struct rows rows;
    return db_login(rq, &statement, 1, values, &rows);
}

/* Unknown, locked, suspended and mistaken take the same steps, and the same time, to the same answer. */
static struct problem create_session(struct request *rq, struct response *rs)
{
    struct holder holder;
    const char *certificate;
    TRY(certificate_asked(rq, &certificate));
    const char *account = address_token(rq, json_string_value(json_object_get(rq->json, "email")));
    if (!account) return problem(500, "out_of_memory");
    TRY(rate_login_allowed(rq, account, strlen(account)));
    TRY(begin_login(rq, account, &holder));
    if (!password_matches(json_string_value(json_object_get(rq->json, "password")), holder.hash)) {
        struct problem refused = problem(401, "login_failed");
        TRY(db_audit_refusal(rq, refused.status, refused.code));
        refused.audited = true;
        return refused;
    }
    TRY(end_login(rq, &holder));
    rate_login_passed(rq, account, strlen(account));
    holder.certificate = certificate;
    return token_answer(rq, rs, &holder, false, NULL);
}

const struct operation sessions[] = {
    { "createSession", create_session, NULL, NULL },
    { 0 },
};
