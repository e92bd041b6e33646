#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "utvag/day.h"
#include "utvag/format.h"
#include "utvag/schema.h"
#include "utvag/schema_pattern.h"

enum { FAULTS_MOST = 100 };

/* The way to the value being checked; rendered only where there is a fault. name is the contract's, never the caller's. */
struct step {
    const struct step *parent;
    const char *name; /* NULL: an index */
    size_t index;
};

struct check {
    struct arena *arena;
    const char *base;
    struct member_error *errors;
    size_t count, room;
    bool lost; /* a fault could not be told: the arena is full */
};

static void check_value(struct check *check, const struct schema *schema, const json_t *value, const struct step *step);

static const char *render(struct check *check, const struct step *step)
{
    if (!step) return check->base;
    const char *parent = render(check, step->parent);
    if (!parent) return NULL;
    if (!step->name) return arena_text(check->arena, "%s/%zu", parent, step->index);
    char *text = arena_alloc(check->arena, strlen(parent) + 2 * strlen(step->name) + 2), *at = text;
    if (!text) return NULL;
    at = stpcpy(at, parent);
    *at++ = '/';
    for (const char *c = step->name; *c; c++) {
        if (*c == '~' || *c == '/') *at++ = '~';
        *at++ = (char)(*c == '~' ? '0' : *c == '/' ? '1' : *c);
    }
    return text;
}

static bool make_room(struct check *check)
{
    if (check->count < check->room) return true;
    size_t room = check->room ? 2 * check->room : 4;
    struct member_error *errors = arena_alloc(check->arena, room * sizeof *errors);
    if (!errors) return false;
    if (check->count) memcpy(errors, check->errors, check->count * sizeof *errors);
    check->errors = errors;
    check->room = room;
    return true;
}

static void fault(struct check *check, const struct step *step, const char *code, const char *argument)
{
    if (check->count == FAULTS_MOST) return;
    const char *pointer = make_room(check) ? render(check, step) : NULL;
    if (!pointer)
        check->lost = true;
    else
        check->errors[check->count++] = (struct member_error){ .pointer = pointer, .code = code, .argument = argument };
}

static void limit_fault(struct check *check, const struct step *step, const char *code, double limit)
{
    fault(check, step, code, arena_text(check->arena, "%.15g", limit));
}

bool schema_is_integral(const json_t *value)
{
    const double exact = 0x1p53;
    double number = json_number_value(value);
    return json_is_integer(value) || (json_is_real(value) && fabs(number) < exact && floor(number) == number);
}

static bool type_holds(unsigned types, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL: return types & SCHEMA_NULL;
    case JSON_TRUE:
    case JSON_FALSE: return types & SCHEMA_BOOLEAN;
    case JSON_INTEGER: return types & (SCHEMA_INTEGER | SCHEMA_NUMBER);
    case JSON_REAL: return (types & SCHEMA_NUMBER) || ((types & SCHEMA_INTEGER) && schema_is_integral(value));
    case JSON_STRING: return types & SCHEMA_STRING;
    case JSON_ARRAY: return types & SCHEMA_ARRAY;
    case JSON_OBJECT: return types & SCHEMA_OBJECT;
    }
    return false;
}

static const char *type_names(struct check *check, unsigned types)
{
    static const char *const names[] = { "null", "boolean", "integer", "number", "string", "array", "object" };
    const char *text = "";
    for (size_t i = 0; text && i < sizeof names / sizeof *names; i++)
        if (types & (1u << i)) text = arena_text(check->arena, "%s%s%s", text, *text ? ", " : "", names[i]);
    return text;
}

/* As JSON Schema compares: 1 and 1.0 are the same number. */
static bool same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b) && json_typeof(a) != json_typeof(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b) == 1;
}

static bool is_among(const json_t *values, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(values); i++)
        if (same_value(json_array_get(values, i), value)) return true;
    return false;
}

/* The allowed texts, for people. */
static const char *enum_names(struct check *check, const json_t *values)
{
    const char *text = "";
    for (size_t i = 0; text && i < json_array_size(values); i++) {
        const char *name = json_string_value(json_array_get(values, i));
        if (name) text = arena_text(check->arena, "%s%s%s", text, *text ? ", " : "", name);
    }
    return text;
}

