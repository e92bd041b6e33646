#include "utvag/format.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "utvag/account_number.h"
#include "utvag/identity.h"
#include "utvag/password.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/* shape: 9 stands for a digit, every other character for itself. */
static bool has_shape(const char *text, const char *shape)
{
    for (; *shape; text++, shape++)
        if (*shape == '9' ? !is_digit(*text) : *text != *shape) return false;
    return true;
}

static int number(const char *text, size_t count)
{
    int value = 0;
    for (size_t i = 0; i < count; i++) value = value * 10 + text[i] - '0';
    return value;
}

static bool is_date(const char *text, size_t length)
{
    return length == 10 && has_shape(text, "9999-99-99") &&
           identity_date_exists(number(text, 4), number(text + 5, 2), number(text + 8, 2));
}

/* Z or an offset, in minutes. No zone is further away than 14 hours, and PostgreSQL refuses 16. */
static bool read_zone(const char *text, size_t length, int *minutes)
{
    *minutes = 0;
    if (length == 1) return *text == 'Z' || *text == 'z';
    if (length != 6 || (*text != '+' && *text != '-') || !has_shape(text + 1, "99:99")) return false;
    int hours = number(text + 1, 2), rest = number(text + 4, 2);
    *minutes = (hours * 60 + rest) * (*text == '-' ? -1 : 1);
    return hours <= 15 && rest <= 59;
}

/* RFC 3339. A leap second is the last of a UTC day. */
static bool is_date_time(const char *text, size_t length)
{
    enum { DAY = 10, CLOCK = 8, FRACTION = 9, MINUTES = 24 * 60 };
    if (length < DAY + 1 + CLOCK + 1 || !is_date(text, DAY)) return false;
    const char *clock = text + DAY + 1, *at = clock + CLOCK, *end = text + length;
    if ((text[DAY] != 'T' && text[DAY] != 't') || !has_shape(clock, "99:99:99")) return false;
    if (*at == '.') {
        const char *fraction = ++at;
        while (at < end && is_digit(*at)) at++;
        if (at == fraction || at - fraction > FRACTION) return false;
    }
    int zone, hour = number(clock, 2), minute = number(clock + 3, 2), second = number(clock + 6, 2);
    if (at >= end || !read_zone(at, (size_t)(end - at), &zone)) return false;
    if (hour > 23 || minute > 59 || second > 60) return false;
    return second < 60 || (hour * 60 + minute - zone + MINUTES) % MINUTES == MINUTES - 1;
}

/* A dot-atom: words of the given further characters, set apart by single dots. */
static bool is_dotted(const char *text, size_t length, const char *further)
{
    for (size_t i = 0; i < length; i++) {
        bool dot = text[i] == '.';
        if (dot && (i == 0 || i + 1 == length || text[i + 1] == '.')) return false;
        if (!dot && !is_letter(text[i]) && !is_digit(text[i]) && (!text[i] || !strchr(further, text[i]))) return false;
    }
    return length > 0;
}

static bool is_domain(const char *text, size_t length)
{
    if (!is_dotted(text, length, "-") || !memchr(text, '.', length)) return false;
    for (size_t i = 0, start = 0; i <= length; i++) {
        if (i < length && text[i] != '.') continue;
        if (i - start > 63 || text[start] == '-' || text[i - 1] == '-') return false;
        start = i + 1;
    }
    return true;
}

/* The addresses of RFC 5321 that are in use: no quoted local part, no address literal. */
static bool is_email(const char *text, size_t length)
{
    const char *at = memchr(text, '@', length);
    if (!at || length > 254) return false;
    size_t local = (size_t)(at - text);
    return local <= 64 && is_dotted(text, local, "!#$%&'*+-/=?^_`{|}~") && is_domain(at + 1, length - local - 1);
}

/* Lower case, so that no two spellings name one record (RFC 9562 gives this form). */
static bool is_uuid(const char *text, size_t length)
{
    if (length != 36) return false;
    for (size_t i = 0; i < length; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? text[i] != '-' : !is_hex(text[i]) || (text[i] >= 'A' && text[i] <= 'F')) return false;
    }
    return true;
}

