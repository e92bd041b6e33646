/* Re-wrapping: every data key of the database comes under the key-encryption key in use. Sealed texts stay as they
   are. The second half of a rotation (NIST SP 800-57, 5.3.4: a key protects for a limited time). */
#pragma once
#include "utvag/keyring.h"
#include "utvag/owner.h"

struct rewrap {
    long done;   /* data keys that were re-wrapped */
    long closed; /* that do not open: altered, or their key-encryption key is not in the ring */
    long left;   /* still under an older key at the end; the closed ones too */
};
/* In chunks, each a transaction of its own that never waits for anybody's row: what another is writing just now comes in a
   later pass. May stop anywhere, and be repeated. False with the reason on stderr. */
bool rewrap_all(struct owner *owner, const struct keyring *ring, struct rewrap *out)
    __attribute__((warn_unused_result));
