/* The regular expressions of a contract. PCRE2 is used in this file only. Const once made; safe from any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct schema_pattern;

/* UTF-8; `$` is the end of the text only. NULL, with the reason in error, if text is no pattern. */
struct schema_pattern *schema_pattern_new(const char *text, char *error, size_t error_size);
void schema_pattern_free(struct schema_pattern *pattern);
const char *schema_pattern_text(const struct schema_pattern *pattern);

/* Whether the pattern is found anywhere in text. False as well where the work exceeds its limit: it fails closed. */
bool schema_pattern_matches(const struct schema_pattern *pattern, const char *text, size_t length);
