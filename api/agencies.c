/* Partner agencies. */
#include "utvag/resource.h"

const struct operation agencies[] = {
    { "listAgencies", resource_list, "agency_bodies", NULL },
    { "createAgency", resource_write, "agency_bodies", "create_agency" },
    { "readAgency", resource_read, "agency_bodies", NULL },
    { "updateAgency", resource_merge, "agency_bodies", "update_agency" },
    { 0 },
};
