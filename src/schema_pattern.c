#define PCRE2_CODE_UNIT_WIDTH 8
#include "utvag/schema_pattern.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What matching may cost: far above what an honest text needs, far below what would hold up a worker. */
enum { MATCH_STEPS = 100000, DEPTH_STEPS = 1000 };

struct schema_pattern {
    bool is_class;     /* ^[…]+$, the form of what is in every request: read from a table */
    bool members[128]; /* the ASCII characters of the class */
    pcre2_code *code;
    pcre2_match_context *limits;
    char *text;
};

static bool found(const struct schema_pattern *pattern, const char *text, size_t length)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (!data) return false;
    int count = pcre2_match(pattern->code, (PCRE2_SPTR)text, length, 0, 0, data, pattern->limits);
    pcre2_match_data_free(data);
    return count >= 0;
}

/* Which characters are in the class, PCRE2 itself says. */
static void read_class(struct schema_pattern *pattern)
{
    const char *text = pattern->text;
    size_t length = strlen(text);
    if (length < 6 || memcmp(text, "^[", 2) != 0 || memcmp(text + length - 3, "]+$", 3) != 0) return;
    pattern->is_class = strcspn(text + 2, "[]\\") == length - 5;
    for (int c = 0; pattern->is_class && c < 128; c++) pattern->members[c] = found(pattern, (char[]){ (char)c }, 1);
}

struct schema_pattern *schema_pattern_new(const char *text, char *error, size_t error_size)
{
    int number;
    PCRE2_SIZE offset;
    struct schema_pattern *pattern = calloc(1, sizeof *pattern);

    *error = '\0';
    if (!pattern) return NULL;
    pattern->text = strdup(text);
    pattern->limits = pcre2_match_context_create(NULL);
    pattern->code =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &number, &offset, NULL);
    if (!pattern->code) {
        PCRE2_UCHAR reason[120];
        pcre2_get_error_message(number, reason, sizeof reason);
        snprintf(error, error_size, "at %zu: %s", (size_t)offset, (const char *)reason);
    }
    if (!pattern->code || !pattern->limits || !pattern->text) {
        schema_pattern_free(pattern);
        return NULL;
    }
    pcre2_set_match_limit(pattern->limits, MATCH_STEPS);
    pcre2_set_depth_limit(pattern->limits, DEPTH_STEPS);
    read_class(pattern);
    return pattern;
}

void schema_pattern_free(struct schema_pattern *pattern)
{
    if (!pattern) return;
    pcre2_code_free(pattern->code);
    pcre2_match_context_free(pattern->limits);
    free(pattern->text);
    free(pattern);
}

const char *schema_pattern_text(const struct schema_pattern *pattern) { return pattern->text; }

bool schema_pattern_matches(const struct schema_pattern *pattern, const char *text, size_t length)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    if (!pattern->is_class) return found(pattern, text, length);
    while (at < end && *at < 128 && pattern->members[*at]) at++;
    /* Beyond ASCII PCRE2 is asked. */
    return at < end && *at >= 128 ? found(pattern, text, length) : at == end && length > 0;
}
