#include <stdio.h>
#include <string.h>

#include "utvag/log.h"
#include "utvag/record.h"
#include "utvag/seal.h"
#include "utvag/service.h"

/* A quote inside a JSON string is escaped, so this, before a colon, can only be a member's name. */
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

static const char *marker_find(const char *at, const char *end, struct marker *marker)
{
    while ((at = memmem(at, (size_t)(end - at), marker_name, sizeof marker_name - 1))) {
        if (marker_read(at, end, marker)) return at;
        at += sizeof marker_name - 1;
    }
    return NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_read(const char *text, size_t length, unsigned char *out)
{
    if (length % 2) return false;
    for (size_t i = 0; i < length; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) return false;
        out[i / 2] = (unsigned char)(high << 4 | low);
    }
    return true;
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
                    size >= SEAL_OVERHEAD + 2 && hex_read(marker->field[3], marker->length[3], wrapped) &&
                    hex_read(marker->field[4], marker->length[4], sealed);
    if (!readable) return 0;
    struct seal_place place = { .table = text[0], .column = text[2], .record = text[1] };
    bool fine = seal_unwrap(rq->service->keyring, text[1], wrapped, sizeof wrapped, key) &&
                seal_open(key, &place, sealed, size, out);
    explicit_bzero(key, sizeof key);
    return fine ? size - SEAL_OVERHEAD : 0;
}

/* The roles whose callers see what is sealed. An auditor, the fund and the projects never do, whatever a view says. */
static bool opens_seals(const struct request *rq)
{
    unsigned closed = 1u << ROLE_AUDITOR | 1u << ROLE_FUND_MANAGER | 1u << ROLE_PROJECT_MANAGER | 1u << ROLE_INTAKE;
    return !(rq->caller.known && closed & 1u << rq->caller.role);
}

/* Without a member in the marker's place, a comma beside it is one too many. */
static const char *drop_comma(char *out, size_t *used, const char *rest, const char *end)
{
    size_t at = *used;
    while (at && (out[at - 1] == ' ' || out[at - 1] == '\n')) at--;
    if (at && out[at - 1] == ',') {
        *used = at - 1;
        return rest;
    }
    const char *next = skip_blank(rest, end);
    return next < end && *next == ',' ? skip_blank(next + 1, end) : rest;
}

struct problem record_open(struct request *rq, const char *body, size_t length, const char **out, size_t *out_length)
{
    const char *at = body, *end = body + length, *found;
    struct marker marker;
    bool may = opens_seals(rq);
    char *text = arena_alloc(rq->arena, length + 1);
    if (!text) return problem(500, "out_of_memory");
    size_t used = 0;
    while ((found = marker_find(at, end, &marker))) {
        memcpy(text + used, at, (size_t)(found - at));
        used += (size_t)(found - at);
        size_t opened = may && !marker.empty ? marker_open(rq, &marker, (unsigned char *)text + used) : 0;
        if (may && !marker.empty && !opened) {
            log_line(LOG_ERROR, "seal broken", "operation", rq->contract->id, "trace_id", rq->trace, NULL);
            return problem(500, "internal");
        }
        if (opened > 2) { /* the members without their braces */
            memmove(text + used, text + used + 1, opened - 2);
            used += opened - 2;
            at = marker.end;
        } else {
            at = drop_comma(text, &used, marker.end, end);
        }
    }
    memcpy(text + used, at, (size_t)(end - at));
    used += (size_t)(end - at);
    text[used] = '\0';
    *out = text;
    *out_length = used;
    return PROBLEM_NONE;
}

const char *record_wrapped_key(struct request *rq, const char *stored, const char *id)
{
    const char *at = stored, *end = stored + strlen(stored);
    struct marker marker;
    while ((at = marker_find(at, end, &marker))) {
        bool same = !marker.empty && marker.length[1] == strlen(id) && memcmp(marker.field[1], id, strlen(id)) == 0;
        if (same) return arena_copy(rq->arena, marker.field[3], marker.length[3]);
        at = marker.end;
    }
    return NULL;
}
