/* Code lists: what coded members may say. Open to whoever is signed in; no case data. */
#include "utvag/resource.h"

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
    return resource_answer(rq, rs, &rows);
}

const struct operation codes[] = {
    { "listCodeLists", resource_list, "code_list_summaries", NULL },
    { "readCodeList", read_code_list, NULL, NULL },
    { 0 },
};
