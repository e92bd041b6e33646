/* Emergency grants: made by one person at night, within caps, and ratified by another. */
#include "utvag/resource.h"

const struct operation emergency_grants[] = {
    { "listEmergencyGrants", resource_list, "emergency_grant_bodies", NULL },
    { "readEmergencyGrant", resource_read, "emergency_grant_bodies", NULL },
    { "listApplicationEmergencyGrants", resource_list, "emergency_grant_bodies", NULL },
    { "grantEmergency", resource_write, NULL, "grant_emergency" },
    { "ratifyEmergencyGrant", resource_write, NULL, "ratify_emergency_grant" },
    { 0 },
};
