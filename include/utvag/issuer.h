/* Outside issuers (OpenID Connect): whose tokens are taken as well, though our database says whom they stand for and
   what she may. UTVAG_ISSUERS names a JSON file, an array of

   issuer           what the token's iss must be
   audience         what its aud must be, or hold
   jwks             absolute path of a file with the issuer's keys (jwks.h), which somebody keeps up to date
   principal_claim  the claim that holds the user's address, as users have it here: "email"
   require          optional: claims that must have these values, such as {"acr": "http://id.sambi.se/loa3"}
   roles            optional: {"claim": NAME, "map": {VALUE: ROLE}}; of her roles here she then has only those named there

   ES256 or RS256, as the key is; never machine clients. Who shall be out at once is suspended here: an issuer's token
   holds until its end, and is looked at again when what is known of it is five minutes old. */
#pragma once
#include "utvag/request.h"

struct issuers;
/* NULL, with each fault of the file on stderr. own, our issuer's name, may not be among them. */
struct issuers *issuers_open(const char *path, const char *own);
void issuers_free(struct issuers *issuers);
/* Reads keys again whose files changed. Whether there are others than before: what they verified holds no longer. */
bool issuers_look(struct issuers *issuers);

/* The caller by a token that is not ours: refused is what was said of it, which stands unless it is of one of the issuers.
   401 holder_unknown, audited, if it is good but nobody active has its address. */
struct problem issuer_identify(struct request *rq, const char *token, struct problem refused)
    __attribute__((warn_unused_result));
