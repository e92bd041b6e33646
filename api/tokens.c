/* The token endpoint (RFC 6749): tokens of machine clients (4.4), and of people who refresh theirs (6). */
#include "api/tokens.h"

#include <string.h>

#include "api/client_authentication.h"
#include "utvag/config.h"
#include "utvag/operation.h"
#include "utvag/password.h"
#include "utvag/rate.h"
#include "utvag/record.h"
#include "utvag/respond.h"
#include "utvag/token.h"

const char *token_terms(struct request *rq, json_t *terms)
{
    size_t length = terms ? json_dumpb(terms, NULL, 0, JSON_COMPACT) : 0;
    char *text = length ? arena_alloc(rq->arena, length + 1) : NULL;
    if (text) json_dumpb(terms, text, length, JSON_COMPACT);
    json_decref(terms);
    return text;
}

/* NULL where there is none. *whole: false without memory, since a token must not come out less bound than it is. */
static const char *text_member(struct request *rq, const json_t *body, const char *name, bool *whole)
{
    const char *text = json_string_value(json_object_get(body, name));
    const char *copy = text ? arena_copy(rq->arena, text, strlen(text)) : NULL;
    *whole = *whole && (copy || !text);
    return copy;
}

struct problem holder_read(struct request *rq, const struct row *row, struct holder *holder)
{
    const char *text;
    size_t length;
    TRY(record_open(rq, row->body, row->length, &text, &length));
    json_t *body = json_loadb(text, length, 0, NULL);
    bool whole = true;
    *holder = (struct holder){ .id = row->id,
                               .epoch = row->version,
                               .agency = text_member(rq, body, "agency_id", &whole),
                               .hash = text_member(rq, body, "hash", &whole),
                               .totp = text_member(rq, body, "totp_secret", &whole),
                               .session = text_member(rq, body, "session", &whole),
                               .certificate = text_member(rq, body, "certificate", &whole),
                               .refresh_seconds = (int)json_integer_value(json_object_get(body, "refresh_seconds")) };
    size_t index;
    json_t *role;
    json_array_foreach(json_object_get(body, "roles"), index, role) {
        enum role known = role_find(json_string_value(role));
        if (known != ROLE_COUNT) holder->roles |= 1u << known;
    }
    json_decref(body);
    return whole && holder->agency ? PROBLEM_NONE : problem(500, "out_of_memory");
}

/* A form says `true` as a text. */
static bool is_true(const json_t *value)
{
    const char *text = json_string_value(value);
    return json_is_true(value) || (text && strcmp(text, "true") == 0);
}

struct problem certificate_asked(struct request *rq, const char **certificate)
{
    bool asked = is_true(json_object_get(rq->json, "certificate_bound"));
    *certificate = asked ? rq->certificate : NULL;
    return asked && !rq->certificate ? db_refuse(rq, problem(400, "certificate_not_shown")) : PROBLEM_NONE;
}

/* The roles as a scope: names separated by spaces. */
static const char *scope_text(struct request *rq, unsigned roles)
{
    const char *text = "";
    for (int role = 0; text && role < ROLE_COUNT; role++)
        if (roles & 1u << role)
            text = arena_text(rq->arena, "%s%s%s", text, *text ? " " : "", role_name((enum role)role));
    return text;
}

struct problem token_answer(struct request *rq, struct response *rs, const struct holder *holder,
                            const struct grant *grant)
{
    struct caller caller = { .known = true,
                             .roles = holder->roles,
                             .epoch = holder->epoch,
                             .machine = grant->machine,
                             .officer = grant->officer };
    memcpy(caller.id, holder->id, sizeof caller.id);
    if (*holder->agency) memcpy(caller.agency, holder->agency, sizeof caller.agency);
    if (holder->session) memcpy(caller.session, holder->session, sizeof caller.session);
    if (holder->certificate) memcpy(caller.certificate, holder->certificate, sizeof caller.certificate);
    const char *token = token_sign(rq->service->keyring, rq->service->config->issuer, &caller, rq->arena);
    const char *scope = scope_text(rq, holder->roles);
    if (!token || !scope) return problem(500, "out_of_memory");
    json_t *answer = json_pack("{s:s, s:s, s:i, s:s, s:s}", "access_token", token, "token_type", "Bearer", "expires_in",
                               TOKEN_SECONDS, "scope", scope, "principal_id", holder->id);
    if (grant->refresh) {
        json_object_set_new(answer, "refresh_token", json_string(grant->refresh));
        json_object_set_new(answer, "refresh_expires_in", json_integer(holder->refresh_seconds));
    }
    respond_json(rq, rs, 200, answer);
    json_decref(answer);
    response_header(rs, "Cache-Control", "no-store");
    return PROBLEM_NONE;
}

static const char *member(const struct request *rq, const char *name)
{
    return json_string_value(json_object_get(rq->json, name));
}

/* Narrows the roles to those asked for; false if one of them is not the client's. */
static bool scope_narrows(const char *scope, unsigned *roles)
{
    unsigned asked = 0;
    for (; *scope; scope += strspn(scope, " ")) {
        size_t length = strcspn(scope, " ");
        int role = 0;
        while (role < ROLE_COUNT && (strlen(role_name((enum role)role)) != length ||
                                     strncmp(role_name((enum role)role), scope, length) != 0))
            role++;
        if (length && (role == ROLE_COUNT || !(*roles & 1u << role))) return false;
        if (length) asked |= 1u << role;
        scope += length;
    }
    if (asked) *roles = asked;
    return true;
}

