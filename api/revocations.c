/* Revocation (RFC 7009): whoever holds a token may end the sign-in that it comes from, whole. */
#include <string.h>

#include "api/tokens.h"
#include "utvag/operation.h"
#include "utvag/password.h"
#include "utvag/respond.h"
#include "utvag/token.h"

/* The sign-in of an access token that verifies; "" for anything else. */
static const char *session_of(struct request *rq, const char *token)
{
    struct caller caller;
    if (token_verify(rq->service->tokens, token, rq->arena, &caller).status) return "";
    return arena_copy(rq->arena, caller.session, strlen(caller.session));
}

/* Known or not, of either kind, whatever the hint says: the answer is the same (2.2). */
static struct problem revoke_token(struct request *rq, struct response *rs)
{
    static const struct statement statement = { .name = "revoke_sign_in",
                                                .sql = "page AS (SELECT * FROM revoke_sign_in($1::uuid, $2))",
                                                .many = true };
    const char *token = json_string_value(json_object_get(rq->json, "token"));
    const char *session = session_of(rq, token);
    char digest[SECRET_DIGEST_SIZE];
    struct rows rows;
    if (!session) return problem(500, "out_of_memory");
    secret_digest(token, digest);
    const char *const values[] = { *session ? session : NULL, digest };
    TRY(db_login(rq, &statement, 2, values, &rows));
    respond_body(rs, 200, "application/json", "{}", 2);
    response_header(rs, "Cache-Control", "no-store");
    return PROBLEM_NONE;
}

const struct operation revocations[] = {
    { "revokeToken", revoke_token, NULL, NULL },
    { 0 },
};
