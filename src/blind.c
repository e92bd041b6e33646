#include "utvag/blind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

#include "utvag/digest.h"
#include "utvag/identity.h"

enum { PHONE_DIGITS = 32, INFO_BYTES = 96 };

/* HKDF-Expand (RFC 5869, 2.3) of one block; the ring's keys are uniform, so that Extract is not needed. */
static bool derive(const struct keyring *ring, enum key_use use, const char *purpose, unsigned char out[KEY_BYTES])
{
    const unsigned char *root = keyring_key(ring, use, keyring_version(ring, use));
    char info[INFO_BYTES];
    int length = snprintf(info, sizeof info, "utvag %s %s\x01", use == KEY_MAC ? "mac" : "blind", purpose);

    if (!root || length < 0 || (size_t)length >= sizeof info) return false;
    digest_hmac(root, info, (size_t)length, out);
    return true;
}

static bool keyed(const struct keyring *ring, enum key_use use, const char *purpose, const void *bytes, size_t length,
                  unsigned char out[BLIND_BYTES])
{
    unsigned char key[KEY_BYTES];
    if (!derive(ring, use, purpose, key)) return false;
    digest_hmac(key, bytes, length, out);
    explicit_bzero(key, sizeof key);
    return true;
}

bool blind_mac(const struct keyring *ring, const char *purpose, const void *bytes, size_t length,
               unsigned char out[BLIND_BYTES])
{
    return keyed(ring, KEY_MAC, purpose, bytes, length, out);
}

/* NFKC, casefolded, without marks and invisible characters. malloc'd; NULL if it is not UTF-8. */
static char *fold(const char *value)
{
    utf8proc_uint8_t *folded = NULL;
    utf8proc_ssize_t length = utf8proc_map((const utf8proc_uint8_t *)value, 0, &folded,
                                           UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE |
                                               UTF8PROC_CASEFOLD | UTF8PROC_IGNORE | UTF8PROC_STRIPMARK);
    return length < 0 ? NULL : (char *)folded;
}

static void wipe_free(char *text)
{
    if (text) explicit_bzero(text, strlen(text));
    free(text);
}

enum kind { LETTER, DIGIT, SPACE, APOSTROPHE, OTHER };

static enum kind kind_of(utf8proc_int32_t point)
{
    if (point == 0x27 || point == 0x2019 || point == 0x2bc || point == 0x60 || point == 0xb4) return APOSTROPHE;
    switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return DIGIT;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CC: return SPACE;
    default: return OTHER;
    }
}

/* The next character of a folded text; 0 at its end. */
static size_t next_point(const char *text, utf8proc_int32_t *point)
{
    if (!*text) return 0;
    utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, point);
    return length > 0 ? (size_t)length : 0;
}

/* Both shorten a folded text in place, and return what is left of it. */

static size_t keep_letters_and_digits(char *text)
{
    utf8proc_int32_t point;
    size_t kept = 0, length;

    for (const char *at = text; (length = next_point(at, &point)) > 0; at += length) {
        enum kind kind = kind_of(point);
        if (kind != LETTER && kind != DIGIT) continue;
        memmove(text + kept, at, length);
        kept += length;
    }
    return kept;
}

static size_t join_spaces(char *text)
{
    utf8proc_int32_t point;
    size_t kept = 0, length;
    bool gap = false;

    for (const char *at = text; (length = next_point(at, &point)) > 0; at += length) {
        if (kind_of(point) == SPACE) {
            gap = kept > 0;
            continue;
        }
        if (gap) text[kept++] = ' ';
        gap = false;
        memmove(text + kept, at, length);
        kept += length;
    }
    return kept;
}

/* The digits of a folded text, at most PHONE_DIGITS; 0 if there are more. */
static size_t digits_of(const char *folded, char out[PHONE_DIGITS + 1])
{
    size_t count = 0;

    for (const char *at = folded; *at; at++) {
        if (*at < '0' || *at > '9') continue;
        if (count == PHONE_DIGITS) return 0;
        out[count++] = *at;
    }
    out[count] = '\0';
    return count;
}

