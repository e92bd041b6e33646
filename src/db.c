#include "utvag/db.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "db_pool.h"
#include "db_refusal.h"
#include "utvag/blind.h"
#include "utvag/config.h"
#include "utvag/log.h"
#include "utvag/migrate.h"

enum { STEPS = 4, VALUES = 160, TRIES = 4, NAME_SIZE = 64 };

struct db {
    struct pool *pool;
    const struct config *config;
};

/* One query of a pipeline, and what came of it. */
struct step {
    const char *name; /* prepared under it */
    const char *sql;
    size_t count;
    const char *const *values;
    bool preparing; /* a Parse goes before it in this pipeline */
    PGresult *result;
};

/* A pipeline up to its sync. */
struct trip {
    struct step steps[STEPS];
    size_t count;
    PGresult *error; /* the first error, or NULL */
    size_t failed;   /* the step it belongs to */
    bool lost;       /* the connection went before the sync was confirmed */
    bool sent;       /* and something had been sent by then */
};

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
    if (db->pool) return db;
    free(db);
    return NULL;
}

void db_close(struct db *db)
{
    if (!db) return;
    pool_close(db->pool);
    free(db);
}

static void hold(struct request *rq, PGresult *result)
{
    struct held *held = arena_alloc(rq->arena, sizeof *held);
    if (!held) {
        PQclear(result);
        return;
    }
    *held = (struct held){ result, rq->database };
    rq->database = held;
}

void db_request_end(struct request *rq)
{
    for (struct held *held = rq->database; held; held = held->next) PQclear(held->result);
    rq->database = NULL;
}

/* The pipeline ----------------------------------------------------------------------------------------------- */

static bool send_step(const struct db *db, struct connection *connection, struct step *step)
{
    int count = (int)step->count;
    if (!db->config->prepare || connection->prepared_count + 1 >= CONNECTION_STATEMENTS)
        return PQsendQueryParams(connection->pg, step->sql, count, NULL, step->values, NULL, NULL, 0);
    if (!connection_has_prepared(connection, step->name)) {
        if (!PQsendPrepare(connection->pg, step->name, step->sql, count, NULL)) return false;
        step->preparing = true;
    }
    return PQsendQueryPrepared(connection->pg, step->name, count, step->values, NULL, NULL, 0);
}

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Waits until a result can be taken without blocking. The server's own timeouts end what is slow; this one ends what
   a silent network would otherwise hold for ever. */
static bool await_result(PGconn *pg, long long deadline_ms)
{
    while (PQflush(pg) == 1 || PQisBusy(pg)) {
        long long left = deadline_ms - now_ms();
        struct pollfd ready = { .fd = PQsocket(pg), .events = POLLIN };
        if (left <= 0 || poll(&ready, 1, (int)left) <= 0) return false;
        if (!PQconsumeInput(pg)) return false;
    }
    return true;
}

static void note_error(struct trip *trip, size_t step, PGresult *result)
{
    if (trip->error) {
        PQclear(result);
        return;
    }
    trip->error = result;
    trip->failed = step;
}

/* Takes the results in the order of the steps, each ended by a NULL, up to the sync. */
static bool read_trip(struct connection *connection, struct trip *trip, long long deadline_ms)
{
    size_t at = 0;
    bool prepared = false;
    for (;;) {
        if (!await_result(connection->pg, deadline_ms)) return false;
        PGresult *result = PQgetResult(connection->pg);
        struct step *step = &trip->steps[at < trip->count ? at : trip->count - 1];
        if (!result) {
            if (PQstatus(connection->pg) != CONNECTION_OK) return false;
            if (step->preparing && !prepared)
                prepared = true;
            else if (at < trip->count)
                at++, prepared = false;
            continue;
        }
        switch (PQresultStatus(result)) {
        case PGRES_PIPELINE_SYNC: PQclear(result); return true;
        case PGRES_COMMAND_OK:
            if (step->preparing && !prepared) connection_note_prepared(connection, step->name);
            PQclear(result);
            break;
        case PGRES_TUPLES_OK: step->result = result; break;
        case PGRES_PIPELINE_ABORTED: PQclear(result); break;
        default:
            note_error(trip, at, result);
            if (PQstatus(connection->pg) != CONNECTION_OK) return false;
        }
    }
}

