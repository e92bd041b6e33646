#include "utvag/fields.h"

#include <stdlib.h>
#include <string.h>

#include "utvag/respond.h"

/* A JSON text of our own on its way from `at` to `out`, which has room for all of it: it is valid, and compact. */
struct pass {
    const char *at, *end;
    char *out;
    const char *fields;
};

static bool is_among(const char *fields, const char *name, size_t length)
{
    if (length == 2 && memcmp(name, "id", 2) == 0) return true;
    while (*fields) {
        size_t size = strcspn(fields, ",");
        if (size == length && memcmp(fields, name, size) == 0) return true;
        fields += size + (fields[size] == ',');
    }
    return false;
}

static const char *string_end(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) at += *at == '\\';
    return at < end ? at + 1 : end;
}

/* The end of the value at `at`: the comma or bracket after it. */
static const char *value_end(const char *at, const char *end)
{
    int depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = string_end(at, end);
            continue;
        }
        if (depth == 0 && (*at == ',' || *at == '}' || *at == ']')) return at;
        depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
        at++;
    }
    return end;
}

static void copy_to(struct pass *pass, const char *end)
{
    size_t length = (size_t)(end - pass->at);
    memcpy(pass->out, pass->at, length);
    pass->out += length;
    pass->at = end;
}

/* One member, from its name to the comma or brace after it; false at the end of the object. */
static bool next_member(struct pass *pass, const char **name, size_t *length)
{
    if (pass->at < pass->end && *pass->at == ',') pass->at++;
    if (pass->at >= pass->end || *pass->at != '"') return false;
    *name = pass->at + 1;
    *length = (size_t)(string_end(pass->at, pass->end) - *name) - 1;
    return true;
}

static void select_members(struct pass *pass)
{
    const char *name;
    size_t length;
    bool first = true;
    copy_to(pass, pass->at + 1);
    while (next_member(pass, &name, &length)) {
        const char *end = value_end(pass->at, pass->end);
        if (!is_among(pass->fields, name, length)) {
            pass->at = end;
            continue;
        }
        if (!first) *pass->out++ = ',';
        first = false;
        copy_to(pass, end);
    }
    if (pass->at < pass->end) copy_to(pass, pass->at + 1);
}

/* The records of the list's own member; what stands beside it stays. */
static void select_records(struct pass *pass, const char *list)
{
    const char *name;
    size_t length;
    bool first = true;
    copy_to(pass, pass->at + 1);
    while (next_member(pass, &name, &length)) {
        if (!first) *pass->out++ = ',';
        first = false;
        if (length != strlen(list) || memcmp(name, list, length) != 0) {
            copy_to(pass, value_end(pass->at, pass->end));
            continue;
        }
        copy_to(pass, name + length + 3); /* quote, colon, bracket */
        while (pass->at < pass->end && *pass->at == '{') {
            select_members(pass);
            if (pass->at < pass->end && *pass->at == ',') copy_to(pass, pass->at + 1);
        }
        if (pass->at < pass->end) copy_to(pass, pass->at + 1);
    }
    if (pass->at < pass->end) copy_to(pass, pass->at + 1);
}

static bool is_known(const struct schema *record, const char *name, size_t length)
{
    if (length == 2 && memcmp(name, "id", 2) == 0) return true;
    for (size_t i = 0; i < record->property_count; i++)
        if (strlen(record->properties[i].name) == length && memcmp(record->properties[i].name, name, length) == 0)
            return true;
    for (size_t i = 0; i < record->one_of_count; i++)
        if (is_known(record->one_of[i], name, length)) return true;
    return false;
}

struct problem fields_check(struct request *rq)
{
    const char *fields = request_query(rq, "fields");
    while (fields && *fields) {
        size_t length = strcspn(fields, ",");
        if (!is_known(rq->contract->record, fields, length)) {
            struct member_error *error = arena_alloc(rq->arena, sizeof *error);
            if (!error) return problem(500, "out_of_memory");
            *error = (struct member_error){ .parameter = "fields", .code = "field_unknown" };
            return (struct problem){ .status = 400, .code = "parameters_invalid", .errors = error, .error_count = 1 };
        }
        fields += length + (fields[length] == ',');
    }
    return PROBLEM_NONE;
}

struct problem fields_select(struct request *rq, struct response *rs)
{
    const char *fields = request_query(rq, "fields");
    if (!fields || rs->status != 200 || !rs->length || rs->body[0] != '{') return PROBLEM_NONE;
    char *text = arena_alloc(rq->arena, rs->length + 1);
    if (!text) return problem(500, "out_of_memory");
    struct pass pass = { .at = rs->body, .end = rs->body + rs->length, .out = text, .fields = fields };
    if (rq->contract->list)
        select_records(&pass, rq->contract->list);
    else
        select_members(&pass);
    rs->body = text;
    rs->length = (size_t)(pass.out - text);
    if (!rs->etag) return PROBLEM_NONE;
    /* The same version, another representation. */
    rs->etag = respond_etag(rq, atoi(rs->etag + 1), rs->body, rs->length);
    return rs->etag ? PROBLEM_NONE : problem(500, "out_of_memory");
}
