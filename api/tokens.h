/* What tokens, sessions and invitations share: holders as the database tells them, and the answer that is a token. */
#pragma once
#include "utvag/db.h"
#include "utvag/request.h"

struct holder {
    const char *id, *agency; /* agency: "" for our own */
    unsigned roles;          /* bits 1u << enum role */
    int epoch;
    const char *hash;        /* of her password or secret; NULL: she has none */
    const char *certificate; /* what her token is bound to (certificate_asked); NULL: to nothing */
};

/* Reads a row of begin_login, find_client or use_assertion; texts in the arena. */
struct problem holder_read(struct request *rq, const struct row *row, struct holder *holder)
    __attribute__((warn_unused_result));
/* The thumbprint of the connection's certificate where the body asks that the token be bound to it (`certificate_bound`,
   RFC 8705, 3), else NULL. 400 certificate_not_shown. */
struct problem certificate_asked(struct request *rq, const char **certificate) __attribute__((warn_unused_result));
/* The token's answer (RFC 6749, 5.1). officer: whom a machine acts for, or NULL. */
struct problem token_answer(struct request *rq, struct response *rs, const struct holder *holder, bool machine,
                            const char *officer) __attribute__((warn_unused_result));
/* A problem with the members of RFC 6749, 5.2, beside, so that clients of either kind understand it. Refused clients
   are in the audit log before they hear of it. Zero status: the answer is in rs, whose status tells. */
struct problem token_refuse(struct request *rq, struct response *rs, int status, const char *code, const char *error)
    __attribute__((warn_unused_result));
