#include "db_pool.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "utvag/log.h"

enum { BACK_OFF_FIRST_MS = 50, BACK_OFF_MOST_MS = 1000 };

/* One who waits: handed a connection by whoever gives one back, in the order of arrival. An unfair pool was
   measured at a p99 twenty times worse. */
struct waiter {
    pthread_cond_t handed;
    struct connection *connection;
    struct waiter *next;
};

struct pool {
    const struct config *config;
    pthread_mutex_t mutex;
    struct connection *connections, *free;
    struct waiter *first, **last;
    _Atomic long long retry_at_ms; /* no attempt to connect before */
    _Atomic int back_off_ms;
};

long long pool_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

struct pool *pool_open(const struct config *config)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pool->config = config;
    pool->last = &pool->first;
    pthread_mutex_init(&pool->mutex, NULL);
    pool->connections = calloc((size_t)config->pool, sizeof *pool->connections);
    if (!pool->connections) {
        pool_close(pool);
        return NULL;
    }
    for (int i = config->pool - 1; i >= 0; i--) {
        pool->connections[i].next = pool->free;
        pool->free = &pool->connections[i];
    }
    return pool;
}

void pool_close(struct pool *pool)
{
    if (!pool) return;
    for (int i = 0; pool->connections && i < pool->config->pool; i++) pool_drop(&pool->connections[i]);
    free(pool->connections);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

void pool_drop(struct connection *connection)
{
    if (connection->pg) PQfinish(connection->pg);
    connection->pg = NULL;
    connection->doubtful = false;
    for (size_t i = 0; i < CONNECTION_STATEMENTS; i++) {
        free(connection->prepared[i]);
        connection->prepared[i] = NULL;
    }
    connection->prepared_count = 0;
}

/* Notices carry data: they are dropped, but for one that changes the meaning of a commit. */
static void on_notice(void *argument, const PGresult *result)
{
    struct connection *connection = argument;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    /* "committed locally, but might not have been replicated to the standby" */
    if (state && strcmp(state, "01000") == 0) connection->doubtful = true;
}

/* What holds for the whole session: limits, and the rules of the house that SQL reads by house_rule(). */
static bool set_up(const struct pool *pool, PGconn *pg)
{
    const struct config *config = pool->config;
    char sql[1024];
    snprintf(
        sql, sizeof sql,
        "SET statement_timeout = %d; SET lock_timeout = %d; SET idle_in_transaction_session_timeout = %d;"
        "SET log_parameter_max_length_on_error = 0; SET client_min_messages = warning; SET jit = off; SET plan_cache_mode = force_generic_plan;"
        "SET utvag.double_grant_days = %d; SET utvag.emergency_case_cap_ore = %d;"
        "SET utvag.emergency_actor_cap_ore = %d; SET utvag.two_approvers_above_ore = %d",
        config->statement_ms, config->lock_ms, config->statement_ms + 1000, config->double_grant_days,
        config->emergency_case_cap_ore, config->emergency_actor_cap_ore, config->two_approvers_above_ore);
    PGresult *result = PQexec(pg, sql);
    bool fine = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return fine;
}

PGconn *pool_connect(const struct pool *pool)
{
    const char *const names[] = { "dbname",           "application_name", "client_encoding",
                                  "connect_timeout",  "keepalives_idle",  "keepalives_interval",
                                  "keepalives_count", "tcp_user_timeout", NULL };
    const char *const values[] = { pool->config->database_url, "utvag", "UTF8", "3", "10", "5", "3", "10000", NULL };
    PGconn *pg = PQconnectdbParams(names, values, 1);
    if (PQstatus(pg) == CONNECTION_OK && set_up(pool, pg)) return pg;
    const char *state = PQstatus(pg) == CONNECTION_OK ? "session refused" : "no connection";
    log_line(LOG_WARN, "database away", "reason", state, NULL);
    PQfinish(pg);
    return NULL;
}

/* A socket that is readable although nothing was asked holds the server's farewell, or its end: better seen before a
   request is sent into it, where its fate would be in doubt. libpq itself calls such a connection good until it reads
   past the farewell. */
static bool still_there(PGconn *pg)
{
    struct pollfd ready = { .fd = PQsocket(pg), .events = POLLIN };
    return poll(&ready, 1, 0) == 0 && PQstatus(pg) == CONNECTION_OK;
}

static PGconn *connect_pipelined(const struct pool *pool)
{
    PGconn *pg = pool_connect(pool);
    if (!pg || PQenterPipelineMode(pg)) return pg;
    PQfinish(pg);
    return NULL;
}

static bool make_live(struct pool *pool, struct connection *connection)
{
    if (connection->pg && still_there(connection->pg)) return true;
    pool_drop(connection);
    if (pool_now_ms() < pool->retry_at_ms) return false;
    connection->pg = connect_pipelined(pool);
    if (connection->pg) {
        pool->back_off_ms = 0;
        PQsetNoticeReceiver(connection->pg, on_notice, connection);
        return true;
    }
    int wait = pool->back_off_ms ? pool->back_off_ms * 2 : BACK_OFF_FIRST_MS;
    pool->back_off_ms = wait > BACK_OFF_MOST_MS ? BACK_OFF_MOST_MS : wait;
    pool->retry_at_ms = pool_now_ms() + pool->back_off_ms;
    return false;
}

static void leave_queue(struct pool *pool, struct waiter *waiter)
{
    struct waiter **at = &pool->first;
    while (*at && *at != waiter) at = &(*at)->next;
    if (*at) *at = waiter->next;
    if (pool->last == &waiter->next) pool->last = at;
}

/* With the mutex held. */
static struct connection *wait_turn(struct pool *pool, int wait_ms)
{
    struct waiter waiter = { 0 };
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter.handed, &attributes);
    pthread_condattr_destroy(&attributes);

    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (wait_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    *pool->last = &waiter;
    pool->last = &waiter.next;
    int expired = 0;
    while (!waiter.connection && !expired) expired = pthread_cond_timedwait(&waiter.handed, &pool->mutex, &until);
    if (!waiter.connection) leave_queue(pool, &waiter);
    pthread_cond_destroy(&waiter.handed);
    return waiter.connection;
}

struct connection *pool_take(struct pool *pool, int wait_ms, bool *full)
{
    pthread_mutex_lock(&pool->mutex);
    struct connection *connection = pool->first ? NULL : pool->free;
    if (connection)
        pool->free = connection->next;
    else
        connection = wait_turn(pool, wait_ms);
    pthread_mutex_unlock(&pool->mutex);
    *full = !connection;
    if (!connection || make_live(pool, connection)) return connection;
    pool_give(pool, connection);
    return NULL;
}

void pool_give(struct pool *pool, struct connection *connection)
{
    pthread_mutex_lock(&pool->mutex);
    struct waiter *waiter = pool->first;
    if (waiter) {
        pool->first = waiter->next;
        if (!pool->first) pool->last = &pool->first;
        waiter->connection = connection;
        pthread_cond_signal(&waiter->handed);
    } else {
        connection->next = pool->free;
        pool->free = connection;
    }
    pthread_mutex_unlock(&pool->mutex);
}

/* FNV-1a; linear probing. */
static size_t prepared_slot(const struct connection *connection, const char *name)
{
    unsigned long long hash = 14695981039346656037ULL;
    for (const char *c = name; *c; c++) hash = (hash ^ (unsigned char)*c) * 1099511628211ULL;
    size_t slot = hash % CONNECTION_STATEMENTS;
    while (connection->prepared[slot] && strcmp(connection->prepared[slot], name) != 0)
        slot = (slot + 1) % CONNECTION_STATEMENTS;
    return slot;
}

bool connection_has_prepared(const struct connection *connection, const char *name)
{
    return connection->prepared[prepared_slot(connection, name)] != NULL;
}

void connection_note_prepared(struct connection *connection, const char *name)
{
    /* One slot stays empty, for the probing to end; whatever does not fit is prepared again, under the unnamed one. */
    if (connection->prepared_count + 1 >= CONNECTION_STATEMENTS) return;
    size_t slot = prepared_slot(connection, name);
    if (connection->prepared[slot]) return;
    connection->prepared[slot] = strdup(name);
    if (connection->prepared[slot]) connection->prepared_count++;
}
