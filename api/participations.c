/* Who takes part in a project: her goal and plan, the steps on her way, and how it ended. */
#include "utvag/resource.h"

const struct operation participations[] = {
    { "listParticipations", resource_list, "participation_bodies", NULL },
    { "createParticipation", resource_write, NULL, "create_participation" },
    { "readParticipation", resource_read, "participation_bodies", NULL },
    { "updateParticipation", resource_merge, "participation_bodies", "update_participation" },
    { "endParticipation", resource_write, NULL, "end_participation" },
    { "listParticipationSteps", resource_list, "participation_step_bodies", NULL },
    { "addParticipationStep", resource_write, NULL, "add_participation_step" },
    { "readParticipationStep", resource_read, "participation_step_bodies", NULL },
    { 0 },
};