static void travel(struct db *db, struct connection *connection, struct trip *trip)
{
    connection->doubtful = false;
    for (size_t i = 0; i < trip->count; i++) {
        if (!send_step(db, connection, &trip->steps[i])) {
            trip->lost = true;
            return;
        }
    }
    trip->sent = true;
    long long deadline = now_ms() + db->config->statement_ms + db->config->lock_ms + 2000;
    trip->lost = !PQpipelineSync(connection->pg) || !read_trip(connection, trip, deadline) || connection->doubtful;
}

static void trip_clear(struct trip *trip)
{
    for (size_t i = 0; i < trip->count; i++) PQclear(trip->steps[i].result);
    PQclear(trip->error);
}

/* The steps ------------------------------------------------------------------------------------------------------ */

static const char enter_sql[] =
    "SELECT set_config('role', $1, true), set_config('utvag.principal', p.id::text, true),"
    " set_config('utvag.agency', coalesce(p.agency_id::text, ''), true),"
    " set_config('utvag.officer', CASE WHEN p.kind = 'user' THEN 'user:' || p.id"
    "  WHEN p.agency_id IS NULL THEN 'client:' || p.id"
    "  WHEN $5::text <> '' THEN 'agency:' || p.agency_id || ':' || $5::text ELSE '' END, true),"
    " set_config('utvag.role', $4, true), set_config('utvag.actions', $6, true), set_config('utvag.purpose', $7, true),"
    " set_config('utvag.operation', $8, true), set_config('utvag.trace', $9, true),"
    " set_config('utvag.address', $10, true), set_config('utvag.audit_id', $11, true),"
    " set_config('utvag.event', $12, true), set_config('utvag.subject', $13, true)"
    " FROM principals p LEFT JOIN agencies a ON a.id = p.agency_id"
    " WHERE p.id = $2::uuid AND p.token_epoch = $3::int AND p.status = 'active' AND $4 = ANY (p.roles)"
    " AND coalesce(a.status, 'active') = 'active'";

static const char enter_login_sql[] =
    "SELECT set_config('role', 'utvag_login', true), set_config('utvag.operation', $1, true),"
    " set_config('utvag.trace', $2, true), set_config('utvag.address', $3, true),"
    " set_config('utvag.audit_id', $4, true)";

static const char claim_sql[] = "INSERT INTO idempotency_keys (key, request_mac) VALUES ($1, $2::bytea)";

static const char refusal_sql[] =
    "INSERT INTO audit_events (id, principal_id, officer, agency_id, role, purpose, operation, record_ids, trace_id,"
    " address, outcome, status, code) VALUES ($1::uuid, $2::uuid, $3, $4::uuid, $5, $6, $7,"
    " array_remove(ARRAY[$8::uuid], NULL), $9, $10, 'refused', $11::int, $12)";

static const char replay_sql[] =
    "gone AS (DELETE FROM idempotency_keys WHERE principal_id = (SELECT caller()) AND operation = $1 AND key = $2"
    "  AND created_at <= now() - interval '24 hours'),"
    " page AS (SELECT k.record_id AS id, k.version, k.body, encode(k.request_mac, 'hex') AS key FROM idempotency_keys k"
    "  WHERE k.principal_id = (SELECT caller()) AND k.operation = $1 AND k.key = $2"
    "  AND k.created_at > now() - interval '24 hours')";

static const char *or_empty(const char *text) { return text ? text : ""; }

static const char *subject_of(const struct request *rq)
{
    const char *id = request_path(rq, "id");
    return id && uuid_valid(id) ? id : "";
}

/* Why case data is used: what the caller says, where the contract lets her, or the operation's own purpose. */
static const char *purpose_of(const struct request *rq)
{
    bool may_say = contract_parameter(rq->contract, IN_HEADER, "X-Purpose") != NULL;
    const char *said = may_say ? request_header(rq, "X-Purpose") : NULL;
    return said ? said : or_empty(rq->contract->purpose);
}

