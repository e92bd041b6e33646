/* Invitations: the one secret that goes from the service to a new holder, through the person who approved her. */
#pragma once
#include "utvag/request.h"

/* Carries out the operation's function, approve_user or approve_client. Where it makes an invitation, the answer shows
   its token; the database keeps the digest alone. */
struct problem approve_with_invitation(struct request *rq, struct response *rs);
