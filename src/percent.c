#include "utvag/percent.h"

#include <string.h>

#include "utvag/request.h"

/* The length of the sequence that starts with lead and the least code point that needs it; 0 for no lead byte. */
static size_t sequence_length(unsigned char lead, unsigned *point, unsigned *least)
{
    static const struct {
        unsigned char mask, mark;
        unsigned least;
    } kinds[] = {
        { 0x80, 0x00, 1 },
        { 0xe0, 0xc0, 0x80 },
        { 0xf0, 0xe0, 0x800 },
        { 0xf8, 0xf0, 0x10000 },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((lead & kinds[i].mask) == kinds[i].mark) {
            *point = lead & (unsigned char)~kinds[i].mask;
            *least = kinds[i].least;
            return i + 1;
        }
    return 0;
}

bool percent_utf8(const char *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        unsigned point, least;
        size_t size = sequence_length((unsigned char)bytes[at], &point, &least);
        if (!size || size > length - at) return false;
        for (size_t i = 1; i < size; i++) {
            unsigned char next = (unsigned char)bytes[at + i];
            if ((next & 0xc0) != 0x80) return false;
            point = point << 6 | (next & 0x3f);
        }
        if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
        at += size;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *decode(struct arena *arena, const char *text, size_t length)
{
    char *out = arena_alloc(arena, length + 1);
    if (!out) return NULL;
    size_t size = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '%') {
            out[size++] = text[i] == '+' ? ' ' : text[i];
            continue;
        }
        if (length - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) return NULL;
        out[size++] = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
        i += 2;
    }
    return percent_utf8(out, size) ? out : NULL;
}

static bool decode_pair(struct arena *arena, const char *text, size_t length, struct pair *pair)
{
    const char *sign = memchr(text, '=', length);
    size_t name = sign ? (size_t)(sign - text) : length;
    if (!name) return false;
    pair->name = decode(arena, text, name);
    pair->value = sign ? decode(arena, sign + 1, length - name - 1) : "";
    return pair->name && pair->value;
}

const struct pair *percent_pairs(struct arena *arena, const char *text, size_t length)
{
    size_t most = 2; /* one more than the separators, and the last */
    for (size_t i = 0; i < length; i++) most += text[i] == '&';
    if (most > PERCENT_PAIRS + 2) return NULL;
    struct pair *pairs = arena_alloc(arena, most * sizeof *pairs);
    if (!pairs) return NULL;
    size_t count = 0;
    for (size_t at = 0; at < length;) {
        const char *end = memchr(text + at, '&', length - at);
        size_t size = end ? (size_t)(end - text) - at : length - at;
        if (size && !decode_pair(arena, text + at, size, &pairs[count++])) return NULL;
        at += size + 1;
    }
    return pairs;
}
