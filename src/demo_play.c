#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "utvag/command.h"
#include "utvag/config.h"
#include "utvag/db.h"
#include "utvag/demo.h"
#include "utvag/pipeline.h"
#include "utvag/token.h"

enum { ARENA_CEILING = 16 << 20 };

struct stage {
    struct service *service;
    struct arena *arena;
    const json_t *people;
    json_t *variables;
    size_t step;
};

/* Texts with variables in them --------------------------------------------------------------------------------------- */

static bool write_day(FILE *out, const char *offset)
{
    time_t now = time(NULL) + 86400L * (*offset ? strtol(offset, NULL, 10) : 0);
    struct tm day;
    char text[16];
    gmtime_r(&now, &day);
    strftime(text, sizeof text, "%Y-%m-%d", &day);
    return fputs(text, out) >= 0;
}

static bool write_variable(const struct stage *stage, FILE *out, const char *name)
{
    if (strncmp(name, "today", 5) == 0) return write_day(out, name + 5);
    bool who = strncmp(name, "who:", 4) == 0;
    const json_t *found =
        who ? json_object_get(json_object_get(stage->people, name + 4), "id") : json_object_get(stage->variables, name);
    const char *value = json_string_value(found);
    if (!value) command_fail("demo: ${%s} is not known", name);
    return value && fputs(value, out) >= 0;
}

/* The text with its variables filled in, in the arena; NULL if one is not known. */
static const char *fill_text(const struct stage *stage, const char *text)
{
    char *filled = NULL, name[64];
    size_t size;
    FILE *out = open_memstream(&filled, &size);
    bool fine = out != NULL;
    while (fine && *text) {
        int used = 0;
        if (sscanf(text, "${%63[^}]}%n", name, &used) == 1 && used) {
            fine = write_variable(stage, out, name);
            text += used;
        } else {
            fputc(*text++, out);
        }
    }
    if (out) fclose(out);
    const char *kept = fine ? arena_copy(stage->arena, filled, size) : NULL;
    free(filled);
    return kept;
}

static json_t *fill_value(const struct stage *stage, json_t *value)
{
    if (json_is_string(value)) {
        const char *text = fill_text(stage, json_string_value(value));
        return text ? json_string(text) : NULL;
    }
    if (!json_is_object(value) && !json_is_array(value)) return json_incref(value);
    json_t *filled = json_is_array(value) ? json_array() : json_object(), *member;
    const char *name;
    size_t index;
    int failed = 0;
    if (json_is_array(value)) {
        json_array_foreach(value, index, member) failed |= json_array_append_new(filled, fill_value(stage, member));
    } else {
        json_object_foreach(value, name, member) failed |= json_object_set_new(filled, name, fill_value(stage, member));
    }
    if (!failed) return filled;
    json_decref(filled);
    return NULL;
}

/* The request -------------------------------------------------------------------------------------------------------- */

static const char *token_for(const struct stage *stage, const char *as)
{
    const json_t *person = json_object_get(stage->people, as);
    struct caller caller = { .known = true, .epoch = 1 };
    if (!person) return NULL;
    const char *agency = json_string_value(json_object_get(person, "agency"));
    snprintf(caller.id, sizeof caller.id, "%s", json_string_value(json_object_get(person, "id")));
    snprintf(caller.agency, sizeof caller.agency, "%s", agency ? agency : "");
    caller.machine = json_is_true(json_object_get(person, "machine"));
    size_t index;
    json_t *role;
    json_array_foreach(json_object_get(person, "roles"), index, role)
        caller.roles |= 1u << role_find(json_string_value(role));
    return token_sign(stage->service->keyring, stage->service->config->issuer, &caller, stage->arena);
}

static bool take_body(const struct stage *stage, json_t *step, struct request *rq)
{
    json_t *body = json_object_get(step, "body"), *filled = body ? fill_value(stage, body) : NULL;
    if (!body) return true;
    size_t length = filled ? json_dumpb(filled, NULL, 0, JSON_COMPACT) : 0;
    char *text = length ? arena_alloc(stage->arena, length + 1) : NULL;
    if (text) json_dumpb(filled, text, length, JSON_COMPACT);
    json_decref(filled);
    rq->body = text;
    rq->body_length = length;
    return text != NULL;
}

