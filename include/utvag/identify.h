/* Who calls, and whether the contract lets her in. */
#pragma once
#include "utvag/request.h"

/* Fills rq->caller from the bearer token (RFC 6750), unless the operation is open. 401 otherwise. */
struct problem identify_caller(struct request *rq) __attribute__((warn_unused_result));
/* Chooses the first of the operation's roles that the caller holds (403 without one). A machine client of an agency
   states the officer for whom it writes: in the token or in X-Acting-Officer. */
struct problem identify_authorise(struct request *rq) __attribute__((warn_unused_result));
