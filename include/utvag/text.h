/* What the service says to people, in Swedish and English, found by code. */
#pragma once
#include <stddef.h>

#include "utvag/arena.h"

enum { TEXT_TABLES = 64 };
enum language { SWEDISH, ENGLISH };

struct text {
    const char *code;
    int status;          /* the answer when a rule of PostgreSQL with this name stops a statement; 0: not such a rule */
    const char *pointer; /* the member such a rule is about, or NULL */
    const char *swedish;
    const char *english; /* {} stands for the error's argument */
};

extern const struct text text_platform[]; /* what the platform itself says; always searched */
/* Adds a table, ended by a row without code, before threads start. At most TEXT_TABLES. */
void text_add(const struct text *table);
const struct text *text_find(const char *code); /* NULL if there is none */
const struct text *text_at(size_t index);       /* of all tables in turn; NULL after the last */

/* The sentence for code: a plain one if the code has none of its own. */
const char *text_sentence(const char *code, enum language language);
/* The same in the arena, with its {} replaced by argument ("…" if that is NULL). */
const char *text_filled(struct arena *arena, const char *code, const char *argument, enum language language);
/* The reason phrase of an HTTP status. */
const char *text_reason(int status, enum language language);

/* The language that an Accept-Language value prefers (RFC 9110, 12.5.4); English when it names neither. */
enum language text_language(const char *accept_language);
