#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/blind.h"
#include "utvag/digest.h"
#include "utvag/format.h"
#include "utvag/record.h"
#include "utvag/seal.h"
#include "utvag/service.h"

enum { NAME_TOKENS = 16, NAME_ROOM = 512, GROUPS_MOST = 4 };

/* The schema whose members an object has: its own, or those of the first branch that knows them all. */
static const struct schema *schema_of(const struct schema *schema, const json_t *object)
{
    if (schema->property_count) return schema;
    for (size_t i = 0; i < schema->one_of_count; i++) {
        const char *name;
        json_t *value;
        bool knows = true;
        json_object_foreach((json_t *)object, name, value) knows = knows && schema_member(schema->one_of[i], name);
        if (knows) return schema->one_of[i];
    }
    return schema;
}

/* "\x" and hexadecimal: how PostgreSQL reads a bytea, from JSON too. */
static bool set_bytes(json_t *object, const char *name, const unsigned char *bytes, size_t length)
{
    char *text = malloc(2 + 2 * length + 1);
    if (!text) return false;
    memcpy(text, "\\x", 2);
    digest_hex(bytes, length, text + 2);
    int failed = json_object_set_new(object, name, json_string(text));
    free(text);
    return !failed;
}

/* Blind tokens ------------------------------------------------------------------------------------------------------ */

static bool add_token(json_t *list, const char *index, const unsigned char *token)
{
    json_t *row = json_pack("{ss}", "index", index);
    bool fine = row && set_bytes(row, "token", token, BLIND_BYTES);
    return json_array_append_new(list, row) == 0 && fine;
}

static bool is_date(const struct schema *schema) { return schema->format && strcmp(schema->format->name, "date") == 0; }

/* Names and birth date feed one index together; neither says anything without the other. */
static bool add_name_tokens(const struct request *rq, json_t *list, const json_t *source, const struct schema *schema)
{
    char names[NAME_ROOM] = "";
    size_t used = 0;
    const char *birth_date = NULL, *index = NULL;
    for (size_t i = 0; i < schema->property_count; i++) {
        const struct schema *member = schema->properties[i].schema;
        const char *value = json_string_value(json_object_get(source, schema->properties[i].name));
        if (!member->blind || strcmp(member->blind, "name_birth_date") != 0 || !value) continue;
        index = member->blind;
        if (is_date(member))
            birth_date = value;
        else if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s ", value);
    }
    if (!birth_date || !used) return true;
    unsigned char tokens[NAME_TOKENS][BLIND_BYTES];
    size_t count = blind_name_tokens(rq->service->keyring, names, birth_date, tokens, NAME_TOKENS);
    bool fine = true;
    for (size_t i = 0; i < count; i++) fine = fine && add_token(list, index, tokens[i]);
    return fine;
}

static bool add_tokens(const struct request *rq, json_t *list, const json_t *source, const struct schema *schema)
{
    bool fine = add_name_tokens(rq, list, source, schema);
    for (size_t i = 0; i < schema->property_count; i++) {
        const char *index = schema->properties[i].schema->blind;
        const char *value = json_string_value(json_object_get(source, schema->properties[i].name));
        unsigned char token[BLIND_BYTES];
        if (!index || !value || strcmp(index, "name_birth_date") == 0) continue;
        if (blind_token(rq->service->keyring, index, value, token)) fine = fine && add_token(list, index, token);
    }
    return fine;
}

/* Sealed groups ------------------------------------------------------------------------------------------------------ */

struct record {
    const struct request *rq;
    const struct schema *schema;
    const char *id;
    unsigned char key[KEY_BYTES];
};

/* Seals the members of source that belong to the group, as one JSON object, into the record's column of that name. */
static bool close_group(const struct record *record, json_t *row, const json_t *source, const char *group)
{
    json_t *members = json_object();
    for (size_t i = 0; i < record->schema->property_count; i++) {
        const struct schema_property *property = &record->schema->properties[i];
        json_t *value = json_object_get(source, property->name);
        if (property->schema->sealed && strcmp(property->schema->sealed, group) == 0 && value && !json_is_null(value))
            json_object_set(members, property->name, value);
    }
    char *text = json_dumps(members, JSON_COMPACT);
    json_decref(members);
    size_t length = text ? strlen(text) : 0;
    unsigned char *sealed = text ? malloc(length + SEAL_OVERHEAD) : NULL;
    struct seal_place place = { .table = record->schema->record, .column = group, .record = record->id };
    bool fine = sealed && seal_close(record->key, &place, text, length, sealed) &&
                set_bytes(row, group, sealed, length + SEAL_OVERHEAD);
    if (text) OPENSSL_cleanse(text, length);
    free(text);
    free(sealed);
    return fine;
}

