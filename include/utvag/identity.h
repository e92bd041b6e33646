/* Swedish identity and organisation numbers. Pure functions; nothing is inferred from a number but its validity. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* Each reads the stored or a written form and, if it is a valid number, puts the stored form into out:
   personnummer and samordningsnummer 12 digits (YYYYMMDDNNNC or YYYYMMDD-NNNC; a form without century is read with
   `-` or `+` as of `today`: `+` from the year in which the person turns 100; nobody is born after today),
   interim number YYMMDD-Tnnn, LMA dossier number NN-NNNNNN, organisationsnummer 10 digits. */
enum { IDENTITY_SIZE = 16 };
bool identity_personnummer(const char *text, size_t length, const struct tm *today, char out[IDENTITY_SIZE]);
bool identity_samordningsnummer(const char *text, size_t length, const struct tm *today, char out[IDENTITY_SIZE]);
bool identity_interim(const char *text, size_t length, char out[IDENTITY_SIZE]);
bool identity_lma(const char *text, size_t length, char out[IDENTITY_SIZE]);
bool identity_organisation(const char *text, size_t length, char out[IDENTITY_SIZE]);

/* The stored form of whichever number of a person text is, so that every written form is found by one blind token.
   False if it is none of ours (a passport's, say). */
bool identity_stored(const char *text, size_t length, const struct tm *today, char out[IDENTITY_SIZE]);

/* Whether text could be an identity number, or holds one in whatever spelling: such a text may not be a partner's own
   reference. The check digit is not asked for, since a mistyped number gives as much away. */
bool identity_resembles(const char *text, size_t length);

/* The Luhn check that all these numbers and bankgiro share, its last digit being the check digit. */
bool identity_luhn(const char *digits, size_t count);
/* Whether the day exists in the Gregorian calendar. */
bool identity_date_exists(int year, int month, int day);
