/* PostgreSQL through libpq, in this file only. One pipelined round trip a request:
   enter (become the caller's database role) · the idempotency claim, if any · the statement, wrapped with its
   audit row, outbox row and kept answer · sync. A pipeline up to its sync is one transaction.
   A FIFO pool; each waiter is handed the next free connection. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "utvag/request.h"

struct db;
struct db *db_open(const struct config *config);
void db_close(struct db *db);
bool db_ready(struct db *db); /* reachable, and the newest migration is there */

/* name: unique to the text; prepared as name/role. sql: common table expressions, the last named `page` with the
   columns id, version, body (text), key (text, what a list is ordered by, or NULL). */
struct statement {
    const char *name;
    const char *sql;
};

struct row { const char *id; int version; const char *body; size_t length; const char *key; };
struct rows { const struct row *row; size_t count; };

/* Runs as the caller in rq, with the operation's idempotency, audit and event. Rows live until request_end. */
struct problem db_run(struct request *rq, const struct statement *statement, size_t count, const char *const *values,
                      struct rows *rows) __attribute__((warn_unused_result));
/* The same, read only, without idempotency: the first trip of a merge into sealed members. */
struct problem db_peek(struct request *rq, const struct statement *statement, size_t count,
                       const char *const *values, struct rows *rows) __attribute__((warn_unused_result));
/* Before there is a caller (logins): runs as utvag_login, audited. */
struct problem db_login(struct request *rq, const struct statement *statement, size_t count,
                        const char *const *values, struct rows *rows) __attribute__((warn_unused_result));
/* Writes the refusal of rq into the audit log, in a transaction of its own, durable on return. */
struct problem db_audit_refusal(struct request *rq, int status, const char *code) __attribute__((warn_unused_result));
void db_request_end(struct request *rq);
