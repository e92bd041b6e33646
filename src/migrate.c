#include "utvag/migrate.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/digest.h"
#include "utvag/embedded.h"
#include "utvag/log.h"

/* 15.20 mends leaks past row-level security. */
enum { SAFE_SERVER = 150020, VERSION_SIZE = 5 };

static const char prepare_sql[] = "SET client_min_messages = warning;"
                                  "SELECT pg_advisory_lock(hashtext('utvag migrate'));"
                                  "CREATE SCHEMA IF NOT EXISTS utvag_meta;"
                                  "CREATE TABLE IF NOT EXISTS utvag_meta.utvag_migrations ("
                                  "    version text PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
                                  "    applied_at timestamptz NOT NULL DEFAULT now())";

static const char finish_sql[] = "GRANT USAGE ON SCHEMA utvag_meta TO utvag_app;"
                                 "GRANT SELECT ON utvag_meta.utvag_migrations TO utvag_app";

static const char list_sql[] = "SELECT version, name, checksum FROM utvag_meta.utvag_migrations ORDER BY version";

static void result_free(PGresult **result) { PQclear(*result); }
static void connection_free(PGconn **connection) { PQfinish(*connection); }
#define RESULT __attribute__((cleanup(result_free))) PGresult *
#define CONNECTION __attribute__((cleanup(connection_free))) PGconn *

/* -- PostgreSQL ------------------------------------------------------------------------------------------------- */

static bool database_fail(PGconn *connection, const char *what)
{
    log_line(LOG_ERROR, what, "error", PQerrorMessage(connection), NULL);
    return false;
}

static PGconn *database_open(const char *url)
{
    PGconn *connection = PQconnectdb(url);
    if (PQstatus(connection) == CONNECTION_OK) return connection;
    database_fail(connection, "cannot reach the database");
    PQfinish(connection);
    return NULL;
}

static bool database_do(PGconn *connection, const char *sql, const char *what)
{
    RESULT result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return true;
    return database_fail(connection, what);
}

/* -- one migration ---------------------------------------------------------------------------------------------- */

static void version_of(const struct embedded *migration, char out[VERSION_SIZE])
{
    snprintf(out, VERSION_SIZE, "%.4s", migration->name);
}

static void checksum_of(const struct embedded *migration, char out[DIGEST_HEX])
{
    unsigned char digest[DIGEST_BYTES];
    digest_sha256(migration->text, migration->length, digest);
    digest_hex(digest, sizeof digest, out);
}

static const struct embedded *migration_find(const char *version)
{
    for (const struct embedded *migration = embedded_migrations; migration->name; migration++)
        if (strncmp(migration->name, version, VERSION_SIZE - 1) == 0) return migration;
    return NULL;
}

/* PostgreSQL counts characters from the start of the text: an editor wants a line. */
static void migration_fail(const struct embedded *migration, const PGresult *result)
{
    const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
    long characters = position ? strtol(position, NULL, 10) : 0;
    int lines = 1;
    for (const char *at = migration->text; characters > 1 && *at; at++) {
        if ((*at & 0xc0) != 0x80) characters--;
        if (*at == '\n') lines++;
    }
    char line[16];
    snprintf(line, sizeof line, "%d", lines);
    log_line(LOG_ERROR, "migration failed", "migration", migration->name, position ? "line" : "sqlstate",
             position ? line : PQresultErrorField(result, PG_DIAG_SQLSTATE), "error", message ? message : "", "context",
             context ? context : "", NULL);
}

static bool migration_record(PGconn *connection, const struct embedded *migration)
{
    char version[VERSION_SIZE], checksum[DIGEST_HEX];
    version_of(migration, version);
    checksum_of(migration, checksum);
    const char *values[] = { version, migration->name, checksum };
    RESULT result = PQexecParams(
        connection, "INSERT INTO utvag_meta.utvag_migrations (version, name, checksum) VALUES ($1, $2, $3)", 3, NULL,
        values, NULL, NULL, 0);
    return PQresultStatus(result) == PGRES_COMMAND_OK || database_fail(connection, "cannot record a migration");
}

