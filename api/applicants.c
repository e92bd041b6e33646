/* Applicants: the persons who seek support. Who sees whom is in 0003_persons.sql. */
#include "api/minors.h"
#include "utvag/resource.h"

const struct operation applicants[] = {
    { "listApplicants", resource_list, "applicant_bodies", NULL },
    { "createApplicant", resource_write, NULL, "create_applicant" },
    { "searchApplicants", resource_search, NULL, "search_applicants" },
    { "readApplicant", resource_read, "applicant_bodies", NULL },
    { "updateApplicant", minors_merge, "applicant_bodies", "update_applicant" },
    { "addApplicantIdentifier", resource_write, NULL, "add_applicant_identifier" },
    { 0 },
};
