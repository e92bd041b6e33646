/* gzip (RFC 1952) for answers that are worth it; zlib is used in this file only. */
#pragma once
#include "utvag/request.h"

/* Replaces a text of at least 1 KiB by its gzip form where Accept-Encoding takes it, and marks the ETag, which names
   bytes (RFC 9110, 8.8.3.3). Never an answer that may carry a token: readings and case data only. */
void compress_answer(const struct request *rq, struct response *rs);
