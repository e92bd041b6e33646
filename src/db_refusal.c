#include "db_refusal.h"

#include <stdio.h>
#include <string.h>

#include "utvag/log.h"

enum { ERRORS_MOST = 32 };

static const char *field(const PGresult *error, int code)
{
    const char *text = PQresultErrorField(error, code);
    return text ? text : "";
}

static struct problem with_errors(int status, const char *code, const struct member_error *errors, size_t count)
{
    struct problem refused = problem(status, code);
    refused.errors = errors;
    refused.error_count = count;
    return refused;
}

/* "code,code=argument,…": every gate that stopped an action, at once. */
static struct problem read_gates(struct request *rq, const char *detail)
{
    struct member_error *errors = arena_alloc(rq->arena, ERRORS_MOST * sizeof *errors);
    char *text = arena_copy(rq->arena, detail, strlen(detail));
    if (!errors || !text) return problem(500, "out_of_memory");
    size_t count = 0;
    char *rest = text;
    for (char *gate; count < ERRORS_MOST && (gate = strsep(&rest, ","));) {
        char *argument = gate;
        char *code = strsep(&argument, "=");
        errors[count++] = (struct member_error){ .code = code, .argument = argument };
    }
    return with_errors(409, "gates_failed", errors, count);
}

/* "pointer code": a member that only the database could judge. */
static struct problem read_member(struct request *rq, const char *detail)
{
    struct member_error *errors = arena_alloc(rq->arena, sizeof *errors);
    char *code = arena_copy(rq->arena, detail, strlen(detail));
    if (!errors || !code) return problem(500, "out_of_memory");
    char *pointer = strsep(&code, " ");
    *errors = (struct member_error){ .pointer = pointer, .code = code ? code : "invalid" };
    return with_errors(422, "body_invalid", errors, 1);
}

/* A rule of a table, by its constraint's name. base: the pointer of the object that broke it. */
static struct problem read_constraint(struct request *rq, const char *name, const char *base)
{
    const struct text *rule = text_find(name);
    if (!rule || !rule->status) return PROBLEM_NONE;
    if (!rule->pointer) return problem(rule->status, rule->code);
    struct member_error *errors = arena_alloc(rq->arena, sizeof *errors);
    const char *pointer = errors ? arena_text(rq->arena, "%s%s", base, rule->pointer) : NULL;
    if (!pointer) return problem(500, "out_of_memory");
    *errors = (struct member_error){ .pointer = pointer, .code = rule->code };
    return with_errors(rule->status, rule->status == 422 ? "body_invalid" : rule->code, errors, 1);
}

/* States of the server, not of the request. */
static struct problem read_server(const char *state)
{
    static const struct {
        const char *prefix, *code;
    } states[] = {
        { "55P03", "record_busy" },                              /* lock_timeout */
        { "57014", "too_slow" },                                 /* statement_timeout */
        { "40", "record_busy" },                                 /* serialisation and deadlock, after all tries */
        { "57P", "database_away" },                              /* shutting down, starting up */
        { "08", "database_away" },    { "53", "database_away" }, /* connection; resources */
        { "25006", "database_away" },                            /* read only: a standby after fail-over */
    };
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strncmp(state, states[i].prefix, strlen(states[i].prefix)) == 0) return problem_later(states[i].code);
    return PROBLEM_NONE;
}

/* Messages can hold data, so they are logged only for errors in our own SQL (42, P0) and in the server (XX). */
static struct problem unexpected(struct request *rq, const PGresult *error, const char *state)
{
    bool ours = strncmp(state, "42", 2) == 0 || strncmp(state, "XX", 2) == 0 || strncmp(state, "P0", 2) == 0;
    log_line(LOG_ERROR, "statement failed", "sqlstate", state, "operation", rq->contract ? rq->contract->id : "",
             "constraint", field(error, PG_DIAG_CONSTRAINT_NAME), "table", field(error, PG_DIAG_TABLE_NAME), "column",
             field(error, PG_DIAG_COLUMN_NAME), "reason", ours ? field(error, PG_DIAG_MESSAGE_PRIMARY) : "", "context",
             ours ? field(error, PG_DIAG_CONTEXT) : "", "trace_id", rq->trace, NULL);
    return problem(500, "internal");
}

struct problem refusal_read(struct request *rq, const PGresult *error)
{
    const char *state = field(error, PG_DIAG_SQLSTATE);
    const char *detail = field(error, PG_DIAG_MESSAGE_DETAIL);
    if (strcmp(state, "UV404") == 0) return problem(404, "not_found");
    if (strcmp(state, "UV412") == 0) return problem(412, "version_stale");
    if (strcmp(state, "UV409") == 0) return read_gates(rq, detail);
    if (strcmp(state, "UV422") == 0) return read_member(rq, detail);
    const char *constraint = field(error, PG_DIAG_CONSTRAINT_NAME);
    if (strcmp(state, "UV423") == 0) TRY(read_constraint(rq, constraint, detail));
    if (strncmp(state, "23", 2) == 0) TRY(read_constraint(rq, constraint, ""));
    TRY(read_server(state));
    return unexpected(rq, error, state);
}
