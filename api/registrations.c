/* Registrations: a person, her children, their application and its needs, all or nothing. */
#include <string.h>
#include <time.h>

#include "api/minors.h"
#include "utvag/day.h"
#include "utvag/resource.h"

static bool mark_minor(json_t *person, bool child, const char *today)
{
    const char *birth_date = json_string_value(json_object_get(person, "birth_date"));
    return json_object_set_new(person, "minor", json_boolean(minors_is_child(child, birth_date, today))) == 0;
}

/* Birth dates leave the body sealed, so each person's own object says whether she is under 18 today. */
static struct problem mark_minors(struct request *rq)
{
    char today[DAY_SIZE];
    json_t *child;
    size_t i;
    day_in_sweden(time(NULL), today);
    bool fine = mark_minor(json_object_get(rq->json, "person"), false, today);
    json_array_foreach(json_object_get(rq->json, "children"), i, child) fine = fine && mark_minor(child, true, today);
    return fine ? PROBLEM_NONE : problem(500, "out_of_memory");
}

/* The public front end gets the reference, and no address either. */
static void drop_location(struct response *rs)
{
    size_t kept = 0;
    for (size_t i = 0; i < rs->header_count; i++)
        if (strcmp(rs->headers[i].name, "Location") != 0) rs->headers[kept++] = rs->headers[i];
    rs->header_count = kept;
}

static struct problem register_family(struct request *rq, struct response *rs)
{
    TRY(mark_minors(rq));
    TRY(resource_write(rq, rs));
    if (rq->caller.role == ROLE_INTAKE) drop_location(rs);
    return PROBLEM_NONE;
}

const struct operation registrations[] = {
    { "createRegistration", register_family, NULL, "create_registration" },
    { 0 },
};
