#include "api/client_authentication.h"

#include <string.h>

#include "utvag/config.h"
#include "utvag/digest.h"
#include "utvag/password.h"
#include "utvag/rate.h"
#include "utvag/token.h"

enum { KEYS = 2 };

static const char assertion_type[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/* What is verified with where a client has no key to verify with: nobody has its private half. */
static const char nobodys_key[] = "-----BEGIN PUBLIC KEY-----\n"
                                  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEh/30OzIa970gRgwoCYf2fhXLQfrR\n"
                                  "opSF8cYLTiolIGY3r8RWZHRzziCj7YyJdJnGYjCnZqxMWfdkYGkX5OqzFw==\n"
                                  "-----END PUBLIC KEY-----\n";

/* Texts in the arena; NULL where there is no such key. */
struct client_key {
    const char *kid, *pem;
};

static const char *member(const struct request *rq, const char *name)
{
    return json_string_value(json_object_get(rq->json, name));
}

/* By its secret. */

static struct problem find_client(struct request *rq, const char *client, struct holder *holder)
{
    static const struct statement statement = {
        .name = "find_client", .sql = "page AS (SELECT * FROM find_client($1::uuid))", .many = true, .silent = true
    };
    struct rows rows = { 0 };
    if (!uuid_valid(client)) return PROBLEM_NONE;
    TRY(db_login(rq, &statement, 1, &client, &rows));
    return rows.count ? holder_read(rq, &rows.row[0], holder) : PROBLEM_NONE;
}

static struct problem by_secret(struct request *rq, const char *client, const char *secret, struct holder *holder)
{
    if (!rq->service->config->client_secrets) return db_refuse(rq, problem(401, "client_secrets_off"));
    TRY(rate_login_allowed(rq, client, strlen(client)));
    TRY(find_client(rq, client, holder));
    bool right = secret_matches(secret, holder->hash) && holder->id;
    return right ? PROBLEM_NONE : db_refuse(rq, problem(401, "invalid_client"));
}

/* By an assertion. */

static struct problem keys_read(struct request *rq, const struct row *row, struct client_key keys[KEYS])
{
    json_t *body = json_loadb(row->body, row->length, 0, NULL), *list = json_object_get(body, "keys");
    bool whole = true;
    for (size_t i = 0; i < KEYS && i < json_array_size(list); i++) {
        const json_t *key = json_array_get(list, i);
        const char *kid = json_string_value(json_object_get(key, "kid"));
        const char *pem = json_string_value(json_object_get(key, "public_pem"));
        keys[i].kid = kid ? arena_text(rq->arena, "%s", kid) : NULL;
        keys[i].pem = pem ? arena_text(rq->arena, "%s", pem) : NULL;
        whole = whole && keys[i].kid && keys[i].pem;
    }
    json_decref(body);
    return whole ? PROBLEM_NONE : problem(500, "out_of_memory");
}

static struct problem find_keys(struct request *rq, const char *client, struct client_key keys[KEYS],
                                struct holder *holder)
{
    static const struct statement statement = { .name = "find_client_keys",
                                                .sql = "page AS (SELECT * FROM find_client_keys($1::uuid))",
                                                .many = true,
                                                .silent = true };
    struct rows rows = { 0 };
    if (!uuid_valid(client)) return PROBLEM_NONE;
    TRY(db_login(rq, &statement, 1, &client, &rows));
    if (!rows.count) return PROBLEM_NONE;
    TRY(holder_read(rq, &rows.row[0], holder));
    return keys_read(rq, &rows.row[0], keys);
}

/* Verifies as often for a client that does not exist, and for one with a single key: nobody learns of either by time. */
static bool signed_by_one(struct request *rq, const char *text, const struct client_key keys[KEYS],
                          const struct assertion *claimed, struct assertion *found)
{
    bool signed_well = false;
    for (size_t i = 0; i < KEYS; i++) {
        bool meant = keys[i].pem && (!claimed->key || strcmp(claimed->key, keys[i].kid) == 0);
        struct assertion read;
        bool holds = token_assertion_verify(text, meant ? keys[i].pem : nobodys_key, rq->service->config->issuer,
                                            rq->arena, &read);
        if (!holds || !meant) continue;
        *found = read;
        found->key = keys[i].kid;
        signed_well = true;
    }
    return signed_well;
}

static struct problem proof_of(struct request *rq, const struct assertion *assertion, struct client_proof *proof)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[DIGEST_HEX];
    digest_sha256(assertion->id, strlen(assertion->id), digest);
    digest_hex(digest, sizeof digest, hex);
    proof->key = assertion->key;
    proof->digest = arena_text(rq->arena, "\\x%s", hex);
    proof->ends = arena_text(rq->arena, "%lld", assertion->expires);
    return proof->digest && proof->ends ? PROBLEM_NONE : problem(500, "out_of_memory");
}

static struct problem by_assertion(struct request *rq, const char *text, struct holder *holder,
                                   struct client_proof *proof)
{
    struct assertion claimed, found;
    struct client_key keys[KEYS] = { { NULL, NULL } };
    const char *named = member(rq, "client_id");
    bool read = token_assertion_read(text, rq->arena, &claimed);
    bool one = read && (!named || strcmp(named, claimed.client) == 0);
    const char *account = named ? named : read ? claimed.client : "";
    TRY(rate_login_allowed(rq, account, strlen(account)));
    if (one) TRY(find_keys(rq, claimed.client, keys, holder));
    if (!one || !signed_by_one(rq, text, keys, &claimed, &found)) return db_refuse(rq, problem(401, "invalid_client"));
    return proof_of(rq, &found, proof);
}

struct problem client_authenticate(struct request *rq, struct holder *holder, struct client_proof *proof)
{
    const char *client = member(rq, "client_id"), *secret = member(rq, "client_secret");
    const char *assertion = member(rq, "client_assertion"), *type = member(rq, "client_assertion_type");
    bool asserts = assertion && type && !secret && strcmp(type, assertion_type) == 0;
    bool tells = client && secret && !assertion && !type;
    *holder = (struct holder){ .agency = "" };
    *proof = (struct client_proof){ 0 };
    if (asserts) return by_assertion(rq, assertion, holder, proof);
    if (tells) return by_secret(rq, client, secret, holder);
    return db_refuse(rq, problem(400, "client_authentication_unclear"));
}
