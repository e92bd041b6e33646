/* Registrations: a person, her children, their application and its needs, all or nothing. */
#include <string.h>
#include <time.h>

#include "api/minors.h"
#include "utvag/resource.h"

enum { DATE_SIZE = 11 };

/* UTC: in the first hours of a Swedish day this is still the day before, which can only make someone a child longer. */
static void write_today(char out[DATE_SIZE])
{
    time_t now = time(NULL);
    struct tm day;
    gmtime_r(&now, &day);
    strftime(out, DATE_SIZE, "%Y-%m-%d", &day);
}

static bool add_if_minor(json_t *minors, const json_t *person, bool child, const char *key)
{
    char today[DATE_SIZE];
    write_today(today);
    const char *birth_date = json_string_value(json_object_get(person, "birth_date"));
    return !minors_is_child(child, birth_date, today) || json_array_append_new(minors, json_string(key)) == 0;
}

/* The body holds the birth dates, which leave it sealed: `minors` says who is under 18, by the keys that needs use. */
static struct problem add_minors(struct request *rq)
{
    json_t *minors = json_array();
    const json_t *child;
    size_t i;
    bool fine = minors && add_if_minor(minors, json_object_get(rq->json, "person"), false, "person");
    json_array_foreach(json_object_get(rq->json, "children"), i, child) {
        const char *key = arena_text(rq->arena, "child:%zu", i);
        fine = fine && key && add_if_minor(minors, child, true, key);
    }
    fine = json_object_set_new(rq->json, "minors", minors) == 0 && fine;
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
    TRY(add_minors(rq));
    TRY(resource_write(rq, rs));
    if (rq->caller.role == ROLE_INTAKE) drop_location(rs);
    return PROBLEM_NONE;
}

const struct operation registrations[] = {
    { "createRegistration", register_family, NULL, "create_registration" },
    { 0 },
};