/* The groups of which source has a member. */
static size_t groups_of(const struct schema *schema, const json_t *source, const char *groups[GROUPS_MOST])
{
    size_t count = 0;
    for (size_t i = 0; i < schema->property_count; i++) {
        const char *group = schema->properties[i].schema->sealed;
        bool known = !group || !json_object_get(source, schema->properties[i].name);
        for (size_t g = 0; !known && g < count; g++) known = strcmp(groups[g], group) == 0;
        if (!known && count < GROUPS_MOST) groups[count++] = group;
    }
    return count;
}

static void drop_sealed(json_t *row, const struct schema *schema)
{
    for (size_t i = 0; i < schema->property_count; i++)
        if (schema->properties[i].schema->sealed) json_object_del(row, schema->properties[i].name);
}

/* Closes the groups that `touched` has members of, with their values from source, and takes them out of the row. */
static bool close_groups(const struct record *record, json_t *row, const json_t *touched, const json_t *source)
{
    const char *groups[GROUPS_MOST];
    size_t count = groups_of(record->schema, touched, groups);
    bool fine = true;
    for (size_t i = 0; i < count; i++) fine = fine && close_group(record, row, source, groups[i]);
    drop_sealed(row, record->schema);
    return fine;
}

/* A new record's member that is null is one that is absent: nothing is sealed for it, a protected person's place least
   of all. A copy, whose members are those of row; NULL when out of memory. */
static json_t *members_of(const json_t *row)
{
    json_t *members = json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)row, name, value)
        if (!json_is_null(value)) json_object_set(members, name, value);
    return members;
}

static struct problem seal_record(struct request *rq, json_t *row, const struct schema *schema)
{
    char id[UUID_SIZE];
    uuid_v4(id);
    struct record record = { .rq = rq, .schema = schema, .id = id };
    unsigned char wrapped[SEAL_WRAPPED];
    json_t *tokens = json_array();
    bool fine =
        tokens && seal_make_key(rq->service->keyring, id, record.key, wrapped) && add_tokens(rq, tokens, row, schema);
    json_t *whole = members_of(row);
    fine = fine && whole && close_groups(&record, row, whole, whole) &&
           json_object_set_new(row, "id", json_string(id)) == 0 &&
           set_bytes(row, "data_key", wrapped, sizeof wrapped) && json_object_set(row, "blind", tokens) == 0;
    OPENSSL_cleanse(record.key, sizeof record.key);
    json_decref(tokens);
    json_decref(whole);
    return fine ? PROBLEM_NONE : problem(500, "internal");
}

struct problem record_seal(struct request *rq, json_t *body, const struct schema *schema)
{
    if (json_is_array(body) && schema->items) {
        for (size_t i = 0; i < json_array_size(body); i++) TRY(record_seal(rq, json_array_get(body, i), schema->items));
        return PROBLEM_NONE;
    }
    if (!json_is_object(body)) return PROBLEM_NONE;
    schema = schema_of(schema, body);
    for (size_t i = 0; i < schema->property_count; i++) {
        json_t *value = json_object_get(body, schema->properties[i].name);
        if (value && !schema->properties[i].schema->sealed) TRY(record_seal(rq, value, schema->properties[i].schema));
    }
    return schema->record ? seal_record(rq, body, schema) : PROBLEM_NONE;
}

/* Search ------------------------------------------------------------------------------------------------------------- */

static bool blind_walk(struct request *rq, json_t *list, json_t *body, const struct schema *schema)
{
    schema = schema_of(schema, body);
    bool fine = add_tokens(rq, list, body, schema);
    for (size_t i = 0; i < schema->property_count; i++) {
        json_t *value = json_object_get(body, schema->properties[i].name);
        if (json_is_object(value)) fine = fine && blind_walk(rq, list, value, schema->properties[i].schema);
        if (schema->properties[i].schema->blind) json_object_del(body, schema->properties[i].name);
    }
    return fine;
}