/* Swedes write 070-…, +46 70 …, +46 (0)70 … and 0046 70 … for one number. */
static size_t normal_phone(const char *folded, char out[PHONE_DIGITS + 4])
{
    char digits[PHONE_DIGITS + 1];
    const char *rest = digits, *country = "";
    bool international = folded[strcspn(folded, "+0123456789")] == '+';

    if (digits_of(folded, digits) == 0) return 0;
    if (!international && strncmp(rest, "00", 2) == 0) {
        international = true;
        rest += 2;
    }
    bool trunk = international ? strncmp(rest, "460", 3) == 0 : *rest == '0';
    if (trunk) {
        country = "46";
        rest += international ? 3 : 1;
    }
    return (size_t)snprintf(out, PHONE_DIGITS + 4, "+%s%s", country, rest);
}

/* The stored form, if it is a number that we know: one person is found however her number was written. */
static bool stored_form(const char *value, char out[IDENTITY_SIZE])
{
    size_t length = strlen(value);
    time_t now = time(NULL);
    struct tm today;

    gmtime_r(&now, &today);
    return identity_personnummer(value, length, &today, out) ||
           identity_samordningsnummer(value, length, &today, out) || identity_interim(value, length, out) ||
           identity_lma(value, length, out);
}

bool blind_token(const struct keyring *ring, const char *index, const char *value, unsigned char out[BLIND_BYTES])
{
    char stored[IDENTITY_SIZE], phone[PHONE_DIGITS + 4];
    bool number = strcmp(index, "identity_number") == 0;
    bool telephone = strcmp(index, "phone") == 0;
    char *folded = fold(number && stored_form(value, stored) ? stored : value);

    if (!folded) return false;
    size_t length = number      ? keep_letters_and_digits(folded)
                    : telephone ? normal_phone(folded, phone)
                                : join_spaces(folded);
    bool made = length > 0 && keyed(ring, KEY_BLIND, index, telephone ? phone : folded, length, out);
    wipe_free(folded);
    explicit_bzero(stored, sizeof stored);
    explicit_bzero(phone, sizeof phone);
    return made;
}

/* Puts the next word at the start of text's free part; false when there is none. */
static bool next_word(const char **at, char *word, size_t *length)
{
    utf8proc_int32_t point;
    size_t step;

    *length = 0;
    for (; (step = next_point(*at, &point)) > 0; *at += step) {
        enum kind kind = kind_of(point);
        if (kind == APOSTROPHE) continue;
        if (kind == LETTER || kind == DIGIT) {
            memcpy(word + *length, *at, step);
            *length += step;
        } else if (*length > 0) {
            break;
        }
    }
    return *length > 0;
}

static bool is_among(unsigned char (*tokens)[BLIND_BYTES], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(tokens[i], tokens[count], BLIND_BYTES) == 0) return true;
    return false;
}

size_t blind_name_tokens(const struct keyring *ring, const char *names, const char *birth_date,
                         unsigned char (*out)[BLIND_BYTES], size_t most)
{
    size_t count = 0, length, dated = birth_date ? strlen(birth_date) : 0;
    char *folded = dated == sizeof "YYYY-MM-DD" - 1 ? fold(names) : NULL;
    char *bound = folded ? malloc(dated + strlen(folded) + 1) : NULL;
    const char *at = folded;

    if (bound) memcpy(bound, birth_date, dated);
    while (bound && count < most && next_word(&at, bound + dated, &length)) {
        if (!keyed(ring, KEY_BLIND, "name", bound, dated + length, out[count])) break;
        if (!is_among(out, count)) count++;
    }
    if (bound) explicit_bzero(bound, dated + strlen(folded) + 1);
    free(bound);
    wipe_free(folded);
    return count;
}
