/* From method and raw URL to an operation of the contract. */
#pragma once
#include "utvag/request.h"

struct router;
struct router *router_new(const struct contract *contract);
void router_free(struct router *router);

/* Fills rq->contract, path_values and query, or says 400, 404 or 405 (with allow). OPTIONS is answered by
   the pipeline from rq->allow. */
struct problem router_match(const struct router *router, struct request *rq) __attribute__((warn_unused_result));
