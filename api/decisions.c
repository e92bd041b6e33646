/* Decisions, and the reconsideration of what was decided. Four eyes and the other gates are in 0005_decisions.sql. */
#include "utvag/resource.h"

const struct operation decisions[] = {
    { "listDecisions", resource_list, "decision_bodies", NULL },
    { "readDecision", resource_read, "decision_bodies", NULL },
    { "listApplicationDecisions", resource_list, "decision_bodies", NULL },
    { "decideApplication", resource_write, NULL, "decide" },
    { "reconsiderApplication", resource_write, NULL, "reconsider" },
    { 0 },
};
