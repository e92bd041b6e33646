#include "utvag/db.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db_own.h"
#include "db_refusal.h"
#include "db_steps.h"
#include "db_trip.h"
#include "utvag/blind.h"
#include "utvag/config.h"
#include "utvag/log.h"
#include "utvag/migrate.h"
#include "utvag/operation.h"

enum { TRIES = 4 };

/* What PostgreSQL allocated for a request, until its answer is out. */
struct held {
    PGresult *result;
    struct held *next;
};

struct db *db_open(const struct config *config)
{
    struct db *db = calloc(1, sizeof *db);
    if (!db) return NULL;
    db->config = config;
    db->pool = pool_open(config);
    db->streams = turns_new(config->streams, config->pool_wait_ms);
    if (db->pool && db->streams) return db;
    db_close(db);
    return NULL;
}

void db_close(struct db *db)
{
    if (!db) return;
    pool_close(db->pool);
    turns_free(db->streams);
    free(db);
}

static bool hold(struct request *rq, PGresult *result)
{
    struct held *held = arena_alloc(rq->arena, sizeof *held);
    if (!held) return false;
    *held = (struct held){ result, rq->database };
    rq->database = held;
    return true;
}

void db_request_end(struct request *rq)
{
    for (struct held *held = rq->database; held; held = held->next) PQclear(held->result);
    rq->database = NULL;
}

static const char refusal_sql[] =
    "INSERT INTO audit_events (id, principal_id, officer, agency_id, role, purpose, operation, record_ids, trace_id,"
    " address, outcome, status, code) VALUES ($1::uuid, $2::uuid, $3, $4::uuid, $5, $6, $7,"
    " array_remove(ARRAY[$8::uuid], NULL), $9, $10, 'refused', $11::int, $12)";

/* What was kept under a key, unless it has expired. `key` is `same` for a request that may be answered with it, `other`
   for another request, and `gone` if the caller may not see the record any more (%s: a condition). */
static const char replay_sql[] =
    "gone AS (DELETE FROM vault.idempotency_keys WHERE principal_id = (SELECT caller()) AND operation = $1 AND key = $2"
    "  AND created_at <= now() - interval '24 hours'),"
    " page AS (SELECT k.record_id AS id, k.version, k.body, CASE WHEN NOT %s THEN 'gone' WHEN k.request_mac = $3::bytea"
    "  THEN 'same' ELSE 'other' END AS key FROM vault.idempotency_keys k WHERE k.principal_id = (SELECT caller()) AND k.operation = $1 AND k.key = $2"
    "  AND k.created_at > now() - interval '24 hours')";

/* The MAC of what the key is for: the same key with another path, version or body, or for another officer, is a mistake. */
static const char *request_mac(struct request *rq)
{
    const char *version = request_header(rq, "If-Match"), *officer = rq->caller.officer;
    const char *head = arena_text(rq->arena, "%s %s %s\n", officer ? officer : "", rq->url, version ? version : "");
    size_t length = head ? strlen(head) : 0;
    char *all = head ? arena_alloc(rq->arena, length + rq->body_length) : NULL;
    unsigned char mac[BLIND_BYTES];
    if (!all) return NULL;
    memcpy(all, head, length);
    if (rq->body_length) memcpy(all + length, rq->body, rq->body_length);
    if (!blind_mac(rq->service->keyring, "idempotency", all, length + rq->body_length, mac)) return NULL;
    char *text = arena_alloc(rq->arena, 2 + 2 * BLIND_BYTES + 1);
    if (!text) return NULL;
    memcpy(text, "\\x", 2);
    for (size_t i = 0; i < BLIND_BYTES; i++) snprintf(text + 2 + 2 * i, 3, "%02x", mac[i]);
    return text;
}

/* Running ---------------------------------------------------------------------------------------------------------- */

static bool take_rows(struct request *rq, struct trip *trip, struct rows *rows)
{
    PGresult *result = trip->steps[trip->count - 1].result;
    size_t count = (size_t)PQntuples(result);
    struct row *row = arena_alloc(rq->arena, (count + 1) * sizeof *row);
    if (!row || !hold(rq, result)) return false;
    trip->steps[trip->count - 1].result = NULL;
    for (size_t i = 0; i < count; i++) {
        int at = (int)i;
        row[i] = (struct row){ .id = PQgetvalue(result, at, 0),
                               .version = atoi(PQgetvalue(result, at, 1)),
                               .body = PQgetvalue(result, at, 2),
                               .length = (size_t)PQgetlength(result, at, 2),
                               .key = PQgetisnull(result, at, 3) ? NULL : PQgetvalue(result, at, 3) };
    }
    *rows = (struct rows){ row, count };
    return true;
}

