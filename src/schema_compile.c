#include "schema_set.h"

#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/schema_pattern.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, CHAIN = 16 };

struct schema_set *schema_set_new(const json_t *contract)
{
    struct schema_set *set = calloc(1, sizeof *set);
    if (!set) return NULL;
    set->contract = contract;
    set->arena = arena_new(ARENA_BYTES);
    if (set->arena) return set;
    free(set);
    return NULL;
}

static void leave(void *node) { (void)node; /* the arena's */ }

void schema_set_free(struct schema_set *set)
{
    if (!set) return;
    for (struct schema_patterns *at = set->patterns; at; at = at->next) schema_pattern_free(at->pattern);
    tdestroy(set->compiled, leave);
    arena_free(set->arena);
    free(set);
}

bool schema_fail(struct schema_set *set, const char *place, const char *format, ...)
{
    char reason[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (!*set->error) snprintf(set->error, set->error_size, "#%s: %s", place, reason);
    return false;
}

const char *schema_place(struct schema_set *set, const char *place, const char *key)
{
    size_t length = strlen(place);
    char *text = arena_alloc(set->arena, length + 2 * strlen(key) + 2);
    if (!text) return place;
    memcpy(text, place, length);
    text[length++] = '/';
    for (; *key; key++) {
        if (*key == '~' || *key == '/') text[length++] = '~';
        text[length++] = *key == '~' ? '0' : *key == '/' ? '1' : *key;
    }
    return text;
}

/* One step of a JSON pointer: unescapes the token into key. */
static const json_t *step(const json_t *node, const char *token, size_t length)
{
    char key[200];
    size_t count = 0;
    for (size_t i = 0; i < length && count + 1 < sizeof key; i++) {
        bool escape = token[i] == '~' && i + 1 < length;
        key[count++] = escape ? (token[++i] == '1' ? '/' : '~') : token[i];
    }
    key[count] = '\0';
    return json_is_array(node) ? json_array_get(node, (size_t)strtoul(key, NULL, 10)) : json_object_get(node, key);
}

static const json_t *find(const json_t *node, const char *pointer)
{
    while (node && *pointer == '/') {
        size_t length = strcspn(pointer + 1, "/");
        node = step(node, pointer + 1, length);
        pointer += 1 + length;
    }
    return node;
}

static int by_place(const void *a, const void *b)
{
    return strcmp(((const struct schema *)a)->place, ((const struct schema *)b)->place);
}

static struct schema *new_schema(struct schema_set *set, const char *place)
{
    struct schema *schema = arena_alloc(set->arena, sizeof *schema);
    if (!schema)
        schema_fail(set, place, "out of memory");
    else
        schema->place = place;
    return schema;
}

/* The $ref's target and its place; follows targets that are but a $ref, so that a circle of them is found. */
static const json_t *find_target(struct schema_set *set, const json_t *node, const char *place, const char **target)
{
    const json_t *at = node, *first = NULL;
    for (int links = 0; json_object_get(at, "$ref"); links++) {
        const char *text = json_string_value(json_object_get(at, "$ref"));
        if (links == CHAIN) return schema_fail(set, place, "$ref leads in a circle"), NULL;
        if (!text || strncmp(text, "#/", 2) != 0) return schema_fail(set, place, "$ref must begin with #/"), NULL;
        at = find(set->contract, text + 1);
        if (!at) return schema_fail(set, place, "$ref leads nowhere: %s", text), NULL;
        if (!first) first = at, *target = text + 1;
    }
    return first;
}

static struct schema *compile_reference(struct schema_set *set, const json_t *node, const char *place)
{
    const char *target = "", *keyword;
    const json_t *value, *found = find_target(set, node, place, &target);
    struct schema *schema = found ? schema_compile_node(set, found, target) : NULL;
    if (!schema) return NULL;

    bool differs = false;
    json_object_foreach((json_t *)node, keyword, value) {
        if (strcmp(keyword, "$ref") == 0) continue;
        if (!schema_may_stand_beside(keyword))
            return schema_fail(set, place, "%s may not stand beside $ref", keyword), NULL;
        differs |= strncmp(keyword, "x-", 2) == 0 || strcmp(keyword, "readOnly") == 0;
    }
    if (!differs) return schema;
    struct schema_copy *copy = arena_alloc(set->arena, sizeof *copy);
    struct schema *own = new_schema(set, place);
    if (!copy || !own) return NULL;
    *copy = (struct schema_copy){ .next = set->copies, .to = own, .from = schema, .beside = node };
    set->copies = copy;
    return own;
}

struct schema *schema_compile_node(struct schema_set *set, const json_t *node, const char *place)
{
    struct schema key = { .place = place }, **known = tfind(&key, &set->compiled, by_place);
    if (known) return *known;
    if (!json_is_object(node)) return schema_fail(set, place, "a schema is an object"), NULL;
    if (json_object_get(node, "$ref")) return compile_reference(set, node, place);
    struct schema *schema = new_schema(set, place);
    if (!schema || !tsearch(schema, &set->compiled, by_place)) return NULL;
    return schema_read_keywords(set, schema, node) ? schema : NULL;
}

/* A copy may be of another copy, which is then made first. */
static bool make_copy(struct schema_set *set, struct schema_copy *copy)
{
    const char *place = copy->to->place, *keyword;
    json_t *value;
    if (copy->done) return true;
    copy->done = true;
    for (struct schema_copy *other = set->copies; other; other = other->next)
        if (other->to == copy->from && !make_copy(set, other)) return false;
    *copy->to = *copy->from;
    copy->to->place = place;
    json_object_foreach((json_t *)copy->beside, keyword, value)
        if (!schema_read_beside(set, copy->to, keyword, value)) return false;
    return true;
}

const struct schema *schema_compile(struct schema_set *set, const json_t *node, const char *pointer, char *error,
                                    size_t error_size)
{
    *error = '\0';
    set->error = error;
    set->error_size = error_size;
    const char *place = arena_copy(set->arena, pointer, strlen(pointer));
    const struct schema *schema = place ? schema_compile_node(set, node, place) : NULL;
    for (struct schema_copy *copy = set->copies; schema && copy; copy = copy->next)
        if (!make_copy(set, copy)) schema = NULL;
    if (!schema)
        schema_fail(set, pointer, "out of memory");
    else
        set->copies = NULL;
    set->error = NULL;
    return schema;
}

const struct schema *schema_member(const struct schema *object, const char *name)
{
    for (size_t i = 0; i < object->property_count; i++)
        if (strcmp(object->properties[i].name, name) == 0) return object->properties[i].schema;
    return NULL;
}
