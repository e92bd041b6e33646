#include "schema_set.h"

#include <math.h>
#include <string.h>

#include "utvag/format.h"
#include "utvag/schema_pattern.h"

enum { UNIQUE_MOST = 1000 };

static bool read_annotation(struct schema_set *set, struct schema *schema, const json_t *value)
{
    (void)set, (void)schema, (void)value;
    return true;
}

static bool read_flag(struct schema_set *set, struct schema *schema, const json_t *value)
{
    return json_is_boolean(value) || schema_fail(set, schema->place, "a flag is true or false");
}

static unsigned type_named(const json_t *name)
{
    static const char *const names[] = { "null", "boolean", "integer", "number", "string", "array", "object" };
    for (size_t i = 0; json_is_string(name) && i < sizeof names / sizeof *names; i++)
        if (strcmp(json_string_value(name), names[i]) == 0) return 1u << i;
    return 0;
}

static bool read_type(struct schema_set *set, struct schema *schema, const json_t *value)
{
    if (!json_is_array(value)) schema->types = type_named(value);
    for (size_t i = 0; i < json_array_size(value); i++) {
        unsigned type = type_named(json_array_get(value, i));
        if (!type || (schema->types & type)) return schema_fail(set, schema->place, "type is not known");
        schema->types |= type;
    }
    return schema->types || schema_fail(set, schema->place, "type is not known");
}

static bool is_required(const json_t *node, const char *name)
{
    const json_t *required = json_object_get(node, "required");
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *text = json_string_value(json_array_get(required, i));
        if (text && strcmp(text, name) == 0) return true;
    }
    return false;
}

static bool read_properties(struct schema_set *set, struct schema *schema, const json_t *value)
{
    const char *place = schema_place(set, schema->place, "properties"), *name;
    json_t *node;
    size_t count = 0;
    if (!json_is_object(value)) return schema_fail(set, schema->place, "properties is not an object");
    struct schema_property *list = arena_alloc(set->arena, (json_object_size(value) + 1) * sizeof *list);
    if (!list) return false;
    json_object_foreach((json_t *)value, name, node) {
        list[count].name = name;
        list[count].schema = schema_compile_node(set, node, schema_place(set, place, name));
        if (!list[count++].schema) return false;
    }
    schema->properties = list;
    schema->property_count = count;
    return true;
}

/* Checked here, and put into the properties when all keywords are read. */
static bool read_required(struct schema_set *set, struct schema *schema, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i))) return schema_fail(set, schema->place, "required holds texts");
    return json_is_array(value) || schema_fail(set, schema->place, "required is an array");
}

static bool read_additional(struct schema_set *set, struct schema *schema, const json_t *value)
{
    schema->closed = json_is_false(value);
    return json_is_boolean(value) || schema_fail(set, schema->place, "additionalProperties is true or false");
}

static bool read_enum(struct schema_set *set, struct schema *schema, const json_t *value)
{
    schema->enumeration = value;
    return json_array_size(value) > 0 || schema_fail(set, schema->place, "enum is an array of values");
}

static bool read_const(struct schema_set *set, struct schema *schema, const json_t *value)
{
    (void)set;
    schema->constant = value;
    return true;
}

static bool read_pattern(struct schema_set *set, struct schema *schema, const json_t *value)
{
    char reason[160];
    struct schema_patterns *kept = arena_alloc(set->arena, sizeof *kept);
    if (!json_is_string(value) || !kept) return schema_fail(set, schema->place, "pattern is a text");
    kept->pattern = schema_pattern_new(json_string_value(value), reason, sizeof reason);
    if (!kept->pattern) return schema_fail(set, schema->place, "pattern, %s", reason);
    kept->next = set->patterns;
    set->patterns = kept;
    schema->pattern = kept->pattern;
    return true;
}

static bool read_format(struct schema_set *set, struct schema *schema, const json_t *value)
{
    schema->format = json_is_string(value) ? format_find(json_string_value(value)) : NULL;
    if (schema->format) return true;
    return schema_fail(set, schema->place, "format is not known: %s",
                       json_is_string(value) ? json_string_value(value) : "");
}

