/* Projects: special efforts with a funder, a period, a catchment, target groups and an account of their own. What of them may
   change when money is promised is in 0033_projects.sql; what their report leaves untold, in 0037_participations.sql. */
#include "api/periods.h"
#include "utvag/resource.h"

static struct problem read_report(struct request *rq, struct response *rs)
{
    static const struct statement statement = {
        .name = "readProjectReport",
        .sql = "page AS (SELECT r.id, r.version, r.body, NULL::text AS key"
               " FROM project_report($1::uuid, $2::date, $3::date) r)",
    };
    const char *from, *to;
    struct rows rows;
    TRY(periods_read_days(rq, false, &from, &to));
    const char *const values[] = { request_path(rq, "id"), from, to };
    TRY(db_run(rq, &statement, 3, values, &rows));
    return resource_answer(rq, rs, &rows);
}

const struct operation projects[] = {
    { "listProjects", resource_list, "project_bodies", NULL },
    { "createProject", resource_write, NULL, "create_project" },
    { "readProject", resource_read, "project_bodies", NULL },
    { "updateProject", resource_merge, "project_bodies", "update_project" },
    { "closeProject", resource_write, NULL, "close_project" },
    { "readProjectReport", read_report, NULL, NULL },
    { 0 },
};