/* The actions of applications that the contract allows to the caller's roles, comma separated. */
static const char *actions_of(const struct request *rq)
{
    enum { ROOM = 1024 };
    char *list = arena_alloc(rq->arena, ROOM);
    size_t used = 0;
    if (!list) return "";
    for (size_t i = 0; i < contract_count(rq->service->contract); i++) {
        const struct contract_operation *operation = contract_at(rq->service->contract, i);
        bool may = false;
        for (size_t r = 0; operation->action && r < operation->role_count; r++)
            may = may || (rq->caller.roles & 1u << operation->roles[r]);
        if (may && used < ROOM)
            used += (size_t)snprintf(list + used, ROOM - used, "%s%s", used ? "," : "", operation->action);
    }
    return list;
}

static void add_step(struct trip *trip, struct step step) { trip->steps[trip->count++] = step; }

static bool add_enter(struct request *rq, struct trip *trip)
{
    const char **values = arena_alloc(rq->arena, 13 * sizeof *values);
    const char *epoch = arena_text(rq->arena, "%d", rq->caller.epoch);
    char *audit_id = arena_alloc(rq->arena, UUID_SIZE);
    if (!values || !epoch || !audit_id) return false;
    uuid_v7(audit_id);
    const char *const all[] = { role_database(rq->caller.role), rq->caller.id, epoch, role_name(rq->caller.role),
                                or_empty(rq->caller.officer), actions_of(rq),
                                purpose_of(rq), rq->contract->id, rq->trace, or_empty(rq->address), audit_id,
                                or_empty(rq->contract->event), subject_of(rq) };
    memcpy(values, all, sizeof all);
    add_step(trip, (struct step){ .name = "enter", .sql = enter_sql, .count = 13, .values = values });
    return true;
}

static bool add_enter_login(struct request *rq, struct trip *trip)
{
    const char **values = arena_alloc(rq->arena, 4 * sizeof *values);
    char *audit_id = arena_alloc(rq->arena, UUID_SIZE);
    if (!values || !audit_id) return false;
    uuid_v7(audit_id);
    const char *const all[] = { rq->contract->id, rq->trace, or_empty(rq->address), audit_id };
    memcpy(values, all, sizeof all);
    add_step(trip, (struct step){ .name = "enter_login", .sql = enter_login_sql, .count = 4, .values = values });
    return true;
}

/* The MAC of what the key is for: the same key with another path or body is a client's mistake. */
static const char *request_mac(struct request *rq)
{
    size_t url = strlen(rq->url) + 1;
    char *all = arena_alloc(rq->arena, url + rq->body_length);
    unsigned char mac[BLIND_BYTES];
    if (!all) return NULL;
    memcpy(all, rq->url, url);
    if (rq->body_length) memcpy(all + url, rq->body, rq->body_length);
    if (!blind_mac(rq->service->keyring, "idempotency", all, url + rq->body_length, mac)) return NULL;
    char *text = arena_alloc(rq->arena, 2 + 2 * BLIND_BYTES + 1);
    if (!text) return NULL;
    memcpy(text, "\\x", 2);
    for (size_t i = 0; i < BLIND_BYTES; i++) snprintf(text + 2 + 2 * i, 3, "%02x", mac[i]);
    return text;
}

static bool add_claim(struct request *rq, struct trip *trip, const char *key, const char *mac)
{
    const char **values = arena_alloc(rq->arena, 2 * sizeof *values);
    if (!values) return false;
    values[0] = key;
    values[1] = mac;
    char *name = arena_text(rq->arena, "claim/%d", (int)rq->caller.role);
    add_step(trip, (struct step){ .name = name, .sql = claim_sql, .count = 2, .values = values });
    return name != NULL;
}

