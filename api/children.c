/* Children: each with a record of its own, with or without parents on record. */
#include "api/minors.h"
#include "utvag/resource.h"

const struct operation children[] = {
    { "listChildren", resource_list, "child_bodies", NULL },
    { "createChild", resource_write, NULL, "create_child" },
    { "searchChildren", resource_search, NULL, "search_children" },
    { "readChild", resource_read, "child_bodies", NULL },
    { "updateChild", minors_merge, "child_bodies", "update_child" },
    { "addChildIdentifier", resource_write, NULL, "add_child_identifier" },
    { 0 },
};
