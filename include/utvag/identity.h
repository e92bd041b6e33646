/* Swedish identity and organisation numbers. Pure functions; nothing is inferred from a number but its validity. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* Each reads the stored or a written form and, if it is a valid number, puts the stored form into out:
   personnummer and samordningsnummer 12 digits (a form without century is read with `+` or `-` as of `today`),
   interim number, LMA dossier number NN-NNNNNN, organisationsnummer 10 digits. */
enum { IDENTITY_SIZE = 16 };
bool identity_personnummer(const char *text, size_t length, const struct tm *today, char out[IDENTITY_SIZE]);
bool identity_samordningsnummer(const char *text, size_t length, const struct tm *today, char out[IDENTITY_SIZE]);
bool identity_interim(const char *text, size_t length, char out[IDENTITY_SIZE]);
bool identity_lma(const char *text, size_t length, char out[IDENTITY_SIZE]);
bool identity_organisation(const char *text, size_t length, char out[IDENTITY_SIZE]);

/* Whether text could be an identity number: such a text may not be a partner's own reference. */
bool identity_resembles(const char *text, size_t length);
