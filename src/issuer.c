#include "utvag/issuer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "issuer_list.h"
#include "utvag/command.h"

/* The file while it is read: all that is wrong with it is said. */
struct reading {
    struct issuers *issuers;
    const char *own;
    size_t index; /* of the issuer that is read */
    int faults;
};

static void fault(struct reading *reading, const char *member, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fault(struct reading *reading, const char *member, const char *format, ...)
{
    char reason[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    command_fail("UTVAG_ISSUERS: [%zu].%s: %s", reading->index, member, reason);
    reading->faults++;
}

/* A text that is not empty; one that is missing is a fault. */
static const char *text_read(struct reading *reading, const json_t *node, const char *member)
{
    const char *text = json_string_value(json_object_get(node, member));
    if (text && *text) return text;
    fault(reading, member, "%s", json_object_get(node, member) ? "not a text" : "missing");
    return NULL;
}

/* A misspelt `require` would require nothing. */
static void members_check(struct reading *reading, const json_t *node, const char *place, const char *const *known)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)node, name, value) {
        const char *const *at = known;
        while (*at && strcmp(*at, name) != 0) at++;
        if (!*at) fault(reading, *place ? place : name, "%s: no such member", name);
    }
}

static void require_read(struct reading *reading, struct issuer *issuer, const json_t *node)
{
    const char *name;
    json_t *value;

    issuer->require = json_object_get(node, "require");
    if (issuer->require && !json_object_size(issuer->require))
        fault(reading, "require", "not an object of claims and their values");
    json_object_foreach((json_t *)issuer->require, name, value) {
        if (!json_is_string(value)) fault(reading, "require", "%s: not a text", name);
    }
}

static void roles_read(struct reading *reading, struct issuer *issuer, const json_t *node)
{
    static const char *const known[] = { "claim", "map", NULL };
    const json_t *roles = json_object_get(node, "roles");
    const char *name;
    json_t *value;

    if (!roles) return;
    members_check(reading, roles, "roles", known);
    issuer->roles_claim = json_string_value(json_object_get(roles, "claim"));
    issuer->roles_map = json_object_get(roles, "map");
    if (!issuer->roles_claim || !*issuer->roles_claim) fault(reading, "roles", "claim: missing, or not a text");
    if (!json_object_size(issuer->roles_map)) fault(reading, "roles", "map: not an object of values and our roles");
    json_object_foreach((json_t *)issuer->roles_map, name, value) {
        const char *role = json_string_value(value);
        if (!role || role_find(role) == ROLE_COUNT) fault(reading, "roles", "map: %s: not a role", name);
    }
}

static void keys_read(struct reading *reading, struct issuer *issuer, const char *path)
{
    char error[300];

    if (!path) return;
    if (*path != '/') {
        fault(reading, "jwks", "\"%s\" is not an absolute path", path);
        return;
    }
    issuer->keys = jwks_open(path, error, sizeof error);
    if (!issuer->keys) fault(reading, "jwks", "%s", error);
}

static void name_check(struct reading *reading, const char *name)
{
    if (name && strcmp(name, reading->own) == 0) fault(reading, "issuer", "\"%s\" is this service itself", name);
    for (size_t i = 0; name && i < reading->index; i++) {
        const char *before = reading->issuers->list[i].name;
        if (before && strcmp(before, name) == 0) fault(reading, "issuer", "\"%s\" stands twice", name);
    }
}

static void issuer_read(struct reading *reading, struct issuer *issuer, const json_t *node)
{
    static const char *const known[] = { "issuer", "audience", "jwks", "principal_claim", "require", "roles", NULL };
    if (!json_is_object(node)) {
        fault(reading, "", "not an object");
        return;
    }
    members_check(reading, node, "", known);
    issuer->name = text_read(reading, node, "issuer");
    name_check(reading, issuer->name);
    issuer->audience = text_read(reading, node, "audience");
    issuer->principal_claim = text_read(reading, node, "principal_claim");
    require_read(reading, issuer, node);
    roles_read(reading, issuer, node);
    keys_read(reading, issuer, text_read(reading, node, "jwks"));
}

/* Whoever may write the file may let anyone in. */
static json_t *tree_read(const char *path)
{
    struct stat facts;
    json_error_t error;

    if (stat(path, &facts) != 0) {
        command_fail("UTVAG_ISSUERS: %s: %s", path, strerror(errno));
        return NULL;
    }
    if (facts.st_mode & (S_IWGRP | S_IWOTH)) {
        command_fail("UTVAG_ISSUERS: %s: group or others may write it", path);
        return NULL;
    }
    json_t *tree = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!tree) command_fail("UTVAG_ISSUERS: %s: line %d: %s", path, error.line, error.text);
    if (!tree || json_array_size(tree)) return tree;
    command_fail("UTVAG_ISSUERS: %s: not an array of issuers", path);
    json_decref(tree);
    return NULL;
}

struct issuers *issuers_open(const char *path, const char *own)
{
    struct issuers *issuers = calloc(1, sizeof *issuers);
    struct reading reading = { .issuers = issuers, .own = own };

    if (!issuers || !(issuers->tree = tree_read(path))) {
        free(issuers);
        return NULL;
    }
    issuers->count = json_array_size(issuers->tree);
    issuers->list = calloc(issuers->count, sizeof *issuers->list);
    for (; issuers->list && reading.index < issuers->count; reading.index++)
        issuer_read(&reading, &issuers->list[reading.index], json_array_get(issuers->tree, reading.index));
    if (issuers->list && !reading.faults) return issuers;
    issuers_free(issuers);
    return NULL;
}

void issuers_free(struct issuers *issuers)
{
    if (!issuers) return;
    for (size_t i = 0; issuers->list && i < issuers->count; i++) jwks_free(issuers->list[i].keys);
    free(issuers->list);
    json_decref(issuers->tree);
    free(issuers);
}

bool issuers_look(struct issuers *issuers)
{
    bool found = false;
    for (size_t i = 0; i < issuers->count; i++)
        if (jwks_look(issuers->list[i].keys)) found = true;
    return found;
}
