#include "utvag/base64url.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(const void *bytes, size_t length, char *out)
{
    const unsigned char *in = bytes;
    uint32_t bits = 0;
    unsigned held = 0;

    for (size_t i = 0; i < length; i++) {
        bits = (bits << 8) | in[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            *out++ = alphabet[(bits >> held) & 63];
        }
    }
    if (held > 0) *out++ = alphabet[(bits << (6 - held)) & 63];
    *out = '\0';
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_decode(const char *text, size_t length, unsigned char *out, size_t *out_length)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t filled = 0;

    if (length % 4 == 1) return false;
    for (size_t i = 0; i < length; i++) {
        int value = value_of(text[i]);
        if (value < 0) return false;
        bits = (bits << 6) | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[filled++] = (unsigned char)(bits >> held);
        }
    }
    if (bits & ((1u << held) - 1)) return false;
    *out_length = filled;
    return true;
}
