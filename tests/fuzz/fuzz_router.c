/* "GET /v1/children?limit=2": any bytes as method and target, against the real routes. What is let in is exactly what
   the contract names: the path is the template filled, every parameter is known, decoded once, and within its schema. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stage.h"
#include "utvag/fields.h"
#include "utvag/percent.h"
#include "utvag/router.h"
#include "utvag/validate.h"

enum { TARGET_MOST = 2048, PATH_MOST = 64 };

#define HOLD(rule) ((rule) ? (void)0 : fail(#rule, __LINE__))

static void fail(const char *rule, int line)
{
    fprintf(stderr, "fuzz_router.c:%d: does not hold: %s\n", line, rule);
    abort();
}

static struct problem route(struct request *rq, const char *method, const char *url)
{
    static const struct pair headers[] = { { "Host", "api.utvag.example" } };
    *rq = (struct request){ .arena = stage_arena(),
                            .service = stage_service(),
                            .method = method,
                            .url = url,
                            .headers = headers,
                            .header_count = 1,
                            .address = "192.0.2.1" };
    request_begin(rq);
    return router_match(rq->service->router, rq);
}

/* The template with its parameters filled in: what the target's path must have been. */
static const char *path_again(const struct request *rq)
{
    char *out = arena_alloc(rq->arena, TARGET_MOST + 1), *to = out;
    const struct pair *value = rq->path_values;
    for (const char *at = rq->contract->path; *at;) {
        if (*at != '{') {
            *to++ = *at++;
            continue;
        }
        size_t length = strcspn(at, "}");
        HOLD(value->name && strlen(value->name) == length - 1 && memcmp(value->name, at + 1, length - 1) == 0);
        to += sprintf(to, "%s", value++->value);
        at += length + 1;
    }
    HOLD(!value->name);
    return out;
}

/* The contract's root has two spellings, /v1 and /v1/; nothing else has. */
static bool is_same_path(const char *made, const char *path, size_t length)
{
    size_t size = strlen(made);
    bool root = length == size + 1 && path[size] == '/' && !memchr(path + 1, '/', size - 1);
    return (root || size == length) && memcmp(made, path, size) == 0;
}

static void check_path(const struct request *rq)
{
    size_t length = strcspn(rq->url, "?");
    HOLD(is_same_path(path_again(rq), rq->url, length));
    for (const struct pair *value = rq->path_values; value->name; value++) {
        HOLD(value->value[0]);
        for (const char *at = value->value; *at; at++)
            HOLD(islower((unsigned char)*at) || isdigit((unsigned char)*at) || strchr("-._~", *at));
    }
    /* An escape never spells a path, whatever it stands for. */
    struct request other;
    size_t at = 1 + (size_t)rq->url[1] % (length - 1);
    const char *spelt =
        arena_text(rq->arena, "%.*s%%%02x%s", (int)at, rq->url, (unsigned char)rq->url[at], rq->url + at + 1);
    if (strlen(spelt) <= TARGET_MOST) HOLD(route(&other, rq->method, spelt).status == 400 && !other.contract);
}

/* How many bytes a query's value decodes to: a reading of our own, which knows no rule but the escapes. */
static size_t decoded_length(const char *text, size_t length)
{
    size_t size = 0;
    for (size_t i = 0; i < length; i++, size++) i += text[i] == '%' ? 2 : 0;
    return size;
}

