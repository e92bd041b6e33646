#include "utvag/contract.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "contract_compile.h"
#include "utvag/contract_yaml.h"
#include "utvag/operation.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

static const char *const methods[] = { "get", "put", "post", "patch", "delete", NULL };

bool contract_fail(struct contract *contract, const char *place, const char *format, ...)
{
    char reason[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (!*contract->error) snprintf(contract->error, contract->error_size, "#%s: %s", place, reason);
    return false;
}

const char *contract_text(struct contract *contract, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) text = NULL;
    va_end(arguments);
    const char *kept = text ? arena_copy(contract->arena, text, strlen(text)) : NULL;
    free(text);
    if (!kept) contract_fail(contract, "", "out of memory");
    return kept ? kept : "";
}

bool contract_check_keys(struct contract *contract, const json_t *node, const char *place, const char *const *names)
{
    const char *key;
    json_t *value;
    if (!json_is_object(node)) return contract_fail(contract, place, "it is not an object");
    json_object_foreach((json_t *)node, key, value) {
        const char *const *name = names;
        while (*name && strcmp(*name, key) != 0) name++;
        if (!*name) return contract_fail(contract, place, "keyword is not known: %s", key);
    }
    return true;
}

bool contract_check_text(struct contract *contract, const json_t *node, const char *place, const char *key)
{
    const char *text = json_string_value(json_object_get(node, key));
    return (text && *text) || contract_fail(contract, place, "%s is missing", key);
}

const json_t *contract_follow(struct contract *contract, const json_t *node, const char *kind, const char **place)
{
    const char *target = json_string_value(json_object_get(node, "$ref"));
    if (!json_object_get(node, "$ref")) return node;
    const char *prefix = contract_text(contract, "#/components/%s/", kind);
    size_t length = strlen(prefix);
    if (!target || strncmp(target, prefix, length) != 0 || json_object_size(node) != 1) {
        contract_fail(contract, *place, "$ref must stand alone and name one of components.%s", kind);
        return NULL;
    }
    const json_t *components = json_object_get(contract->tree, "components");
    const json_t *found = json_object_get(json_object_get(components, kind), target + length);
    if (!json_is_object(found)) return contract_fail(contract, *place, "$ref leads nowhere: %s", target), NULL;
    *place = contract_text(contract, "%s", target + 1);
    return found;
}

const struct schema *contract_schema(struct contract *contract, const json_t *node, const char *place)
{
    char reason[400];
    if (!node) return contract_fail(contract, place, "schema is missing"), NULL;
    const struct schema *schema =
        schema_compile(contract->schemas, node, contract_text(contract, "%s/schema", place), reason, sizeof reason);
    if (!schema && !*contract->error) snprintf(contract->error, contract->error_size, "%s", reason);
    return schema;
}

/* The path part of a server's URL, without a slash at its end; NULL, with the reason noted, if it has none. */
static const char *base_of(struct contract *contract, const json_t *holder, const char *place)
{
    const char *url = json_string_value(json_object_get(json_array_get(json_object_get(holder, "servers"), 0), "url"));
    const char *host = url ? strstr(url, "://") : NULL;
    if (!host) return contract_fail(contract, place, "the first server needs an absolute url"), NULL;
    size_t origin = (size_t)(host - url) + 3 + strcspn(host + 3, "/"), length = strlen(url + origin);
    if (!contract->origin) contract->origin = contract_text(contract, "%.*s", (int)origin, url);
    if (strlen(contract->origin) != origin || strncmp(contract->origin, url, origin) != 0)
        return contract_fail(contract, place, "a path is served where all are: at %s", contract->origin), NULL;
    while (length && url[origin + length - 1] == '/') length--;
    return contract_text(contract, "%.*s", (int)length, url + origin);
}

/* All paths of the contract stand under it, but for those that name servers of their own. */
static bool read_base(struct contract *contract)
{
    contract->base = base_of(contract, contract->tree, "/servers");
    return contract->base != NULL;
}

/* The scopes are the roles, all of them and no other. */
static bool check_scopes(struct contract *contract)
{
    static const char place[] = "/components/securitySchemes/utvag/flows/clientCredentials/scopes";
    const json_t *node = contract->tree;
    static const char *const way[] = {
        "components", "securitySchemes", "utvag", "flows", "clientCredentials", "scopes"
    };
    for (size_t i = 0; i < sizeof way / sizeof *way; i++) node = json_object_get(node, way[i]);
    const char *scope;
    json_t *text;
    json_object_foreach((json_t *)node, scope, text)
        if (role_find(scope) == ROLE_COUNT) return contract_fail(contract, place, "scope is no role: %s", scope);
    for (int role = 0; role < ROLE_COUNT; role++)
        if (!json_object_get(node, role_name((enum role)role)))
            return contract_fail(contract, place, "role lacks a scope: %s", role_name((enum role)role));
    return true;
}

/* Also those that nothing refers to: they are published all the same. */
static bool check_schemas(struct contract *contract)
{
    const json_t *schemas = json_object_get(json_object_get(contract->tree, "components"), "schemas");
    const char *name;
    json_t *node;
    json_object_foreach((json_t *)schemas, name, node) {
        char reason[400];
        const char *place = contract_text(contract, "/components/schemas/%s", name);
        if (schema_compile(contract->schemas, node, place, reason, sizeof reason)) continue;
        snprintf(contract->error, contract->error_size, "%s", reason);
        return false;
    }
    return true;
}

