/* PostgreSQL for requests, through libpq, in the files db….c only. One pipelined round trip a request:
     enter (become the caller's database role) · the idempotency claim, if any ·
     the statement, wrapped with its audit row and its kept answer · sync.
   A pipeline up to its sync is one transaction. Nothing is answered before a clean sync. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "utvag/request.h"

struct db;
struct db *db_open(const struct config *config);
void db_close(struct db *db);
/* Whether PostgreSQL answers and holds exactly the migrations that this binary knows. */
bool db_ready(struct db *db);
/* Deletes what has had its time: idempotency keys older than 24 hours. To be called now and then, by any instance; while
   PostgreSQL is away it does nothing. */
void db_forget_expired(struct db *db);

/* sql: common table expressions, the last named `page` with the columns id uuid, version int, body text, key text.
   name: at most 60 bytes, one for each text; it is prepared as name/role, since a plan under row-level security is
   made anew whenever the role changes. */
struct statement {
    const char *name;
    const char *sql;
    bool many;   /* no row is an answer too: a list */
    bool keyed;  /* takes an Idempotency-Key */
    bool silent; /* no audit row: the first trip of two, whose second writes it */
    bool replay; /* tells again what was answered to an idempotency key: db.c's own */
};

struct row {
    const char *id; /* "" when NULL */
    int version;
    const char *body; /* NUL-terminated */
    size_t length;
    const char *key; /* NULL when NULL */
};
struct rows {
    const struct row *row;
    size_t count;
};

/* Runs as the caller of rq, who must still be active and hold the role that let her in (else 401). Rows live until
   db_request_end. Refusals by SQL are audited on return. 503 `commit_in_doubt` when the connection was lost after a
   write was sent: its Idempotency-Key then tells what became of it. */
struct problem db_run(struct request *rq, const struct statement *statement, size_t count, const char *const *values,
                      struct rows *rows) __attribute__((warn_unused_result));
/* The same before there is a caller (tokens, sessions, invitations): as utvag_login. */
struct problem db_login(struct request *rq, const struct statement *statement, size_t count, const char *const *values,
                        struct rows *rows) __attribute__((warn_unused_result));
/* Reading what may be longer than memory, as the caller of rq, on a connection that is not of the pool: whoever reads it slowly
   keeps nobody waiting. At most UTVAG_STREAMS at once: 503 `overloaded` above. */
struct stream_part {
    const char
        *sql; /* a SELECT of one text column, which has a row at least in each part but the last; $1… are texts */
    const char *between; /* goes between two of its rows, or NULL */
};
struct db_stream;
/* Audits the reading first, if the operation is audited, in a transaction of its own, durable on return; then begins the one
   (REPEATABLE READ, READ ONLY) that all parts are read in. parts is ended by one without sql, and outlives the stream. */
struct problem db_stream_open(struct request *rq, const struct stream_part *parts, size_t count,
                              const char *const *values, struct db_stream **stream) __attribute__((warn_unused_result));
enum db_stream_state { DB_STREAM_ROW, DB_STREAM_END, DB_STREAM_LOST };
/* The next row of any part, *text being good until the next call, and what goes before it (NULL: nothing). */
enum db_stream_state db_stream_next(struct db_stream *stream, const char **before, const char **text, size_t *length);
void db_stream_close(struct db_stream *stream);

/* Writes the refusal of rq into the audit log, in a transaction of its own, durable on return. */
struct problem db_audit_refusal(struct request *rq, int status, const char *code) __attribute__((warn_unused_result));
/* A refusal (4xx) of an operation that is audited, put into the audit log before anyone hears of it. Anything else is
   returned as it is. */
struct problem db_refuse(struct request *rq, struct problem stop) __attribute__((warn_unused_result));
void db_request_end(struct request *rq);