static void check_query(const struct request *rq)
{
    const char *query = strchr(rq->url, '?'), *again = "";
    const struct pair *pair = rq->query;
    for (const char *at = query ? query + 1 : ""; *at;) {
        size_t length = strcspn(at, "&"), name = strcspn(at, "=&");
        if (length) {
            HOLD(pair->name && strlen(pair->name) == decoded_length(at, name)); /* so that no NUL cuts it */
            HOLD(strlen(pair->value) == (name < length ? decoded_length(at + name + 1, length - name - 1) : 0));
            HOLD(percent_utf8(pair->value, strlen(pair->value)));
            HOLD(contract_parameter(rq->contract, IN_QUERY, pair->name));
            for (const struct pair *other = rq->query; other < pair; other++)
                HOLD(strcmp(other->name, pair->name) != 0);
            again = arena_text(rq->arena, "%s&%s=%s", again, stage_encode(pair->name), stage_encode(pair->value));
            HOLD(again);
            pair++;
        }
        at += length + (at[length] == '&');
    }
    HOLD(!pair->name);
    const struct pair *read = percent_pairs(rq->arena, again, strlen(again));
    HOLD(read);
    for (pair = rq->query; pair->name; pair++, read++)
        HOLD(read->name && strcmp(read->name, pair->name) == 0 && strcmp(read->value, pair->value) == 0);
    HOLD(!read->name);
}

static bool is_listed(const json_t *enumeration, const char *text)
{
    size_t i;
    json_t *one;
    json_array_foreach(enumeration, i, one)
        if (json_is_string(one) && strcmp(json_string_value(one), text) == 0) return true;
    return false;
}

/* What the handlers trust: read here by hand, without the validator. */
static void check_value(const struct contract_parameter *parameter, const char *value)
{
    const struct schema *schema = parameter->schema;
    if (schema->types == SCHEMA_INTEGER) {
        char *end;
        long number = strtol(value, &end, 10);
        HOLD(end > value && !*end);
        HOLD((!schema->has_minimum || (double)number >= schema->minimum) &&
             (!schema->has_maximum || (double)number <= schema->maximum));
    }
    if (schema->types == SCHEMA_BOOLEAN) HOLD(strcmp(value, "true") == 0 || strcmp(value, "false") == 0);
    if (schema->enumeration && schema->types == SCHEMA_STRING) HOLD(is_listed(schema->enumeration, value));
    if (schema->max_length) HOLD(strlen(value) <= 4 * schema->max_length);
    if (parameter->place == IN_PATH && strcmp(parameter->name, "id") == 0) HOLD(strlen(value) <= PATH_MOST);
}

static bool record_has(const struct schema *record, const char *name)
{
    bool has = strcmp(name, "id") == 0 || schema_member(record, name);
    for (size_t i = 0; i < record->one_of_count && !has; i++) has = record_has(record->one_of[i], name);
    return has;
}

/* A record with every member that the contract knows, of every kind of value. */
static json_t *record_make(const struct schema *record)
{
    static const char *const values[] = { "\"a\\\"b}],{\\\\\"", "[{\"id\":\"]\"},[1,2]]", "null", "-1.5e3",
                                          "{\"a\":{\"b\":[]},\"c\":\",\"}" };
    json_t *made = json_object();
    json_object_set_new(made, "id", json_string("1"));
    for (size_t i = 0; i < record->property_count; i++)
        json_object_set_new(made, record->properties[i].name, json_loads(values[i % 5], JSON_DECODE_ANY, NULL));
    for (size_t i = 0; i < record->one_of_count; i++) {
        json_t *more = record_make(record->one_of[i]);
        json_object_update_missing(made, more);
        json_decref(more);
    }
    return made;
}

static bool is_asked_for(const char *fields, const char *name)
{
    const char *list = arena_text(stage_arena(), ",%s,id,", fields), *one = arena_text(stage_arena(), ",%s,", name);
    return strstr(list, one);
}

static void check_record(const json_t *whole, const json_t *part, const char *fields)
{
    const char *name;
    json_t *value;
    size_t asked = 0;
    HOLD(json_is_object(part));
    json_object_foreach((json_t *)part, name, value)
        HOLD(is_asked_for(fields, name) && json_equal(value, json_object_get(whole, name)));
    json_object_foreach((json_t *)whole, name, value) asked += is_asked_for(fields, name);
    HOLD(json_object_size(part) == asked);
}

