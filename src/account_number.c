#include "utvag/account_number.h"

#include <string.h>

#include "utvag/identity.h"

enum { DIGITS_MOST = 16 };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }

/* The digits of a number whose only other character may be one hyphen, `tail` digits before its end. Their count, 0 if
   it is written otherwise. */
static size_t read_digits(const char *text, size_t length, size_t tail, char digits[DIGITS_MOST])
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '-' && i > 0 && i + 1 + tail == length) continue;
        if (!is_digit(text[i]) || count == DIGITS_MOST) return 0;
        digits[count++] = text[i];
    }
    return count;
}

bool account_number_bankgiro(const char *text, size_t length)
{
    char digits[DIGITS_MOST] = { 0 };
    size_t count = read_digits(text, length, 4, digits);
    return (count == 7 || count == 8) && identity_luhn(digits, count);
}

bool account_number_plusgiro(const char *text, size_t length)
{
    char digits[DIGITS_MOST] = { 0 };
    size_t count = read_digits(text, length, 1, digits);
    return count >= 2 && count <= 8 && identity_luhn(digits, count);
}

/* Swedish account numbers ------------------------------------------------------------------------------------------- */

/* What the check digit of an account number is about: its last seven digits with the last three of the clearing number, or
   with all four (modulo 11); its own last nine (modulo 11) or ten (modulo 10) digits. */
enum check { LAST_OF_CLEARING, WHOLE_CLEARING, NINE_DIGITS, TEN_DIGITS, LENGTH_ONLY };

/* In the order of the clearing numbers; the ranges do not overlap, and what lies between them is checked by length. */
static const struct series {
    int first, last;
    enum check check;
} series[] = {
    { 1100, 1399, LAST_OF_CLEARING }, { 1400, 2099, LAST_OF_CLEARING }, { 2300, 2399, WHOLE_CLEARING },
    { 2400, 2499, LAST_OF_CLEARING }, { 3000, 3299, LAST_OF_CLEARING }, { 3300, 3300, TEN_DIGITS },
    { 3301, 3781, LAST_OF_CLEARING }, { 3782, 3782, TEN_DIGITS },       { 3783, 3999, LAST_OF_CLEARING },
    { 4000, 4999, WHOLE_CLEARING },   { 5000, 5999, LAST_OF_CLEARING }, { 6000, 6999, NINE_DIGITS },
    { 7000, 7999, LAST_OF_CLEARING }, { 9020, 9029, WHOLE_CLEARING },   { 9040, 9049, WHOLE_CLEARING },
    { 9060, 9069, LAST_OF_CLEARING }, { 9100, 9109, WHOLE_CLEARING },   { 9120, 9124, LAST_OF_CLEARING },
    { 9130, 9149, LAST_OF_CLEARING }, { 9150, 9169, WHOLE_CLEARING },   { 9170, 9179, LAST_OF_CLEARING },
    { 9180, 9189, TEN_DIGITS },       { 9190, 9199, WHOLE_CLEARING },   { 9230, 9239, LAST_OF_CLEARING },
    { 9250, 9259, LAST_OF_CLEARING }, { 9260, 9269, WHOLE_CLEARING },   { 9270, 9289, LAST_OF_CLEARING },
    { 9390, 9399, WHOLE_CLEARING },   { 9400, 9449, LAST_OF_CLEARING }, { 9460, 9469, LAST_OF_CLEARING },
    { 9470, 9479, WHOLE_CLEARING },   { 9550, 9569, WHOLE_CLEARING },   { 9570, 9579, TEN_DIGITS },
};

static enum check check_of(int clearing)
{
    for (size_t i = 0; i < sizeof series / sizeof *series; i++)
        if (clearing >= series[i].first && clearing <= series[i].last) return series[i].check;
    return LENGTH_ONLY;
}

/* Weights from the last digit: 1, 2 … 10, 1. */
static bool is_modulo_11(const char *digits, size_t count)
{
    int sum = 0;
    for (size_t i = 0; i < count; i++) sum += (digits[count - 1 - i] - '0') * (int)(i % 10 + 1);
    return sum % 11 == 0;
}

/* all: the four digits of the clearing number, then those of the account. */
static bool has_check_digit(const char *all, size_t count, enum check check)
{
    size_t own = count - 4;
    char padded[10];
    switch (check) {
    case LAST_OF_CLEARING: return own == 7 && is_modulo_11(all + 1, 10);
    case WHOLE_CLEARING: return own == 7 && is_modulo_11(all, 11);
    case NINE_DIGITS: /* shorter ones begin with zeros */ return own >= 8 && own <= 9 && is_modulo_11(all + 4, own);
    case TEN_DIGITS:
        if (own > sizeof padded || own < 7) return false;
        memset(padded, '0', sizeof padded);
        memcpy(padded + sizeof padded - own, all + 4, own);
        return identity_luhn(padded, sizeof padded);
    case LENGTH_ONLY: break;
    }
    return own >= 2 && own <= 10;
}

bool account_number_swedish(const char *text, size_t length)
{
    char digits[DIGITS_MOST] = { 0 };
    const char *hyphen = memchr(text, '-', length);
    if (!hyphen || (hyphen - text != 4 && hyphen - text != 5)) return false;
    size_t clearing = (size_t)(hyphen - text), count = read_digits(text, length, length - clearing - 1, digits);
    if (count != length - 1 || digits[0] == '0') return false;
    if (clearing ==
        5) { /* the savings banks', whose fifth digit checks the four; the account's own checks are not reliable */
        if (digits[0] != '8' || !identity_luhn(digits, 5)) return false;
        return count - 5 >= 2 && count - 5 <= 10;
    }
    int number = (digits[0] - '0') * 1000 + (digits[1] - '0') * 100 + (digits[2] - '0') * 10 + digits[3] - '0';
    return has_check_digit(digits, count, check_of(number));
}

/* International ------------------------------------------------------------------------------------------------------ */

bool account_number_iban(const char *text, size_t length)
{
    if (length < 15 || length > 34 || !is_capital(text[0]) || !is_capital(text[1]) || !is_digit(text[2]) ||
        !is_digit(text[3]))
        return false;
    if (memcmp(text, "SE", 2) == 0 && length != 24) return false;
    int rest = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[(i + 4) % length]; /* the first four come last */
        if (is_digit(c))
            rest = (rest * 10 + c - '0') % 97;
        else if (is_capital(c))
            rest = (rest * 100 + c - 'A' + 10) % 97;
        else
            return false;
    }
    return rest == 1;
}

bool account_number_bic(const char *text, size_t length)
{
    if (length != 8 && length != 11) return false;
    for (size_t i = 0; i < length; i++)
        if (!is_capital(text[i]) && (i < 6 || !is_digit(text[i]))) return false;
    return true;
}

void account_number_digits(const char *text, char *out)
{
    for (; *text; text++)
        if (is_digit(*text)) *out++ = *text;
    *out = '\0';
}
