/* Numbers that money is sent to, checked as far as their makers document it. Pure functions: true says that a number can
   exist, not that it does, nor whose it is. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Seven or eight digits, the last a check digit (Luhn), and at most one hyphen, which stands before the last four. */
bool account_number_bankgiro(const char *text, size_t length);
/* Two to eight digits, the last a check digit (Luhn), and at most one hyphen, which stands before it. */
bool account_number_plusgiro(const char *text, size_t length);
/* Clearing number, hyphen, account number: "5439-1024039". Checked as the banks' own list of account numbers (Bankgirot) says
   for the clearing number; where a bank's check digits are not reliable, only the length is. */
bool account_number_swedish(const char *text, size_t length);
/* ISO 13616: country, check digits modulo 97 (ISO 7064), 15 to 34 characters, without spaces. */
bool account_number_iban(const char *text, size_t length);
/* ISO 9362: eight or eleven characters, the fifth and sixth a country's letters. */
bool account_number_bic(const char *text, size_t length);

/* The digits of a number, without its hyphens, as files to banks have them. out has room for the whole text. */
void account_number_digits(const char *text, char *out);
