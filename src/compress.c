#include "utvag/compress.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#define ZLIB_CONST
#include <zlib.h>

/* A small window: 64 KB of memory for an answer in place of 256, and hardly more bytes. */
enum { LEAST = 1024, LEVEL = 4, GZIP_WINDOW = 13 + 16, MEMORY_LEVEL = 6 };

/* Whether Accept-Encoding names gzip (or *) with a weight above zero. */
static bool takes_gzip(const char *accept)
{
    while (accept && *accept) {
        accept += strspn(accept, ", \t");
        size_t length = strcspn(accept, ","), name = strcspn(accept, ",; \t");
        bool named = (name == 4 && strncasecmp(accept, "gzip", 4) == 0) || (name == 1 && *accept == '*');
        if (named) {
            const char *weight = memmem(accept, length, "q=", 2);
            return !weight || strtod(weight + 2, NULL) > 0;
        }
        accept += length;
    }
    return false;
}

static bool is_text(const char *type)
{
    return type && (strstr(type, "json") || strstr(type, "yaml") || strncmp(type, "text/", 5) == 0);
}

static bool may_compress(const struct request *rq, const struct response *rs)
{
    if (rs->length < LEAST || rs->status != 200 || !rq->contract || !is_text(rs->type)) return false;
    return strcmp(rq->contract->method, "GET") == 0 || rq->contract->personal;
}

static void *take(void *arena, unsigned count, unsigned size) { return arena_alloc(arena, (size_t)count * size); }

static void leave(void *arena, void *piece) { (void)arena, (void)piece; /* goes with the arena */ }

/* The gzip form in the arena, if it is shorter; NULL otherwise. */
static const char *deflated(struct arena *arena, const char *body, size_t length, size_t *size)
{
    z_stream stream = { .zalloc = take, .zfree = leave, .opaque = arena };
    if (deflateInit2(&stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) return NULL;
    char *out = arena_alloc(arena, length);
    if (!out || length > UINT32_MAX) return NULL;
    stream.next_in = (const Bytef *)body;
    stream.avail_in = (uInt)length;
    stream.next_out = (Bytef *)out;
    stream.avail_out = (uInt)length;
    bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    *size = stream.total_out;
    deflateEnd(&stream);
    return done ? out : NULL;
}

void compress_answer(const struct request *rq, struct response *rs)
{
    if (!may_compress(rq, rs) || !takes_gzip(request_list(rq, "Accept-Encoding"))) return;
    size_t size;
    const char *body = deflated(rq->arena, rs->body, rs->length, &size);
    if (!body) return;
    rs->body = body;
    rs->length = size;
    response_header(rs, "Content-Encoding", "gzip");
    if (!rs->etag) return;
    const char *etag = arena_text(rq->arena, "%.*s-gzip\"", (int)strlen(rs->etag) - 1, rs->etag);
    if (etag) rs->etag = etag;
}
