/* Households: who lives together, and inherits protection from one another. */
#include "utvag/resource.h"

const struct operation households[] = {
    { "listHouseholds", resource_list, "membership_bodies", NULL },
    { "createHousehold", resource_write, NULL, "create_household" },
    { "readHousehold", resource_read, "household_bodies", NULL },
    { "updateHousehold", resource_merge, "household_bodies", "update_household" },
    { 0 },
};
