/* What commands do in the database as its owner, past every policy: never a request. libpq, in owner.c. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

struct owner;
/* Connects with url and becomes utvag_owner. NULL, with the reason on stderr. */
struct owner *owner_open(const char *url);
void owner_close(struct owner *owner);

/* One or more statements, without values, each transaction as they say. False with the reason on stderr. */
bool owner_run(struct owner *owner, const char *sql) __attribute__((warn_unused_result));
/* function(body jsonb). False with the reason on stderr: the text of the rule in English, where one stopped it. */
bool owner_call(struct owner *owner, const char *function, const json_t *body) __attribute__((warn_unused_result));
/* The first value of the first row, to be freed, "" for NULL or no row; NULL with the reason on stderr. $1 is value. */
char *owner_ask(struct owner *owner, const char *sql, const char *value);