/* `fields` leaves valid JSON with exactly what was asked for, as it was. */
static void check_fields(struct request *rq)
{
    const char *fields = request_query(rq, "fields"), *name = rq->contract->list;
    if (!fields) return;
    for (const char *at = fields; *at;) {
        size_t length = strcspn(at, ",");
        HOLD(record_has(rq->contract->record, arena_text(rq->arena, "%.*s", (int)length, at)));
        at += length + (at[length] == ',');
    }
    json_t *record = record_make(rq->contract->record);
    json_t *whole =
        name ? json_pack("{s:s,s:[O,O],s:{}}", "before", "a", name, record, record, "_links") : json_incref(record);
    char *text = json_dumps(whole, JSON_COMPACT);
    struct response rs = { .status = 200, .body = text, .length = strlen(text), .etag = "\"1.00000000\"" };
    HOLD(!fields_select(rq, &rs).status);
    json_t *part = json_loadb(rs.body, rs.length, JSON_REJECT_DUPLICATES, NULL);
    HOLD(part);
    if (name) {
        HOLD(json_object_size(part) == 3 && json_array_size(json_object_get(part, name)) == 2);
        for (size_t i = 0; i < 2; i++) check_record(record, json_array_get(json_object_get(part, name), i), fields);
    } else {
        check_record(record, part, fields);
    }
    json_decref(part);
    json_decref(whole);
    json_decref(record);
    free(text);
}

static void check_matched(struct request *rq)
{
    HOLD(strcmp(rq->contract->method, strcmp(rq->method, "HEAD") == 0 ? "GET" : rq->method) == 0);
    HOLD(strstr(rq->allow, rq->contract->method));
    check_path(rq);
    check_query(rq);
    struct problem refused = validate_request(rq);
    for (size_t i = 0; i < refused.error_count; i++) {
        const char *name = refused.errors[i].parameter;
        if (name)
            HOLD(contract_parameter(rq->contract, IN_QUERY, name) || contract_parameter(rq->contract, IN_HEADER, name));
    }
    json_decref(rq->json);
    /* 400 and 404 are about the parameters, unless a body is missing; whatever comes later means that they passed. */
    bool bodiless = refused.code && strncmp(refused.code, "body_", 5) == 0;
    if ((refused.status == 400 && !bodiless) || refused.status == 404) return;
    HOLD(!refused.status || bodiless || refused.status == 415 || refused.status == 422 || refused.status == 428);
    for (size_t i = 0; i < rq->contract->parameter_count; i++) {
        const struct contract_parameter *parameter = &rq->contract->parameters[i];
        if (parameter->place == IN_HEADER) continue;
        const char *value =
            parameter->place == IN_PATH ? request_path(rq, parameter->name) : request_query(rq, parameter->name);
        HOLD(value || !parameter->required);
        if (value) check_value(parameter, value);
    }
    check_fields(rq);
}

/* With a target that is not matched nothing is known of it. */
static void check_refused(const struct request *rq, const struct problem *refused)
{
    HOLD(refused->status == 400 || refused->status == 404 || refused->status == 405 || refused->status == 414);
    HOLD((refused->status == 405) == (refused->allow != NULL));
    HOLD((refused->status == 414) == (strlen(rq->url) > TARGET_MOST));
    if (refused->status == 405) {
        HOLD(!rq->contract && strstr(refused->allow, "OPTIONS"));
        HOLD(!*rq->method ||
             !strstr(arena_text(rq->arena, ", %s,", refused->allow), arena_text(rq->arena, ", %s,", rq->method)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = stage_text(bytes, size), *url = strchr(text, ' ');
    if (url) {
        struct request rq;
        *url++ = '\0';
        struct problem refused = route(&rq, text, url);
        if (refused.status)
            check_refused(&rq, &refused);
        else if (rq.contract)
            check_matched(&rq);
        else
            HOLD(strcmp(rq.method, "OPTIONS") == 0 && rq.allow);
    }
    arena_reset(stage_arena());
    free(text);
    return 0;
}
