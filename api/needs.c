/* Needs: what is asked for in an application, and for whom. */
#include "api/minors.h"
#include "utvag/resource.h"

/* Two trips, as for submitting: who is under 18 is known only once the birth date is opened. */
static struct problem add(struct request *rq, struct response *rs)
{
    TRY(minors_settle(rq, json_string_value(json_object_get(rq->json, "person_id"))));
    return resource_write(rq, rs);
}

const struct operation need_operations[] = {
    { "listNeeds", resource_list, "need_bodies", NULL },
    { "addNeed", add, NULL, "add_need" },
    { "readNeed", resource_read, "need_bodies", NULL },
    { "updateNeed", resource_merge, "need_bodies", "update_need" },
    { 0 },
};
