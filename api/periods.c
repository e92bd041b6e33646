#include "api/periods.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "utvag/day.h"

enum { YEAR_LENGTH = 4 /* YYYY */, MONTH_LENGTH = 7 /* YYYY-MM */, MONTHS_MOST = 120 };

static struct problem refuse(struct request *rq, const char *parameter, const char *code)
{
    struct member_error *error = arena_alloc(rq->arena, sizeof *error);
    if (!error) return problem(500, "out_of_memory");
    *error = (struct member_error){ .parameter = parameter, .code = code };
    struct problem refused = problem(422, "parameters_invalid");
    refused.errors = error;
    refused.error_count = 1;
    return refused;
}

/* Months since year 0 of YYYY-MM, which the contract has checked. */
static int month_number(const char *month) { return atoi(month) * 12 + atoi(month + 5); }

struct problem periods_read_months(struct request *rq, const char **from, const char **to)
{
    const char *first = request_query(rq, "from_month"), *last = request_query(rq, "to_month");
    char today[DAY_SIZE];
    day_in_sweden(time(NULL), today);
    if (!last) last = arena_text(rq->arena, "%.*s", MONTH_LENGTH, today);
    if (!first && last) first = arena_text(rq->arena, "%.4s-01", last);
    if (!first || !last) return problem(500, "out_of_memory");
    if (strncmp(last, today, MONTH_LENGTH) > 0) return refuse(rq, "to_month", "period_not_begun");
    if (strcmp(first, last) > 0) return refuse(rq, "to_month", "period_backwards");
    if (month_number(last) - month_number(first) >= MONTHS_MOST) return refuse(rq, "to_month", "period_too_long");
    *from = arena_text(rq->arena, "%s-01", first);
    *to = arena_text(rq->arena, "%s-01", last);
    return *from && *to ? PROBLEM_NONE : problem(500, "out_of_memory");
}

struct problem periods_read_days(struct request *rq, bool within_year, const char **from, const char **to)
{
    const char *first = request_query(rq, "from_on"), *last = request_query(rq, "to_on");
    char today[DAY_SIZE];
    day_in_sweden(time(NULL), today);
    if (!last) last = arena_copy(rq->arena, today, strlen(today));
    if (!first && last) first = arena_text(rq->arena, "%.4s-01-01", last);
    if (!first || !last) return problem(500, "out_of_memory");
    if (strcmp(last, today) > 0) return refuse(rq, "to_on", "period_not_begun");
    if (strcmp(first, last) > 0) return refuse(rq, "to_on", "period_backwards");
    if (month_number(last) - month_number(first) > MONTHS_MOST) return refuse(rq, "to_on", "period_too_long");
    if (within_year && strncmp(first, last, YEAR_LENGTH) != 0) return refuse(rq, "to_on", "period_of_two_years");
    *from = first;
    *to = last;
    return PROBLEM_NONE;
}
