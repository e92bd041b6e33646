/* Representatives (ombud) of the person in an application. */
#include "utvag/resource.h"

const struct operation representatives[] = {
    { "listRepresentatives", resource_list, "representative_bodies", NULL },
    { "addRepresentative", resource_write, NULL, "add_representative" },
    { "readRepresentative", resource_read, "representative_bodies", NULL },
    { "endRepresentative", resource_write, NULL, "end_representative" },
    { 0 },
};
