#include "utvag/totp.h"

#include <ctype.h>
#include <liboath/oath.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/digest.h"

enum { SECRET_BYTES = 20 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void start(void) { (void)oath_init(); }

bool totp_make(char out[TOTP_SECRET_SIZE])
{
    char chance[SECRET_BYTES], *text = NULL;
    size_t length = 0;

    digest_random(chance, sizeof chance);
    bool made =
        oath_base32_encode(chance, sizeof chance, &text, &length) == OATH_OK && text && length == TOTP_SECRET_SIZE - 1;
    if (made) memcpy(out, text, TOTP_SECRET_SIZE);
    if (text) explicit_bzero(text, length);
    explicit_bzero(chance, sizeof chance);
    free(text);
    return made;
}

/* liboath takes seven and eight digits for codes too. */
static bool is_code(const char *text)
{
    return strlen(text) == TOTP_DIGITS && strspn(text, "0123456789") == TOTP_DIGITS;
}

bool totp_match(const char *secret, const char *code, time_t now, long long *step)
{
    char *key = NULL;
    size_t length = 0;
    uint64_t counter = 0;

    pthread_once(&once, start);
    if (!secret || !code || !is_code(code) || oath_base32_decode(secret, strlen(secret), &key, &length) != OATH_OK)
        return false;
    bool matches = oath_totp_validate4(key, length, now, TOTP_STEP_SECONDS, OATH_TOTP_DEFAULT_START_TIME,
                                       TOTP_DRIFT_STEPS, NULL, &counter, 0, code) >= 0;
    *step = matches ? (long long)counter : 0;
    explicit_bzero(key, length);
    free(key);
    return matches;
}

/* Percent-encoded (RFC 3986, 2.1): what is not unreserved. NULL without memory. */
static const char *encode(struct arena *arena, const char *text)
{
    char *out = arena_alloc(arena, 3 * strlen(text) + 1), *to = out;

    for (; out && *text; text++)
        to += snprintf(to, 4, isalnum((unsigned char)*text) || strchr("-._~", *text) ? "%c" : "%%%02X",
                       (unsigned char)*text);
    return out;
}

const char *totp_uri(struct arena *arena, const char *issuer, const char *account, const char *secret)
{
    const char *from = encode(arena, issuer), *of = encode(arena, account);

    if (!from || !of) return NULL;
    return arena_text(arena, "otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=SHA1&digits=%d&period=%d", from, of,
                      secret, from, TOTP_DIGITS, TOTP_STEP_SECONDS);
}
