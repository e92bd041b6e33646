/* How often a caller may ask: token buckets, in a table of fixed size (1 MiB), so that no flood of callers takes more
   memory. A caller is a principal; who has shown no good token is her address (an IPv6 one by its /64). A bucket that
   finds no place takes that of the fullest one beside it. Any thread may call. */
#pragma once
#include "utvag/request.h"

struct rate;
/* From UTVAG_RATE_PER_MINUTE and UTVAG_FAILED_LOGINS_PER_MINUTE; 0 there: no such limit. NULL without memory. */
struct rate *rate_new(const struct config *config);
void rate_free(struct rate *rate);

/* Takes one request from the caller's bucket, whose state goes into rq->rate; 429 when it is empty. Operations whose
   contract knows no 429 are free. */
struct problem rate_take(struct request *rq) __attribute__((warn_unused_result));

/* Failed logins, counted for the address and for the account, whatever bytes name it. Ask before the password is hashed:
   the attempt counts as failed until it has passed, so that attempts at one time count as well. Where those that are being
   tried leave no room, up to 16 others wait for what becomes of them, ten seconds at most. One attempt a request at a time;
   the pipeline ends what has not passed. */
struct problem rate_login_allowed(struct request *rq, const void *account, size_t length)
    __attribute__((warn_unused_result));
void rate_login_passed(struct request *rq);
void rate_login_ended(struct request *rq); /* nothing, if none is being tried */
