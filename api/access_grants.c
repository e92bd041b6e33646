/* Access grants: the lines of protected persons' access lists, kept by staff who are on the list themselves. */
#include "utvag/resource.h"

const struct operation access_grants[] = {
    { "listAccessGrants", resource_list, "access_grant_bodies", NULL },
    { "createAccessGrant", resource_write, NULL, "create_access_grant" },
    { "readAccessGrant", resource_read, "access_grant_bodies", NULL },
    { "deleteAccessGrant", resource_write, NULL, "delete_access_grant" },
    { 0 },
};
