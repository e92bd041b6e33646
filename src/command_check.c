#include <stdio.h>
#include <stdlib.h>

#include "utvag/command.h"
#include "utvag/config.h"
#include "utvag/owner.h"

/* What one question finds is told up to here: a ledger that is wrong can be wrong in each of its rows. */
#define FAULTS_MOST "1000"

/* Each is asked of a function of PostgreSQL that gives (rule, about), a row a fault. */
static const char *const questions[] = { "ledger_faults", "payment_faults", "catalogue_faults", NULL };

/* Prints the faults of one, a line each: the rule, and what breaks it. How many; -1, with the reason told, if it is not known. */
static int ask(struct owner *owner, const char *function)
{
    static const char sql[] =
        "SELECT string_agg(f.rule || ' ' || f.about || E'\\n', '') FROM (SELECT rule, about FROM %s() LIMIT " FAULTS_MOST
        ") f";
    char text[256];
    snprintf(text, sizeof text, sql, function);
    char *faults = owner_ask(owner, text, NULL);
    if (!faults) return -1;
    int count = 0;
    for (const char *c = faults; *c; c++) count += *c == '\n';
    fputs(faults, stdout);
    free(faults);
    return count;
}

int command_check(struct service *service, int count, char **arguments)
{
    (void)count, (void)arguments;
    struct owner *owner = owner_open(service->config->owner_url);
    int faults = 0;
    bool known = owner != NULL;
    for (const char *const *question = questions; known && *question; question++) {
        int found = ask(owner, *question);
        known = found >= 0;
        faults += known ? found : 0;
    }
    owner_close(owner);
    if (!known) return 1;
    if (!faults) puts("ledger and catalogue hold");
    return faults ? 1 : 0;
}
