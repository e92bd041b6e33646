/* The second factor of people: a secret that their authenticator keeps (RFC 6238), and codes for whoever lost it. */
#pragma once
#include "utvag/password.h"
#include "utvag/request.h"
#include "utvag/totp.h"

enum { RECOVERY_CODES = 10, RECOVERY_SIZE = 24 /* four groups of five, with a NUL */ };

/* What a new holder is shown, once. */
struct second_factor {
    char secret[TOTP_SECRET_SIZE];
    char recovery[RECOVERY_CODES][RECOVERY_SIZE];
};

/* Makes one, and what the database keeps of it (accept_invitation's `factor`) in the arena: the secret sealed under a data
   key of its own, the digests of the codes. The caller overwrites factor. NULL on failure. */
const char *second_factor_make(struct request *rq, struct second_factor *factor);
/* The digest of a code of recovery, however it was typed. */
void second_factor_digest(const char *code, char out[SECRET_DIGEST_SIZE]);
