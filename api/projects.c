/* Projects: special efforts with a funder, a period, a catchment, target groups and an account of their own. What of them may
   change when money is promised is in 0033_projects.sql. */
#include "utvag/resource.h"

const struct operation projects[] = {
    { "listProjects", resource_list, "project_bodies", NULL },
    { "createProject", resource_write, NULL, "create_project" },
    { "readProject", resource_read, "project_bodies", NULL },
    { "updateProject", resource_merge, "project_bodies", "update_project" },
    { "closeProject", resource_write, NULL, "close_project" },
    { 0 },
};
