#include "api/circumstances.h"

#include <string.h>

#include "api/minors.h"
#include "utvag/db.h"
#include "utvag/record.h"
#include "utvag/resource.h"

enum { YOUNG_FROM = 13, YOUNG_UNTIL = 26 };

bool circumstances_is_young(const char *birth_date, const char *on)
{
    return !minors_is_under(birth_date, on, YOUNG_FROM) && minors_is_under(birth_date, on, YOUNG_UNTIL);
}

static json_t *young_of(const json_t *told)
{
    const char *on = json_string_value(json_object_get(told, "today"));
    json_t *young = json_object();
    const json_t *person;
    size_t i;
    json_array_foreach(json_object_get(told, "persons"), i, person) {
        const char *birth_date = json_string_value(json_object_get(person, "birth_date"));
        if (birth_date && on && circumstances_is_young(birth_date, on))
            json_object_set(young, json_string_value(json_object_get(person, "id")),
                            json_object_get(person, "version"));
    }
    return young;
}

static struct problem add_circumstances(struct request *rq, const json_t *told)
{
    const json_t *applicant = json_object_get(told, "applicant");
    json_t *place = json_object_get(applicant, "municipality_code");
    json_t *all = json_pack("{s:O?, s:O?, s:o}", "municipality_code", place, "version",
                            json_object_get(applicant, "version"), "young", young_of(told));
    if (!rq->json) rq->json = json_object();
    bool fine = all && json_object_set_new(rq->json, "circumstances", all) == 0;
    return fine ? PROBLEM_NONE : problem(500, "out_of_memory");
}

struct problem circumstances_settle(struct request *rq, const char *application_id)
{
    static const char sql[] = "page AS (SELECT id, version, body, key FROM application_circumstances($1::uuid))";
    const char *const id = application_id ? application_id : request_path(rq, "id");
    struct statement statement = { .name = "circumstances", .sql = sql, .silent = true };
    struct rows rows;
    const char *body;
    size_t length;
    TRY(db_run(rq, &statement, 1, &id, &rows));
    if (!rows.count) return problem(404, "not_found");
    TRY(record_open(rq, rows.row[0].body, rows.row[0].length, &body, &length));
    json_t *told = json_loadb(body, length, 0, NULL);
    if (!told) return problem(500, "internal");
    struct problem stop = add_circumstances(rq, told);
    json_decref(told);
    return stop;
}