static bool read_count(struct schema_set *set, const struct schema *schema, const json_t *value, size_t least,
                       size_t *out)
{
    json_int_t count = json_integer_value(value);
    if (!json_is_integer(value) || count < (json_int_t)least)
        return schema_fail(set, schema->place, "a limit is an integer of at least %zu", least);
    *out = (size_t)count;
    return true;
}

static bool read_min_length(struct schema_set *set, struct schema *schema, const json_t *value)
{
    return read_count(set, schema, value, 0, &schema->min_length);
}

static bool read_max_length(struct schema_set *set, struct schema *schema, const json_t *value)
{
    return read_count(set, schema, value, 1, &schema->max_length);
}

static bool read_min_items(struct schema_set *set, struct schema *schema, const json_t *value)
{
    return read_count(set, schema, value, 0, &schema->min_items);
}

static bool read_max_items(struct schema_set *set, struct schema *schema, const json_t *value)
{
    return read_count(set, schema, value, 1, &schema->max_items);
}

static bool read_unique(struct schema_set *set, struct schema *schema, const json_t *value)
{
    schema->unique_items = json_is_true(value);
    return read_flag(set, schema, value);
}

static bool read_minimum(struct schema_set *set, struct schema *schema, const json_t *value)
{
    schema->has_minimum = true;
    schema->minimum = json_number_value(value);
    return json_is_number(value) || schema_fail(set, schema->place, "minimum is a number");
}

static bool read_maximum(struct schema_set *set, struct schema *schema, const json_t *value)
{
    schema->has_maximum = true;
    schema->maximum = json_number_value(value);
    return json_is_number(value) || schema_fail(set, schema->place, "maximum is a number");
}

static bool read_items(struct schema_set *set, struct schema *schema, const json_t *value)
{
    schema->items = schema_compile_node(set, value, schema_place(set, schema->place, "items"));
    return schema->items != NULL;
}

static bool read_one_of(struct schema_set *set, struct schema *schema, const json_t *value)
{
    const char *place = schema_place(set, schema->place, "oneOf");
    size_t count = json_array_size(value);
    const struct schema **list = arena_alloc(set->arena, (count + 1) * sizeof(void *));
    if (!count || !list) return schema_fail(set, schema->place, "oneOf is an array of schemas");
    for (size_t i = 0; i < count; i++) {
        const char *index = arena_text(set->arena, "%zu", i);
        list[i] = schema_compile_node(set, json_array_get(value, i), schema_place(set, place, index ? index : ""));
        if (!list[i]) return false;
    }
    schema->one_of = list;
    schema->one_of_count = count;
    return true;
}

static bool read_discriminator(struct schema_set *set, struct schema *schema, const json_t *value)
{
    const char *keyword;
    json_t *node;
    schema->discriminator = json_string_value(json_object_get(value, "propertyName"));
    if (!schema->discriminator) return schema_fail(set, schema->place, "discriminator lacks propertyName");
    json_object_foreach((json_t *)value, keyword, node)
        if (strcmp(keyword, "propertyName") != 0 && strcmp(keyword, "mapping") != 0)
            return schema_fail(set, schema->place, "keyword is not known in a discriminator: %s", keyword);
    return true;
}

