/* What a request costs its client at least: libpq alone, a thread for each connection as in the service, sending the
   statements that the service was seen to send, in a pipeline for each transaction, and reading what comes.

     bare [-c CONNECTIONS] [-d SECONDS] [-w SECONDS] [-1] DATABASE STEPS [ROWS]

   STEPS is a file: a line `S<tab>SQL` for each statement, `T<tab>SQL` where a transaction begins, followed by a line for each of its parameters: `V<tab>text`
   with gaps (template.h), or `N` for NULL. Prints JSON. */
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "template.h"

enum { STEPS_MOST = 8, VALUES_MOST = 16, TEXT_ROOM = 1 << 14, SECOND = 1000000000 };

struct step {
    char *sql;
    char *values[VALUES_MOST];
    int count;
    bool begins;
};

static struct {
    int connections;
    double seconds, warm;
    bool once;
    const char *database;
    struct step steps[STEPS_MOST];
    int step_count;
    struct table table;
    int64_t counted, end;
    atomic_size_t next_row, done, failed, counted_done;
    atomic_bool complained;
} bench = { .connections = 16, .seconds = 5 };

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

static void steps_read(char *text)
{
    struct step *step = NULL;
    for (char *line; (line = strsep(&text, "\n"));) {
        if ((*line == 'S' || *line == 'T') && bench.step_count < STEPS_MOST) {
            step = &bench.steps[bench.step_count++];
            step->sql = line + 2;
            step->begins = *line == 'T';
        } else if (step && *line && step->count < VALUES_MOST) {
            step->values[step->count++] = *line == 'V' ? line + 2 : NULL;
        }
    }
}

static void complain(const char *text)
{
    if (!atomic_exchange(&bench.complained, true)) fprintf(stderr, "bare: %s\n", text);
}

static bool prepare(PGconn *pg)
{
    for (int i = 0; i < bench.step_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        PGresult *result = PQprepare(pg, name, bench.steps[i].sql, bench.steps[i].count, NULL);
        bool fine = PQresultStatus(result) == PGRES_COMMAND_OK;
        if (!fine) complain(PQresultErrorMessage(result));
        PQclear(result);
        if (!fine) return false;
    }
    return PQenterPipelineMode(pg) == 1;
}

static void step_send(PGconn *pg, int at, struct gaps *gaps, char *room)
{
    const struct step *step = &bench.steps[at];
    const char *values[VALUES_MOST];
    char name[16];
    snprintf(name, sizeof name, "s%d", at);
    for (int i = 0; i < step->count; i++) {
        values[i] = step->values[i] ? room : NULL;
        if (step->values[i]) room += gaps_fill(gaps, step->values[i], room, TEXT_ROOM) + 1;
    }
    PQsendQueryPrepared(pg, name, step->count, values, NULL, NULL, 0);
}

/* A row from each statement, as the service has it; else what is measured is not the same work. */
static bool trip_read(PGconn *pg, int from, int to)
{
    bool fine = true;
    for (int i = from; i < to; i++) {
        for (PGresult *result; (result = PQgetResult(pg)); PQclear(result)) {
            ExecStatusType status = PQresultStatus(result);
            if (status == PGRES_TUPLES_OK ? PQntuples(result) > 0 : status == PGRES_COMMAND_OK) continue;
            fine = false;
            if (status == PGRES_FATAL_ERROR) complain(PQresultErrorMessage(result));
        }
        if (PQstatus(pg) != CONNECTION_OK) return false;
    }
    PGresult *synced = PQgetResult(pg);
    bool end = PQresultStatus(synced) == PGRES_PIPELINE_SYNC;
    PQclear(synced);
    return fine && end;
}

/* One transaction: its statements, from one on, and what comes. The statement after it. */
static int trip_go(PGconn *pg, int from, struct gaps *gaps, char *room, bool *fine)
{
    int to = from;
    do step_send(pg, to, gaps, room + to * VALUES_MOST * 4096);
    while (++to < bench.step_count && !bench.steps[to].begins);
    PQpipelineSync(pg);
    *fine = trip_read(pg, from, to) && *fine;
    return to;
}

static bool request_go(PGconn *pg, char *room)
{
    size_t row = atomic_fetch_add(&bench.next_row, 1);
    struct gaps gaps = { 0 };
    if (bench.once && row >= bench.table.count) return false;
    memcpy(gaps.field, bench.table.rows[row % bench.table.count], sizeof gaps.field);
    bool fine = true;
    for (int at = 0; at < bench.step_count && PQstatus(pg) == CONNECTION_OK;) at = trip_go(pg, at, &gaps, room, &fine);
    int64_t now = now_ns();
    atomic_fetch_add(fine ? &bench.done : &bench.failed, 1);
    if (fine && now >= bench.counted && now < bench.end) atomic_fetch_add(&bench.counted_done, 1);
    return PQstatus(pg) == CONNECTION_OK;
}

static void *work(void *argument)
{
    PGconn *pg = PQconnectdb(bench.database);
    char *room = malloc((size_t)STEPS_MOST * VALUES_MOST * 4096 + TEXT_ROOM);
    (void)argument;
    if (PQstatus(pg) != CONNECTION_OK) complain(PQerrorMessage(pg));
    if (room && PQstatus(pg) == CONNECTION_OK && prepare(pg))
        while (now_ns() < bench.end && request_go(pg, room)) continue;
    free(room);
    PQfinish(pg);
    return NULL;
}

static void report(int64_t started)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    double seconds = (double)((now_ns() < bench.end ? now_ns() : bench.end) - bench.counted) / SECOND;
    size_t all = bench.done + bench.failed;
    printf("{\"per_second\": %.1f, \"cpu_us\": %.1f, \"done\": %zu, \"failed\": %zu, \"seconds\": %.2f}\n",
           (double)bench.counted_done / seconds, all ? cpu / (double)all : 0, (size_t)bench.done, (size_t)bench.failed,
           (double)(now_ns() - started) / SECOND);
}

int main(int count, char **arguments)
{
    for (int c; (c = getopt(count, arguments, "c:d:w:1")) != -1;) {
        if (c == 'c') bench.connections = atoi(optarg);
        if (c == 'd') bench.seconds = atof(optarg);
        if (c == 'w') bench.warm = atof(optarg);
        if (c == '1') bench.once = true;
        if (c == '?') return 2;
    }
    if (count - optind < 2) return 2;
    bench.database = arguments[optind];
    char *steps = file_read(arguments[optind + 1]);
    steps_read(steps);
    bench.table = table_read(count - optind > 2 ? arguments[optind + 2] : NULL);
    int64_t started = now_ns();
    bench.counted = started + (int64_t)(bench.warm * SECOND);
    bench.end = bench.counted + (int64_t)(bench.seconds * SECOND);
    pthread_t *threads = calloc((size_t)bench.connections, sizeof *threads);
    if (!threads || !bench.table.count) return 1;
    for (int i = 0; i < bench.connections; i++)
        if (pthread_create(&threads[i], NULL, work, NULL)) return 1;
    for (int i = 0; i < bench.connections; i++) pthread_join(threads[i], NULL);
    report(started);
    free(threads);
    free(steps);
    table_free(&bench.table);
    return bench.failed ? 1 : 0;
}
