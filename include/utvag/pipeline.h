/* The journey of a request, one step a line. */
#pragma once
#include "utvag/request.h"

/* Always leaves a complete answer in rs, and a line in the log. */
void pipeline_answer(struct request *rq, struct response *rs);
/* The same for what the server refuses before the journey (no client certificate). */
void pipeline_refuse(struct request *rq, struct response *rs, struct problem refusal);
