#include "utvag/respond.h"

#include <string.h>
#include <strings.h>

#include "utvag/compress.h"
#include "utvag/config.h"
#include "utvag/digest.h"

static const char problem_type[] = "application/problem+json";

void respond_body(struct response *rs, int status, const char *type, const char *body, size_t length)
{
    rs->status = status;
    rs->type = type;
    rs->body = body;
    rs->length = length;
}

const char *respond_etag(struct request *rq, int version, const char *body, size_t length)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[9];
    digest_sha256(body, length, digest);
    digest_hex(digest, 4, hex);
    return arena_text(rq->arena, "\"%d.%s\"", version, hex);
}

/* What is said when the arena is full: nothing that needs any memory. */
static void respond_exhausted(struct response *rs)
{
    static const char body[] = "{\"type\":\"urn:utvag:problem:out_of_memory\",\"title\":\"Internal server error\","
                               "\"status\":500,\"code\":\"out_of_memory\"}";
    respond_body(rs, 500, problem_type, body, sizeof body - 1);
}

void respond_json(struct request *rq, struct response *rs, int status, const json_t *value)
{
    size_t length = value ? json_dumpb(value, NULL, 0, JSON_COMPACT) : 0;
    char *text = length ? arena_alloc(rq->arena, length + 1) : NULL;
    if (!text || json_dumpb(value, text, length, JSON_COMPACT) != length) {
        respond_exhausted(rs);
        return;
    }
    respond_body(rs, status, "application/json", text, length);
}

static const char *sentence(struct request *rq, const char *code, const char *argument)
{
    return text_filled(rq->arena, code, argument, rq->language);
}

static json_t *error_list(struct request *rq, const struct problem *problem)
{
    json_t *list = json_array();
    for (size_t i = 0; i < problem->error_count; i++) {
        const struct member_error *error = &problem->errors[i];
        const char *place = error->pointer ? error->pointer : error->parameter;
        json_t *item = json_object();
        if (place) json_object_set_new(item, error->pointer ? "pointer" : "parameter", json_string(place));
        json_object_set_new(item, "code", json_string(error->code));
        json_object_set_new(item, "detail", json_string(sentence(rq, error->code, error->argument)));
        json_array_append_new(list, item);
    }
    return list;
}

/* The token endpoint, which is the one that takes a form, also speaks RFC 6749 (5.2). */
static const char *oauth_error(const struct problem *problem)
{
    static const char *const own[] = { "invalid_request",     "invalid_client",         "invalid_grant",
                                       "unauthorized_client", "unsupported_grant_type", "invalid_scope" };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(problem->code, own[i]) == 0) return own[i];
    if (problem->status == 401) return "invalid_client";
    return problem->status < 500 ? "invalid_request" : "temporarily_unavailable";
}

static json_t *problem_json(struct request *rq, const struct problem *problem)
{
    const char *t = rq->trace;
    json_t *value =
        json_pack("{s:o, s:s, s:i, s:s, s:o, s:s, s:s}", "type", json_sprintf("urn:utvag:problem:%s", problem->code),
                  "title", text_reason(problem->status, rq->language), "status", problem->status, "detail",
                  sentence(rq, problem->code, NULL), "instance",
                  json_sprintf("urn:uuid:%.8s-%.4s-%.4s-%.4s-%s", t, t + 8, t + 12, t + 16, t + 20), "code",
                  problem->code, "trace_id", t);
    if (value && problem->error_count) json_object_set_new(value, "errors", error_list(rq, problem));
    if (value && rq->contract && rq->contract->form) {
        json_object_set_new(value, "error", json_string(oauth_error(problem)));
        json_object_set_new(value, "error_description", json_string(sentence(rq, problem->code, NULL)));
    }
    return value;
}

static void problem_headers(struct request *rq, struct response *rs, const struct problem *problem)
{
    response_header(rs, "Content-Language", rq->language == SWEDISH ? "sv" : "en");
    if (problem->status == 401) {
        /* Where no token is asked for, nobody has looked at one. */
        bool looked = request_header(rq, "Authorization") && !(rq->contract && rq->contract->open);
        bool refused = strcmp(problem->code, "token_missing") != 0 && looked;
        response_header(rs, "WWW-Authenticate",
                        refused ? "Bearer realm=\"utvag\", error=\"invalid_token\"" : "Bearer realm=\"utvag\"");
    }
    if (problem->status == 403 && strcmp(problem->code, "role_missing") == 0) /* RFC 6750, 3.1 */
        response_header(rs, "WWW-Authenticate", "Bearer realm=\"utvag\", error=\"insufficient_scope\"");
    if (problem->status == 405 && problem->allow) response_header(rs, "Allow", problem->allow);
    if (problem->status == 415 && problem->allow)
        response_header(rs, strcmp(rq->method, "PATCH") == 0 ? "Accept-Patch" : "Accept-Post", problem->allow);
    bool later = problem->status == 503 || problem->status == 429;
    int seconds = problem->retry_after ? problem->retry_after : later;
    const char *text = seconds ? arena_text(rq->arena, "%d", seconds) : NULL;
    if (text) response_header(rs, "Retry-After", text);
}

void respond_problem(struct request *rq, struct response *rs, const struct problem *problem)
{
    *rs = (struct response){ .close = rs->close || problem->close };
    json_t *value = problem_json(rq, problem);
    respond_json(rq, rs, problem->status, value);
    json_decref(value);
    rs->type = problem_type;
    problem_headers(rq, rs, problem);
}

