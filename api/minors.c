#include "api/minors.h"

#include <stdio.h>
#include <string.h>

#include "utvag/db.h"
#include "utvag/record.h"
#include "utvag/resource.h"

enum { ADULT = 18, DATE_SIZE = 16 };

bool minors_is_under(const char *birth_date, const char *on, int years)
{
    int year;
    char birthday[DATE_SIZE];
    if (strlen(birth_date) != 10 || sscanf(birth_date, "%4d", &year) != 1) return true;
    /* Of 29 February this makes a day that the year lacks, and that stands before 1 March. */
    snprintf(birthday, sizeof birthday, "%04d%s", year + years, birth_date + 4);
    return strcmp(on, birthday) < 0;
}

bool minors_is_under_18(const char *birth_date, const char *on) { return minors_is_under(birth_date, on, ADULT); }

bool minors_is_child(bool child, const char *birth_date, const char *on)
{
    return birth_date ? minors_is_under_18(birth_date, on) : child;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* Who is an adult on the day, each with the version of the record that says so. */
static struct problem add_adults(struct request *rq, const json_t *births)
{
    const char *on = text_of(births, "on");
    json_t *adults = json_object();
    const json_t *person;
    size_t i;
    bool fine = adults && on;
    json_array_foreach(json_object_get(births, "persons"), i, person) {
        bool child = strcmp(text_of(person, "kind"), "child") == 0;
        if (fine && !minors_is_child(child, text_of(person, "birth_date"), on))
            fine = json_object_set(adults, text_of(person, "id"), json_object_get(person, "version")) == 0;
    }
    if (!rq->json) rq->json = json_object();
    fine = json_object_set_new(rq->json, "adults", adults) == 0 && fine;
    fine = fine && json_object_set_new(rq->json, "on", json_string(on)) == 0;
    return fine ? PROBLEM_NONE : problem(500, "out_of_memory");
}

struct problem minors_settle(struct request *rq, const char *person_id)
{
    static const char sql[] = "page AS (SELECT id, version, body, key FROM application_births($1::uuid, $2::uuid))";
    const char *const values[] = { request_path(rq, "id"), person_id };
    struct statement statement = { .name = "births", .sql = sql, .silent = true };
    struct rows rows;
    const char *body;
    size_t length;
    TRY(db_run(rq, &statement, 2, values, &rows));
    if (!rows.count) return problem(404, "not_found");
    TRY(record_open(rq, rows.row[0].body, rows.row[0].length, &body, &length));
    json_t *births = json_loadb(body, length, 0, NULL);
    if (!births) return problem(500, "internal");
    struct problem stop = add_adults(rq, births);
    json_decref(births);
    return stop;
}

/* The cases in which the patch's birth date makes the person an adult. */
static struct problem add_adult_in(struct request *rq, const json_t *person)
{
    const char *birth_date = text_of(rq->json, "birth_date");
    bool child = strcmp(text_of(person, "kind"), "child") == 0, fine = true;
    json_t *adult_in = json_array();
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(person, "cases"), i, one)
        if (!minors_is_child(child, birth_date, text_of(one, "on")))
            fine = json_array_append(adult_in, json_object_get(one, "id")) == 0 && fine;
    fine = json_object_set_new(rq->json, "adult_in", adult_in) == 0 && fine;
    return fine ? PROBLEM_NONE : problem(500, "out_of_memory");
}

static struct problem settle_anew(struct request *rq)
{
    static const char sql[] = "page AS (SELECT id, version, body, key FROM person_cases($1::uuid))";
    const char *const id = request_path(rq, "id");
    struct statement statement = { .name = "person cases", .sql = sql, .silent = true };
    struct rows rows;
    if (!json_object_get(rq->json, "birth_date")) return PROBLEM_NONE;
    TRY(db_run(rq, &statement, 1, &id, &rows));
    if (!rows.count) return problem(404, "not_found");
    json_t *person = json_loadb(rows.row[0].body, rows.row[0].length, 0, NULL);
    if (!person) return problem(500, "internal");
    struct problem stop = add_adult_in(rq, person);
    json_decref(person);
    return stop;
}

struct problem minors_merge(struct request *rq, struct response *rs)
{
    TRY(settle_anew(rq));
    return resource_merge(rq, rs);
}