/* Recorded first: the migration may change its role, which holds until the end of the transaction. */
static bool migration_apply(PGconn *connection, const struct embedded *migration)
{
    if (!database_do(connection, "BEGIN", "cannot begin") || !migration_record(connection, migration)) return false;
    RESULT result = PQexec(connection, migration->text);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY) {
        migration_fail(migration, result);
        return false;
    }
    if (!database_do(connection, "COMMIT", "cannot commit a migration")) return false;
    log_line(LOG_INFO, "migrated", "migration", migration->name, NULL);
    return true;
}

/* -- all of them ------------------------------------------------------------------------------------------------ */

static bool applied_is_ours(const PGresult *applied, int row)
{
    const struct embedded *migration = migration_find(PQgetvalue(applied, row, 0));
    const char *name = PQgetvalue(applied, row, 1);
    if (!migration) {
        log_line(LOG_ERROR, "the database holds a migration that this program does not know", "migration", name, NULL);
        return false;
    }
    char checksum[DIGEST_HEX];
    checksum_of(migration, checksum);
    if (strcmp(checksum, PQgetvalue(applied, row, 2)) == 0) return true;
    log_line(LOG_ERROR, "a migration was edited after it was applied", "migration", name, NULL);
    return false;
}

/* The applied ones, checked against ours; NULL after an error. */
static PGresult *applied_read(PGconn *connection)
{
    PGresult *applied = PQexec(connection, list_sql);
    bool sound = PQresultStatus(applied) == PGRES_TUPLES_OK ||
                 database_fail(connection, "cannot read which migrations are applied; run `utvag migrate`");
    for (int row = 0; sound && row < PQntuples(applied); row++) sound = applied_is_ours(applied, row);
    if (sound) return applied;
    PQclear(applied);
    return NULL;
}

static bool applied_has(const PGresult *applied, const struct embedded *migration)
{
    for (int row = 0; row < PQntuples(applied); row++)
        if (strncmp(PQgetvalue(applied, row, 0), migration->name, VERSION_SIZE - 1) == 0) return true;
    return false;
}

static bool missing_apply(PGconn *connection, const PGresult *applied)
{
    for (const struct embedded *migration = embedded_migrations; migration->name; migration++)
        if (!applied_has(applied, migration) && !migration_apply(connection, migration)) return false;
    return true;
}

bool migrate_run(const char *url)
{
    CONNECTION connection = database_open(url);
    if (!connection || !database_do(connection, prepare_sql, "cannot prepare to migrate")) return false;
    RESULT applied = applied_read(connection);
    return applied && missing_apply(connection, applied) &&
           database_do(connection, finish_sql, "cannot let the service read which migrations are applied");
}

static bool demo_is_allowed(PGconn *connection, bool demo)
{
    RESULT result = PQexec(connection, "SELECT holds_demo()");
    if (PQresultStatus(result) != PGRES_TUPLES_OK) return database_fail(connection, "cannot look for demo rows");
    if (demo || PQgetvalue(result, 0, 0)[0] == 'f') return true;
    log_line(LOG_ERROR, "the database holds demo rows: serve it with UTVAG_DEMO=1 on a loopback address, or not at all",
             NULL);
    return false;
}

static void server_warn(PGconn *connection)
{
    char version[16];
    snprintf(version, sizeof version, "%d", PQserverVersion(connection));
    if (PQserverVersion(connection) < SAFE_SERVER)
        log_line(LOG_WARN, "this PostgreSQL LEAKS ROWS past row-level security: update it to 15.20 or later",
                 "server_version", version, NULL);
}

bool migrate_verify(const char *url, bool demo)
{
    CONNECTION connection = database_open(url);
    if (!connection) return false;
    server_warn(connection);
    RESULT applied = applied_read(connection);
    if (!applied) return false;
    for (const struct embedded *migration = embedded_migrations; migration->name; migration++) {
        if (applied_has(applied, migration)) continue;
        log_line(LOG_ERROR, "a migration is missing; run `utvag migrate`", "migration", migration->name, NULL);
        return false;
    }
    return demo_is_allowed(connection, demo);
}

const char *migrate_newest(void)
{
    static char newest[VERSION_SIZE];
    for (const struct embedded *migration = embedded_migrations; migration->name; migration++)
        version_of(migration, newest);
    return newest;
}
