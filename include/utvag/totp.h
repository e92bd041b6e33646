/* One-time codes by the clock (RFC 6238): SHA-1, six digits, thirty seconds, since that is what every authenticator
   knows. liboath is used in this file only. Secrets are base32 (RFC 4648), as authenticators take them. Any thread may
   call. */
#pragma once
#include <stdbool.h>
#include <time.h>

#include "utvag/arena.h"

enum {
    TOTP_DIGITS = 6,
    TOTP_STEP_SECONDS = 30,
    TOTP_DRIFT_STEPS = 1,  /* that a clock may be wrong by (RFC 6238, 5.2) */
    TOTP_SECRET_SIZE = 33, /* 160 bits (RFC 4226, 4), with a NUL */
};

/* A new secret, of chance. False without memory. */
bool totp_make(char out[TOTP_SECRET_SIZE]) __attribute__((warn_unused_result));
/* Whether code is that of `now` or of a step beside it, and of which step. That each step is accepted once is the
   caller's to see to. */
bool totp_match(const char *secret, const char *code, time_t now, long long *step) __attribute__((warn_unused_result));
/* otpauth://totp/… for an authenticator, in the arena; NULL without memory. It holds the secret. */
const char *totp_uri(struct arena *arena, const char *issuer, const char *account, const char *secret);
