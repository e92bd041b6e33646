/* What the whole process shares: made at start by main.c, const while requests run. */
#pragma once
#include <stdbool.h>

struct service {
    const struct config *config;
    const struct contract *contract;
    const struct router *router;
    struct keyring *keyring;
    struct token_verifier *tokens;
    struct issuers *issuers; /* NULL: none but ourselves */
    struct db *db;
    struct rate *rate;
    struct metrics *metrics;
    struct turns *turns; /* of the requests that are carried out */
    struct turns *door;  /* of those who ask to come in */
};

/* Set once, when the process was asked to stop: readiness says 503 from then on. Safe from any thread. */
void service_drain(void);
bool service_draining(void);
