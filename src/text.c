#include "utvag/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct text *tables[TEXT_TABLES] = { text_platform };
static int table_count = 1;

void text_add(const struct text *table)
{
    if (table_count == TEXT_TABLES) abort(); /* a programmer's error, seen at the first start */
    tables[table_count++] = table;
}

const struct text *text_find(const char *code)
{
    for (int i = 0; code && i < table_count; i++)
        for (const struct text *row = tables[i]; row->code; row++)
            if (strcmp(row->code, code) == 0) return row;
    return NULL;
}

const struct text *text_at(size_t index)
{
    for (int i = 0; i < table_count; i++)
        for (const struct text *row = tables[i]; row->code; row++)
            if (!index--) return row;
    return NULL;
}

const char *text_sentence(const char *code, enum language language)
{
    const struct text *text = text_find(code);
    if (!text) return language == SWEDISH ? "Se code." : "See code.";
    return language == SWEDISH ? text->swedish : text->english;
}

const char *text_filled(struct arena *arena, const char *code, const char *argument, enum language language)
{
    const char *text = text_sentence(code, language);
    const char *gap = strstr(text, "{}");
    if (!gap) return text;
    const char *filled = arena_text(arena, "%.*s%s%s", (int)(gap - text), text, argument ? argument : "…", gap + 2);
    return filled ? filled : text;
}

const char *text_reason(int status, enum language language)
{
    static const struct {
        int status;
        const char *swedish, *english;
    } reasons[] = {
        { 400, "Felaktigt anrop", "Bad request" },
        { 401, "Inte inloggad", "Unauthorized" },
        { 403, "Inte tillåtet", "Forbidden" },
        { 404, "Finns inte", "Not found" },
        { 405, "Fel metod", "Method not allowed" },
        { 406, "Format saknas", "Not acceptable" },
        { 408, "För långsamt", "Request timeout" },
        { 409, "Konflikt", "Conflict" },
        { 410, "Borttaget", "Gone" },
        { 412, "Ändrat av någon annan", "Precondition failed" },
        { 413, "För stort", "Content too large" },
        { 414, "För lång adress", "URI too long" },
        { 415, "Formatet stöds inte", "Unsupported media type" },
        { 422, "Innehållet är fel", "Unprocessable content" },
        { 428, "Villkor saknas", "Precondition required" },
        { 429, "För många anrop", "Too many requests" },
        { 500, "Internt fel", "Internal server error" },
        { 501, "Stöds inte", "Not implemented" },
        { 503, "Inte tillgängligt just nu", "Service unavailable" },
        { 504, "Svar dröjer", "Gateway timeout" },
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status) return language == SWEDISH ? reasons[i].swedish : reasons[i].english;
    return language == SWEDISH ? "Fel" : "Error";
}

/* The weight of a range such as sv-SE;q=0.8, in thousandths. */
static int range_weight(const char *range, size_t length)
{
    const char *parameter = memchr(range, ';', length);
    if (!parameter) return 1000;
    parameter += 1 + strspn(parameter + 1, " \t");
    if (parameter + 2 >= range + length || strncasecmp(parameter, "q=", 2) != 0) return 1000;
    double weight = strtod(parameter + 2, NULL);
    return weight > 0 && weight <= 1 ? (int)(weight * 1000 + 0.5) : 0;
}

enum language text_language(const char *accept_language)
{
    int swedish = 0, english = 0;
    for (const char *at = accept_language; at && *at;) {
        at += strspn(at, ", \t");
        size_t length = strcspn(at, ",");
        int weight = range_weight(at, length);
        bool whole = length == 2 || (length > 2 && strchr("-; \t", at[2]));
        if (whole && strncasecmp(at, "sv", 2) == 0 && weight > swedish) swedish = weight;
        if (whole && strncasecmp(at, "en", 2) == 0 && weight > english) english = weight;
        at += length;
    }
    /* What both prefer equally is told by order. */
    if (swedish != english) return swedish > english ? SWEDISH : ENGLISH;
    const char *first_sv = swedish ? strcasestr(accept_language, "sv") : NULL;
    const char *first_en = english ? strcasestr(accept_language, "en") : NULL;
    return first_sv && first_en && first_sv < first_en ? SWEDISH : ENGLISH;
}
