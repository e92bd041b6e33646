/* Who counts as a child: under 18 (the Convention on the Rights of the Child, article 1; Swedish law 2018:1197). Birth
   dates are sealed, so the service works this out, and PostgreSQL is told no more than who. */
#pragma once
#include <stdbool.h>

#include "utvag/request.h"

/* Dates as YYYY-MM-DD; a birth date that is none is under any age. Whoever is born on 29 February turns 18 on 1 March: of
   two readings, the one that protects. */
bool minors_is_under(const char *birth_date, const char *on, int years);
bool minors_is_under_18(const char *birth_date, const char *on);
/* The same when the date may be unknown: then a child is one, and an applicant is not. */
bool minors_is_child(bool child, const char *birth_date, const char *on);

/* Opens the birth dates of those whom the path's application concerns, and of person_id if not NULL, and puts into the
   request's body `adults`, the ids of those who are 18, each with its record's version, and `on`, the day that counts.
   404 where the caller sees no such application. */
struct problem minors_settle(struct request *rq, const char *person_id) __attribute__((warn_unused_result));

/* resource_merge of the path's person. A birth date that changes settles in which of her cases she is a child. */
struct problem minors_merge(struct request *rq, struct response *rs);
