#include "utvag/uuid.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "utvag/digest.h"

enum { UUID_BYTES = 16 };

static bool is_dash_place(size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

static void write_text(unsigned char bytes[UUID_BYTES], int version, char out[UUID_SIZE])
{
    char digits[2 * UUID_BYTES + 1];
    const char *next = digits;

    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | (version << 4));
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    digest_hex(bytes, UUID_BYTES, digits);
    for (size_t i = 0; i < UUID_SIZE - 1; i++) out[i] = is_dash_place(i) ? '-' : *next++;
    out[UUID_SIZE - 1] = '\0';
}

void uuid_v4(char out[UUID_SIZE])
{
    unsigned char bytes[UUID_BYTES];
    digest_random(bytes, sizeof bytes);
    write_text(bytes, 4, out);
}

/* Milliseconds since 1970 in the upper 48 bits, their fraction in 12 bits below (RFC 9562, 6.2, method 3); never
   the same twice in this process, and never less than the last. */
static uint64_t tick(void)
{
    static _Atomic uint64_t last;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t milliseconds = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    uint64_t fraction = (uint64_t)now.tv_nsec % 1000000 * 4096 / 1000000;
    uint64_t mine = milliseconds << 12 | fraction;
    uint64_t seen = atomic_load(&last);

    do {
        if (mine <= seen) mine = seen + 1;
    } while (!atomic_compare_exchange_weak(&last, &seen, mine));
    return mine;
}

void uuid_v7(char out[UUID_SIZE])
{
    unsigned char bytes[UUID_BYTES];
    uint64_t time = tick();

    digest_chance(bytes, sizeof bytes);
    for (int i = 0; i < 6; i++) bytes[i] = (unsigned char)(time >> (52 - 8 * i));
    bytes[6] = (unsigned char)((time >> 8) & 0x0f);
    bytes[7] = (unsigned char)time;
    write_text(bytes, 7, out);
}

static bool is_lower_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool uuid_valid(const char *text)
{
    if (!text || strnlen(text, UUID_SIZE) != UUID_SIZE - 1) return false;
    for (size_t i = 0; i < UUID_SIZE - 1; i++)
        if (is_dash_place(i) ? text[i] != '-' : !is_lower_hex(text[i])) return false;
    return true;
}
