/* Activities: lectures, surveys, publications and events, of a project or of none. */
#include "utvag/resource.h"

const struct operation activities[] = {
    { "listActivities", resource_list, "activity_bodies", NULL },
    { "createActivity", resource_write, NULL, "create_activity" },
    { "readActivity", resource_read, "activity_bodies", NULL },
    { "updateActivity", resource_merge, "activity_bodies", "update_activity" },
    { 0 },
};
