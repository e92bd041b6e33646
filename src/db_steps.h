/* The queries that a request's trip is made of. Each adds one to the trip, with its texts in the request's arena, and
   says false when the arena is full. */
#pragma once
#include "db_trip.h"
#include "utvag/db.h"

/* Becomes the caller's database role, if she is still active and holds the role that let her in; else no row. */
bool step_enter(struct request *rq, struct trip *trip);
/* Becomes utvag_login: nobody is the caller. */
bool step_enter_login(struct request *rq, struct trip *trip);
/* Claims an idempotency key for this request: a plain insert, whose failure aborts what follows. */
bool step_claim(struct request *rq, struct trip *trip, const char *key, const char *mac);
/* The statement, wrapped with its audit row, and with its answer kept under the claimed key (NULL: none). */
bool step_statement(struct request *rq, struct trip *trip, const struct statement *statement, size_t count,
                    const char *const *values, const char *key);
/* The record that the path names: "" if there is none. */
const char *step_subject(const struct request *rq);
