/* How PostgreSQL's errors become problems: the functions' own refusals (SQLSTATE class UV), constraints by their
   names, and a few states of the server. Whatever else is a 500 whose detail is in the log only. */
#pragma once
#include <libpq-fe.h>

#include "utvag/request.h"

struct problem refusal_read(struct request *rq, const PGresult *error) __attribute__((warn_unused_result));