/* RFC 3986: a scheme, then only the characters of a URI, escapes being whole. */
static bool is_uri(const char *text, size_t length)
{
    size_t scheme = 0;
    while (scheme < length &&
           (is_letter(text[scheme]) || is_digit(text[scheme]) || (text[scheme] && strchr("+-.", text[scheme]))))
        scheme++;
    if (!scheme || !is_letter(text[0]) || scheme + 1 >= length || text[scheme] != ':') return false;
    for (size_t i = scheme + 1; i < length; i++) {
        if (text[i] == '%') {
            if (i + 2 >= length || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
            i += 2;
        } else if (!is_letter(text[i]) && !is_digit(text[i]) &&
                   (!text[i] || !strchr("-._~:/?#[]@!$&'()*+,;=", text[i]))) {
            return false;
        }
    }
    return true;
}

static struct tm today(void)
{
    time_t now = time(NULL);
    struct tm day;
    localtime_r(&now, &day);
    return day;
}

static bool is_personnummer(const char *text, size_t length)
{
    char out[IDENTITY_SIZE];
    struct tm day = today();
    return identity_personnummer(text, length, &day, out);
}

static bool is_samordningsnummer(const char *text, size_t length)
{
    char out[IDENTITY_SIZE];
    struct tm day = today();
    return identity_samordningsnummer(text, length, &day, out);
}

static bool is_interim(const char *text, size_t length)
{
    char out[IDENTITY_SIZE];
    return identity_interim(text, length, out);
}

static bool is_lma(const char *text, size_t length)
{
    char out[IDENTITY_SIZE];
    return identity_lma(text, length, out);
}

static bool is_organisationsnummer(const char *text, size_t length)
{
    char out[IDENTITY_SIZE];
    return identity_organisation(text, length, out);
}

/* The counties are 01, 03-10, 12-14 and 17-25. Which municipalities they have is data. */
static bool is_kommunkod(const char *text, size_t length)
{
    if (length != 4 || !has_shape(text, "9999")) return false;
    int county = number(text, 2);
    return county >= 1 && county <= 25 && county != 2 && county != 11 && county != 15 && county != 16 &&
           number(text + 2, 2) > 0;
}

/* A partner's own reference. */
static bool is_reference(const char *text, size_t length) { return length > 0 && !identity_resembles(text, length); }

/* A new password. Texts here end in no NUL. */
static bool is_password(const char *text, size_t length)
{
    char *copy = strndup(text, length);
    bool holds = copy && password_is_long_enough(copy);
    if (copy) explicit_bzero(copy, length);
    free(copy);
    return holds;
}

static bool is_swedish_iban(const char *text, size_t length)
{
    return account_number_iban(text, length) && memcmp(text, "SE", 2) == 0;
}

static const struct format formats[] = {
    { "date", "format_date", is_date },
    { "date-time", "format_date_time", is_date_time },
    { "email", "format_email", is_email },
    { "uuid", "format_uuid", is_uuid },
    { "uri", "format_uri", is_uri },
    { "personnummer", "format_personnummer", is_personnummer },
    { "samordningsnummer", "format_samordningsnummer", is_samordningsnummer },
    { "interim", "format_interim", is_interim },
    { "lma", "format_lma", is_lma },
    { "organisationsnummer", "format_organisationsnummer", is_organisationsnummer },
    { "kommunkod", "format_kommunkod", is_kommunkod },
    { "reference", "format_reference", is_reference },
    { "password", "format_password", is_password },
    { "bankgiro", "format_bankgiro", account_number_bankgiro },
    { "plusgiro", "format_plusgiro", account_number_plusgiro },
    { "kontonummer", "format_kontonummer", account_number_swedish },
    { "iban", "format_iban", account_number_iban },
    { "iban-se", "format_iban_se", is_swedish_iban },
    { "bic", "format_bic", account_number_bic },
};

const struct format *format_find(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    return NULL;
}
