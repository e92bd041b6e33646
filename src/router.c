#include "utvag/router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "utvag/percent.h"

enum { TARGET_LIMIT = 2048, SEGMENTS = 16, METHODS = 8, NAMES = 8, ALLOW_SIZE = 96 };

struct segment {
    const char *text;
    size_t length;
};

/* One path template: the operations by method, and which segments are parameters. */
struct route {
    const struct contract_operation *operations[METHODS];
    size_t count;
    struct {
        const char *name;
        size_t at;
    } names[NAMES];
    size_t name_count;
    char allow[ALLOW_SIZE];
};

/* A segment of the templates. Literal children are tried before the parameter. */
struct node {
    struct segment literal;
    struct node *next, *children, *parameter;
    struct route *route;
};

struct router {
    struct node root;
};

static bool same(const struct segment *a, const struct segment *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

/* Splits a path that begins with /; the number of segments, or SEGMENTS + 1 if there are more. */
static size_t split(const char *path, size_t length, struct segment segments[SEGMENTS])
{
    size_t count = 0;
    for (size_t at = 1; at <= length; count++) {
        const char *end = memchr(path + at, '/', length - at);
        size_t size = end ? (size_t)(end - path) - at : length - at;
        if (count == SEGMENTS) return SEGMENTS + 1;
        segments[count] = (struct segment){ path + at, size };
        at += size + 1;
    }
    return count;
}

static struct node *child(struct node *node, const struct segment *segment)
{
    bool parameter = segment->length && segment->text[0] == '{';
    struct node **place = parameter ? &node->parameter : &node->children;
    while (*place && !parameter && !same(&(*place)->literal, segment)) place = &(*place)->next;
    if (!*place && (*place = calloc(1, sizeof **place))) (*place)->literal = *segment;
    return *place;
}

static bool name_parameters(struct route *route, const struct segment *segments, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (segments[i].text[0] != '{') continue;
        if (route->name_count == NAMES || segments[i].length < 3) return false;
        char *name = strndup(segments[i].text + 1, segments[i].length - 2);
        if (!name) return false;
        route->names[route->name_count].name = name;
        route->names[route->name_count++].at = i;
    }
    return true;
}

static bool add_path(struct router *router, const struct contract_operation *operation, size_t length)
{
    struct segment segments[SEGMENTS];
    size_t count = split(operation->path, length, segments);
    if (count > SEGMENTS) return false;
    struct node *node = &router->root;
    for (size_t i = 0; i < count; i++)
        if (!(node = child(node, &segments[i]))) return false;
    if (!node->route) {
        if (!(node->route = calloc(1, sizeof *node->route))) return false;
        if (!name_parameters(node->route, segments, count)) return false;
    }
    struct route *route = node->route;
    if (route->count == METHODS) return false;
    route->operations[route->count++] = operation;
    size_t used = strlen(route->allow);
    const char *more = strcmp(operation->method, "GET") == 0 ? "GET, HEAD" : operation->method;
    int written = snprintf(route->allow + used, ALLOW_SIZE - used, "%s, ", more);
    return written > 0 && (size_t)written + sizeof "OPTIONS" < ALLOW_SIZE - used;
}

/* The contract's path / under the base /v1 is /v1/; people write /v1, and that is served too. */
static bool add(struct router *router, const struct contract_operation *operation)
{
    size_t length = strlen(operation->path);
    bool root = length > 1 && operation->path[length - 1] == '/';
    return add_path(router, operation, length) && (!root || add_path(router, operation, length - 1));
}

static void finish(struct node *node)
{
    if (node->route) {
        size_t used = strlen(node->route->allow);
        snprintf(node->route->allow + used, ALLOW_SIZE - used, "OPTIONS"); /* room was seen to by add_path */
    }
    for (struct node *at = node->children; at; at = at->next) finish(at);
    if (node->parameter) finish(node->parameter);
}

struct router *router_new(const struct contract *contract)
{
    struct router *router = calloc(1, sizeof *router);
    if (!router) return NULL;
    for (size_t i = 0; i < contract_count(contract); i++)
        if (!add(router, contract_at(contract, i))) {
            router_free(router);
            return NULL;
        }
    finish(&router->root);
    return router;
}

static void node_clear(struct node *node)
{
    if (node->route)
        for (size_t i = 0; i < node->route->name_count; i++) free((char *)node->route->names[i].name);
    free(node->route);
    for (struct node *at = node->children, *next; at; at = next) {
        next = at->next;
        node_clear(at);
        free(at);
    }
    if (node->parameter) node_clear(node->parameter);
    free(node->parameter);
}

void router_free(struct router *router)
{
    if (!router) return;
    node_clear(&router->root);
    free(router);
}

static const struct route *find(const struct node *node, const struct segment *segments, size_t count)
{
    if (!count) return node->route;
    for (const struct node *at = node->children; at; at = at->next)
        if (same(&at->literal, segments)) {
            const struct route *route = find(at, segments + 1, count - 1);
            if (route) return route;
        }
    return node->parameter && segments->length ? find(node->parameter, segments + 1, count - 1) : NULL;
}