static bool check_frame(struct contract *contract)
{
    static const char *const keys[] = { "openapi", "info",  "externalDocs", "servers",
                                        "tags",    "paths", "components",   NULL };
    static const char *const parts[] = { "securitySchemes", "parameters", "headers",       "responses",
                                         "schemas",         "examples",   "requestBodies", NULL };
    const json_t *tree = contract->tree;
    const char *version = json_string_value(json_object_get(tree, "openapi"));
    return contract_check_keys(contract, tree, "", keys) &&
           ((version && strncmp(version, "3.1.", 4) == 0) || contract_fail(contract, "/openapi", "it must be 3.1")) &&
           contract_check_keys(contract, json_object_get(tree, "components"), "/components", parts) &&
           read_base(contract) && check_scopes(contract) && check_schemas(contract);
}

static bool add_path(struct contract *contract, const char *path, const json_t *item)
{
    static const char *const keys[] = { "summary", "description", "servers", "parameters", "get",
                                        "put",     "post",        "patch",   "delete",     NULL };
    const char *place = contract_text(contract, "/paths/%s", path), *base = contract->base;
    if (*path != '/') return contract_fail(contract, place, "a path begins with /");
    if (!contract_check_keys(contract, item, place, keys)) return false;
    if (json_object_get(item, "servers") && !(base = base_of(contract, item, place))) return false;
    const struct contract_path at = { .template = path, .base = base, .item = item };
    for (const char *const *method = methods; *method; method++)
        if (json_object_get(item, *method) && !contract_add_operation(contract, &at, *method)) return false;
    return true;
}

static bool add_paths(struct contract *contract)
{
    const json_t *paths = json_object_get(contract->tree, "paths");
    const char *path;
    json_t *item;
    contract->room = json_object_size(paths) * (sizeof methods / sizeof *methods - 1);
    contract->operations = arena_alloc(contract->arena, contract->room * sizeof *contract->operations + 1);
    if (!contract->operations) return contract_fail(contract, "/paths", "out of memory");
    json_object_foreach((json_t *)paths, path, item)
        if (!add_path(contract, path, item)) return false;
    return true;
}

static bool keep_texts(struct contract *contract, const char *yaml, size_t length)
{
    contract->yaml.text = strndup(yaml, length);
    contract->json.text = json_dumps(contract->tree, JSON_COMPACT);
    bool kept = contract->yaml.text && contract->json.text && contract_publish(contract, contract->origin);
    return kept || contract_fail(contract, "", "out of memory");
}

struct contract *contract_load(const char *yaml, size_t length, char *error, size_t error_size)
{
    struct contract *contract = calloc(1, sizeof *contract);

    *error = '\0';
    if (!contract) return NULL;
    contract->error = error;
    contract->error_size = error_size;
    contract->arena = arena_new(ARENA_BYTES);
    contract->tree = contract_yaml_parse(yaml, length, error, error_size);
    if (contract->tree) contract->schemas = schema_set_new(contract->tree);
    bool whole = contract->arena && contract->schemas && check_frame(contract) && add_paths(contract) &&
                 keep_texts(contract, yaml, length);
    contract->error = NULL;
    if (whole && !*error) return contract;
    if (!*error) snprintf(error, error_size, "#: out of memory");
    contract_free(contract);
    return NULL;
}

void contract_free(struct contract *contract)
{
    if (!contract) return;
    schema_set_free(contract->schemas);
    json_decref(contract->tree);
    arena_free(contract->arena);
    free(contract->yaml.text);
    free(contract->json.text);
    free(contract);
}

static struct contract_operation *find_operation(const struct contract *contract, const char *id)
{
    for (size_t i = 0; i < contract->count; i++)
        if (strcmp(contract->operations[i].id, id) == 0) return &contract->operations[i];
    return NULL;
}

static bool bind_row(struct contract *contract, const struct operation *row, char *error, size_t error_size)
{
    struct contract_operation *operation = find_operation(contract, row->id);
    const char *fault = !operation             ? "has no operation in the contract"
                        : operation->operation ? "has two handlers"
                        : !row->run            ? "has no function"
                                               : NULL;
    if (fault)
        snprintf(error, error_size, "%s %s", row->id, fault);
    else
        operation->operation = row;
    return !fault;
}

bool contract_bind(struct contract *contract, const struct operation *const *tables, char *error, size_t error_size)
{
    *error = '\0';
    for (; *tables; tables++)
        for (const struct operation *row = *tables; row->id; row++)
            if (!bind_row(contract, row, error, error_size)) return false;
    for (size_t i = 0; i < contract->count; i++) {
        if (contract->operations[i].operation) continue;
        snprintf(error, error_size, "%s has no handler", contract->operations[i].id);
        return false;
    }
    return true;
}

size_t contract_count(const struct contract *contract) { return contract->count; }

const struct contract_operation *contract_at(const struct contract *contract, size_t index)
{
    return index < contract->count ? &contract->operations[index] : NULL;
}

const struct contract_parameter *contract_parameter(const struct contract_operation *operation,
                                                    enum parameter_place place, const char *name)
{
    for (size_t i = 0; i < operation->parameter_count; i++) {
        const struct contract_parameter *parameter = &operation->parameters[i];
        int differs = place == IN_HEADER ? strcasecmp(parameter->name, name) : strcmp(parameter->name, name);
        if (parameter->place == place && !differs) return parameter;
    }
    return NULL;
}

const struct contract_operation *contract_reader(const struct contract *contract, const char *path)
{
    const char *gap = strstr(path, "{id}");
    size_t length = gap ? (size_t)(gap - path) + 4 : 0;
    for (size_t i = 0; gap && i < contract_count(contract); i++) {
        const struct contract_operation *at = contract_at(contract, i);
        if (strcmp(at->method, "GET") == 0 && strlen(at->path) == length && memcmp(at->path, path, length) == 0)
            return at;
    }
    return NULL;
}

const json_t *contract_tree(const struct contract *contract) { return contract->tree; }
