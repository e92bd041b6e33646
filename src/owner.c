#include "utvag/owner.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/command.h"
#include "utvag/text.h"

struct owner {
    PGconn *pg;
};

static void result_free(PGresult **result) { PQclear(*result); }
#define RESULT __attribute__((cleanup(result_free))) PGresult *

static bool is_fine(const struct owner *owner, const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return true;
    const struct text *rule = text_find(PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME));
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    command_fail("%s", rule ? rule->english : message ? message : PQerrorMessage(owner->pg));
    return false;
}

struct owner *owner_open(const char *url)
{
    struct owner *owner = calloc(1, sizeof *owner);
    if (!owner) return NULL;
    owner->pg = PQconnectdb(url);
    if (PQstatus(owner->pg) != CONNECTION_OK)
        command_fail("the database cannot be reached: %s", PQerrorMessage(owner->pg));
    else if (owner_run(owner, "SET client_min_messages = warning; SET ROLE utvag_owner"))
        return owner;
    owner_close(owner);
    return NULL;
}

void owner_close(struct owner *owner)
{
    if (!owner) return;
    PQfinish(owner->pg);
    free(owner);
}

bool owner_run(struct owner *owner, const char *sql)
{
    RESULT result = PQexec(owner->pg, sql);
    return is_fine(owner, result);
}

char *owner_ask(struct owner *owner, const char *sql, const char *value)
{
    RESULT result = PQexecParams(owner->pg, sql, value ? 1 : 0, NULL, &value, NULL, NULL, 0);
    if (!is_fine(owner, result)) return NULL;
    return strdup(PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
}

/* function is a name of ours, never data. */
bool owner_call(struct owner *owner, const char *function, const json_t *body)
{
    char sql[128];
    char *text = json_dumps(body, JSON_COMPACT);
    if (!text || snprintf(sql, sizeof sql, "SELECT id FROM %s($1::jsonb)", function) >= (int)sizeof sql) abort();
    char *id = owner_ask(owner, sql, text);
    free(text);
    bool made = id && *id;
    if (id && !*id) command_fail("there is no such record");
    free(id);
    return made;
}
