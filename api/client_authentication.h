/* Who a machine client is. It shows an assertion that it signed (private_key_jwt: RFC 7521, RFC 7523, OpenID Connect
   Core, 9), or where UTVAG_CLIENT_SECRETS allows, its secret. */
#pragma once
#include "api/tokens.h"
#include "utvag/request.h"

/* Reads client_id, client_secret, client_assertion_type and client_assertion from the body, and fills holder. 400 where it
   is not one way of the two; 401 invalid_client, client_secrets_off or assertion_replayed; 429. A refusal is in the audit
   log on return, and counts as a failed login. An assertion is used up. */
struct problem client_authenticate(struct request *rq, struct holder *holder) __attribute__((warn_unused_result));
