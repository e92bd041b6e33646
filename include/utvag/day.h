/* The day in Sweden, where all the service's dates are meant. */
#pragma once
#include <time.h>

enum { DAY_SIZE = sizeof "2026-11-24" };

/* YYYY-MM-DD, as today() of PostgreSQL: by the rule of the time zone, since a container may lack its files. */
void day_in_sweden(time_t now, char out[DAY_SIZE]);
