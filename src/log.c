#include "utvag/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A line is one write of at most PIPE_BUF bytes, so that lines of several threads never mix. */
enum { LINE = 4096, TAIL = 3 /* quote, brace, newline */ };

struct line {
    char bytes[LINE];
    size_t length;
    bool full; /* what did not fit is left out, and the line stays JSON */
};

static atomic_int threshold = LOG_INFO;

void log_open(enum log_level least) { atomic_store(&threshold, (int)least); }

static void line_put(struct line *line, const char *bytes, size_t length)
{
    if (line->full || line->length + length > LINE - TAIL) {
        line->full = true;
        return;
    }
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
}

/* The length of the UTF-8 sequence at text, or 0 if there is none (RFC 3629). */
static size_t sequence_length(const unsigned char *text)
{
    size_t length = text[0] >= 0xf0 && text[0] <= 0xf4 ? 4 : text[0] >= 0xe0 ? 3 : text[0] >= 0xc2 ? 2 : 0;
    if (text[0] > 0xf4) return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80) return 0;
    bool overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
    bool surrogate = text[0] == 0xed && text[1] >= 0xa0;
    bool above = text[0] == 0xf4 && text[1] >= 0x90;
    return overlong || surrogate || above ? 0 : length;
}

/* How much of the text, of `most` bytes, goes in as it is. */
static size_t plain_length(const unsigned char *text, size_t most)
{
    size_t length = 0;
    while (length < most && text[length] >= 0x20 && text[length] < 0x7f && text[length] != '"' && text[length] != '\\')
        length++;
    return length;
}

static void line_put_escaped(struct line *line, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at && !line->full) {
        size_t plain = plain_length(at, LINE - TAIL - line->length);
        line_put(line, (const char *)at, plain);
        at += plain;
        if (!*at) return;
        size_t length = *at < 0x80 ? 1 : sequence_length(at);
        if (length == 0) {
            line_put(line, "\xef\xbf\xbd", 3); /* U+FFFD */
            length = 1;
        } else if (*at < 0x20 || *at == 0x7f) {
            static const char digits[] = "0123456789abcdef";
            line_put(line, (char[]){ '\\', 'u', '0', '0', digits[*at >> 4], digits[*at & 15] }, 6);
        } else if (*at == '"' || *at == '\\') {
            line_put(line, (char[]){ '\\', (char)*at }, 2);
        } else {
            line_put(line, (const char *)at, length);
        }
        at += length;
    }
}

/* A member goes in whole, or cut in its value, or not at all. */
static void line_put_member(struct line *line, const char *name, const char *value)
{
    size_t needed = strlen(name) + 8;
    if (line->full || line->length + needed > LINE - TAIL) {
        line->full = true;
        return;
    }
    line_put(line, line->length > 1 ? ",\"" : "\"", line->length > 1 ? 2 : 1);
    line_put(line, name, strlen(name));
    line_put(line, "\":\"", 3);
    line_put_escaped(line, value);
    line->bytes[line->length++] = '"'; /* its room is in TAIL */
}

static void line_put_time(struct line *line)
{
    struct timespec now;
    struct tm parts;
    char text[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + length, sizeof text - length, ".%03ldZ", now.tv_nsec / 1000000);
    line_put_member(line, "time", text);
}

void log_line(enum log_level level, const char *message, ...)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    if ((int)level < atomic_load(&threshold)) return;

    struct line line = { .bytes = "{", .length = 1 };
    line_put_time(&line);
    line_put_member(&line, "level", names[level]);
    line_put_member(&line, "message", message);
    va_list pairs;
    va_start(pairs, message);
    for (const char *name; (name = va_arg(pairs, const char *));) {
        const char *value = va_arg(pairs, const char *);
        if (value) line_put_member(&line, name, value);
    }
    va_end(pairs);
    line.bytes[line.length++] = '}';
    line.bytes[line.length++] = '\n';
    /* Where standard error is gone nobody is left to be told. */
    if (write(STDERR_FILENO, line.bytes, line.length) < 0) return;
}
