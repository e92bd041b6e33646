#include "api/invitations.h"

#include <string.h>

#include "api/client_keys.h"
#include "api/second_factor.h"
#include "utvag/base64url.h"
#include "utvag/blind.h"
#include "utvag/config.h"
#include "utvag/db.h"
#include "utvag/digest.h"
#include "utvag/password.h"
#include "utvag/rate.h"
#include "utvag/record.h"
#include "utvag/resource.h"
#include "utvag/respond.h"

enum { CHANCE_BYTES = 16, CHANCE_HEX = 2 * CHANCE_BYTES + 1 };

/* Drawn from the MAC key, the record, and chance that is kept with the answer: nobody without the key ring can make it, no
   caller can choose what it is drawn from, and a repetition under the same Idempotency-Key gets the token that the lost
   answer had. */
static const char *invitation_token(struct request *rq, const char *drawn_from)
{
    unsigned char mac[BLIND_BYTES];
    const char *of = arena_text(rq->arena, "%s %s", request_path(rq, "id"), drawn_from);
    char *token = arena_alloc(rq->arena, SECRET_SIZE);
    if (!of || !token || !blind_mac(rq->service->keyring, "invitation", of, strlen(of), mac)) return NULL;
    base64url_encode(mac, sizeof mac, token);
    return token;
}

static bool show_token(struct request *rq, json_t *invitation)
{
    const char *drawn_from = json_string_value(json_object_get(invitation, "drawn_from"));
    const char *token = drawn_from ? invitation_token(rq, drawn_from) : NULL;
    json_object_del(invitation, "drawn_from");
    return token && json_object_set_new(invitation, "token", json_string(token)) == 0;
}

static struct problem answer(struct request *rq, struct response *rs, const struct row *row)
{
    const char *text;
    size_t length;
    TRY(record_open(rq, row->body, row->length, &text, &length));
    json_t *body = json_loadb(text, length, 0, NULL);
    json_t *invitation = json_object_get(body, "invitation");
    bool shown = !json_is_object(invitation) || show_token(rq, invitation);
    if (shown) respond_json(rq, rs, 200, body);
    json_decref(body);
    rs->etag = respond_etag(rq, row->version, text, length);
    return shown ? PROBLEM_NONE : problem(500, "out_of_memory");
}

struct problem approve_with_invitation(struct request *rq, struct response *rs)
{
    unsigned char chance[CHANCE_BYTES];
    char drawn_from[CHANCE_HEX], digest[SECRET_DIGEST_SIZE];
    digest_random(chance, sizeof chance);
    digest_hex(chance, sizeof chance, drawn_from);
    const char *token = invitation_token(rq, drawn_from);
    if (!token) return problem(500, "out_of_memory");
    secret_digest(token, digest);
    json_t *body = json_pack("{s:s, s:s}", "invitation_digest", digest, "drawn_from", drawn_from);
    struct rows rows;
    struct problem stop = resource_call(rq, body, &rows);
    json_decref(body);
    TRY(stop);
    return rows.count ? answer(rq, rs, &rows.row[0]) : problem(404, "not_found");
}

/* Accepting ------------------------------------------------------------------------------------------------------ */

static struct problem refuse(struct request *rq)
{
    struct problem refused = problem(401, "invitation_invalid");
    TRY(db_audit_refusal(rq, refused.status, refused.code));
    refused.audited = true;
    return refused;
}

static struct problem member_problem(struct request *rq, const char *pointer, const char *code)
{
    struct member_error *error = arena_alloc(rq->arena, sizeof *error);
    if (!error) return problem(500, "out_of_memory");
    *error = (struct member_error){ .pointer = pointer, .code = code };
    return (struct problem){ .status = 422, .code = "body_invalid", .errors = error, .error_count = 1 };
}

/* Whose invitation it is, before any costly hashing: a `user` with her address, or a `client`; NULL for nobody's. */
struct invited {
    const char *kind, *email;
};

static struct problem find_invitation(struct request *rq, const char *digest, struct invited *invited)
{
    static const struct statement statement = { .name = "find_invitation",
                                                .sql = "page AS (SELECT * FROM find_invitation($1))",
                                                .many = true };
    const char *const values[] = { digest }, *text;
    struct rows rows = { 0 };
    size_t length;
    *invited = (struct invited){ 0 };
    TRY(db_login(rq, &statement, 1, values, &rows));
    if (!rows.count) return PROBLEM_NONE;
    TRY(record_open(rq, rows.row[0].body, rows.row[0].length, &text, &length));
    json_t *body = json_loadb(text, length, 0, NULL);
    const char *email = json_string_value(json_object_get(body, "email"));
    invited->kind = strcmp(json_string_value(json_object_get(body, "kind")), "client") == 0 ? "client" : "user";
    invited->email = arena_text(rq->arena, "%s", email ? email : "");
    json_decref(body);
    return invited->email ? PROBLEM_NONE : problem(500, "out_of_memory");
}

/* What the holder sets: a user's password with her second factor, or a client's secret. */
struct credentials {
    const char *password_hash, *factor;
    const char *secret_digest;
};

