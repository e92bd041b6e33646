/* The connections behind db.c: a pool served first come, first served, and reconnection with back-off. */
#pragma once
#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "utvag/config.h"

enum { CONNECTION_STATEMENTS = 1024 };

struct connection {
    PGconn *pg;                            /* NULL until first used, and after a loss */
    bool doubtful;                         /* a commit was not confirmed by the standby (warning 01000) */
    char *prepared[CONNECTION_STATEMENTS]; /* hash table of names */
    size_t prepared_count;
    struct connection *next; /* free list */
};

struct pool;
struct pool *pool_open(const struct config *config);
void pool_close(struct pool *pool);

/* A live connection, waiting at most wait_ms for one. NULL when none was free in time (full), or PostgreSQL is away. */
struct connection *pool_take(struct pool *pool, int wait_ms, bool *full);
void pool_give(struct pool *pool, struct connection *connection);
/* Ends a connection whose state is unknown; it is made anew when next taken. */
void pool_drop(struct connection *connection);

/* A connection beside the pool, whose sessions it is like, but that it is not in pipeline mode; NULL when PostgreSQL is away.
   The caller's, to be ended by PQfinish. */
PGconn *pool_connect(const struct pool *pool);

long long pool_now_ms(void); /* a clock that only goes forward */

bool connection_has_prepared(const struct connection *connection, const char *name);
void connection_note_prepared(struct connection *connection, const char *name);
