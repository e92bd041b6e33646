#include "db_steps.h"

#include <string.h>

#include "utvag/service.h"

enum { NAME_SIZE = 64 /* PostgreSQL's own limit */, ENTER_VALUES = 14 };

/* One number in place of a dozen columns that nobody reads; num_nonnulls looks at every one. */
static const char enter_sql[] =
    "SELECT num_nonnulls(set_config('role', $1, true), set_config('utvag.principal', p.id::text, true),"
    " set_config('utvag.agency', coalesce(p.agency_id::text, ''), true),"
    " set_config('utvag.officer', CASE WHEN p.kind = 'user' THEN 'user:' || p.id"
    "  WHEN p.agency_id IS NULL THEN 'client:' || p.id"
    "  WHEN $5::text <> '' THEN 'agency:' || p.agency_id || ':' || $5::text ELSE '' END, true),"
    " set_config('utvag.role', $4, true), set_config('utvag.actions', $6, true), set_config('utvag.purpose', $7, true),"
    " set_config('utvag.operation', $8, true), set_config('utvag.trace', $9, true),"
    " set_config('utvag.address', $10, true), set_config('utvag.audit_id', $11, true),"
    " set_config('utvag.event', $12, true), set_config('utvag.subject', $13, true))"
    " FROM principals p LEFT JOIN agencies a ON a.id = p.agency_id"
    " WHERE p.id = $2::uuid AND p.token_epoch = $3::int AND p.status = 'active' AND $4 = ANY (p.roles)"
    " AND coalesce(a.status, 'active') = 'active'"
    /* Who logged out, or was signed out, is nobody on the next request. A token without a sign-in is of another issuer. */
    " AND ($14::uuid IS NULL OR p.id = (SELECT s.principal_id FROM sign_ins s WHERE s.id = $14::uuid"
    "  AND s.ended_at IS NULL AND s.expires_at > now()))";

static const char enter_login_sql[] =
    "SELECT set_config('role', 'utvag_login', true), set_config('utvag.operation', $1, true),"
    " set_config('utvag.trace', $2, true), set_config('utvag.address', $3, true),"
    " set_config('utvag.audit_id', $4, true)";

static const char claim_sql[] = "INSERT INTO vault.idempotency_keys (key, request_mac) VALUES ($1, $2::bytea)";

static const char *or_empty(const char *text) { return text ? text : ""; }

const char *step_subject(const struct request *rq)
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
    char *list = arena_alloc(rq->arena, ROOM), *end = list;
    if (!list) return "";
    for (size_t i = 0; i < contract_count(rq->service->contract); i++) {
        const struct contract_operation *operation = contract_at(rq->service->contract, i);
        if (!operation->action || !(operation->role_bits & rq->caller.roles)) continue;
        if (strlen(operation->action) + 2 > (size_t)(list + ROOM - end)) break;
        if (end > list) *end++ = ',';
        end = stpcpy(end, operation->action);
    }
    return list;
}

bool step_enter(struct request *rq, struct trip *trip)
{
    const char **values = arena_alloc(rq->arena, ENTER_VALUES * sizeof *values);
    const char *epoch = arena_text(rq->arena, "%d", rq->caller.epoch);
    char *audit_id = arena_alloc(rq->arena, UUID_SIZE);
    if (!values || !epoch || !audit_id) return false;
    uuid_v7(audit_id);
    const char *const all[] = { role_database(rq->caller.role),
                                rq->caller.id,
                                epoch,
                                role_name(rq->caller.role),
                                or_empty(rq->caller.officer),
                                actions_of(rq),
                                purpose_of(rq),
                                rq->contract->id,
                                rq->trace,
                                or_empty(rq->address),
                                audit_id,
                                or_empty(rq->contract->event),
                                step_subject(rq),
                                rq->caller.session[0] ? rq->caller.session : NULL };
    _Static_assert(sizeof all == ENTER_VALUES * sizeof *all, "each has its place");
    memcpy(values, all, sizeof all);
    trip_add(trip, (struct step){ .name = "enter", .sql = { enter_sql }, .count = ENTER_VALUES, .values = values });
    return true;
}

bool step_enter_login(struct request *rq, struct trip *trip)
{
    const char **values = arena_alloc(rq->arena, 4 * sizeof *values);
    char *audit_id = arena_alloc(rq->arena, UUID_SIZE);
    if (!values || !audit_id) return false;
    uuid_v7(audit_id);
    const char *const all[] = { rq->contract->id, rq->trace, or_empty(rq->address), audit_id };
    memcpy(values, all, sizeof all);
    trip_add(trip, (struct step){ .name = "enter_login", .sql = { enter_login_sql }, .count = 4, .values = values });
    return true;
}

bool step_claim(struct request *rq, struct trip *trip, const char *key, const char *mac)
{
    const char **values = arena_alloc(rq->arena, 2 * sizeof *values);
    if (!values) return false;
    values[0] = key;
    values[1] = mac;
    char *name = arena_text(rq->arena, "claim/%d", (int)rq->caller.role);
    trip_add(trip, (struct step){ .name = name, .sql = { claim_sql }, .count = 2, .values = values });
    return name != NULL;
}

#define LOGGED(outcome)                                                                                                       \
    ", logged AS (INSERT INTO audit_events (record_ids, outcome) SELECT coalesce(array_agg(id) FILTER"                        \
    " (WHERE id IS NOT NULL), array_remove(ARRAY[nullif(current_setting('utvag.subject', true), '')::uuid], NULL)), " outcome \
    " FROM page"

/* The audit row of the statement. */
static const char *logged(const struct request *rq, const struct statement *statement)
{
    bool audited = !statement->silent && (rq->contract->personal || strcmp(rq->contract->method, "GET") != 0);
    if (!audited) return "";
    if (statement->many) return LOGGED("'ok'") ")";
    if (statement->replay) return LOGGED("'replayed'") " HAVING bool_and(key = 'same'))";
    return LOGGED("CASE WHEN count(*) = 0 THEN 'not_found' ELSE 'ok' END") ")";
}

/* Its answer, kept under the claimed key, which is the parameter after its own. */
static const char *kept(struct request *rq, size_t parameter)
{
    return arena_text(
        rq->arena,
        ", kept AS (UPDATE vault.idempotency_keys k SET record_id = p.id, version = p.version, body = p.body FROM page p"
        " WHERE k.principal_id = (SELECT caller()) AND k.operation = current_setting('utvag.operation')"
        " AND k.key = $%zu)",
        parameter);
}

bool step_statement(struct request *rq, struct trip *trip, const struct statement *statement, size_t count,
                    const char *const *values, const char *key)
{
    const char **all = arena_alloc(rq->arena, (count + 1) * sizeof *all);
    const char *keeping = key ? kept(rq, count + 1) : "";
    /* Audited or not, keyed or not, and the role are part of the text or of its plan, so of its name. */
    char *name = arena_text(rq->arena, "%s%s/%d", statement->name, key ? "+key" : "", (int)rq->caller.role);
    if (!all || !keeping || !name || strlen(name) >= NAME_SIZE) return false;
    if (count) memcpy(all, values, count * sizeof *all);
    all[count] = key;
    trip_add(trip, (struct step){ .name = name,
                                  .sql = { "WITH ", statement->sql, logged(rq, statement), keeping,
                                           " SELECT id, version, body, key FROM page" },
                                  .count = count + (key != NULL),
                                  .values = all });
    return true;
}