static bool claimed_already(const struct trip *trip)
{
    const char *name = trip->error ? PQresultErrorField(trip->error, PG_DIAG_CONSTRAINT_NAME) : NULL;
    return name && strcmp(name, "idempotency_key_claimed") == 0;
}

/* What a trip came to. A key that was claimed before is no refusal: what was answered then is looked up. `entered` is the first step's: without its row the caller is nobody (any more). */
static struct problem judge(struct request *rq, struct trip *trip, bool writes)
{
    if (trip->lost) return problem_later(writes && trip->sent ? "commit_in_doubt" : "database_away");
    const PGresult *entered = trip->steps[0].result;
    if (entered && PQntuples(entered) == 0) return problem(401, "token_revoked");
    bool refused = trip->error && !claimed_already(trip);
    return refused ? refusal_read(rq, trip->error) : PROBLEM_NONE;
}

static bool worth_another_try(const struct trip *trip)
{
    const char *state = trip->error ? PQresultErrorField(trip->error, PG_DIAG_SQLSTATE) : NULL;
    return state && !trip->lost && (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0);
}

/* Sends the trip, again if PostgreSQL asks for that (serialisation, deadlock), and judges it. */
static struct problem go(struct request *rq, struct trip *trip, bool writes)
{
    struct db *db = rq->service->db;
    for (int attempt = 1;; attempt++) {
        bool full;
        struct connection *connection = pool_take(db->pool, db->config->pool_wait_ms, &full);
        if (!connection) return problem_later(full ? "overloaded" : "database_away");
        trip_go(trip, connection, db->config);
        if (trip->lost) pool_drop(connection);
        pool_give(db->pool, connection);
        if (attempt == TRIES || !worth_another_try(trip)) return judge(rq, trip, writes);
        trip_clear(trip);
        usleep((useconds_t)(1000 * attempt + random() % 4000));
    }
}

struct problem db_refuse(struct request *rq, struct problem stop)
{
    bool audited = rq->contract->personal || strcmp(rq->contract->method, "GET") != 0;
    if (stop.status < 400 || stop.status >= 500 || !audited) return stop;
    TRY(db_audit_refusal(rq, stop.status, stop.code));
    stop.audited = true;
    return stop;
}

static struct problem finish(struct request *rq, struct trip *trip, struct problem stop, struct rows *rows)
{
    if (!stop.status && !take_rows(rq, trip, rows)) stop = problem(500, "out_of_memory");
    trip_clear(trip);
    return db_refuse(rq, stop);
}

/* Whether the caller may still see what was answered: by the view of the operation that reads the new record or, of what has
   no place of its own (a receipt, a refund), the record that it belongs to. */
static const char *still_visible(const struct request *rq)
{
    const char *path = rq->contract->location ? rq->contract->location : rq->contract->path;
    const struct contract_operation *reader = contract_reader(rq->service->contract, path);
    bool told_nothing = rq->caller.role == ROLE_INTAKE; /* but a reference */
    if (told_nothing || !reader || !reader->operation->view) return "true";
    const char *id =
        rq->contract->location ? "k.record_id" : "nullif(current_setting('utvag.subject', true), '')::uuid";
    return arena_text(rq->arena, "EXISTS (SELECT FROM %s v WHERE v.id = %s)", reader->operation->view, id);
}

/* The second trip of a key that was claimed before: what was answered then, to the same caller, if she still may. */
static struct problem replay(struct request *rq, const char *key, const char *mac, struct rows *rows)
{
    const char *visible = still_visible(rq);
    struct statement stored = { .replay = true };
    stored.name = arena_text(rq->arena, "replay %s", rq->contract->id);
    stored.sql = visible ? arena_text(rq->arena, replay_sql, visible) : NULL;
    const char *const values[] = { rq->contract->id, key, mac };
    struct trip trip = { 0 };
    bool built =
        stored.name && stored.sql && step_enter(rq, &trip) && step_statement(rq, &trip, &stored, 3, values, NULL);
    if (!built) return problem(500, "out_of_memory");
    TRY(finish(rq, &trip, go(rq, &trip, false), rows));
    if (!rows->count) return PROBLEM_NONE;
    rq->replayed = strcmp(rows->row[0].key, "same") == 0;
    if (rq->replayed) return PROBLEM_NONE;
    bool gone = strcmp(rows->row[0].key, "gone") == 0;
    return db_refuse(rq, gone ? problem(404, "not_found") : problem(422, "idempotency_key_reused"));
}

