/* Code lists: what coded members may say. Open to whoever is signed in; no case data. */
#include "utvag/db.h"
#include "utvag/digest.h"
#include "utvag/resource.h"
#include "utvag/respond.h"

/* As a record's: the version, which is constant here, and a digest of what was sent. */
static const char *tag(struct request *rq, const struct row *row)
{
    unsigned char digest[DIGEST_BYTES];
    char hex[9];
    digest_sha256(row->body, row->length, digest);
    digest_hex(digest, 4, hex);
    return arena_text(rq->arena, "\"%d.%s\"", row->version, hex);
}

/* Lists are named, not numbered, so that their addresses can be guessed and kept. */
static struct problem read_code_list(struct request *rq, struct response *rs)
{
    static const struct statement statement = {
        .name = "readCodeList",
        .sql = "page AS (SELECT NULL::uuid AS id, version, body, NULL::text AS key FROM code_list_bodies WHERE list = $1)",
    };
    const char *const values[] = { request_path(rq, "list") };
    struct rows rows;
    TRY(db_run(rq, &statement, 1, values, &rows));
    if (rows.count == 0) return problem(404, "not_found");
    const struct row *row = &rows.row[0];
    respond_body(rs, 200, "application/json", row->body, row->length);
    rs->etag = tag(rq, row);
    return PROBLEM_NONE;
}

const struct operation codes[] = {
    { "listCodeLists", resource_list, "code_list_summaries", NULL },
    { "readCodeList", read_code_list, NULL, NULL },
    { 0 },
};
