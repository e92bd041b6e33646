/* Where a list's page ended: opaque and signed, bound to the operation and to its filters and order. */
#pragma once
#include "utvag/request.h"

/* scope: operation, sort and filters; a cursor made under another scope is refused. Text in the arena. */
const char *cursor_make(const struct request *rq, const char *scope, const char *key, const char *id);
struct problem cursor_read(const struct request *rq, const char *scope, const char *text, const char **key,
                           const char **id) __attribute__((warn_unused_result));
