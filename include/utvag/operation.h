/* An operation: the contract's operationId bound to the function that carries it out, and to the one view or
   function of PostgreSQL that it stands on. Tables of these, in api/, end with a row without id. */
#pragma once
#include "utvag/request.h"

struct operation {
    const char *id;
    struct problem (*run)(struct request *rq, struct response *rs);
    const char *view;     /* what is read: has id, version, body (text) and the columns that lists sort and filter on */
    const char *function; /* what is carried out: function(subject uuid, body jsonb, version int) */
};
