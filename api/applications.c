/* Applications, what is done with them, and what was done. Which state allows what, and the gates, are in
   0004_applications.sql. */
#include "api/minors.h"
#include "utvag/resource.h"

/* Two trips: who is under 18 is known only once the birth dates are opened. */
static struct problem submit(struct request *rq, struct response *rs)
{
    TRY(minors_settle(rq, NULL));
    return resource_write(rq, rs);
}

const struct operation applications[] = {
    { "listApplications", resource_list, "application_summaries", NULL },
    { "createApplication", resource_write, NULL, "create_application" },
    { "readApplication", resource_read, "application_bodies", NULL },
    { "updateApplication", resource_merge, "application_bodies", "update_application" },
    { "submitApplication", submit, NULL, "submit_application" },
    { "assignApplication", resource_write, NULL, "assign_application" },
    { "startReview", resource_write, NULL, "start_review" },
    { "requestInformation", resource_write, NULL, "request_information" },
    { "answerInformation", resource_write, NULL, "answer_information" },
    { "proposeDecision", resource_write, NULL, "propose_decision" },
    { "returnApplication", resource_write, NULL, "return_application" },
    { "withdrawApplication", resource_write, NULL, "withdraw_application" },
    { "dismissApplication", resource_write, NULL, "dismiss_application" },
    { "closeApplication", resource_write, NULL, "close_application" },
    { "requestReconsideration", resource_write, NULL, "request_reconsideration" },
    { "listApplicationSteps", resource_list, "application_step_bodies", NULL },
    { "listProposals", resource_list, "proposal_bodies", NULL },
    { 0 },
};
