/* What those who verify our tokens, and those who ask for them, find out by themselves. Open to all. */
#include <string.h>

#include "utvag/config.h"
#include "utvag/keyring.h"
#include "utvag/operation.h"
#include "utvag/respond.h"

/* The next key is in the set a whole rotation before it signs: a set as old as this still verifies. */
static const char kept[] = "public, max-age=300";

/* RFC 7517, 5 */
static struct problem get_key_set(struct request *rq, struct response *rs)
{
    size_t count;
    const struct signing_key *keys = keyring_signing(rq->service->keyring, &count);
    json_t *set = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(set, json_loads(keys[i].jwk, 0, NULL));
    json_t *answer = json_pack("{s:o}", "keys", set);
    respond_json(rq, rs, 200, answer);
    json_decref(answer);
    response_header(rs, "Cache-Control", kept);
    return PROBLEM_NONE;
}

static json_t *role_names(void)
{
    json_t *names = json_array();
    for (int role = 0; role < ROLE_COUNT; role++) json_array_append_new(names, json_string(role_name((enum role)role)));
    return names;
}

static json_t *address(const struct request *rq, const char *path)
{
    return json_sprintf("%s%s", rq->service->config->base_url, path);
}

/* RFC 8414, 2; mutual TLS: RFC 8705, 3.3. `none`: a refresh token stands for itself. */
static struct problem get_authorization_server(struct request *rq, struct response *rs)
{
    const struct config *config = rq->service->config;
    json_t *answer = json_pack(
        "{s:s, s:o, s:o, s:o, s:[s, s], s:[], s:o, s:[s, s], s:[s], s:[s], s:b, s:o, s:[s, s]}", "issuer",
        config->issuer, "token_endpoint", address(rq, "/v1/oauth/token"), "revocation_endpoint",
        address(rq, "/v1/oauth/revoke"), "jwks_uri", address(rq, "/.well-known/jwks.json"), "grant_types_supported",
        "client_credentials", "refresh_token", "response_types_supported", "scopes_supported", role_names(),
        "token_endpoint_auth_methods_supported", "private_key_jwt", "none",
        "token_endpoint_auth_signing_alg_values_supported", "ES256", "revocation_endpoint_auth_methods_supported",
        "none", "tls_client_certificate_bound_access_tokens", config->tls_client_ca || config->proxies,
        "service_documentation", address(rq, "/v1/openapi.yaml"), "ui_locales_supported", "sv", "en");
    if (config->client_secrets)
        json_array_append_new(json_object_get(answer, "token_endpoint_auth_methods_supported"),
                              json_string("client_secret_post"));
    respond_json(rq, rs, 200, answer);
    json_decref(answer);
    response_header(rs, "Cache-Control", kept);
    return PROBLEM_NONE;
}

const struct operation discovery[] = {
    { "getKeySet", get_key_set, NULL, NULL },
    { "getAuthorizationServer", get_authorization_server, NULL, NULL },
    { 0 },
};
