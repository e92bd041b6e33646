#include "utvag/identity.h"

#include <string.h>

enum { COORDINATION = 60, PREFIX = 6, SUFFIX = 4, OLDEST = 1800 };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool all_digits(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_digit(text[i])) return false;
    return true;
}

static int number(const char *text, size_t count)
{
    int value = 0;
    for (size_t i = 0; i < count; i++) value = value * 10 + text[i] - '0';
    return value;
}

bool identity_date_exists(int year, int month, int day)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (year < 1 || month < 1 || month > 12 || day < 1) return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] + (leap && month == 2);
}

bool identity_luhn(const char *digits, size_t count)
{
    int sum = 0;
    for (size_t i = 0; i < count; i++) {
        int product = (digits[i] - '0') * ((count - i) % 2 == 0 ? 2 : 1);
        sum += product / 10 + product % 10;
    }
    return sum % 10 == 0;
}

/* A written form, taken apart. */
struct written {
    int century;    /* -1 if not written */
    char separator; /* '-' or '+'; '-' if not written */
    char digits[PREFIX + SUFFIX];
};

static bool take_apart(const char *text, size_t length, struct written *written)
{
    size_t century = length >= 12 ? 2 : 0, rest = length - century;
    bool separated = rest == PREFIX + 1 + SUFFIX;
    if (!separated && rest != PREFIX + SUFFIX) return false;
    written->separator = '-';
    if (separated) written->separator = text[century + PREFIX];
    if (written->separator != '-' && (written->separator != '+' || century)) return false;
    const char *suffix = text + length - SUFFIX;
    if (!all_digits(text, century + PREFIX) || !all_digits(suffix, SUFFIX)) return false;
    written->century = century ? number(text, 2) : -1;
    memcpy(written->digits, text + century, PREFIX);
    memcpy(written->digits + PREFIX, suffix, SUFFIX);
    return true;
}

/* From the year in which a person turns 100, `+` stands for `-`: a form without century names one year. */
static int birth_year(const struct written *written, int this_year)
{
    int year = number(written->digits, 2);
    if (written->century >= 0) return written->century * 100 + year;
    int latest = this_year - (written->separator == '+' ? 100 : 0);
    return latest - (latest - year) % 100;
}

static bool is_after(int year, int month, int day, const struct tm *today)
{
    int now = today->tm_year + 1900;
    if (year != now) return year > now;
    if (month != today->tm_mon + 1) return month > today->tm_mon + 1;
    return day > today->tm_mday;
}

static bool read_number(const char *text, size_t length, int added, const struct tm *today, char out[IDENTITY_SIZE])
{
    struct written written;
    if (!take_apart(text, length, &written) || !identity_luhn(written.digits, sizeof written.digits)) return false;
    if (number(written.digits + PREFIX, 3) == 0) return false;
    int year = birth_year(&written, today->tm_year + 1900);
    int month = number(written.digits + 2, 2), day = number(written.digits + 4, 2) - added;
    if (year < OLDEST || !identity_date_exists(year, month, day) || is_after(year, month, day, today)) return false;
    out[0] = (char)('0' + year / 1000);
    out[1] = (char)('0' + year / 100 % 10);
    memcpy(out + 2, written.digits, sizeof written.digits);
    out[2 + sizeof written.digits] = '\0';
    return true;
}

bool identity_personnummer(const char *text, size_t length, const struct tm *today, char out[IDENTITY_SIZE])
{
    return read_number(text, length, 0, today, out);
}

bool identity_samordningsnummer(const char *text, size_t length, const struct tm *today, char out[IDENTITY_SIZE])
{
    return read_number(text, length, COORDINATION, today, out);
}

static bool is_interim_letter(char upper) { return upper && strchr("TRSUWXJKLMN", upper); }

static char upper_case(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c; }

