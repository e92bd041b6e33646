/* The commands of the binary: `utvag NAME …`. Each is a function in a file src/command_NAME.c, and a line in the table
   of main.c. It gets what it needs ready made, and returns the exit status. */
#pragma once
#include "utvag/service.h"

/* What main.c makes before the command runs; what is missing in the configuration is named, and stops it. */
enum {
    NEEDS_DATABASE = 1, /* UTVAG_DATABASE_URL is set */
    NEEDS_FOLDER = 2,   /* UTVAG_KEYS is set */
    NEEDS_KEYS = 4,     /* the key ring is open: service->keyring */
    NEEDS_CONTRACT = 8, /* the contract is loaded and bound, the texts are known: service->contract and ->router */
};

struct command {
    const char *name;      /* one word, or two: "key init" */
    const char *arguments; /* as shown in the help, or "" */
    const char *help;
    unsigned needs;
    int (*run)(struct service *service, int count, char **arguments); /* what follows the name */
};

int command_serve(struct service *service, int count, char **arguments);
int command_migrate(struct service *service, int count, char **arguments);
int command_key_init(struct service *service, int count, char **arguments);
int command_key_rotate(struct service *service, int count, char **arguments);
int command_key_rewrap(struct service *service, int count, char **arguments);
int command_user_add(struct service *service, int count, char **arguments);
int command_client_add(struct service *service, int count, char **arguments);
int command_demo(struct service *service, int count, char **arguments);

/* For messages of a command to whoever typed it: "utvag: …" on stderr. Returns 1. */
int command_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
