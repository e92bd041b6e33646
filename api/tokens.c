/* Tokens of machine clients (RFC 6749, section 4.4). */
#include "api/tokens.h"

#include <string.h>

#include "api/client_authentication.h"
#include "utvag/config.h"
#include "utvag/operation.h"
#include "utvag/respond.h"
#include "utvag/token.h"

struct problem holder_read(struct request *rq, const struct row *row, struct holder *holder)
{
    json_t *body = json_loadb(row->body, row->length, 0, NULL);
    const char *hash = json_string_value(json_object_get(body, "hash"));
    const char *agency = json_string_value(json_object_get(body, "agency_id"));
    *holder = (struct holder){ .id = row->id, .epoch = row->version };
    if (hash) holder->hash = arena_text(rq->arena, "%s", hash);
    if (agency) holder->agency = arena_text(rq->arena, "%s", agency);
    size_t index;
    json_t *role;
    json_array_foreach(json_object_get(body, "roles"), index, role) {
        enum role known = role_find(json_string_value(role));
        if (known != ROLE_COUNT) holder->roles |= 1u << known;
    }
    json_decref(body);
    return (holder->hash || !hash) && holder->agency ? PROBLEM_NONE : problem(500, "out_of_memory");
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

struct problem token_answer(struct request *rq, struct response *rs, const struct holder *holder, bool machine,
                            const char *officer)
{
    struct caller caller = {
        .known = true, .roles = holder->roles, .epoch = holder->epoch, .machine = machine, .officer = officer
    };
    memcpy(caller.id, holder->id, sizeof caller.id);
    if (*holder->agency) memcpy(caller.agency, holder->agency, sizeof caller.agency);
    if (holder->certificate) memcpy(caller.certificate, holder->certificate, sizeof caller.certificate);
    const char *token = token_sign(rq->service->keyring, rq->service->config->issuer, &caller, rq->arena);
    const char *scope = scope_text(rq, holder->roles);
    if (!token || !scope) return problem(500, "out_of_memory");
    json_t *answer = json_pack("{s:s, s:s, s:i, s:s, s:s}", "access_token", token, "token_type", "Bearer", "expires_in",
                               TOKEN_SECONDS, "scope", scope, "principal_id", holder->id);
    respond_json(rq, rs, 200, answer);
    json_decref(answer);
    response_header(rs, "Cache-Control", "no-store");
    return PROBLEM_NONE;
}

struct problem token_refuse(struct request *rq, struct response *rs, int status, const char *code, const char *error)
{
    TRY(db_audit_refusal(rq, status, code));
    respond_problem(rq, rs, &(struct problem){ .status = status, .code = code });
    const char *type = rs->type;
    json_t *value = json_loadb(rs->body, rs->length, 0, NULL);
    json_t *words = json_incref(json_object_get(value, "detail"));
    json_object_set_new(value, "error", json_string(error));
    json_object_set_new(value, "error_description", words);
    respond_json(rq, rs, status, value);
    json_decref(value);
    rs->type = type;
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

static struct problem issue_to_client(struct request *rq, struct response *rs)
{
    struct holder holder;
    const char *scope = member(rq, "scope"), *officer = member(rq, "officer"), *certificate;
    TRY(certificate_asked(rq, &certificate));
    TRY(client_authenticate(rq, &holder));
    holder.certificate = certificate;
    if (scope && !scope_narrows(scope, &holder.roles))
        return token_refuse(rq, rs, 400, "invalid_scope", "invalid_scope");
    return token_answer(rq, rs, &holder, true, *holder.agency ? officer : NULL);
}

static struct problem issue_token(struct request *rq, struct response *rs)
{
    if (strcmp(member(rq, "grant_type"), "client_credentials") == 0) return issue_to_client(rq, rs);
    return token_refuse(rq, rs, 400, "unsupported_grant_type", "unsupported_grant_type");
}

const struct operation tokens[] = {
    { "issueToken", issue_token, NULL, NULL },
    { 0 },
};
