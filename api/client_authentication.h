/* Who a machine client is. It shows an assertion that it signed (private_key_jwt: RFC 7521, RFC 7523, OpenID Connect
   Core, 9), or where UTVAG_CLIENT_SECRETS allows, its secret. */
#pragma once
#include "api/tokens.h"
#include "utvag/request.h"

/* What a client showed: of an assertion, as use_assertion takes it; NULL: it was a secret. */
struct client_proof {
    const char *key, *digest, *ends;
};

/* Reads client_id, client_secret, client_assertion_type and client_assertion from the body, and fills holder and proof.
   400 where it is not one way of the two; 401 invalid_client or client_secrets_off; 429. A refusal is in the audit log on
   return, and counts as a failed login, as does whatever is not followed by rate_login_passed.
   An assertion is not used up yet: whoever acts on it calls use_assertion in the same transaction, which fails with 401
   assertion_replayed if it was used before. */
struct problem client_authenticate(struct request *rq, struct holder *holder, struct client_proof *proof)
    __attribute__((warn_unused_result));
