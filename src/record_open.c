#include <stdio.h>
#include <string.h>

#include "utvag/log.h"
#include "utvag/record.h"
#include "utvag/seal.h"
#include "utvag/service.h"

/* As a whole string before a colon it can only be a member's name, and the contract has no such member. */
static const char marker_name[] = "\"$seal\"";

enum { MARKER_FIELDS = 5 };

/* table/record/column/wrapped/sealed, each a part of the body's text. */
struct marker {
    const char *field[MARKER_FIELDS];
    size_t length[MARKER_FIELDS];
    const char *end; /* after the value */
    bool empty;      /* null: the key is gone, or nothing was sealed */
};

static const char *skip_blank(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t')) at++;
    return at;
}

/* Reads the value after the name at `at`. False if it is no marker. */
static bool marker_read(const char *at, const char *end, struct marker *marker)
{
    *marker = (struct marker){ .empty = true };
    at = skip_blank(at + sizeof marker_name - 1, end);
    if (at >= end || *at != ':') return false;
    at = skip_blank(at + 1, end);
    if (end - at >= 4 && memcmp(at, "null", 4) == 0) {
        marker->end = at + 4;
        return true;
    }
    if (at >= end || *at++ != '"') return false;
    for (int i = 0; i < MARKER_FIELDS; i++) {
        char stop = i + 1 < MARKER_FIELDS ? '/' : '"';
        const char *found = memchr(at, stop, (size_t)(end - at));
        if (!found) return false;
        marker->field[i] = at;
        marker->length[i] = (size_t)(found - at);
        at = found + 1;
    }
    marker->end = at;
    marker->empty = false;
    return true;
}

static bool is_marker(const char *at, const char *end)
{
    size_t length = sizeof marker_name - 1;
    return (size_t)(end - at) > length && memcmp(at, marker_name, length) == 0;
}

/* The end of the string whose opening quote is at `at`. */
static const char *string_end(const char *at, const char *end)
{
    while (++at < end && (at = memchr(at, '"', (size_t)(end - at)))) {
        const char *slash = at;
        while (slash[-1] == '\\') slash--;
        if ((at - slash) % 2 == 0) return at + 1;
    }
    return NULL;
}

/* What is no digit becomes some value or other, which no seal then fits. Without a branch, so that the compiler does
   many at once. */
static inline unsigned hex_value(char digit) { return ((unsigned)digit & 15) + ((unsigned)digit >> 6 & 1) * 9; }

static void hex_read(const char *restrict text, size_t bytes, unsigned char *restrict out)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (unsigned char)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
}

/* Opens the marker into out: a JSON object. Returns its length, 0 on failure. */
static size_t marker_open(struct request *rq, const struct marker *marker, unsigned char *out)
{
    const char *text[3];
    for (int i = 0; i < 3; i++) text[i] = arena_copy(rq->arena, marker->field[i], marker->length[i]);
    unsigned char wrapped[SEAL_WRAPPED], key[KEY_BYTES];
    size_t size = marker->length[4] / 2;
    unsigned char *sealed = arena_alloc(rq->arena, size + 1);
    bool readable = text[0] && text[1] && text[2] && sealed && marker->length[3] == 2 * SEAL_WRAPPED &&
                    marker->length[4] % 2 == 0 && size >= SEAL_OVERHEAD + 2;
    if (!readable) return 0;
    hex_read(marker->field[3], SEAL_WRAPPED, wrapped);
    hex_read(marker->field[4], size, sealed);
    struct seal_place place = { .table = text[0], .column = text[2], .record = text[1] };
    bool fine = seal_unwrap(rq->service->keyring, text[1], wrapped, sizeof wrapped, key) &&
                seal_open(key, &place, sealed, size, out);
    explicit_bzero(key, sizeof key);
    return fine ? size - SEAL_OVERHEAD : 0;
}

/* The roles whose callers see what is sealed. An auditor, the fund and the projects do not, whatever a view says, but where
   the contract opens an operation's seals to them. */
static bool opens_seals(const struct request *rq)
{
    unsigned closed = 1u << ROLE_AUDITOR | 1u << ROLE_FUND_MANAGER | 1u << ROLE_PROJECT_MANAGER | 1u << ROLE_INTAKE;
    closed &= ~rq->contract->opens;
    return !(rq->caller.known && closed & 1u << rq->caller.role);
}

/* Without a member in the marker's place, a comma beside it is one too many. */
static const char *drop_comma(const char *out, size_t *used, const char *rest, const char *end)
{
    if (*used && out[*used - 1] == ',') {
        --*used;
        return rest;
    }
    const char *next = skip_blank(rest, end);
    return next < end && *next == ',' ? next + 1 : rest;
}

/* Puts the members that a marker holds into out, without their braces. False if the seal is broken. */
static bool put_members(struct request *rq, const struct marker *marker, char *out, size_t *used, const char **rest,
                        const char *end)
{
    bool closed = marker->empty || !opens_seals(rq);
    size_t opened = closed ? 0 : marker_open(rq, marker, (unsigned char *)out + *used);
    *rest = marker->end;
    if (opened > 2) {
        memmove(out + *used, out + *used + 1, opened - 2);
        *used += opened - 2;
    } else {
        *rest = drop_comma(out, used, marker->end, end);
    }
    return closed || opened;
}

/* One pass from PostgreSQL's text to the answer's: white space between tokens goes, strings are copied whole, markers
   are opened. The answer is never longer: a seal in hexadecimal is twice its members. False if a seal is broken. */
static bool open_into(struct request *rq, const char *at, const char *end, char *out, size_t *used)
{
    struct marker marker;
    while (at < end) {
        if (*at == ' ' || *at == '\n') {
            at++;
        } else if (*at != '"') {
            out[(*used)++] = *at++;
        } else if (is_marker(at, end) && marker_read(at, end, &marker)) {
            if (!put_members(rq, &marker, out, used, &at, end)) return false;
        } else {
            const char *stop = string_end(at, end);
            if (!stop) return false;
            memcpy(out + *used, at, (size_t)(stop - at));
            *used += (size_t)(stop - at);
            at = stop;
        }
    }
    return true;
}

struct problem record_open(struct request *rq, const char *body, size_t length, const char **out, size_t *out_length)
{
    char *text = arena_alloc(rq->arena, length + 1);
    size_t used = 0;
    if (!text) return problem(500, "out_of_memory");
    if (!open_into(rq, body, body + length, text, &used)) {
        log_line(LOG_ERROR, "seal broken", "operation", rq->contract->id, "trace_id", rq->trace, NULL);
        return problem(500, "internal");
    }
    text[used] = '\0';
    *out = text;
    *out_length = used;
    return PROBLEM_NONE;
}

const char *record_wrapped_key(struct request *rq, const char *stored, const char *id)
{
    const char *at = stored, *end = stored + strlen(stored);
    struct marker marker;
    while ((at = strstr(at, marker_name))) {
        if (marker_read(at, end, &marker) && !marker.empty && marker.length[1] == strlen(id) &&
            memcmp(marker.field[1], id, strlen(id)) == 0)
            return arena_copy(rq->arena, marker.field[3], marker.length[3]);
        at++;
    }
    return NULL;
}
