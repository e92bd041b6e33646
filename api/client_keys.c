#include "api/client_keys.h"

#include <stdlib.h>
#include <string.h>

#include "api/client_authentication.h"
#include "utvag/jwk.h"
#include "utvag/operation.h"
#include "utvag/rate.h"
#include "utvag/respond.h"

static struct problem wrong(struct request *rq, size_t index, const char *member, const char *code)
{
    struct member_error *error = arena_alloc(rq->arena, sizeof *error);
    const char *pointer = arena_text(rq->arena, "/public_keys/%zu%s", index, member);
    if (!error || !pointer) return problem(500, "out_of_memory");
    *error = (struct member_error){ .pointer = pointer, .code = code };
    return (struct problem){ .status = 422, .code = "body_invalid", .errors = error, .error_count = 1 };
}

static bool named_already(const json_t *keys, const char *kid)
{
    size_t index;
    json_t *key;
    json_array_foreach((json_t *)keys, index, key)
        if (strcmp(json_string_value(json_object_get(key, "kid")), kid) == 0) return true;
    return false;
}

static struct problem read_key(struct request *rq, size_t index, const json_t *jwk, json_t *keys)
{
    char thumbprint[JWK_THUMBPRINT_SIZE] = "", *pem;
    const char *algorithm, *kid = json_string_value(json_object_get(jwk, "kid"));
    if (jwk_is_private(jwk)) return wrong(rq, index, "/d", "key_is_private");
    bool taken =
        jwk_public_pem(jwk, &pem, &algorithm) && strcmp(algorithm, "ES256") == 0 && jwk_thumbprint(jwk, thumbprint);
    if (!kid) kid = thumbprint;
    struct problem stop = !taken                     ? wrong(rq, index, "", "key_invalid")
                          : named_already(keys, kid) ? wrong(rq, index, "/kid", "key_named_twice")
                                                     : PROBLEM_NONE;
    if (!stop.status && json_array_append_new(keys, json_pack("{s:s, s:s}", "kid", kid, "public_pem", pem)) != 0)
        stop = problem(500, "out_of_memory");
    free(pem);
    return stop;
}

struct problem client_keys_read(struct request *rq, json_t **keys)
{
    size_t index;
    json_t *jwk;
    *keys = json_array();
    json_array_foreach(json_object_get(rq->json, "public_keys"), index, jwk) {
        struct problem stop = read_key(rq, index, jwk, *keys);
        if (!stop.status) continue;
        json_decref(*keys);
        *keys = NULL;
        return stop;
    }
    return PROBLEM_NONE;
}

const char *client_keys_text(struct request *rq, const json_t *keys)
{
    char *text = json_dumps(keys, JSON_COMPACT);
    const char *copy = text ? arena_copy(rq->arena, text, strlen(text)) : NULL;
    free(text);
    return copy;
}

json_t *client_keys_names(const json_t *keys)
{
    json_t *names = json_array(), *key;
    size_t index;
    json_array_foreach((json_t *)keys, index, key) json_array_append(names, json_object_get(key, "kid"));
    return names;
}

/* Asked for by an assertion of its own and not by a token: a token that was stolen must not become a key. */
static struct problem replace_client_keys(struct request *rq, struct response *rs)
{
    static const struct statement statement = {
        .name = "replace_client_keys",
        .sql = "page AS (SELECT r.* FROM use_assertion($1::uuid, $2, $3::bytea, $4::bigint) u,"
               " LATERAL replace_client_keys(u.id, $6::int, $5::jsonb) r)",
    };
    struct holder holder;
    struct client_proof proof;
    struct rows rows;
    json_t *keys;
    TRY(client_authenticate(rq, &holder, &proof));
    TRY(client_keys_read(rq, &keys));
    json_t *body = json_pack("{s:s, s:o}", "client_id", holder.id, "key_ids", client_keys_names(keys));
    const char *text = client_keys_text(rq, keys), *epoch = arena_text(rq->arena, "%d", holder.epoch);
    const char *const values[] = { holder.id, proof.key, proof.digest, proof.ends, text, epoch };
    struct problem stop = text && epoch ? db_login(rq, &statement, 6, values, &rows) : problem(500, "out_of_memory");
    if (!stop.status && !rows.count) stop = db_refuse(rq, problem(401, "invalid_client"));
    if (!stop.status) {
        rate_login_passed(rq);
        respond_json(rq, rs, 200, body);
    }
    json_decref(body);
    json_decref(keys);
    return stop;
}

const struct operation client_keys[] = {
    { "replaceClientKeys", replace_client_keys, NULL, NULL },
    { 0 },
};
