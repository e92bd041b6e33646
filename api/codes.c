/* Code lists: what coded members may say. Open to whoever is signed in; no case data. */
#include <string.h>

#include "utvag/resource.h"
#include "utvag/text.h"

static json_t *problem_codes(void)
{
    json_t *codes = json_array();
    const struct text *text;
    for (size_t i = 0; (text = text_at(i)); i++)
        json_array_append_new(codes,
                              json_pack("{s:s, s:s, s:s, s:n, s:n, s:n}", "code", text->code, "label_sv", text->swedish,
                                        "label_en", text->english, "group", "parent", "emergency"));
    return codes;
}

/* The codes of errors are not the database's: it names their list and leaves it empty. */
static struct problem fill_with_problems(struct request *rq, struct rows *rows)
{
    struct row *row = arena_alloc(rq->arena, sizeof *row);
    json_t *list = json_loadb(rows->row->body, rows->row->length, 0, NULL);
    bool made = row && json_object_set_new(list, "codes", problem_codes()) == 0;
    size_t length = made ? json_dumpb(list, NULL, 0, JSON_COMPACT) : 0;
    char *body = made ? arena_alloc(rq->arena, length + 1) : NULL;
    if (body) {
        json_dumpb(list, body, length, JSON_COMPACT);
        *row = *rows->row;
        row->body = body;
        row->length = length;
        rows->row = row;
    }
    json_decref(list);
    return body ? PROBLEM_NONE : problem(500, "out_of_memory");
}

/* Lists are named, not numbered, so that their addresses can be known and kept. */
static struct problem read_code_list(struct request *rq, struct response *rs)
{
    static const struct statement statement = {
        .name = "readCodeList",
        .sql =
            "page AS (SELECT NULL::uuid AS id, version, body, NULL::text AS key FROM code_list_bodies WHERE list = $1)",
    };
    const char *const values[] = { request_path(rq, "list") };
    struct rows rows;
    TRY(db_run(rq, &statement, 1, values, &rows));
    if (rows.count && strcmp(values[0], "problems") == 0) TRY(fill_with_problems(rq, &rows));
    return resource_answer(rq, rs, &rows);
}

const struct operation codes[] = {
    { "listCodeLists", resource_list, "code_list_summaries", NULL },
    { "readCodeList", read_code_list, NULL, NULL },
    { 0 },
};
