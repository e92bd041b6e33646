#include "db_trip.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* The query's text, to be freed. */
static char *text_of(const struct step *step)
{
    size_t length = 1;
    for (size_t i = 0; i < STEP_PIECES; i++) length += step->sql[i] ? strlen(step->sql[i]) : 0;
    char *text = malloc(length), *end = text;
    for (size_t i = 0; text && i < STEP_PIECES; i++)
        if (step->sql[i]) end = stpcpy(end, step->sql[i]);
    return text;
}

static bool send_step(const struct config *config, struct connection *connection, struct step *step)
{
    int count = (int)step->count;
    bool prepared = config->prepare && connection_has_prepared(connection, step->name);
    bool by_name = prepared || (config->prepare && connection->prepared_count + 1 < CONNECTION_STATEMENTS);
    if (!prepared) {
        char *text = text_of(step);
        bool sent =
            text && (by_name ? PQsendPrepare(connection->pg, step->name, text, count, NULL)
                             : PQsendQueryParams(connection->pg, text, count, NULL, step->values, NULL, NULL, 0));
        free(text);
        if (!sent || !by_name) return sent;
        step->preparing = true;
    }
    return PQsendQueryPrepared(connection->pg, step->name, count, step->values, NULL, NULL, 0);
}

/* Waits until a result can be taken without blocking. The server's own timeouts end what is slow; this one ends what
   a silent network would otherwise hold for ever. */
static bool await_result(PGconn *pg, long long deadline_ms)
{
    while (PQflush(pg) == 1 || PQisBusy(pg)) {
        long long left = deadline_ms - pool_now_ms();
        struct pollfd ready = { .fd = PQsocket(pg), .events = POLLIN };
        if (left <= 0 || poll(&ready, 1, (int)left) <= 0) return false;
        if (!PQconsumeInput(pg)) return false;
    }
    return true;
}

/* The first error tells why; what follows it was aborted. */
static void note_error(struct trip *trip, PGresult *result)
{
    if (trip->error)
        PQclear(result);
    else
        trip->error = result;
}

/* One result of the step; false when the connection went with it. */
static bool take_result(struct trip *trip, struct step *step, PGresult *result, PGconn *pg)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK) {
        step->result = result;
        return true;
    }
    if (status != PGRES_COMMAND_OK && status != PGRES_PIPELINE_ABORTED) {
        note_error(trip, result);
        return PQstatus(pg) == CONNECTION_OK;
    }
    PQclear(result);
    return true;
}

/* Takes the results in the order they were asked for, each ended by a NULL, up to the sync. */
static bool read_trip(struct connection *connection, struct trip *trip, long long deadline_ms)
{
    PGconn *pg = connection->pg;
    struct step *step = trip->steps;
    bool parsing = step->preparing; /* the result is that of the step's Parse */
    while (await_result(pg, deadline_ms)) {
        PGresult *result = PQgetResult(pg);
        if (result && PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            return true;
        }
        if (result) {
            if (parsing && PQresultStatus(result) == PGRES_COMMAND_OK) connection_note_prepared(connection, step->name);
            if (!take_result(trip, step, result, pg)) return false;
        } else if (PQstatus(pg) != CONNECTION_OK) {
            return false;
        } else if (parsing) {
            parsing = false;
        } else if (step < trip->steps + trip->count - 1) {
            parsing = (++step)->preparing;
        }
    }
    return false;
}

void trip_go(struct trip *trip, struct connection *connection, const struct config *config)
{
    connection->doubtful = false;
    for (size_t i = 0; i < trip->count; i++) {
        if (!send_step(config, connection, &trip->steps[i])) {
            trip->lost = true;
            return;
        }
    }
    trip->sent = true;
    long long deadline = pool_now_ms() + config->statement_ms + config->lock_ms + 2000;
    trip->lost = !PQpipelineSync(connection->pg) || !read_trip(connection, trip, deadline) || connection->doubtful;
}

void trip_add(struct trip *trip, struct step step)
{
    if (trip->count < TRIP_STEPS) trip->steps[trip->count++] = step;
}

void trip_clear(struct trip *trip)
{
    for (size_t i = 0; i < trip->count; i++) {
        PQclear(trip->steps[i].result);
        trip->steps[i].result = NULL;
        trip->steps[i].preparing = false;
    }
    PQclear(trip->error);
    trip->error = NULL;
}
