/* Percent-encoding (RFC 3986) of queries and of forms, where + is a space. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "utvag/arena.h"

struct pair;
enum { PERCENT_PAIRS = 200 };

/* Whether bytes are UTF-8 (RFC 3629), without U+0000. */
bool percent_utf8(const char *bytes, size_t length);
/* Splits name=value&… into decoded pairs in the arena, the last one without a name. NULL on a bad escape, on what is
   not UTF-8, on U+0000, on a pair without a name, on more than PERCENT_PAIRS, or when the arena is full. */
const struct pair *percent_pairs(struct arena *arena, const char *text, size_t length);
