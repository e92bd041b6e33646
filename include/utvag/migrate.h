/* Migrations: embedded SQL, in order, under an advisory lock, with checksums. */
#pragma once
#include <stdbool.h>

bool migrate_run(const char *url);     /* applies what is missing; refuses an edited one, naming it */
const char *migrate_newest(void);      /* version text of the newest that this binary knows */
