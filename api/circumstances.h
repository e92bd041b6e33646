/* What the rules of money ask about people, and what is sealed: where an applicant lives, and who is young. The service works
   it out, and PostgreSQL is told no more than that. */
#pragma once
#include <stdbool.h>

#include "utvag/request.h"

/* From 13 to 25 years: what Sweden's policy for the young means by them. Dates as YYYY-MM-DD. */
bool circumstances_is_young(const char *birth_date, const char *on);

/* Opens the place of the applicant whose case it is, and the birth dates of those it concerns, and puts into the request's body
   `circumstances`: her municipality, the version of the record that says so, and who is young, each by the version of hers.
   application_id NULL: the application of the path. 404 where the caller sees no such application. */
struct problem circumstances_settle(struct request *rq, const char *application_id) __attribute__((warn_unused_result));