struct problem record_blind(struct request *rq, json_t *body, const struct schema *schema)
{
    json_t *list = json_array();
    bool fine = list && blind_walk(rq, list, body, schema);
    fine = json_object_set_new(body, "blind", list) == 0 && fine;
    return fine ? PROBLEM_NONE : problem(500, "internal");
}

/* Merge ---------------------------------------------------------------------------------------------------------------- */

bool record_merge_reads(const json_t *patch, const struct schema *schema)
{
    for (size_t i = 0; i < schema->property_count; i++) {
        const struct schema *member = schema->properties[i].schema;
        if ((member->sealed || member->read_only) && json_object_get(patch, schema->properties[i].name)) return true;
    }
    return false;
}

/* RFC 7396, section 2. */
static json_t *merge_patch(const json_t *target, const json_t *patch)
{
    if (!json_is_object(patch)) return json_deep_copy(patch);
    json_t *merged = json_is_object(target) ? json_deep_copy(target) : json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)patch, name, value) {
        if (json_is_null(value))
            json_object_del(merged, name);
        else
            json_object_set_new(merged, name, merge_patch(json_object_get(merged, name), value));
    }
    return merged;
}

static struct problem check_read_only(struct request *rq, json_t *patch, const struct schema *schema,
                                      const json_t *current)
{
    struct member_error *errors = arena_alloc(rq->arena, (schema->property_count + 1) * sizeof *errors);
    if (!errors) return problem(500, "out_of_memory");
    size_t count = 0;
    for (size_t i = 0; i < schema->property_count; i++) {
        const char *name = schema->properties[i].name;
        const json_t *said = json_object_get(patch, name);
        if (!said || !schema->properties[i].schema->read_only) continue;
        const json_t *is = json_object_get(current, name);
        bool same = is ? json_equal(said, is) : json_is_null(said);
        if (!same)
            errors[count++] =
                (struct member_error){ .pointer = arena_text(rq->arena, "/%s", name), .code = "read_only" };
        json_object_del(patch, name);
    }
    if (!count) return PROBLEM_NONE;
    struct problem refused = problem(422, "body_invalid");
    refused.errors = errors;
    refused.error_count = count;
    return refused;
}

static bool touches_blind(const json_t *patch, const struct schema *schema)
{
    for (size_t i = 0; i < schema->property_count; i++)
        if (schema->properties[i].schema->blind && json_object_get(patch, schema->properties[i].name)) return true;
    return false;
}

/* The record's own data key if it has one, else a new one, which then goes along in the patch. */
static bool take_key(struct record *record, json_t *patch, const char *wrapped_hex)
{
    const struct keyring *ring = record->rq->service->keyring;
    unsigned char wrapped[SEAL_WRAPPED];
    long length = 0;
    if (!wrapped_hex)
        return seal_make_key(ring, record->id, record->key, wrapped) &&
               set_bytes(patch, "data_key", wrapped, sizeof wrapped);
    unsigned char *bytes = OPENSSL_hexstr2buf(wrapped_hex, &length);
    bool fine = bytes && seal_unwrap(ring, record->id, bytes, (size_t)length, record->key);
    OPENSSL_free(bytes);
    return fine;
}

struct problem record_merge(struct request *rq, json_t *patch, const struct schema *schema, const json_t *current,
                            const char *stored)
{
    TRY(check_read_only(rq, patch, schema, current));
    struct record record = { .rq = rq, .schema = schema, .id = request_path(rq, "id") };
    json_t *touched = json_copy(patch), *merged = merge_patch(current, patch), *tokens = json_array();
    bool fine = touched && merged && tokens && take_key(&record, patch, record_wrapped_key(rq, stored, record.id)) &&
                close_groups(&record, patch, touched, merged);
    if (fine && touches_blind(touched, schema))
        fine = add_tokens(rq, tokens, merged, schema) && json_object_set(patch, "blind", tokens) == 0;
    fine = fine && json_object_set_new(patch, "id", json_string(record.id)) == 0;
    OPENSSL_cleanse(record.key, sizeof record.key);
    json_decref(touched);
    json_decref(merged);
    json_decref(tokens);
    return fine ? PROBLEM_NONE : problem(500, "internal");
}
