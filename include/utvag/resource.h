/* The verbs that resources are made of. Each is one round trip to PostgreSQL (resource_merge: two where sealed members
   are merged), and none knows a resource: what they touch is the operation's view and function. */
#pragma once
#include "utvag/db.h"
#include "utvag/operation.h"
#include "utvag/stream.h"

/* GET of many: a page of the view in the order of `sort`, after `cursor` or at `page`, with the contract's filters.
   Below a record (/applications/{id}/needs) the page is of rows with that parent_id, and 404 without it. */
struct problem resource_list(struct request *rq, struct response *rs);
/* GET of one row of the view, by the path's id. */
struct problem resource_read(struct request *rq, struct response *rs);
/* POST, or DELETE: the function carries it out. */
struct problem resource_write(struct request *rq, struct response *rs);
/* PATCH (RFC 7396): the function takes the patch. */
struct problem resource_merge(struct request *rq, struct response *rs);
/* POST in place of GET, since the query is personal: the function finds by blind tokens. */
struct problem resource_search(struct request *rq, struct response *rs);

/* GET of what may be longer than memory, in one of its forms. values are those of $1…. Called by an operation, which knows
   them. */
struct problem resource_stream(struct request *rq, struct response *rs, const struct stream_form *form, size_t count,
                               const char *const *values) __attribute__((warn_unused_result));
/* The form that Accept likes best, and the first among equals; forms ends with one without type. NULL if it takes none, which
   the contract, having the same media types, has refused before. */
const struct stream_form *resource_form(struct request *rq, const struct stream_form *forms);

/* Pieces, for operations that need a step of their own before or after. */

/* The one row as the answer: seals opened, ETag, Location, with the status that the contract declares. */
struct problem resource_answer(struct request *rq, struct response *rs, const struct rows *rows)
    __attribute__((warn_unused_result));
/* The operation's function, called with the path's id, body and the version of If-Match. */
struct problem resource_call(struct request *rq, const json_t *body, struct rows *rows)
    __attribute__((warn_unused_result));
/* One row of a view, opened and parsed, without an audit row of its own: for the first trip of two. *record is
   owned by the caller; *stored is the body as PostgreSQL gave it. 404 when the caller may not see it. */
struct problem resource_peek(struct request *rq, const char *view, json_t **record, const char **stored, int *version)
    __attribute__((warn_unused_result));
