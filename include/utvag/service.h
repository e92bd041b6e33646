/* What the whole process shares: made at start by main.c, const while requests run. */
#pragma once

struct service {
    const struct config *config;
    const struct contract *contract;
    const struct router *router;
    struct keyring *keyring;
    struct db *db;
    struct metrics *metrics;
};
