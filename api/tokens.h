/* What tokens, sessions and invitations share: holders as the database tells them, and the answer that is a token. */
#pragma once
#include "utvag/db.h"
#include "utvag/request.h"

struct holder {
    const char *id, *agency; /* agency: "" for our own */
    unsigned roles;          /* bits 1u << enum role */
    int epoch;
    const char *hash;        /* of her password or secret */
    const char *totp;        /* the secret of her second factor */
    const char *session;     /* the sign-in that her tokens come from */
    const char *certificate; /* the only one that they may come with */
    int refresh_seconds;     /* that a refresh token of now lives */
};

/* Reads a row about a holder; what it does not tell is NULL or 0. Texts in the arena. */
struct problem holder_read(struct request *rq, const struct row *row, struct holder *holder)
    __attribute__((warn_unused_result));

/* The thumbprint of the connection's certificate where the body asks that the tokens be bound to it (`certificate_bound`,
   RFC 8705, 3), else NULL. 400 certificate_not_shown. */
struct problem certificate_asked(struct request *rq, const char **certificate) __attribute__((warn_unused_result));

/* What a function of signing in takes as jsonb: terms, which it gives back to jansson, as text in the arena. NULL
   without memory. */
const char *token_terms(struct request *rq, json_t *terms);

struct grant {
    bool machine;
    const char *officer; /* whom a machine acts for, or NULL */
    const char *refresh; /* a person's refresh token, or NULL */
};
/* The token's answer (RFC 6749, 5.1). */
struct problem token_answer(struct request *rq, struct response *rs, const struct holder *holder,
                            const struct grant *grant) __attribute__((warn_unused_result));