/* A sign-in of its own, which ends by itself once no token of it can live any more. An assertion is used up by it, in the
   same trip: where that was done before, no sign-in comes about. */
static struct problem sign_in_client(struct request *rq, const char *officer, const struct client_proof *proof,
                                     struct holder *holder)
{
    static const struct statement by_secret = {
        .name = "sign_in_client",
        .sql = "page AS (SELECT * FROM sign_in_client($1::uuid, $2::uuid, $3::int, $4::jsonb))",
    };
    static const struct statement by_assertion = {
        .name = "sign_in_client by assertion",
        .sql = "page AS (SELECT s.* FROM use_assertion($2::uuid, $5, $6::bytea, $7::bigint) u,"
               " LATERAL sign_in_client($1::uuid, u.id, $3::int, $4::jsonb) s)",
    };
    char session[UUID_SIZE];
    struct rows rows;
    uuid_v7(session);
    const char *terms = token_terms(rq, json_pack("{s:i, s:s*, s:s*}", "seconds", 2 * TOKEN_SECONDS, "certificate",
                                                  holder->certificate, "officer", officer));
    const char *epoch = arena_text(rq->arena, "%d", holder->epoch);
    const char *const values[] = { session, holder->id, epoch, terms, proof->key, proof->digest, proof->ends };
    if (!epoch || !terms) return problem(500, "out_of_memory");
    TRY(db_login(rq, proof->key ? &by_assertion : &by_secret, proof->key ? 7 : 4, values, &rows));
    return rows.count ? holder_read(rq, &rows.row[0], holder) : db_refuse(rq, problem(401, "invalid_client"));
}

static struct problem issue_to_client(struct request *rq, struct response *rs)
{
    struct holder holder;
    struct client_proof proof;
    const char *scope = member(rq, "scope"), *certificate;
    TRY(certificate_asked(rq, &certificate));
    TRY(client_authenticate(rq, &holder, &proof));
    const char *officer = *holder.agency ? member(rq, "officer") : NULL;
    holder.certificate = certificate;
    unsigned narrowed = holder.roles;
    bool fits = !scope || scope_narrows(scope, &narrowed);
    if (fits) TRY(sign_in_client(rq, officer, &proof, &holder));
    rate_login_passed(rq);
    if (!fits) return db_refuse(rq, problem(400, "invalid_scope"));
    holder.roles = narrowed;
    return token_answer(rq, rs, &holder, &(struct grant){ .machine = true, .officer = officer });
}

static struct problem refuse_refresh(struct request *rq, const char *verdict)
{
    if (strcmp(verdict, "invalid_scope") == 0) return db_refuse(rq, problem(400, "invalid_scope"));
    if (strcmp(verdict, "reused") != 0) return db_refuse(rq, problem(400, "invalid_grant"));
    return (struct problem){ .status = 400, .code = "invalid_grant", .audited = true }; /* with what it ended */
}

static struct problem rotate(struct request *rq, const char *shown, const char *fresh, struct rows *rows)
{
    static const struct statement statement = { .name = "refresh_sign_in",
                                                .sql = "page AS (SELECT * FROM refresh_sign_in($1, $2, $3::jsonb))",
                                                .many = true,
                                                .silent = true };
    char digest[SECRET_DIGEST_SIZE], fresh_digest[SECRET_DIGEST_SIZE];
    secret_digest(shown, digest);
    secret_digest(fresh, fresh_digest);
    const char *terms =
        token_terms(rq, json_pack("{s:s*, s:s*}", "certificate", rq->certificate, "scope", member(rq, "scope")));
    const char *const values[] = { digest, fresh_digest, terms };
    return terms ? db_login(rq, &statement, 3, values, rows) : problem(500, "out_of_memory");
}

/* People refresh (6): the token shown works this once, and comes with its successor. Why one does not work is not told;
   the log names those that were used before. */
static struct problem refresh(struct request *rq, struct response *rs)
{
    const char *shown = member(rq, "refresh_token"), *scope = member(rq, "scope");
    char *fresh = arena_alloc(rq->arena, SECRET_SIZE);
    struct rows rows;
    struct holder holder;
    if (!shown) return db_refuse(rq, problem(400, "refresh_token_missing"));
    if (!fresh) return problem(500, "out_of_memory");
    secret_make(fresh);
    TRY(rotate(rq, shown, fresh, &rows));
    if (!rows.count || rows.row[0].key) return refuse_refresh(rq, rows.count ? rows.row[0].key : "unknown");
    TRY(holder_read(rq, &rows.row[0], &holder));
    if (scope && !scope_narrows(scope, &holder.roles)) return problem(500, "internal"); /* SQL has asked */
    return token_answer(rq, rs, &holder, &(struct grant){ .refresh = fresh });
}

static struct problem issue_token(struct request *rq, struct response *rs)
{
    const char *type = member(rq, "grant_type");
    if (strcmp(type, "client_credentials") == 0) return issue_to_client(rq, rs);
    if (strcmp(type, "refresh_token") == 0) return refresh(rq, rs);
    return db_refuse(rq, problem(400, "unsupported_grant_type"));
}

const struct operation tokens[] = {
    { "issueToken", issue_token, NULL, NULL },
    { 0 },
};