static bool is_preflight(const struct request *rq)
{
    return strcmp(rq->method, "OPTIONS") == 0 && request_header(rq, "Access-Control-Request-Method");
}

struct problem respond_options(struct request *rq, struct response *rs)
{
    rs->status = 204;
    response_header(rs, "Allow", rq->allow);
    return PROBLEM_NONE;
}

/* Exact comparison with one of the configured origins, which are separated by commas. */
static bool origin_is_known(const char *origins, const char *origin)
{
    size_t length = strlen(origin);
    while (origins && *origins) {
        origins += strspn(origins, ", ");
        size_t size = strcspn(origins, ", ");
        if (size && size == length && memcmp(origins, origin, size) == 0) return true;
        origins += size;
    }
    return false;
}

static void cors(const struct request *rq, struct response *rs)
{
    const char *origin = request_header(rq, "Origin");
    if (!origin || !origin_is_known(rq->service->config->origins, origin)) return;
    response_header(rs, "Access-Control-Allow-Origin", origin);
    if (!is_preflight(rq)) {
        response_header(rs, "Access-Control-Expose-Headers",
                        "ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, traceparent");
        return;
    }
    response_header(rs, "Access-Control-Allow-Methods", rq->allow ? rq->allow : "");
    response_header(rs, "Access-Control-Allow-Headers",
                    "Accept-Language, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
                    "X-Acting-Officer, X-Purpose, traceparent, tracestate");
    response_header(rs, "Access-Control-Max-Age", "600");
}

/* Weak comparison (RFC 9110, 13.1.2). */
static bool tag_is_among(const char *list, const char *etag)
{
    size_t length = strlen(etag) - 1; /* without the closing quote */
    if (strcmp(list, "*") == 0) return true;
    for (const char *at = strchr(list, '"'); at; at = strchr(at, '"')) {
        const char *end = strchr(at + 1, '"');
        if (!end) return false;
        size_t size = (size_t)(end - at);
        if (size == length && memcmp(at, etag, length) == 0) return true;
        at = end + 1;
    }
    return false;
}

static bool reads(const struct request *rq) { return rq->head || strcmp(rq->method, "GET") == 0; }

static void drop_header(struct response *rs, const char *name)
{
    for (size_t i = 0; i < rs->header_count; i++)
        if (strcasecmp(rs->headers[i].name, name) == 0) rs->headers[i--] = rs->headers[--rs->header_count];
}

/* Of the answer in the form that it would have been sent in: a tag names bytes, and the 304 has that of the 200 (RFC 9110,
   15.4.5). The body stays: libmicrohttpd sends its length, which is that of the 200 too (8.6), and not a byte of it. */
static void not_modified(const struct request *rq, struct response *rs)
{
    if (!rs->etag || rs->status != 200 || !reads(rq)) return;
    const char *known = request_list(rq, "If-None-Match");
    if (!known || !tag_is_among(known, rs->etag)) return;
    rs->status = 304;
    rs->type = NULL;
    drop_header(rs, "Content-Encoding");
}

/* Only what is open and can be revalidated is kept by caches; whatever concerns a person, or a token, never is. */
static const char *cache_control(const struct request *rq, const struct response *rs)
{
    bool kept = rs->etag && reads(rq) && rs->status < 400 && rq->contract && !rq->contract->personal;
    if (!kept) return "no-store";
    return rq->contract->open ? "public, max-age=60" : "private, no-cache";
}

/* draft-ietf-httpapi-ratelimit-headers: the policy, and what is left of it. */
static void rate_headers(struct request *rq, struct response *rs)
{
    const struct rate_share *share = &rq->rate;
    if (!share->limit) return;
    const char *policy = arena_text(rq->arena, "\"default\";q=%d;w=60", share->limit);
    const char *left = arena_text(rq->arena, "\"default\";r=%d;t=%d", share->left, share->seconds);
    if (policy) response_header(rs, "RateLimit-Policy", policy);
    if (left) response_header(rs, "RateLimit", left);
}

static bool has_header(const struct response *rs, const char *name)
{
    for (size_t i = 0; i < rs->header_count; i++)
        if (strcasecmp(rs->headers[i].name, name) == 0) return true;
    return false;
}

void respond_finish(struct request *rq, struct response *rs)
{
    if (!rs->status) respond_problem(rq, rs, &(struct problem){ .status = 500, .code = "internal" });
    compress_answer(rq, rs);
    not_modified(rq, rs);
    if (rs->type) response_header(rs, "Content-Type", rs->type);
    if (rs->etag) response_header(rs, "ETag", rs->etag);
    if (!has_header(rs, "Cache-Control")) response_header(rs, "Cache-Control", cache_control(rq, rs));
    const char *trace = arena_text(rq->arena, "00-%s-%s-01", rq->trace, rq->parent);
    if (trace) response_header(rs, "traceparent", trace);
    response_header(rs, "Vary", "Accept, Accept-Encoding, Accept-Language, Origin");
    response_header(rs, "X-Content-Type-Options", "nosniff");
    response_header(rs, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    response_header(rs, "Referrer-Policy", "no-referrer");
    if (strncmp(rq->service->config->base_url, "https:", 6) == 0)
        response_header(rs, "Strict-Transport-Security", "max-age=31536000; includeSubDomains");
    rate_headers(rq, rs);
    cors(rq, rs);
}
