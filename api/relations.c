/* Relations: who is whose parent, guardian, god man … . Protection is inherited along them. */
#include "utvag/resource.h"

const struct operation relations[] = {
    { "listRelations", resource_list, "relation_bodies", NULL },
    { "createRelation", resource_write, NULL, "create_relation" },
    { "readRelation", resource_read, "relation_bodies", NULL },
    { "updateRelation", resource_merge, "relation_bodies", "update_relation" },
    { "deleteRelation", resource_write, NULL, "delete_relation" },
    { 0 },
};
