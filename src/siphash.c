#include "utvag/siphash.h"

#include <endian.h>
#include <string.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t word, int bits) { return word << bits | word >> (64 - bits); }

static void mix(struct state *s, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        s->v0 += s->v1, s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0, s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v1, s->v0 += s->v3;
        s->v1 = rotate(s->v1, 17) ^ s->v2, s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 = rotate(s->v2, 32);
    }
}

static void take(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    mix(s, 2);
    s->v0 ^= word;
}

static uint64_t word_at(const unsigned char *bytes, size_t length)
{
    uint64_t word = 0;
    memcpy(&word, bytes, length);
    return le64toh(word);
}

uint64_t siphash(const unsigned char key[SIPHASH_KEY], const void *bytes, size_t length)
{
    uint64_t low = word_at(key, 8), high = word_at(key + 8, 8);
    struct state s = { low ^ 0x736f6d6570736575, high ^ 0x646f72616e646f6d, low ^ 0x6c7967656e657261,
                       high ^ 0x7465646279746573 };
    const unsigned char *at = bytes, *last = at + length / 8 * 8;
    for (; at < last; at += 8) take(&s, word_at(at, 8));
    take(&s, word_at(last, length % 8) | (uint64_t)length << 56);
    s.v2 ^= 0xff;
    mix(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
