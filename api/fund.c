/* What the children's fund tells: everyone in quarters, a donor of her gift, and its own people as it stands. What keeps it from
   telling of anyone is in 0039_fund.sql. */
#include "utvag/resource.h"

static struct problem tell_everyone(struct request *rq, struct response *rs)
{
    static const struct statement statement = { .name = "readFund",
                                                .sql = "page AS (SELECT id, version, body, key FROM fund_public())",
                                                .silent = true };
    struct rows rows;
    TRY(db_login(rq, &statement, 0, NULL, &rows));
    return resource_answer(rq, rs, &rows);
}

static struct problem tell_donor(struct request *rq, struct response *rs)
{
    static const struct statement statement = {
        .name = "readDonationUses",
        .sql = "page AS (SELECT id, version, body, key FROM donation_uses_told($1::uuid))",
        .many = true,
        .silent = true,
    };
    const char *const id = request_path(rq, "id");
    struct rows rows;
    TRY(db_login(rq, &statement, 1, &id, &rows));
    return resource_answer(rq, rs, &rows);
}

static struct problem tell_staff(struct request *rq, struct response *rs)
{
    static const struct statement statement = { .name = "readFundLive",
                                                .sql = "page AS (SELECT id, version, body, key FROM fund_live())" };
    struct rows rows;
    TRY(db_run(rq, &statement, 0, NULL, &rows));
    return resource_answer(rq, rs, &rows);
}

const struct operation fund[] = {
    { "readFund", tell_everyone, NULL, NULL },
    { "readFundLive", tell_staff, NULL, NULL },
    { "readDonationUses", tell_donor, NULL, NULL },
    { 0 },
};