/* The statement with its audit row, and with its answer kept under the claimed key. */
static char *wrap(struct request *rq, const struct statement *statement, size_t count, bool keyed)
{
    bool audited = !statement->silent && (rq->contract->personal || strcmp(rq->contract->method, "GET") != 0);
    char logged[512] = "", kept[512] = "";
    if (audited)
        snprintf(logged, sizeof logged,
                 ", logged AS (INSERT INTO audit_events (record_ids, outcome) SELECT coalesce(array_agg(id) FILTER"
                 " (WHERE id IS NOT NULL), array_remove(ARRAY[nullif(current_setting('utvag.subject', true), '')::uuid],"
                 " NULL)), %s FROM page)",
                 statement->many               ? "'ok'"
                 : statement->sql == replay_sql ? "'replayed'"
                                                : "CASE WHEN count(*) = 0 THEN 'not_found' ELSE 'ok' END");
    if (keyed)
        snprintf(kept, sizeof kept,
                 ", kept AS (UPDATE idempotency_keys k SET record_id = p.id, version = p.version, body = p.body FROM page p"
                 " WHERE k.principal_id = (SELECT caller()) AND k.operation = current_setting('utvag.operation')"
                 " AND k.key = $%zu)",
                 count + 1);
    return arena_text(rq->arena, "WITH %s%s%s SELECT id, version, body, key FROM page", statement->sql, logged, kept);
}

static bool add_statement(struct request *rq, struct trip *trip, const struct statement *statement, size_t count,
                          const char *const *values, const char *key)
{
    const char **all = arena_alloc(rq->arena, (count + 1) * sizeof *all);
    char *sql = wrap(rq, statement, count, key != NULL);
    /* Audited or not, keyed or not, and the role are part of the text or of its plan, so of its name. */
    char *name = arena_text(rq->arena, "%s%s/%d", statement->name, key ? "+key" : "", (int)rq->caller.role);
    if (!all || !sql || !name || strlen(name) >= NAME_SIZE) return false;
    if (count) memcpy(all, values, count * sizeof *all);
    all[count] = key;
    add_step(trip, (struct step){ .name = name, .sql = sql, .count = count + (key != NULL), .values = all });
    return true;
}

/* Running ---------------------------------------------------------------------------------------------------------- */

static struct problem unavailable(const char *code)
{
    struct problem away = problem(503, code);
    away.retry_after = 1;
    return away;
}

static bool take_rows(struct request *rq, struct trip *trip, struct rows *rows)
{
    PGresult *result = trip->steps[trip->count - 1].result;
    size_t count = (size_t)PQntuples(result);
    struct row *row = arena_alloc(rq->arena, (count + 1) * sizeof *row);
    if (!row) return false;
    for (size_t i = 0; i < count; i++) {
        int at = (int)i;
        row[i] = (struct row){ .id = PQgetvalue(result, at, 0),
                               .version = atoi(PQgetvalue(result, at, 1)),
                               .body = PQgetvalue(result, at, 2),
                               .length = (size_t)PQgetlength(result, at, 2),
                               .key = PQgetisnull(result, at, 3) ? NULL : PQgetvalue(result, at, 3) };
    }
    *rows = (struct rows){ row, count };
    hold(rq, result);
    trip->steps[trip->count - 1].result = NULL;
    return true;
}

/* What a trip came to. `entered` is the first step's: without its row the caller is nobody (any more). */
static struct problem judge(struct request *rq, struct trip *trip, bool writes)
{
    if (trip->lost) return unavailable(writes && trip->sent ? "commit_in_doubt" : "database_away");
    const PGresult *entered = trip->steps[0].result;
    if (entered && PQntuples(entered) == 0) return problem(401, "token_revoked");
    if (trip->error) return refusal_read(rq, trip->error);
    return PROBLEM_NONE;
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
        struct connection *connection = pool_take(db->pool, db->config->pool_wait_ms);
        if (!connection) return unavailable("database_away");
        travel(db, connection, trip);
        if (trip->lost) pool_drop(connection);
        pool_give(db->pool, connection);
        if (attempt == TRIES || !worth_another_try(trip)) return judge(rq, trip, writes);
        trip_clear(trip);
        for (size_t i = 0; i < trip->count; i++) trip->steps[i].result = NULL, trip->steps[i].preparing = false;
        trip->error = NULL;
        usleep((useconds_t)(1000 * attempt + random() % 4000));
    }
}

static struct problem finish(struct request *rq, struct trip *trip, struct problem stop, struct rows *rows)
{
    if (!stop.status && !take_rows(rq, trip, rows)) stop = problem(500, "out_of_memory");
    trip_clear(trip);
    if (stop.status >= 400 && stop.status < 500 && (rq->contract->personal || strcmp(rq->contract->method, "GET") != 0)) {
        TRY(db_audit_refusal(rq, stop.status, stop.code));
        stop.audited = true;
    }
    return stop;
}

