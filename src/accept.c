#include "utvag/accept.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WHOLE = 1000 };

struct range {
    const char *text;
    size_t length; /* with its parameters */
    size_t name;   /* without */
};

/* 3: the type itself; 2: its group (application/…); 1: anything; 0: another type. */
static int precision(const struct range *range, const char *type)
{
    const char *slash = strchr(type, '/');
    size_t group = slash ? (size_t)(slash - type) + 1 : 0;
    if (range->name == strlen(type) && strncasecmp(range->text, type, range->name) == 0) return 3;
    if (group && range->name == group + 1 && range->text[group] == '*' && strncasecmp(range->text, type, group) == 0)
        return 2;
    return range->name == 3 && memcmp(range->text, "*/*", 3) == 0;
}

static int weight(const struct range *range)
{
    const char *end = range->text + range->length;
    for (const char *at = range->text + range->name; at + 2 < end; at++) {
        if ((*at != ';' && *at != ' ') || (at[1] | 0x20) != 'q' || at[2] != '=') continue;
        double stated = strtod(at + 3, NULL);
        return stated > 0 && stated < 1 ? (int)(stated * WHOLE) : stated >= 1 ? WHOLE : 0;
    }
    return WHOLE;
}

static struct range read_range(const char *text)
{
    struct range range = { text, strcspn(text, ","), 0 };
    const char *parameters = memchr(text, ';', range.length);
    range.name = parameters ? (size_t)(parameters - text) : range.length;
    while (range.name && strchr(" \t", text[range.name - 1])) range.name--;
    return range;
}

int accept_weight(const char *accept, const char *type)
{
    int best = 0, taken = 0;
    if (!accept || !*accept) return WHOLE;
    while (*accept) {
        accept += strspn(accept, ", \t");
        struct range range = read_range(accept);
        int here = range.length ? precision(&range, type) : 0;
        if (here > best) {
            best = here;
            taken = weight(&range);
        }
        accept += range.length;
    }
    return taken;
}