/* method and URL of `do`, the headers that a client would send. */
static bool take_request(const struct stage *stage, json_t *step, struct request *rq)
{
    const char *line = fill_text(stage, json_string_value(json_object_get(step, "do")));
    const char *token = token_for(stage, json_string_value(json_object_get(step, "as")));
    size_t method = line ? strcspn(line, " ") : 0;
    struct pair *headers = arena_alloc(stage->arena, 8 * sizeof *headers);
    if (!line || !line[method] || !token || !headers || !take_body(stage, step, rq)) return false;
    rq->method = arena_copy(stage->arena, line, method);
    rq->url = arena_text(stage->arena, "/v1%s", line + method + 1);
    rq->headers = headers;
    headers[rq->header_count++] = (struct pair){ "Host", "localhost" };
    headers[rq->header_count++] = (struct pair){ "Authorization", arena_text(stage->arena, "Bearer %s", token) };
    if (rq->body) headers[rq->header_count++] = (struct pair){ "Content-Type", "application/json" };
    const char *officer = json_string_value(json_object_get(step, "officer"));
    if (officer) headers[rq->header_count++] = (struct pair){ "X-Acting-Officer", officer };
    /* A step that was carried out before a failure is answered as it was. */
    headers[rq->header_count++] =
        (struct pair){ "Idempotency-Key", arena_text(stage->arena, "demo-step-%zu", stage->step) };
    const char *match = json_string_value(json_object_get(step, "if_match"));
    if (match) headers[rq->header_count++] = (struct pair){ "If-Match", fill_text(stage, match) };
    return true;
}

/* The answer --------------------------------------------------------------------------------------------------------- */

/* RFC 6901, without escapes. */
static const char *point(json_t *value, const char *pointer)
{
    char name[64];
    int used;
    while (value && sscanf(pointer, "/%63[^/]%n", name, &used) == 1) {
        value = json_is_array(value) ? json_array_get(value, strtoul(name, NULL, 10)) : json_object_get(value, name);
        pointer += used;
    }
    return json_string_value(value);
}

static bool save(struct stage *stage, json_t *step, const struct response *rs)
{
    json_t *answer = rs->length ? json_loadb(rs->body, rs->length, 0, NULL) : NULL, *pointer;
    const char *name;
    bool fine = true;
    json_object_foreach(json_object_get(step, "save"), name, pointer) {
        const char *where = json_string_value(pointer);
        const char *value = strcmp(where, "etag") == 0 ? rs->etag : point(answer, where);
        if (!value)
            command_fail("demo: the answer to %s has no %s", json_string_value(json_object_get(step, "do")), where);
        fine = fine && value && json_object_set_new(stage->variables, name, json_string(value)) == 0;
    }
    json_decref(answer);
    return fine;
}

static bool carry_out(struct stage *stage, json_t *step)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct request rq = { .arena = stage->arena, .service = stage->service, .address = "demo" };
    rq.started_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    struct response rs = { 0 };
    bool fine = take_request(stage, step, &rq);
    if (fine) {
        pipeline_answer(&rq, &rs);
        fine = rs.status >= 200 && rs.status < 300;
        if (!fine)
            command_fail("demo: %s: %.*s", json_string_value(json_object_get(step, "do")), (int)rs.length, rs.body);
        fine = fine && save(stage, step, &rs);
    }
    db_request_end(&rq);
    json_decref(rq.json);
    arena_reset(stage->arena);
    return fine;
}

bool demo_play(struct service *service, const json_t *steps, const json_t *people)
{
    struct stage stage = {
        .service = service, .arena = arena_new(ARENA_CEILING), .people = people, .variables = json_object()
    };
    bool fine = stage.arena && stage.variables;
    size_t index;
    json_t *step;
    json_array_foreach(steps, index, step) {
        stage.step = index;
        fine = fine && carry_out(&stage, step);
    }
    json_decref(stage.variables);
    if (stage.arena) arena_free(stage.arena);
    return fine;
}
