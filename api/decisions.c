/* Decisions, what they promise of which account, and the reconsideration of what was decided. Four eyes and the other gates are in
   0005_decisions.sql and 0016_rules_together.sql, those of money in 0030_granting.sql. */
#include "api/circumstances.h"
#include "utvag/resource.h"

/* Two trips: where the applicant lives and who is young is sealed. */
static struct problem decide(struct request *rq, struct response *rs)
{
    TRY(circumstances_settle(rq, NULL));
    return resource_write(rq, rs);
}

/* Three: whose case it is tells the line, which the caller may see. */
static struct problem refinance(struct request *rq, struct response *rs)
{
    json_t *line;
    const char *stored;
    int version;
    TRY(resource_peek(rq, "decision_line_bodies", &line, &stored, &version));
    const char *application = json_string_value(json_object_get(line, "application_id"));
    struct problem stop = circumstances_settle(rq, application);
    json_decref(line);
    TRY(stop);
    return resource_write(rq, rs);
}

const struct operation decisions[] = {
    { "listDecisions", resource_list, "decision_bodies", NULL },
    { "readDecision", resource_read, "decision_bodies", NULL },
    { "listApplicationDecisions", resource_list, "decision_bodies", NULL },
    { "decideApplication", decide, NULL, "decide" },
    { "reconsiderApplication", resource_write, NULL, "reconsider" },
    { "readDecisionLine", resource_read, "decision_line_bodies", NULL },
    { "requestRefinancing", refinance, NULL, "request_refinancing" },
    { "listRefinancings", resource_list, "refinancing_bodies", NULL },
    { "readRefinancing", resource_read, "refinancing_bodies", NULL },
    { "approveRefinancing", resource_write, NULL, "approve_refinancing" },
    { 0 },
};