static size_t code_points(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

static void check_day(struct check *check, const struct schema *schema, const char *text, const struct step *step)
{
    char today[DAY_SIZE];
    if (!schema->earliest && !schema->latest) return;
    day_in_sweden(time(NULL), today);
    const char *earliest = schema->earliest ? schema->earliest : text, *latest = schema->latest ? schema->latest : text;
    bool until_today = strcmp(latest, "today") == 0;
    if (strcmp(earliest, "today") == 0) earliest = today;
    if (strcmp(text, earliest) < 0) fault(check, step, "date_too_early", arena_text(check->arena, "%s", earliest));
    if (strcmp(text, until_today ? today : latest) > 0)
        fault(check, step, until_today ? "date_in_future" : "date_too_late", until_today ? NULL : latest);
}

static void check_string(struct check *check, const struct schema *schema, const json_t *value, const struct step *step)
{
    const char *text = json_string_value(value);
    size_t length = json_string_length(value), points = code_points(text, length);

    if (points < schema->min_length) limit_fault(check, step, "too_short", (double)schema->min_length);
    if (schema->max_length && points > schema->max_length) {
        limit_fault(check, step, "too_long", (double)schema->max_length);
        return; /* what is too long is not worth matching */
    }
    if (schema->pattern && !schema_pattern_matches(schema->pattern, text, length))
        fault(check, step, "pattern", schema_pattern_text(schema->pattern));
    if (schema->format && !schema->format->holds(text, length))
        fault(check, step, schema->format->code, NULL);
    else
        check_day(check, schema, text, step);
}

static void check_number(struct check *check, const struct schema *schema, const json_t *value, const struct step *step)
{
    double number = json_number_value(value);
    if (schema->has_minimum && !(number >= schema->minimum)) limit_fault(check, step, "too_small", schema->minimum);
    if (schema->has_maximum && !(number <= schema->maximum)) limit_fault(check, step, "too_large", schema->maximum);
}

static bool items_are_unique(const json_t *array)
{
    for (size_t i = 1; i < json_array_size(array); i++)
        for (size_t j = 0; j < i; j++)
            if (same_value(json_array_get(array, i), json_array_get(array, j))) return false;
    return true;
}

static void check_array(struct check *check, const struct schema *schema, const json_t *value, const struct step *step)
{
    size_t count = json_array_size(value);
    if (count < schema->min_items) limit_fault(check, step, "too_few", (double)schema->min_items);
    if (schema->max_items && count > schema->max_items) {
        limit_fault(check, step, "too_many", (double)schema->max_items);
        return;
    }
    if (schema->unique_items && !items_are_unique(value)) fault(check, step, "not_unique", NULL);
    for (size_t i = 0; schema->items && i < count && check->count < FAULTS_MOST; i++) {
        struct step item = { .parent = step, .index = i };
        check_value(check, schema->items, json_array_get(value, i), &item);
    }
}

/* An unknown member is told at its parent, since its name may be anything, a person's name even. */
static void check_object(struct check *check, const struct schema *schema, const json_t *value, const struct step *step)
{
    size_t known = 0;
    for (size_t i = 0; i < schema->property_count; i++) {
        const struct schema_property *property = &schema->properties[i];
        const json_t *member = json_object_get(value, property->name);
        struct step inner = { .parent = step, .name = property->name };
        if (member)
            check_value(check, property->schema, member, &inner);
        else if (property->required)
            fault(check, &inner, "required", NULL);
        known += member != NULL;
    }
    if (schema->closed && known < json_object_size(value)) fault(check, step, "unknown_member", NULL);
}

/* Whether the alternative is the one that the discriminator's value chooses. */
static bool is_chosen(const struct schema *alternative, const char *name, const json_t *value)
{
    const struct schema *member = schema_member(alternative, name);
    if (!member || !value) return false;
    if (member->constant) return same_value(member->constant, value);
    return member->enumeration && is_among(member->enumeration, value);
}

static void check_discriminated(struct check *check, const struct schema *schema, const json_t *value,
                                const struct step *step)
{
    const json_t *choice = json_object_get(value, schema->discriminator);
    for (size_t i = 0; i < schema->one_of_count; i++)
        if (is_chosen(schema->one_of[i], schema->discriminator, choice)) {
            check_value(check, schema->one_of[i], value, step);
            return;
        }
    if (schema_member(schema, schema->discriminator)) return; /* told by that member's own schema */
    struct step inner = { .parent = step, .name = schema->discriminator };
    fault(check, &inner, choice ? "enum" : "required", NULL);
}

/* Whether the faults are all inside of the value, so that its shape was the one meant. */
static bool shape_fits(struct check *check, const struct schema *alternative, const json_t *value,
                       const struct step *step)
{
    const char *own = render(check, step);
    if (alternative->types && !type_holds(alternative->types, value)) return false;
    for (size_t i = 0; own && i < check->count; i++)
        if (strcmp(check->errors[i].code, "required") == 0 || strcmp(check->errors[i].pointer, own) == 0) return false;
    return own != NULL;
}

static void adopt(struct check *check, const struct check *other)
{
    for (size_t i = 0; i < other->count && check->count < FAULTS_MOST; i++) {
        if (!make_room(check))
            check->lost = true;
        else
            check->errors[check->count++] = other->errors[i];
    }
}

/* If none fits but one alternative has the value's shape, its faults are told instead of a bare one_of. */
static void check_one_of(struct check *check, const struct schema *schema, const json_t *value, const struct step *step)
{
    struct check meant = { 0 };
    size_t fitting = 0, shaped = 0;
    for (size_t i = 0; i < schema->one_of_count; i++) {
        struct check trial = { .arena = check->arena, .base = check->base };
        check_value(&trial, schema->one_of[i], value, step);
        check->lost |= trial.lost;
        fitting += !trial.count && !trial.lost;
        if (!trial.count || !shape_fits(&trial, schema->one_of[i], value, step)) continue;
        meant = trial;
        shaped++;
    }
    if (fitting == 1) return;
    if (!fitting && shaped == 1)
        adopt(check, &meant);
    else
        fault(check, step, "one_of", NULL);
}

static void check_value(struct check *check, const struct schema *schema, const json_t *value, const struct step *step)
{
    if (check->count == FAULTS_MOST) return;
    if (schema->types && !type_holds(schema->types, value)) {
        fault(check, step, "type", type_names(check, schema->types));
        return;
    }
    if (schema->enumeration && !is_among(schema->enumeration, value))
        fault(check, step, "enum", enum_names(check, schema->enumeration));
    if (schema->constant && !same_value(schema->constant, value))
        fault(check, step, "const", json_string_value(schema->constant));
    if (json_is_string(value)) check_string(check, schema, value, step);
    if (json_is_number(value)) check_number(check, schema, value, step);
    if (json_is_array(value)) check_array(check, schema, value, step);
    if (json_is_object(value)) check_object(check, schema, value, step);
    if (schema->discriminator && json_is_object(value))
        check_discriminated(check, schema, value, step);
    else if (schema->one_of_count)
        check_one_of(check, schema, value, step);
}

/* It fails closed: what could not be told is a fault all the same. */
static size_t report(struct check *check, const struct member_error **errors)
{
    static const struct member_error untold = { .pointer = "", .code = "faults_untold" };
    *errors = check->errors;
    if (check->count || !check->lost) return check->count;
    *errors = &untold;
    return 1;
}

size_t schema_faults(const struct schema *schema, const json_t *value, const char *base, struct arena *arena,
                     const struct member_error **errors)
{
    struct check check = { .arena = arena, .base = base };
    check_value(&check, schema, value, NULL);
    return report(&check, errors);
}

static json_t *read_text(const struct schema *schema, const char *text, size_t length);

/* As JSON writes a number; NULL otherwise. */
static json_t *read_number(const char *text, size_t length, bool integer)
{
    bool plain = length && length < 40 && (*text == '-' || isdigit((unsigned char)*text)) &&
                 isdigit((unsigned char)text[length - 1]); /* no white space around it */
    json_t *value = plain ? json_loadb(text, length, JSON_DECODE_ANY, NULL) : NULL;
    if (!value || json_is_integer(value) || (!integer && json_is_real(value))) return value;
    json_decref(value);
    return NULL;
}

/* Values set apart by commas (style form, not exploded). */
static json_t *read_list(const struct schema *items, const char *text)
{
    json_t *array = json_array();
    for (const char *at = text; array && at;) {
        size_t length = strcspn(at, ",");
        json_t *item = items ? read_text(items, at, length) : json_stringn(at, length);
        if (json_array_append_new(array, item) != 0) {
            json_decref(array);
            return NULL;
        }
        at = at[length] ? at + length + 1 : NULL;
    }
    return array;
}

/* The value that the text is under the schema's type; NULL if it is none. */
static json_t *read_text(const struct schema *schema, const char *text, size_t length)
{
    if (schema->types & SCHEMA_ARRAY) return read_list(schema->items, text);
    if (schema->types & SCHEMA_BOOLEAN) {
        if (length == 4 && memcmp(text, "true", 4) == 0) return json_true();
        return length == 5 && memcmp(text, "false", 5) == 0 ? json_false() : NULL;
    }
    if (schema->types & SCHEMA_NUMBER) return read_number(text, length, false);
    if (schema->types & SCHEMA_INTEGER) return read_number(text, length, true);
    return json_stringn(text, length);
}

size_t schema_parameter_faults(const struct schema *schema, const char *name, const char *text, struct arena *arena,
                               const struct member_error **errors)
{
    struct check check = { .arena = arena, .base = "" };
    json_t *value = read_text(schema, text, strlen(text));
    if (value)
        check_value(&check, schema, value, NULL);
    else
        fault(&check, NULL, "type", type_names(&check, schema->types));
    json_decref(value);
    for (size_t i = 0; i < check.count; i++) check.errors[i].parameter = name, check.errors[i].pointer = NULL;
    return report(&check, errors);
}
