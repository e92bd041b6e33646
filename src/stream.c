#include "utvag/stream.h"

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/log.h"

struct stream {
    struct db_stream *rows;
    const struct stream_form *form;
    iconv_t charset;
    bool converts; /* charset is open */
    char *pending; /* what was read and not yet given: from `given` up to `held`, in memory of `room` */
    size_t held, given, room;
    enum stream_state state; /* of what is read */
    unsigned long long bytes;
    const char *route;
    char trace[33];
};

static bool make_room(struct stream *stream, size_t more)
{
    if (stream->room - stream->held >= more) return true;
    size_t room = 2 * (stream->held + more);
    char *pending = realloc(stream->pending, room);
    if (!pending) return false;
    stream->pending = pending;
    stream->room = room;
    return true;
}

/* Each character becomes one byte: what the charset lacks, a question mark. */
static void convert(struct stream *stream, const char *text, size_t length)
{
    char *in = (char *)text, *out = stream->pending + stream->held;
    size_t left = length, space = length;
    while (left && iconv(stream->charset, &in, &left, &out, &space) == (size_t)-1 && errno != E2BIG) {
        do in++, left--;
        while (left && (*in & 0xc0) == 0x80);
        *out++ = '?';
        space--;
    }
    stream->held = (size_t)(out - stream->pending);
}

static bool add(struct stream *stream, const char *text, size_t length)
{
    if (!make_room(stream, length)) return false;
    if (stream->converts) {
        convert(stream, text, length);
    } else if (length) {
        memcpy(stream->pending + stream->held, text, length);
        stream->held += length;
    }
    return true;
}

/* Takes one row more, or learns that there is none. */
static void take(struct stream *stream)
{
    const char *before, *text;
    size_t length;
    bool fine = true;
    stream->held = stream->given = 0;
    switch (db_stream_next(stream->rows, &before, &text, &length)) {
    case DB_STREAM_ROW: fine = (!before || add(stream, before, strlen(before))) && add(stream, text, length); break;
    case DB_STREAM_END:
        stream->state = STREAM_ENDED;
        fine = !stream->form->tail || add(stream, stream->form->tail, strlen(stream->form->tail));
        break;
    case DB_STREAM_LOST: fine = false;
    }
    if (!fine) stream->state = STREAM_BROKEN;
}

enum stream_state stream_read(struct stream *stream, char *out, size_t most, size_t *length)
{
    *length = 0;
    for (;;) {
        size_t ready = stream->held - stream->given, part = ready < most - *length ? ready : most - *length;
        if (part) memcpy(out + *length, stream->pending + stream->given, part);
        stream->given += part;
        *length += part;
        if (*length == most || (stream->given == stream->held && stream->state != STREAM_GOES_ON)) break;
        take(stream);
        if (stream->state == STREAM_BROKEN) stream->held = stream->given = 0;
    }
    stream->bytes += *length;
    return *length ? STREAM_GOES_ON : stream->state;
}

static bool open_charset(struct stream *stream)
{
    if (!stream->form->charset) return true;
    stream->charset = iconv_open(stream->form->charset, "UTF-8");
    stream->converts = (intptr_t)stream->charset != -1;
    return stream->converts;
}

struct problem stream_open(struct request *rq, const struct stream_form *form, size_t count, const char *const *values,
                           struct stream **stream)
{
    struct stream *made = calloc(1, sizeof *made);
    if (!made) return problem(500, "out_of_memory");
    made->form = form;
    made->route = rq->contract->path;
    memcpy(made->trace, rq->trace, sizeof made->trace);
    struct problem stop =
        open_charset(made) ? db_stream_open(rq, form->parts, count, values, &made->rows) : problem(500, "internal");
    if (stop.status)
        stream_close(made);
    else
        *stream = made;
    return stop;
}

/* A line for what was sent: the request's own was written before it began. */
static void log_end(const struct stream *stream)
{
    bool whole = stream->state == STREAM_ENDED && stream->given == stream->held;
    char bytes[24];
    snprintf(bytes, sizeof bytes, "%llu", stream->bytes);
    log_line(LOG_INFO, "stream", "route", stream->route, "bytes", bytes, "end",
             whole                            ? "whole"
             : stream->state == STREAM_BROKEN ? "broken"
                                              : "left",
             "trace_id", stream->trace, NULL);
}

void stream_close(struct stream *stream)
{
    if (!stream) return;
    if (stream->rows) log_end(stream);
    db_stream_close(stream->rows);
    if (stream->converts) iconv_close(stream->charset);
    free(stream->pending);
    free(stream);
}
