/* A connection, a transaction and a cursor of its own for each stream. The cursor is asked for a batch at a time: so little is held
   here, PostgreSQL's statement_timeout is for a batch, and between two its session is idle, for as long as the client needs
   and UTVAG_STREAM_SECONDS allows. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_own.h"
#include "db_refusal.h"
#include "db_steps.h"
#include "utvag/config.h"
#include "utvag/log.h"

enum { TEXT_TYPE = 25 /* pg_type.oid */, RETRY_SECONDS = 5 };

struct db_stream {
    PGconn *pg;
    struct turns *places;
    const struct stream_part *part;
    bool declared; /* the cursor of this part */
    bool begun;    /* a row of this part was given */
    PGresult *batch;
    int row;
    size_t count;
    char **values;
    char trace[33];
};

void db_stream_close(struct db_stream *stream)
{
    if (!stream) return;
    PQclear(stream->batch);
    if (stream->pg) PQfinish(stream->pg);
    for (size_t i = 0; stream->values && i < stream->count; i++) free(stream->values[i]);
    free((void *)stream->values);
    turns_give(stream->places);
    free(stream);
}

/* With a place taken, which the stream gives back. */
static struct db_stream *stream_new(struct request *rq, const struct stream_part *parts, size_t count,
                                    const char *const *values)
{
    struct db *db = rq->service->db;
    struct db_stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        turns_give(db->streams);
        return NULL;
    }
    stream->places = db->streams;
    stream->part = parts;
    memcpy(stream->trace, rq->trace, sizeof stream->trace);
    stream->values = calloc(count + 1, sizeof *stream->values);
    for (; stream->values && stream->count < count; stream->count++)
        if (!(stream->values[stream->count] = strdup(values[stream->count]))) break;
    if (stream->values && stream->count == count) return stream;
    db_stream_close(stream);
    return NULL;
}

static bool command(struct db_stream *stream, const char *sql)
{
    PQclear(stream->batch);
    stream->batch = PQexec(stream->pg, sql);
    return PQresultStatus(stream->batch) == PGRES_COMMAND_OK;
}

static bool declare(struct db_stream *stream)
{
    static const char head[] = "DECLARE part NO SCROLL CURSOR FOR ";
    Oid types[] = { TEXT_TYPE, TEXT_TYPE, TEXT_TYPE, TEXT_TYPE, TEXT_TYPE, TEXT_TYPE, TEXT_TYPE, TEXT_TYPE };
    char *sql = malloc(sizeof head + strlen(stream->part->sql));
    if (!sql || stream->count > sizeof types / sizeof *types) {
        free(sql);
        return false;
    }
    stpcpy(stpcpy(sql, head), stream->part->sql);
    PQclear(stream->batch);
    stream->batch =
        PQexecParams(stream->pg, sql, (int)stream->count, types, (const char *const *)stream->values, NULL, NULL, 0);
    free(sql);
    stream->declared = PQresultStatus(stream->batch) == PGRES_COMMAND_OK;
    stream->begun = false;
    return stream->declared;
}

/* The next rows, of whichever part has any; none at the end. False when PostgreSQL did not give them: batch has the error. */
static bool fetch(struct db_stream *stream)
{
    while (stream->part->sql) {
        if (!stream->declared && !declare(stream)) return false;
        PQclear(stream->batch);
        stream->batch = PQexec(stream->pg, "FETCH 200 FROM part");
        stream->row = 0;
        if (PQresultStatus(stream->batch) != PGRES_TUPLES_OK) return false;
        if (PQntuples(stream->batch)) return true;
        if (!command(stream, "CLOSE part")) return false;
        stream->declared = false;
        stream->part++;
    }
    PQclear(stream->batch);
    stream->batch = NULL;
    return true;
}

/* The transaction, as the caller. */
static struct problem enter(struct request *rq, struct db_stream *stream)
{
    char sql[256];
    struct trip trip = { 0 };
    snprintf(sql, sizeof sql,
             "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL idle_in_transaction_session_timeout = '%ds';"
             "SET LOCAL cursor_tuple_fraction = 0", /* rows at once, from an index: never a sort of all of them first */
             rq->service->config->stream_seconds + 1);
    if (!step_enter(rq, &trip)) return problem(500, "out_of_memory");
    if (!command(stream, sql)) return refusal_read(rq, stream->batch);
    const struct step *step = &trip.steps[0];
    PQclear(stream->batch);
    stream->batch = PQexecParams(stream->pg, step->sql[0], (int)step->count, NULL, step->values, NULL, NULL, 0);
    if (PQresultStatus(stream->batch) != PGRES_TUPLES_OK) return refusal_read(rq, stream->batch);
    return PQntuples(stream->batch) ? PROBLEM_NONE : problem(401, "token_revoked");
}

static struct problem begin(struct request *rq, struct db_stream *stream)
{
    stream->pg = pool_connect(rq->service->db->pool);
    if (!stream->pg) return problem_later("database_away");
    TRY(enter(rq, stream));
    return fetch(stream) ? PROBLEM_NONE : refusal_read(rq, stream->batch);
}

/* The one row of the audit log that says that this was read. */
static struct problem audit(struct request *rq)
{
    static const char sql[] = "page AS (SELECT NULL::uuid AS id, 0 AS version, NULL::text AS body, NULL::text AS key)";
    const struct statement statement = { .name = rq->contract->id, .sql = sql, .many = true };
    struct rows rows;
    return db_run(rq, &statement, 0, NULL, &rows);
}

struct problem db_stream_open(struct request *rq, const struct stream_part *parts, size_t count,
                              const char *const *values, struct db_stream **stream)
{
    if (!turns_take(rq->service->db->streams))
        return (struct problem){ .status = 503, .code = "overloaded", .retry_after = RETRY_SECONDS };
    struct db_stream *made = stream_new(rq, parts, count, values);
    if (!made) return problem(500, "out_of_memory");
    struct problem stop = audit(rq);
    if (!stop.status) stop = begin(rq, made);
    if (stop.status)
        db_stream_close(made);
    else
        *stream = made;
    return stop;
}

static enum db_stream_state lost(const struct db_stream *stream)
{
    const char *state = PQresultErrorField(stream->batch, PG_DIAG_SQLSTATE);
    log_line(LOG_WARN, "stream lost PostgreSQL", "sqlstate", state ? state : "", "trace_id", stream->trace, NULL);
    return DB_STREAM_LOST;
}

enum db_stream_state db_stream_next(struct db_stream *stream, const char **before, const char **text, size_t *length)
{
    if (!stream->batch) return DB_STREAM_END;
    if (stream->row == PQntuples(stream->batch) && !fetch(stream)) return lost(stream);
    if (!stream->batch) return DB_STREAM_END;
    *before = stream->begun ? stream->part->between : NULL;
    stream->begun = true;
    *text = PQgetvalue(stream->batch, stream->row, 0);
    *length = (size_t)PQgetlength(stream->batch, stream->row++, 0);
    return DB_STREAM_ROW;
}
