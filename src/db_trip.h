/* One trip to PostgreSQL: the queries of a pipeline up to its sync, which is a transaction of its own. */
#pragma once
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "db_pool.h"
#include "utvag/config.h"

enum { TRIP_STEPS = 4, STEP_PIECES = 5 };

/* One query of a pipeline, and what came of it. */
struct step {
    const char *name;             /* prepared under it */
    const char *sql[STEP_PIECES]; /* put together only where it must be prepared; NULL: nothing */
    size_t count;
    const char *const *values;
    bool preparing; /* a Parse goes before it in this pipeline */
    PGresult *result;
};

struct trip {
    struct step steps[TRIP_STEPS];
    size_t count;
    PGresult *error; /* the first error, or NULL */
    bool lost;       /* the connection went before the sync was confirmed */
    bool sent;       /* and something had been sent by then */
};

/* Adds a query, whose texts and values must outlive the trip. */
void trip_add(struct trip *trip, struct step step);
/* Sends all and reads all. A trip that is `lost` leaves a connection that must be dropped. */
void trip_go(struct trip *trip, struct connection *connection, const struct config *config);
/* Frees what came of it; the queries stay, and may be sent again. */
void trip_clear(struct trip *trip);
