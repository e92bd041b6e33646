/* The ledger as its readers need it: transaction by transaction, and as a figure. */
#include "api/periods.h"
#include "utvag/resource.h"

static struct problem read_ratio(struct request *rq, struct response *rs)
{
    static const struct statement statement = {
        .name = "readLedgerRatio",
        .sql =
            "page AS (SELECT NULL::uuid AS id, 0 AS version, fund_ratio($1::date, $2::date) AS body, NULL::text AS key)",
    };
    const char *from, *to;
    struct rows rows;
    TRY(periods_read_months(rq, &from, &to));
    const char *const values[] = { from, to };
    TRY(db_run(rq, &statement, 2, values, &rows));
    return resource_answer(rq, rs, &rows);
}

const struct operation ledger[] = {
    { "listLedgerTransactions", resource_list, "ledger_transaction_bodies", NULL },
    { "readLedgerTransaction", resource_read, "ledger_transaction_bodies", NULL },
    { "readLedgerRatio", read_ratio, NULL, NULL },
    { 0 },
};