/* Takes the invitation, if nobody has since. */
static struct problem accept(struct request *rq, const char *digest, const struct credentials *set, struct rows *rows)
{
    static const struct statement statement = { .name = "accept_invitation",
                                                .sql =
                                                    "page AS (SELECT * FROM accept_invitation($1, $2, $3, $4::jsonb))",
                                                .many = true };
    const char *const values[] = { digest, set->password_hash, set->secret_digest, set->factor };
    TRY(db_login(rq, &statement, 4, values, rows));
    return rows->count ? PROBLEM_NONE : refuse(rq);
}

/* Shown this once. */
static struct problem show_factor(struct request *rq, struct response *rs, const char *id, const char *email,
                                  const struct second_factor *factor)
{
    const char *uri = totp_uri(rq->arena, "Utväg", email, factor->secret);
    json_t *codes = json_array();
    for (int i = 0; i < RECOVERY_CODES; i++) json_array_append_new(codes, json_string(factor->recovery[i]));
    json_t *body = json_pack("{s:s, s:s, s:s*, s:o}", "id", id, "totp_secret", factor->secret, "totp_uri", uri,
                             "recovery_codes", codes);
    respond_json(rq, rs, 200, body);
    json_decref(body);
    return uri ? PROBLEM_NONE : problem(500, "out_of_memory");
}

static struct problem accept_for_user(struct request *rq, struct response *rs, const char *digest, const char *email)
{
    const char *password = json_string_value(json_object_get(rq->json, "password"));
    char hash[PASSWORD_SIZE];
    struct second_factor factor;
    struct rows rows;
    if (json_object_get(rq->json, "public_keys")) return member_problem(rq, "/public_keys", "not_for_users");
    if (!password) return member_problem(rq, "/password", "required");
    if (!password_hash(password, hash)) return problem(503, "overloaded");
    struct credentials set = { .password_hash = hash, .factor = second_factor_make(rq, &factor) };
    struct problem stop = set.factor ? accept(rq, digest, &set, &rows) : problem(500, "internal");
    if (!stop.status) stop = show_factor(rq, rs, rows.row[0].id, email, &factor);
    explicit_bzero(&factor, sizeof factor);
    return stop;
}

static struct problem accept_with_secret(struct request *rq, struct response *rs, const char *digest)
{
    char secret[SECRET_SIZE], kept[SECRET_DIGEST_SIZE];
    struct rows rows;
    if (!rq->service->config->client_secrets) return member_problem(rq, "/public_keys", "required");
    secret_make(secret);
    secret_digest(secret, kept);
    TRY(accept(rq, digest, &(struct credentials){ .secret_digest = kept }, &rows));
    const char *id = rows.row[0].id;
    json_t *body = json_pack("{s:s, s:s, s:s}", "id", id, "client_id", id, "client_secret", secret);
    respond_json(rq, rs, 200, body);
    json_decref(body);
    explicit_bzero(secret, sizeof secret);
    return PROBLEM_NONE;
}

/* A client that signs in with keys of its own is given no secret that anyone could take. */
static struct problem accept_with_keys(struct request *rq, struct response *rs, const char *digest, const json_t *keys)
{
    static const struct statement statement = { .name = "accept_invitation_with_keys",
                                                .sql = "page AS (SELECT * FROM accept_invitation_with_keys($1,"
                                                       " $2::jsonb))",
                                                .many = true };
    const char *const values[] = { digest, client_keys_text(rq, keys) };
    struct rows rows;
    if (!values[1]) return problem(500, "out_of_memory");
    TRY(db_login(rq, &statement, 2, values, &rows));
    if (!rows.count) return refuse(rq);
    const char *id = rows.row[0].id;
    json_t *body = json_pack("{s:s, s:s, s:o}", "id", id, "client_id", id, "key_ids", client_keys_names(keys));
    respond_json(rq, rs, 200, body);
    json_decref(body);
    return PROBLEM_NONE;
}

static struct problem accept_for_client(struct request *rq, struct response *rs, const char *digest)
{
    json_t *keys;
    if (json_object_get(rq->json, "password")) return member_problem(rq, "/password", "not_for_clients");
    if (!json_object_get(rq->json, "public_keys")) return accept_with_secret(rq, rs, digest);
    TRY(client_keys_read(rq, &keys));
    struct problem stop = accept_with_keys(rq, rs, digest, keys);
    json_decref(keys);
    return stop;
}

static struct problem accept_invitation(struct request *rq, struct response *rs)
{
    char digest[SECRET_DIGEST_SIZE];
    struct invited invited;
    secret_digest(json_string_value(json_object_get(rq->json, "token")), digest);
    TRY(rate_login_allowed(rq, digest, strlen(digest)));
    TRY(find_invitation(rq, digest, &invited));
    if (!invited.kind) return refuse(rq);
    rate_login_passed(rq);
    response_header(rs, "Cache-Control", "no-store");
    return strcmp(invited.kind, "user") == 0 ? accept_for_user(rq, rs, digest, invited.email)
                                             : accept_for_client(rq, rs, digest);
}

const struct operation invitations[] = {
    { "acceptInvitation", accept_invitation, NULL, NULL },
    { 0 },
};
