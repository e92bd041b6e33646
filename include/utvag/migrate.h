/* Migrations: embedded SQL, in order, under an advisory lock, with checksums. */
#pragma once
#include <stdbool.h>

/* Applies what is missing, each in a transaction of its own; refuses an edited one, and one that this program does not
   know, naming it. url: of the database's owner. The log says what was done, or why not. */
bool migrate_run(const char *url) __attribute__((warn_unused_result));

/* Whether this program may serve the database behind url (the service's login role): all migrations and no other are
   there, and demo rows only if `demo`. The log says why not, and warns of a PostgreSQL with known leaks. */
bool migrate_verify(const char *url, bool demo) __attribute__((warn_unused_result));

const char *migrate_newest(void); /* version of the newest that this program knows, as "0001"; "" if it knows none */
