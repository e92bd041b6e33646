/* Answers longer than memory: the rows of one snapshot of PostgreSQL, sent on while they are read. A stream is made by
   resource_stream, belongs to the response, and ends with it; only server.c reads it, in the connection's thread. An answer that
   could not be read to its end is broken off, and never looks whole. */
#pragma once
#include <stddef.h>

#include "utvag/db.h"

struct stream;

/* One media type that the same content can be had in. */
struct stream_form {
    const char *type;    /* as the contract has it */
    const char *charset; /* iconv's name of what the text is sent in, '?' for what that lacks; NULL: UTF-8 */
    const struct stream_part *parts; /* one after the other, ended by a part without sql */
    const char *tail;                /* what ends the whole, or NULL */
};

enum stream_state { STREAM_GOES_ON, STREAM_ENDED, STREAM_BROKEN };

/* Makes the stream of a form for rq: values are those of $1… in the form's parts, each text, and may go once this returns.
   Nothing is sent before the first rows are here, nor before the audit log has the reading, where the operation is audited. */
struct problem stream_open(struct request *rq, const struct stream_form *form, size_t count, const char *const *values,
                           struct stream **stream) __attribute__((warn_unused_result));
/* The next bytes, `most` at most; *length is above zero while it goes on. Waits for PostgreSQL, never for the client. */
enum stream_state stream_read(struct stream *stream, char *out, size_t most, size_t *length);
void stream_close(struct stream *stream); /* NULL is allowed */
