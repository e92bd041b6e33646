/* Users and clients that nobody approves, since they are the first: those of the command line, and the demo's. */
#pragma once
#include "utvag/command.h"
#include "utvag/owner.h"
#include "utvag/service.h"
#include "utvag/uuid.h"

struct principal {
    const char *operation;                /* of the contract, whose body describes her: "createUser", "createClient" */
    const char *audited;                  /* as what the audit log has it: "cli.user_add" */
    json_t *body;                         /* what that operation takes; sealed here */
    const struct command_option *options; /* of the command line that it came by, or NULL */
    const char *status;                   /* "invited" or "active" */
    bool demo;
    /* one of these */
    const char *password_hash, *secret_digest, *invitation_digest;
};

/* Checks the body by the contract, seals it and stores it; her id is in id. False with the reason on stderr. */
bool principal_add(struct owner *owner, const struct service *service, const struct principal *principal,
                   char id[UUID_SIZE]) __attribute__((warn_unused_result));

/* The body that a command's arguments, which fit its options, make. `--role R` adds to the array `roles`. */
json_t *principal_body(const struct command_option *options, int count, char **arguments);

/* The command `user add` or `client add`: makes an invited principal and prints the invitation's token. */
int principal_invite(struct service *service, struct principal *principal);
