/* The public keys that a machine client's holder registers, and that the client replaces. */
#pragma once
#include "utvag/request.h"

/* Reads one or two JWKs, `public_keys` of the body. *keys: [{kid, public_pem}], which the caller releases; kid is the
   key's thumbprint (RFC 7638) where it has none of its own. 422 with the member that is wrong. */
struct problem client_keys_read(struct request *rq, json_t **keys) __attribute__((warn_unused_result));
/* What the database knows as keys, as text for a statement; NULL without memory. Lives in the arena. */
const char *client_keys_text(struct request *rq, const json_t *keys);
/* Their names: a new array. */
json_t *client_keys_names(const json_t *keys);