/* Names that become identifiers of the database. */
static const char *read_identifier(struct schema_set *set, const struct schema *schema, const json_t *value)
{
    const char *text = json_string_value(value);
    if (text && *text >= 'a' && *text <= 'z' && !text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_")])
        return text;
    schema_fail(set, schema->place, "x-sealed, x-record and x-blind are names in snake_case");
    return NULL;
}

static bool read_sealed(struct schema_set *set, struct schema *schema, const json_t *value)
{
    schema->sealed = json_is_true(value) ? "sealed" : read_identifier(set, schema, value);
    return schema->sealed != NULL;
}

static bool read_record(struct schema_set *set, struct schema *schema, const json_t *value)
{
    return (schema->record = read_identifier(set, schema, value)) != NULL;
}

static bool read_blind(struct schema_set *set, struct schema *schema, const json_t *value)
{
    return (schema->blind = read_identifier(set, schema, value)) != NULL;
}

/* Of dates, which compare as texts do. */
static const char *read_day(struct schema_set *set, const struct schema *schema, const json_t *value)
{
    const char *text = json_string_value(value);
    if (text && (strcmp(text, "today") == 0 || format_find("date")->holds(text, strlen(text)))) return text;
    schema_fail(set, schema->place, "x-earliest and x-latest are dates, or today");
    return NULL;
}

static bool read_earliest(struct schema_set *set, struct schema *schema, const json_t *value)
{
    return (schema->earliest = read_day(set, schema, value)) != NULL;
}

static bool read_latest(struct schema_set *set, struct schema *schema, const json_t *value)
{
    return (schema->latest = read_day(set, schema, value)) != NULL;
}

static bool read_read_only(struct schema_set *set, struct schema *schema, const json_t *value)
{
    schema->read_only = json_is_true(value);
    return read_flag(set, schema, value);
}

static const struct keyword {
    const char *name;
    bool (*read)(struct schema_set *set, struct schema *schema, const json_t *value);
    bool beside; /* may stand beside a $ref */
} keywords[] = {
    { "type", read_type, false },
    { "properties", read_properties, false },
    { "required", read_required, false },
    { "additionalProperties", read_additional, false },
    { "enum", read_enum, false },
    { "const", read_const, false },
    { "pattern", read_pattern, false },
    { "format", read_format, false },
    { "minLength", read_min_length, false },
    { "maxLength", read_max_length, false },
    { "minimum", read_minimum, false },
    { "maximum", read_maximum, false },
    { "items", read_items, false },
    { "minItems", read_min_items, false },
    { "maxItems", read_max_items, false },
    { "uniqueItems", read_unique, false },
    { "oneOf", read_one_of, false },
    { "discriminator", read_discriminator, false },
    { "description", read_annotation, true },
    { "title", read_annotation, true },
    { "example", read_annotation, true },
    { "examples", read_annotation, true },
    { "default", read_annotation, true },
    { "deprecated", read_flag, true },
    { "writeOnly", read_flag, true },
    { "readOnly", read_read_only, true },
    { "x-sealed", read_sealed, true },
    { "x-record", read_record, true },
    { "x-blind", read_blind, true },
    { "x-earliest", read_earliest, true },
    { "x-latest", read_latest, true },
};

static const struct keyword *keyword_find(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].name, name) == 0) return &keywords[i];
    return NULL;
}

bool schema_may_stand_beside(const char *keyword)
{
    const struct keyword *known = keyword_find(keyword);
    return known && known->beside;
}

bool schema_read_beside(struct schema_set *set, struct schema *schema, const char *keyword, const json_t *value)
{
    return strcmp(keyword, "$ref") == 0 || keyword_find(keyword)->read(set, schema, value);
}

static bool mark_required(struct schema_set *set, struct schema *schema, const json_t *node)
{
    struct schema_property *properties = (struct schema_property *)schema->properties;
    size_t marked = 0;
    for (size_t i = 0; i < schema->property_count; i++) {
        properties[i].required = is_required(node, properties[i].name);
        marked += properties[i].required;
    }
    if (marked == json_array_size(json_object_get(node, "required"))) return true;
    return schema_fail(set, schema->place, "required names a member twice, or one that properties lacks");
}

/* Comparing every pair is fine for a few; without a ceiling a caller could make it slow. */
static bool check_whole(struct schema_set *set, const struct schema *schema)
{
    if (schema->unique_items && (!schema->max_items || schema->max_items > UNIQUE_MOST))
        return schema_fail(set, schema->place, "uniqueItems needs maxItems of at most %d", UNIQUE_MOST);
    if (schema->discriminator && !schema->one_of_count)
        return schema_fail(set, schema->place, "discriminator without oneOf");
    return true;
}

bool schema_read_keywords(struct schema_set *set, struct schema *schema, const json_t *node)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)node, name, value) {
        const struct keyword *keyword = keyword_find(name);
        if (!keyword) return schema_fail(set, schema->place, "keyword is not known: %s", name);
        if (!keyword->read(set, schema, value)) return false;
    }
    return mark_required(set, schema, node) && check_whole(set, schema);
}
