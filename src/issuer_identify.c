#include <string.h>
#include <time.h>

#include "issuer_list.h"
#include "utvag/blind.h"
#include "utvag/db.h"
#include "utvag/issuer.h"
#include "utvag/rate.h"
#include "utvag/token.h"

enum { LEEWAY_SECONDS = 30, LIFE_SECONDS = 86400 };

/* What a good token says. */
struct said {
    const char *address;
    unsigned roles;            /* that it leaves her */
    long long issued, expires; /* seconds since 1970 */
};

static const struct issuer *find(const struct issuers *issuers, const char *name)
{
    for (size_t i = 0; i < issuers->count; i++)
        if (strcmp(issuers->list[i].name, name) == 0) return &issuers->list[i];
    return NULL;
}

static bool value_is(const json_t *value, const char *expected)
{
    const char *text = json_string_value(value);
    return text && strcmp(text, expected) == 0;
}

/* A text, or one of an array of texts: how aud (RFC 7519, 4.1.3) and the names of groups come. */
static bool value_holds(const json_t *value, const char *expected)
{
    size_t index;
    json_t *item;

    if (value_is(value, expected)) return true;
    json_array_foreach((json_t *)value, index, item) {
        if (value_is(item, expected)) return true;
    }
    return false;
}

static bool time_of(const json_t *claims, const char *name, long long *out)
{
    const json_t *value = json_object_get(claims, name);
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0;
}

/* All of time but the end, which has an answer of its own. */
static bool times_hold(const json_t *claims, long long now, struct said *out)
{
    long long from;
    if (!time_of(claims, "exp", &out->expires) || !time_of(claims, "iat", &out->issued)) return false;
    if (json_object_get(claims, "nbf") && (!time_of(claims, "nbf", &from) || from > now + LEEWAY_SECONDS)) return false;
    return out->issued <= now + LEEWAY_SECONDS && out->expires - out->issued <= LIFE_SECONDS;
}

static bool required_hold(const struct issuer *issuer, const json_t *claims)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)issuer->require, name, value) {
        if (!value_is(json_object_get(claims, name), json_string_value(value))) return false;
    }
    return true;
}

/* An address that the issuer has not verified may be anyone's (OpenID Connect Core, 5.7). A token that is bound to a key or
   a certificate is refused: we could not ask for it. */
static bool acceptable(const json_t *claims)
{
    const json_t *verified = json_object_get(claims, "email_verified");
    return (!verified || json_is_true(verified)) && !json_object_get(claims, "cnf");
}

static unsigned roles_left(const struct issuer *issuer, const json_t *claims)
{
    const char *name;
    json_t *value;
    unsigned roles = 0;

    if (!issuer->roles_claim) return ~0u;
    json_object_foreach((json_t *)issuer->roles_map, name, value) {
        if (value_holds(json_object_get(claims, issuer->roles_claim), name))
            roles |= 1u << role_find(json_string_value(value));
    }
    return roles;
}

static struct problem claims_read(const struct issuer *issuer, const json_t *claims, struct arena *arena,
                                  struct said *out)
{
    const char *address = json_string_value(json_object_get(claims, issuer->principal_claim));
    long long now = time(NULL);

    if (!value_is(json_object_get(claims, "iss"), issuer->name) ||
        !value_holds(json_object_get(claims, "aud"), issuer->audience) || !times_hold(claims, now, out) ||
        !required_hold(issuer, claims) || !acceptable(claims) || !address || !*address)
        return problem(401, "token_invalid");
    if (out->expires <= now) return problem(401, "token_expired");
    out->roles = roles_left(issuer, claims);
    out->address = arena_copy(arena, address, strlen(address));
    return out->address ? PROBLEM_NONE : problem(500, "out_of_memory");
}

static struct problem token_read(const struct issuer *issuer, const char *token, const struct outside *claimed,
                                 struct arena *arena, struct said *out)
{
    const char *pem, *algorithm;

    if (!jwks_find(issuer->keys, claimed->key, arena, &pem, &algorithm)) return problem(401, "token_invalid");
    json_t *claims = token_outside_claims(token, pem, algorithm);
    struct problem stop = claims ? claims_read(issuer, claims, arena, out) : problem(401, "token_invalid");
    json_decref(claims);
    return stop;
}

/* Who it is, and what she may, is told by our database alone. */
static struct problem caller_fill(struct request *rq, const struct row *row, unsigned roles)
{
    json_t *body = json_loadb(row->body, row->length, 0, NULL);
    const char *agency = json_string_value(json_object_get(body, "agency_id"));
    struct caller caller = { .known = true, .role = ROLE_COUNT, .epoch = row->version };
    size_t index;
    json_t *role;

    json_array_foreach(json_object_get(body, "roles"), index, role) {
        enum role known = role_find(json_string_value(role));
        if (known != ROLE_COUNT) caller.roles |= 1u << known & roles;
    }
    memcpy(caller.id, row->id, sizeof caller.id);
    if (agency && *agency) memcpy(caller.agency, agency, sizeof caller.agency);
    json_decref(body);
    rq->caller = caller;
    return agency ? PROBLEM_NONE : problem(500, "out_of_memory");
}

static struct problem unknown(struct request *rq)
{
    struct problem refused = problem(401, "holder_unknown");
    TRY(db_audit_refusal(rq, refused.status, refused.code));
    refused.audited = true;
    return refused;
}

/* A token that is good but nobody's counts as a failed login of its address: it costs us a look and a line of the log. */
static struct problem holder_find(struct request *rq, const struct said *said)
{
    static const struct statement statement = { .name = "find_outside_user",
                                                .sql =
                                                    "page AS (SELECT * FROM find_outside_user($1::bytea, $2::bigint))",
                                                .many = true,
                                                .silent = true };
    unsigned char token[BLIND_BYTES];
    char hex[2 * BLIND_BYTES + 1];
    struct rows rows = { 0 };

    if (!blind_token(rq->service->keyring, "user_email", said->address, token)) return unknown(rq);
    TRY(rate_login_allowed(rq, token, sizeof token));
    digest_hex(token, sizeof token, hex);
    const char *const values[] = { arena_text(rq->arena, "\\x%s", hex), arena_text(rq->arena, "%lld", said->issued) };
    if (!values[0] || !values[1]) return problem(500, "out_of_memory");
    TRY(db_login(rq, &statement, 2, values, &rows));
    if (!rows.count) return unknown(rq);
    rate_login_passed(rq);
    return caller_fill(rq, &rows.row[0], said->roles);
}

struct problem issuer_identify(struct request *rq, const char *token, struct problem refused)
{
    unsigned char name[DIGEST_BYTES];
    struct outside claimed;
    struct said said = { 0 };

    if (!token_outside_read(token, rq->arena, &claimed)) return refused;
    const struct issuer *issuer = find(rq->service->issuers, claimed.issuer);
    if (!issuer) return refused;
    token_name(rq->service->tokens, token, name);
    TRY(token_read(issuer, token, &claimed, rq->arena, &said));
    TRY(holder_find(rq, &said));
    long long soon = time(NULL) + TOKEN_SECONDS;
    token_remember(rq->service->tokens, name, said.expires < soon ? said.expires : soon, &rq->caller);
    return PROBLEM_NONE;
}