static struct problem run_once(struct request *rq, const struct statement *statement, size_t count,
                               const char *const *values, const char *key, const char *mac, struct rows *rows,
                               bool *claimed)
{
    struct trip trip = { 0 };
    bool built = step_enter(rq, &trip) && (!key || step_claim(rq, &trip, key, mac)) &&
                 step_statement(rq, &trip, statement, count, values, key);
    if (!built) return problem(500, "out_of_memory");
    struct problem stop = go(rq, &trip, statement->keyed);
    *claimed = claimed_already(&trip);
    if (*claimed) {
        trip_clear(&trip);
        return PROBLEM_NONE;
    }
    return finish(rq, &trip, stop, rows);
}

struct problem db_run(struct request *rq, const struct statement *statement, size_t count, const char *const *values,
                      struct rows *rows)
{
    bool keyed = statement->keyed && contract_parameter(rq->contract, IN_HEADER, "Idempotency-Key");
    const char *key = keyed ? request_header(rq, "Idempotency-Key") : NULL;
    const char *mac = key ? request_mac(rq) : NULL;
    if (key && !mac) return problem(500, "out_of_memory");
    /* Twice at most: a key that was claimed and then rolled back or expired is free for this request. */
    for (int round = 0; round < 2; round++) {
        bool claimed;
        TRY(run_once(rq, statement, count, values, key, mac, rows, &claimed));
        if (!claimed || !mac) return PROBLEM_NONE;
        TRY(replay(rq, key, mac, rows));
        if (rows->count) return PROBLEM_NONE;
    }
    return problem(409, "idempotency_in_flight");
}

struct problem db_login(struct request *rq, const struct statement *statement, size_t count, const char *const *values,
                        struct rows *rows)
{
    struct trip trip = { 0 };
    if (!step_enter_login(rq, &trip) || !step_statement(rq, &trip, statement, count, values, NULL))
        return problem(500, "out_of_memory");
    return finish(rq, &trip, go(rq, &trip, true), rows);
}

struct problem db_audit_refusal(struct request *rq, int status, const char *code)
{
    const struct caller *caller = &rq->caller;
    char id[UUID_SIZE], number[12];
    uuid_v7(id);
    snprintf(number, sizeof number, "%d", status);
    const char *officer = NULL;
    if (caller->known && !caller->machine) officer = arena_text(rq->arena, "user:%s", caller->id);
    if (caller->known && caller->machine && caller->officer)
        officer = arena_text(rq->arena, "agency:%s:%s", caller->agency, caller->officer);
    const char *subject = step_subject(rq);
    const char *const values[] = { id,
                                   caller->known ? caller->id : NULL,
                                   officer,
                                   caller->known && *caller->agency ? caller->agency : NULL,
                                   caller->known && caller->role < ROLE_COUNT ? role_name(caller->role) : NULL,
                                   rq->contract ? rq->contract->purpose : NULL,
                                   rq->contract ? rq->contract->id : "none",
                                   *subject ? subject : NULL,
                                   rq->trace,
                                   rq->address ? rq->address : "",
                                   number,
                                   code };
    struct trip trip = { 0 };
    trip_add(&trip, (struct step){ .name = "refusal", .sql = { refusal_sql }, .count = 12, .values = values });
    struct problem stop = go(rq, &trip, false);
    trip_clear(&trip);
    if (!stop.status) rq->audited = true;
    return stop;
}

/* The database as a whole ------------------------------------------------------------------------------------------ */

/* One value of one row, or NULL. */
static char *ask(struct db *db, const char *name, const char *sql)
{
    bool full;
    struct connection *connection = pool_take(db->pool, 500, &full);
    if (!connection) return NULL;
    struct trip trip = { 0 };
    trip_add(&trip, (struct step){ .name = name, .sql = { sql } });
    trip_go(&trip, connection, db->config);
    if (trip.lost) pool_drop(connection);
    pool_give(db->pool, connection);
    const PGresult *result = trip.steps[0].result;
    char *value = !trip.lost && result && PQntuples(result) == 1 ? strdup(PQgetvalue(result, 0, 0)) : NULL;
    trip_clear(&trip);
    return value;
}

void db_forget_expired(struct db *db) { free(ask(db, "forget", "SELECT forget_expired()::text")); }

bool db_ready(struct db *db)
{
    char *newest = ask(db, "newest", "SELECT max(version)::text FROM utvag_meta.utvag_migrations");
    bool ready = newest && strcmp(newest, migrate_newest()) == 0;
    free(newest);
    return ready;
}
