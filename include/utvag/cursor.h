/* Where a list's page ended: opaque and signed, bound to the operation and to its filters and order. The same page
   always ends in the same cursor, so that its representation has one ETag. */
#pragma once
#include "utvag/request.h"

/* scope: operation, sort and filters; a cursor made under another scope is refused. Text in the arena, fit for a
   query as it is; NULL if the arena is full. */
const char *cursor_make(const struct request *rq, const char *scope, const char *key, const char *id);
/* 400 cursor_invalid for whatever cursor_make did not make under this scope. key and id are in the arena. */
struct problem cursor_read(const struct request *rq, const char *scope, const char *text, const char **key,
                           const char **id) __attribute__((warn_unused_result));