/* The century is not written, so a leap day is taken if either century has it. */
bool identity_interim(const char *text, size_t length, char out[IDENTITY_SIZE])
{
    bool separated = length == PREFIX + 1 + SUFFIX;
    if (!separated && length != PREFIX + SUFFIX) return false;
    char separator = separated ? text[PREFIX] : '-';
    const char *suffix = text + length - SUFFIX;
    char letter = upper_case(suffix[0]), digits[PREFIX + SUFFIX];
    if (separator != '-' && separator != '+') return false;
    if (!all_digits(text, PREFIX) || !is_interim_letter(letter) || !all_digits(suffix + 1, SUFFIX - 1)) return false;

    memcpy(digits, text, PREFIX);
    digits[PREFIX] = '1'; /* what a letter counts as */
    memcpy(digits + PREFIX + 1, suffix + 1, SUFFIX - 1);
    int year = number(text, 2), month = number(text + 2, 2), day = number(text + 4, 2);
    if (!identity_date_exists(2000 + year, month, day) && !identity_date_exists(1900 + year, month, day)) return false;
    if (!identity_luhn(digits, sizeof digits)) return false;
    memcpy(out, text, PREFIX);
    out[PREFIX] = separator;
    out[PREFIX + 1] = letter;
    memcpy(out + PREFIX + 2, suffix + 1, SUFFIX - 1);
    out[PREFIX + 1 + SUFFIX] = '\0';
    return true;
}

/* NN-NNNNNN, and the card's own suffix, which is no part of the dossier's number. */
bool identity_lma(const char *text, size_t length, char out[IDENTITY_SIZE])
{
    enum { DOSSIER = 9 };
    if (length < DOSSIER || !all_digits(text, 2) || text[2] != '-' || !all_digits(text + 3, 6)) return false;
    size_t suffix = length - DOSSIER;
    if (suffix && (suffix < 2 || suffix > 3 || text[DOSSIER] != '/' || !all_digits(text + DOSSIER + 1, suffix - 1)))
        return false;
    memcpy(out, text, DOSSIER);
    out[DOSSIER] = '\0';
    return true;
}

bool identity_organisation(const char *text, size_t length, char out[IDENTITY_SIZE])
{
    struct written written;
    if (!take_apart(text, length, &written) || written.separator != '-') return false;
    if (written.century >= 0 && written.century != 16) return false;
    if (written.digits[2] < '2' || !identity_luhn(written.digits, sizeof written.digits)) return false;
    memcpy(out, written.digits, sizeof written.digits);
    out[sizeof written.digits] = '\0';
    return true;
}

bool identity_stored(const char *text, size_t length, const struct tm *today, char out[IDENTITY_SIZE])
{
    return identity_personnummer(text, length, today, out) || identity_samordningsnummer(text, length, today, out) ||
           identity_interim(text, length, out) || identity_lma(text, length, out);
}

/* MMDD of a personnummer or samordningsnummer. */
static bool could_be_day(const char *digits)
{
    int month = number(digits, 2), day = number(digits + 2, 2);
    return month >= 1 && month <= 12 && ((day >= 1 && day <= 31) || (day > COORDINATION && day <= COORDINATION + 31));
}

static bool could_be_number(const char *text, size_t count)
{
    if (count == PREFIX + SUFFIX) return could_be_day(text + 2);
    int century = count == 2 + PREFIX + SUFFIX ? number(text, 2) : 0;
    return century >= OLDEST / 100 && century <= 20 && could_be_day(text + 4);
}

/* Joins what begins at text: digits, and one interim letter in its place (read as the 1 that it counts as), passing over
   what is used to set them apart. True if the digits up to the end of some group could be a number. */
static bool begins_number(const char *text, size_t length)
{
    enum { MOST = 2 + PREFIX + SUFFIX };
    char digits[MOST];
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        bool letter = (count == PREFIX || count == PREFIX + 2) && is_interim_letter(upper_case(text[i]));
        if (!is_digit(text[i]) && !letter && !strchr("-+ ./_:", text[i])) return false;
        if (!is_digit(text[i]) && !letter) continue;
        if (count == MOST) return false;
        digits[count++] = letter ? '1' : text[i];
        bool ends = i + 1 == length || !is_digit(text[i + 1]);
        if (ends && could_be_number(digits, count)) return true;
    }
    return false;
}

bool identity_resembles(const char *text, size_t length)
{
    char out[IDENTITY_SIZE];
    if (identity_lma(text, length, out)) return true;
    for (size_t i = 0; i < length; i++)
        if (is_digit(text[i]) && (i == 0 || !is_digit(text[i - 1])) && begins_number(text + i, length - i)) return true;
    return false;
}
