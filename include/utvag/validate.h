/* The request held against the contract, so that handlers can trust what they read. */
#pragma once
#include "utvag/request.h"

/* Parameters, preconditions and negotiation, then the body into rq->json: 400, 404 (a path parameter that cannot
   name anything), 406, 413, 415, 422, 428. */
struct problem validate_request(struct request *rq) __attribute__((warn_unused_result));
