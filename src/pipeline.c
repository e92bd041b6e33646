#include "utvag/pipeline.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "utvag/config.h"
#include "utvag/db.h"
#include "utvag/fields.h"
#include "utvag/identify.h"
#include "utvag/log.h"
#include "utvag/metrics.h"
#include "utvag/operation.h"
#include "utvag/rate.h"
#include "utvag/respond.h"
#include "utvag/router.h"
#include "utvag/stream.h"
#include "utvag/turns.h"
#include "utvag/validate.h"

/* Above the limit a request waits for its turn, and is refused before anyone asks who calls. What is never limited, such as
   health, answers. */
static struct problem shed(struct request *rq)
{
    if (!rq->contract->limited) return PROBLEM_NONE;
    /* Whoever asks to come in waits for a password's hash, or for what becomes of others' attempts: at a door of their own, else a
       few of them would take every place of those who are in. */
    bool enters = rq->contract->open && strcmp(rq->contract->method, "POST") == 0;
    struct turns *turns = enters ? rq->service->door : rq->service->turns;
    if (turns_take(turns)) rq->turn = turns;
    if (rq->turn) return PROBLEM_NONE;
    return (struct problem){ .status = 503, .code = "overloaded", .retry_after = 1 };
}

/* A caller with a good token has a bucket of her own; whoever has none, or a bad one, shares that of the address. */
static struct problem admit(struct request *rq)
{
    struct problem refused = identify_caller(rq);
    TRY(rate_take(rq));
    return refused;
}

/* Every step may stop the journey. *carried_out: it came as far as the operation. */
static struct problem journey(struct request *rq, struct response *rs, bool *carried_out)
{
    TRY(request_guard(rq));
    TRY(router_match(rq->service->router, rq));
    if (!rq->contract) return respond_options(rq, rs);
    TRY(shed(rq));
    TRY(admit(rq));
    TRY(identify_authorise(rq));
    TRY(validate_request(rq));
    *carried_out = true;
    TRY(rq->contract->operation->run(rq, rs));
    return fields_select(rq, rs);
}

/* A refusal on case data is a trace too, durable before the answer (GDPR, article 5.2): without it no such answer.
   An operation that finds nothing has left its trace already, in the statement that looked. */
static struct problem refusal_audit(struct request *rq, struct problem refusal, bool carried_out)
{
    bool refused = refusal.status == 401 || refusal.status == 403 || (refusal.status == 404 && !carried_out);
    bool presented = rq->caller.known || request_header(rq, "Authorization");
    if (!refused || refusal.audited || rq->audited || !presented) return refusal;
    if (!rq->contract || !rq->contract->personal) return refusal;
    TRY(db_audit_refusal(rq, refusal.status, refusal.code));
    return refusal;
}

/* The method as the contract has it: what a client wrote there may be anything. */
static const char *known_method(const struct request *rq)
{
    if (rq->head) return "HEAD";
    if (rq->contract) return rq->contract->method;
    return strcmp(rq->method, "OPTIONS") == 0 ? "OPTIONS" : "other";
}

static void finish(struct request *rq, struct response *rs, const char *code)
{
    /* A fault of ours is no failed login. */
    if (rs->status >= 500)
        rate_login_passed(rq);
    else
        rate_login_ended(rq);
    if (rq->turn) turns_give(rq->turn);
    respond_finish(rq, rs);
    metrics_count(rq->service->metrics, rq, rs->status);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t spent = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec - rq->started_ns;
    char status[12], duration[24];
    snprintf(status, sizeof status, "%d", rs->status);
    snprintf(duration, sizeof duration, "%llu", (unsigned long long)(spent / 1000));
    log_line(LOG_INFO, "request", "method", known_method(rq), "route", rq->contract ? rq->contract->path : "none",
             "status", status, "duration_us", duration, "trace_id", rq->trace, "code", code ? code : "", NULL);
}

void pipeline_answer(struct request *rq, struct response *rs)
{
    request_begin(rq);
    bool carried_out = false;
    struct problem stopped = journey(rq, rs, &carried_out);
    if (stopped.status) {
        stopped = refusal_audit(rq, stopped, carried_out);
        stream_close(rs->stream);
        respond_problem(rq, rs, &stopped);
    }
    finish(rq, rs, stopped.code);
}

void pipeline_refuse(struct request *rq, struct response *rs, struct problem refusal)
{
    request_begin(rq);
    respond_problem(rq, rs, &refusal);
    finish(rq, rs, refusal.code);
}
