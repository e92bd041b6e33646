/* The interface about itself: its links, its contract, its health. Open to all; nothing here is about anyone. */
#include <string.h>
#include <time.h>

#include "utvag/config.h"
#include "utvag/db.h"
#include "utvag/operation.h"
#include "utvag/respond.h"

static const char *fact(const struct request *rq, const char *name)
{
    const json_t *info = json_object_get(contract_tree(rq->service->contract), "info");
    const char *text = json_string_value(json_object_get(info, name));
    return text ? text : "";
}

static json_t *link_new(const struct request *rq, const char *path, const char *rel)
{
    return json_pack("{s:o, s:s, s:s}", "href", json_sprintf("%s%s", rq->service->config->base_url, path), "rel", rel,
                     "method", "GET");
}

/* A collection: /v1/name. */
static const char *collection_of(const struct contract_operation *operation)
{
    const char *name = strrchr(operation->path, '/') + 1;
    bool direct = strchr(operation->path + 1, '/') + 1 == name;
    return direct && operation->list && strcmp(operation->method, "GET") == 0 ? name : NULL;
}

static struct problem get_root(struct request *rq, struct response *rs)
{
    json_t *links = json_object();
    json_object_set_new(links, "self", link_new(rq, "/v1", "self"));
    json_object_set_new(links, "service-desc", link_new(rq, "/v1/openapi.yaml", "service-desc"));
    json_object_set_new(links, "status", link_new(rq, "/v1/health/ready", "status"));
    for (size_t i = 0; i < contract_count(rq->service->contract); i++) {
        const struct contract_operation *operation = contract_at(rq->service->contract, i);
        const char *name = collection_of(operation);
        if (name) json_object_set_new(links, name, link_new(rq, operation->path, name));
    }
    json_t *root =
        json_pack("{s:s, s:s, s:o}", "name", fact(rq, "title"), "version", fact(rq, "version"), "_links", links);
    respond_json(rq, rs, 200, root);
    json_decref(root);
    return PROBLEM_NONE;
}

static struct problem get_api_info(struct request *rq, struct response *rs)
{
    json_t *info = json_pack("{s:s, s:s, s:s, s:o, s:s}", "apiName", fact(rq, "title"), "apiVersion",
                             fact(rq, "version"), "apiReleased", fact(rq, "x-released"), "apiDocumentation",
                             json_sprintf("%s/v1/openapi.yaml", rq->service->config->base_url), "apiStatus", "active");
    respond_json(rq, rs, 200, info);
    json_decref(info);
    return PROBLEM_NONE;
}

static struct problem answer_published(struct request *rq, struct response *rs, const struct published *form)
{
    rs->etag = form->etag;
    respond_body(rs, 200, rq->contract->answer_type, form->text, form->length);
    return PROBLEM_NONE;
}

static struct problem get_openapi_yaml(struct request *rq, struct response *rs)
{
    return answer_published(rq, rs, contract_yaml(rq->service->contract));
}

static struct problem get_openapi_json(struct request *rq, struct response *rs)
{
    return answer_published(rq, rs, contract_json(rq->service->contract));
}

/* RFC 9116. It may not say that it holds for ever: it holds for half a year from the day that it is read. */
static struct problem get_security_text(struct request *rq, struct response *rs)
{
    enum { DAY = 86400, DAYS = 180 };
    const json_t *contact = json_object_get(json_object_get(contract_tree(rq->service->contract), "info"), "contact");
    const char *email = json_string_value(json_object_get(contact, "email"));
    time_t until = (time(NULL) / DAY + DAYS) * DAY;
    struct tm day;
    char expires[32];
    strftime(expires, sizeof expires, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&until, &day));
    const char *text =
        arena_text(rq->arena, "Contact: mailto:%s\nExpires: %s\nPreferred-Languages: sv, en\nCanonical: %s%s\n",
                   email ? email : "", expires, rq->service->config->base_url, rq->contract->path);
    if (!text) return problem(500, "out_of_memory");
    respond_body(rs, 200, "text/plain; charset=utf-8", text, strlen(text));
    return PROBLEM_NONE;
}

static json_t *catalogue_link(const struct request *rq, const char *path, const char *type)
{
    return json_pack("{s:o, s:s}", "href", json_sprintf("%s%s", rq->service->config->base_url, path), "type", type);
}

/* RFC 9727 */
static struct problem get_api_catalog(struct request *rq, struct response *rs)
{
    static const char json[] = "application/json";
    json_t *catalogue = json_pack("{s:[{s:o, s:[o], s:[o, o], s:[o]}]}", "linkset", "anchor",
                                  json_sprintf("%s/v1", rq->service->config->base_url), "service-desc",
                                  catalogue_link(rq, "/v1/openapi.yaml", "application/yaml"), "service-meta",
                                  catalogue_link(rq, "/v1/api-info", json),
                                  catalogue_link(rq, "/.well-known/oauth-authorization-server", json), "status",
                                  catalogue_link(rq, "/v1/health/ready", json));
    respond_json(rq, rs, 200, catalogue);
    json_decref(catalogue);
    if (rs->status == 200) rs->type = "application/linkset+json; profile=\"https://www.rfc-editor.org/info/rfc9727\"";
    return PROBLEM_NONE;
}

static struct problem answer_status(struct response *rs, const char *body)
{
    respond_body(rs, 200, "application/json", body, strlen(body));
    return PROBLEM_NONE;
}

static struct problem get_liveness(struct request *rq, struct response *rs)
{
    (void)rq;
    return answer_status(rs, "{\"status\":\"live\"}");
}

static struct problem get_readiness(struct request *rq, struct response *rs)
{
    if (service_draining()) return problem(503, "draining");
    if (!db_ready(rq->service->db)) return problem(503, "database_away");
    return answer_status(rs, "{\"status\":\"ready\"}");
}

const struct operation system_operations[] = {
    { "getRoot", get_root, NULL, NULL },
    { "getApiInfo", get_api_info, NULL, NULL },
    { "getOpenapiYaml", get_openapi_yaml, NULL, NULL },
    { "getOpenapiJson", get_openapi_json, NULL, NULL },
    { "getLiveness", get_liveness, NULL, NULL },
    { "getReadiness", get_readiness, NULL, NULL },
    { "getSecurityText", get_security_text, NULL, NULL },
    { "getApiCatalog", get_api_catalog, NULL, NULL },
    { 0 },
};
