/* The body of a request: its media type, its syntax, and its faults against the contract's schema. */
#pragma once
#include "utvag/request.h"

/* Leaves the parsed body in rq->json (owned by the request; a form becomes an object of strings). An
   integer that was written as a real is one there. */
struct problem body_read(struct request *rq) __attribute__((warn_unused_result));
