/* The period that a report is about, as its query says: months or days, that have begun. */
#pragma once
#include "utvag/request.h"

/* from_month and to_month, each as the first day of its month, in the arena; unsaid, they are the current month in Sweden and
   the first of the last one's year. 422, with what is wrong, for a month that has not begun, an end before the beginning,
   and more than 120 months. */
struct problem periods_read_months(struct request *rq, const char **from, const char **to)
    __attribute__((warn_unused_result));
/* from_on and to_on; unsaid, they are today in Sweden and the first day of the last one's year. 422 likewise, and, if
   within_year, for days of two calendar years. */
struct problem periods_read_days(struct request *rq, bool within_year, const char **from, const char **to)
    __attribute__((warn_unused_result));