/* The profile's alphabet (a-z 0-9 - . _ ~), so that no two spellings name one resource; no escapes, no dot segments. */
static bool path_is_plain(const char *path, size_t length)
{
    if (!length || path[0] != '/') return false;
    for (size_t i = 0; i < length; i++) {
        char c = path[i], next = i + 1 < length ? path[i + 1] : '/';
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!word && !strchr("-._~/", c)) return false;
        if (c != '/' || i + 1 == length) continue;
        if (next == '/') return false;
        size_t dots = strspn(path + i + 1, ".");
        if (dots && (i + 1 + dots >= length || path[i + 1 + dots] == '/')) return false;
    }
    return true;
}

/* RFC 3986, 3.4. Lists tell their own URL in JSON and in Link: a quote or > of a caller's would end what holds it. */
static bool query_is_plain(const char *query)
{
    for (; *query; query++) {
        char c = *query;
        bool word = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!word && !strchr("-._~%!$&'()*+,;=:@/?", c)) return false;
    }
    return true;
}

static struct problem fill_path(struct request *rq, const struct route *route, const struct segment *segments)
{
    struct pair *values = arena_alloc(rq->arena, (route->name_count + 1) * sizeof *values);
    if (!values) return problem(500, "out_of_memory");
    for (size_t i = 0; i < route->name_count; i++) {
        const struct segment *segment = &segments[route->names[i].at];
        values[i] = (struct pair){ route->names[i].name, arena_copy(rq->arena, segment->text, segment->length) };
        if (!values[i].value) return problem(500, "out_of_memory");
    }
    rq->path_values = values;
    return PROBLEM_NONE;
}

static bool is_repeat(const struct pair *pairs, const struct pair *pair)
{
    while (pairs < pair && strcmp(pairs->name, pair->name) != 0) pairs++;
    return pairs < pair;
}

/* A parameter that the contract does not know is refused without its name, which may be anything. */
static struct problem fill_query(struct request *rq, const char *query)
{
    rq->query = percent_pairs(rq->arena, query, strlen(query));
    if (!rq->query) return problem(400, "target_invalid");
    for (const struct pair *pair = rq->query; pair->name; pair++) {
        const struct contract_parameter *known = contract_parameter(rq->contract, IN_QUERY, pair->name);
        if (!known) return problem(400, "parameter_unknown");
        if (!is_repeat(rq->query, pair)) continue;
        struct member_error *error = arena_alloc(rq->arena, sizeof *error);
        if (!error) return problem(500, "out_of_memory");
        *error = (struct member_error){ .parameter = known->name, .code = "parameter_repeated" };
        return (struct problem){ .status = 400, .code = "parameter_repeated", .errors = error, .error_count = 1 };
    }
    return PROBLEM_NONE;
}

static const struct contract_operation *by_method(const struct route *route, const char *method)
{
    if (strcmp(method, "HEAD") == 0) method = "GET";
    for (size_t i = 0; i < route->count; i++)
        if (strcmp(route->operations[i]->method, method) == 0) return route->operations[i];
    return NULL;
}

/* RFC 9112, 3.2.2: a whole URL is a target too. One whose host is not that of Host names two places. */
static void take_absolute(struct request *rq)
{
    size_t scheme = strncasecmp(rq->url, "https://", 8) == 0 ? 8 : strncasecmp(rq->url, "http://", 7) == 0 ? 7 : 0;
    const char *host = request_header(rq, "Host"), *authority = rq->url + scheme;
    size_t length = strcspn(authority, "/?#");
    if (!scheme || !host || strlen(host) != length || strncasecmp(host, authority, length) != 0) return;
    if (authority[length] == '/') rq->url = authority + length;
}

struct problem router_match(const struct router *router, struct request *rq)
{
    take_absolute(rq);
    bool options = strcmp(rq->method, "OPTIONS") == 0;
    if (options && strcmp(rq->url, "*") == 0) {
        rq->allow = "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS";
        return PROBLEM_NONE;
    }
    if (strnlen(rq->url, TARGET_LIMIT + 1) > TARGET_LIMIT) return problem(414, "target_too_long");
    size_t length = strcspn(rq->url, "?");
    const char *query = rq->url[length] ? rq->url + length + 1 : "";
    if (!path_is_plain(rq->url, length) || !query_is_plain(query)) return problem(400, "target_invalid");

    struct segment segments[SEGMENTS];
    size_t count = split(rq->url, length, segments);
    /* The root, as those write it who join the server's URL and "/". */
    if (count == 2 && !segments[1].length) count = 1;
    const struct route *route = count > SEGMENTS ? NULL : find(&router->root, segments, count);
    if (!route) return problem(404, "not_found");
    rq->allow = route->allow;
    if (options) return PROBLEM_NONE;
    rq->contract = by_method(route, rq->method);
    if (!rq->contract) return (struct problem){ .status = 405, .code = "method_not_allowed", .allow = route->allow };
    TRY(fill_path(rq, route, segments));
    return fill_query(rq, query);
}
