/* The verbs that resources are made of. Each is one round trip (resource_merge: two when sealed members are
   merged), and none knows a resource: what they touch is the operation's view and function. */
#pragma once
#include "utvag/operation.h"

struct problem resource_list(struct request *rq, struct response *rs);
struct problem resource_read(struct request *rq, struct response *rs);
struct problem resource_write(struct request *rq, struct response *rs);  /* create, or carry out an action */
struct problem resource_merge(struct request *rq, struct response *rs);  /* PATCH, RFC 7396 */
struct problem resource_search(struct request *rq, struct response *rs); /* POST in place of GET: the query is personal */