static bool claimed_already(const struct trip *trip)
{
    const char *name = trip->error ? PQresultErrorField(trip->error, PG_DIAG_CONSTRAINT_NAME) : NULL;
    return name && strcmp(name, "idempotency_key_claimed") == 0;
}

/* The second trip of a key that was claimed before: what was answered then, to the same caller, if she still may. */
static struct problem replay(struct request *rq, const char *key, const char *mac, struct rows *rows)
{
    struct statement stored = { .name = "replay", .sql = replay_sql };
    const char *const values[] = { rq->contract->id, key };
    struct trip trip = { 0 };
    if (!add_enter(rq, &trip) || !add_statement(rq, &trip, &stored, 2, values, NULL)) return problem(500, "out_of_memory");
    TRY(finish(rq, &trip, go(rq, &trip, false), rows));
    if (rows->count && strcmp(rows->row[0].key, mac + 2) != 0) return problem(422, "idempotency_key_reused");
    rq->replayed = rows->count > 0;
    return PROBLEM_NONE;
}

static struct problem run_once(struct request *rq, const struct statement *statement, size_t count,
                               const char *const *values, const char *key, const char *mac, struct rows *rows,
                               bool *claimed)
{
    struct trip trip = { 0 };
    bool built = add_enter(rq, &trip) && (!key || add_claim(rq, &trip, key, mac)) &&
                 add_statement(rq, &trip, statement, count, values, key);
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
        if (!claimed) return PROBLEM_NONE;
        TRY(replay(rq, key, mac, rows));
        if (rows->count) return PROBLEM_NONE;
    }
    return problem(409, "idempotency_in_flight");
}

struct problem db_login(struct request *rq, const struct statement *statement, size_t count,
                        const char *const *values, struct rows *rows)
{
    struct trip trip = { 0 };
    if (!add_enter_login(rq, &trip) || !add_statement(rq, &trip, statement, count, values, NULL))
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
    const char *subject = subject_of(rq);
    const char *const values[] = { id, caller->known ? caller->id : NULL, officer,
                                   caller->known && *caller->agency ? caller->agency : NULL,
                                   caller->known && caller->role < ROLE_COUNT ? role_name(caller->role) : NULL,
                                   rq->contract ? rq->contract->purpose : NULL, rq->contract ? rq->contract->id : "none", *subject ? subject : NULL,
                                   rq->trace, or_empty(rq->address), number, code };
    struct trip trip = { 0 };
    add_step(&trip, (struct step){ .name = "refusal", .sql = refusal_sql, .count = 12, .values = values });
    struct problem stop = go(rq, &trip, false);
    trip_clear(&trip);
    if (!stop.status) rq->audited = true;
    return stop;
}

/* The database as a whole ------------------------------------------------------------------------------------------ */

/* One value of one row, or NULL. */
static char *ask(struct db *db, const char *name, const char *sql)
{
    struct connection *connection = pool_take(db->pool, 500);
    if (!connection) return NULL;
    struct trip trip = { 0 };
    add_step(&trip, (struct step){ .name = name, .sql = sql });
    travel(db, connection, &trip);
    if (trip.lost) pool_drop(connection);
    pool_give(db->pool, connection);
    const PGresult *result = trip.steps[0].result;
    char *value = !trip.lost && result && PQntuples(result) == 1 ? strdup(PQgetvalue(result, 0, 0)) : NULL;
    trip_clear(&trip);
    return value;
}

bool db_ready(struct db *db)
{
    char *newest = ask(db, "newest", "SELECT max(version)::text FROM utvag_meta.utvag_migrations");
    bool ready = newest && strcmp(newest, migrate_newest()) == 0;
    free(newest);
    return ready;
}

int db_server_version(struct db *db)
{
    char *version = ask(db, "version", "SELECT current_setting('server_version_num')");
    int number = version ? atoi(version) : 0;
    free(version);
    return number;
}

int db_holds_demo(struct db *db)
{
    char *demo = ask(db, "demo", "SELECT holds_demo()::int::text");
    int answer = demo ? atoi(demo) : -1;
    free(demo);
    return answer;
}
