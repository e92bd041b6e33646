/* Making answers: problems, bodies, headers. */
#pragma once
#include "utvag/request.h"

/* application/problem+json (RFC 9457) in the caller's language. Drops whatever was in rs before; a stream is closed already. */
void respond_problem(struct request *rq, struct response *rs, const struct problem *problem);
/* body must outlive the answer (arena, static, or a database result of this request). */
void respond_body(struct response *rs, int status, const char *type, const char *body, size_t length);
/* The ETag of a record, in the arena: its version, which If-Match compares, and a digest of what is sent, so that the tag is
   strong (RFC 9110, 8.8.1): two roles may be shown different members of one version. NULL when out of memory. */
const char *respond_etag(struct request *rq, int version, const char *body, size_t length);
/* A copy of value as JSON in the arena. */
void respond_json(struct request *rq, struct response *rs, int status, const json_t *value);
/* 204 with what the path allows; a preflight (Fetch, CORS) learns more from respond_finish. */
struct problem respond_options(struct request *rq, struct response *rs) __attribute__((warn_unused_result));
/* Headers that every answer carries: security, cache, traceparent, ETag, 304 where If-None-Match matches. */
void respond_finish(struct request *rq, struct response *rs);
