/* What a client takes (RFC 9110, 12.5.1). */
#pragma once

/* How gladly an Accept value takes a media type: its weight in thousandths by the most specific range that names it, 0 for not
   at all. A value that is absent (NULL) or empty takes everything. */
int accept_weight(const char *accept, const char *type);
