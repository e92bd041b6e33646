/* `fields`: the members that a reader asks for, in place of the whole record. The parameter is the contract's, so is what
   it may name: the members of the success answer's schema, or of a list's records. */
#pragma once
#include "utvag/request.h"

/* 400 where `fields` names what no record of this operation has. */
struct problem fields_check(struct request *rq) __attribute__((warn_unused_result));
/* Leaves of each record of a successful answer only what `fields` names, and `id`; the ETag follows, as it is of the
   representation. Without `fields` the answer stays as it is. */
struct problem fields_select(struct request *rq, struct response *rs) __attribute__((warn_unused_result));
