/* UUIDs (RFC 9562), from OpenSSL's random generator. */
#pragma once
#include <stdbool.h>

enum { UUID_SIZE = 37 };
void uuid_v4(char out[UUID_SIZE]); /* for whatever concerns a person: it does not tell when it was made */
void uuid_v7(char out[UUID_SIZE]); /* for audit and outbox: in order of time */
bool uuid_valid(const char *text); /* the 36 characters, lower-case hexadecimal */
