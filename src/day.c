#include "utvag/day.h"

#include <stdbool.h>

enum { MARCH = 2, OCTOBER = 9 };

/* From 01:00 UTC on the last Sunday of March to 01:00 UTC on that of October (directive 2000/84/EC). */
static bool is_summer_time(const struct tm *utc)
{
    if (utc->tm_mon != MARCH && utc->tm_mon != OCTOBER) return utc->tm_mon > MARCH && utc->tm_mon < OCTOBER;
    int last_sunday = 31 - (utc->tm_wday + 31 - utc->tm_mday) % 7;
    bool passed = utc->tm_mday > last_sunday || (utc->tm_mday == last_sunday && utc->tm_hour >= 1);
    return passed == (utc->tm_mon == MARCH);
}

void day_in_sweden(time_t now, char out[DAY_SIZE])
{
    struct tm day;
    gmtime_r(&now, &day);
    time_t there = now + (is_summer_time(&day) ? 7200 : 3600);
    gmtime_r(&there, &day);
    strftime(out, DAY_SIZE, "%Y-%m-%d", &day);
}
