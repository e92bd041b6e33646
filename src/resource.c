#include "utvag/resource.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/config.h"
#include "utvag/record.h"
#include "utvag/respond.h"

static struct problem out_of_memory(void) { return problem(500, "out_of_memory"); }

/* The contract's template with the new record's id. */
static const char *location_of(struct request *rq, const char *id)
{
    const char *template = rq->contract->location, *gap = strstr(template, "{id}");
    if (!gap) return arena_text(rq->arena, "%s%s", rq->service->config->base_url, template);
    return arena_text(rq->arena, "%s%.*s%s%s", rq->service->config->base_url, (int)(gap - template), template, id,
                      gap + 4);
}

struct problem resource_answer(struct request *rq, struct response *rs, const struct rows *rows)
{
    if (!rows->count) return problem(404, "not_found");
    const struct row *row = &rows->row[0];
    const char *body;
    size_t length;
    if (rq->replayed) response_header(rs, "Idempotency-Replayed", "true");
    if (rq->contract->success == 204) {
        rs->status = 204;
        return PROBLEM_NONE;
    }
    TRY(record_open(rq, row->body, row->length, &body, &length));
    respond_body(rs, rq->contract->success, "application/json", body, length);
    if (row->version) rs->etag = respond_etag(rq, row->version, body, length);
    const char *location = rq->contract->location ? location_of(rq, row->id) : NULL;
    if (location) response_header(rs, "Location", location);
    return PROBLEM_NONE;
}

struct problem resource_read(struct request *rq, struct response *rs)
{
    struct rows rows;
    const char *id = request_path(rq, "id");
    const char *sql =
        arena_text(rq->arena, "page AS (SELECT id, version, body, NULL::text AS key FROM %s WHERE id = $1::uuid)",
                   rq->contract->operation->view);
    if (!sql) return out_of_memory();
    struct statement statement = { .name = rq->contract->id, .sql = sql };
    TRY(db_run(rq, &statement, 1, &id, &rows));
    return resource_answer(rq, rs, &rows);
}

struct problem resource_call(struct request *rq, const json_t *body, struct rows *rows)
{
    const char *id = request_path(rq, "id");
    int match = request_version(rq);
    const char *version = match > 0 ? arena_text(rq->arena, "%d", match) : NULL;
    const char *sql =
        arena_text(rq->arena, "page AS (SELECT id, version, body, key FROM %s($1::uuid, $2::jsonb, $3::int))",
                   rq->contract->operation->function);
    size_t length = body ? json_dumpb(body, NULL, 0, JSON_COMPACT) : 2;
    char *text = arena_alloc(rq->arena, length + 1);
    if (!sql || !text) return out_of_memory();
    if (body)
        json_dumpb(body, text, length, JSON_COMPACT);
    else
        memcpy(text, "{}", 2);
    const char *const values[] = { id, text, version };
    struct statement statement = { .name = rq->contract->id, .sql = sql, .keyed = true };
    return db_run(rq, &statement, 3, values, rows);
}

struct problem resource_write(struct request *rq, struct response *rs)
{
    struct rows rows;
    if (rq->json && rq->contract->body) TRY(record_seal(rq, rq->json, rq->contract->body));
    TRY(resource_call(rq, rq->json, &rows));
    return resource_answer(rq, rs, &rows);
}

struct problem resource_peek(struct request *rq, const char *view, json_t **record, const char **stored, int *version)
{
    struct rows rows;
    const char *id = request_path(rq, "id"), *body;
    size_t length;
    const char *sql = arena_text(
        rq->arena, "page AS (SELECT id, version, body, NULL::text AS key FROM %s WHERE id = $1::uuid)", view);
    const char *name = arena_text(rq->arena, "%s peek", rq->contract->id);
    if (!sql || !name) return out_of_memory();
    struct statement statement = { .name = name, .sql = sql, .silent = true };
    TRY(db_run(rq, &statement, 1, &id, &rows));
    if (!rows.count) return problem(404, "not_found");
    TRY(record_open(rq, rows.row[0].body, rows.row[0].length, &body, &length));
    *stored = rows.row[0].body;
    *version = rows.row[0].version;
    *record = json_loadb(body, length, 0, NULL);
    return *record ? PROBLEM_NONE : problem(500, "internal");
}

/* Members that are sealed, or that may not change, are compared with what is there. The write that follows is guarded
   by the version that was read. */
static struct problem merge_with_current(struct request *rq)
{
    const char *stored;
    json_t *current;
    int version;
    TRY(resource_peek(rq, rq->contract->operation->view, &current, &stored, &version));
    struct problem stop = version == request_version(rq) ? PROBLEM_NONE : problem(412, "version_stale");
    if (!stop.status) stop = record_merge(rq, rq->json, rq->contract->body, current, stored);
    json_decref(current);
    return stop;
}

struct problem resource_merge(struct request *rq, struct response *rs)
{
    struct rows rows;
    if (record_merge_reads(rq->json, rq->contract->body)) {
        struct problem stop = merge_with_current(rq);
        TRY(stop.audited ? stop : db_refuse(rq, stop));
    }
    TRY(resource_call(rq, rq->json, &rows));
    return resource_answer(rq, rs, &rows);
}
