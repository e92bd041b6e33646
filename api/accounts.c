/* Accounts, and the movement table of each. What may be seen of them by whom is in 0032_books.sql. */
#include "api/periods.h"
#include "utvag/resource.h"

static struct problem read_statement(struct request *rq, struct response *rs)
{
    static const struct statement statement = {
        .name = "readAccountStatement",
        .sql = "page AS (SELECT s.id, s.version, s.body, NULL::text AS key"
               " FROM account_statement($1::uuid, $2::date, $3::date) s)",
    };
    const char *from, *to;
    struct rows rows;
    TRY(periods_read_months(rq, &from, &to));
    const char *const values[] = { request_path(rq, "id"), from, to };
    TRY(db_run(rq, &statement, 3, values, &rows));
    return resource_answer(rq, rs, &rows);
}

const struct operation accounts[] = {
    { "listAccounts", resource_list, "account_bodies", NULL },
    { "readAccount", resource_read, "account_bodies", NULL },
    { "readAccountStatement", read_statement, NULL, NULL },
    { "listAccountTransactions", resource_list, "account_transaction_bodies", NULL },
    { 0 },
};
