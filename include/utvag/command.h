/* The commands of the binary: `utvag NAME …`. Each is a function in a file src/command….c, and a line in the table of
   main.c. It gets what it needs ready made, its arguments looked through, and returns the exit status. */
#pragma once
#include "utvag/service.h"

/* What main.c makes before the command runs; what is missing in the configuration is named, and stops it. */
enum {
    NEEDS_DATABASE = 1, /* UTVAG_DATABASE_URL is set */
    NEEDS_FOLDER = 2,   /* UTVAG_KEYS is set */
    NEEDS_KEYS = 4,     /* the key ring is open: service->keyring */
    NEEDS_CONTRACT = 8, /* the contract is loaded and bound, the texts are known: service->contract and ->router */
};

/* --name VALUE */
struct command_option {
    const char *name;
    const char *member; /* of the contract's body, where there is one */
    bool required;
};

struct command {
    const char *name;      /* one word, or two: "key init" */
    const char *arguments; /* as shown in the help, or "" */
    const char *help;
    unsigned needs;
    const struct command_option *options; /* what it takes, ended by a row without name; NULL: nothing */
    int (*run)(struct service *service, int count, char **arguments); /* what follows the name */
};

int command_serve(struct service *service, int count, char **arguments);
int command_migrate(struct service *service, int count, char **arguments);
int command_key_init(struct service *service, int count, char **arguments);
int command_key_rotate(struct service *service, int count, char **arguments);
int command_key_rewrap(struct service *service, int count, char **arguments);
int command_user_add(struct service *service, int count, char **arguments);
int command_client_add(struct service *service, int count, char **arguments);
int command_check(struct service *service, int count, char **arguments);
int command_demo(struct service *service, int count, char **arguments);

extern const struct command_option command_user_options[], command_client_options[], command_demo_options[];

/* Whether the arguments are pairs of an option that the command has and its value, and none that it needs is missing;
   else says what is wrong on stderr. */
bool command_fits(const struct command *command, int count, char **arguments) __attribute__((warn_unused_result));

/* For messages of a command to whoever typed it: "utvag: …" on stderr. Returns 1. */
int command_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
