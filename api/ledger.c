/* The ledger as its readers need it: transaction by transaction, as a figure, and whole. */
#include <string.h>

#include "api/periods.h"
#include "utvag/config.h"
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

/* The forms of the export. $1 and $2 are the period; then the charity's name and number, and our version, for SIE. --------- */

#define OF_PERIOD "t WHERE t.booked_on BETWEEN $1::date AND $2::date ORDER BY t.booked_on, t.id"

static const struct stream_part json[] = {
    { "SELECT '{\"from_on\":\"' || $1 || '\",\"to_on\":\"' || $2 || '\",\"ledger_transactions\":['", NULL },
    { "SELECT t.body FROM ledger_transaction_bodies " OF_PERIOD, "," },
    { 0 },
};
static const struct stream_part lines[] = {
    { "SELECT t.body || E'\\n' FROM ledger_transaction_bodies " OF_PERIOD, NULL },
    { 0 },
};
static const struct stream_part csv[] = {
    { "SELECT E'voucher,kind,booked_on,account_number,account_name,layer,amount_ore,account_id,project_id,transaction_id,"
      "reverses_id\\r\\n'",
      NULL },
    { "SELECT t.line FROM ledger_csv_lines " OF_PERIOD ", t.position", NULL },
    { 0 },
};
static const struct stream_part sie[] = {
    { "SELECT h.line || E'\\r\\n' FROM sie_head($1::date, $2::date, $3, $4, $5) h", NULL },
    { "SELECT t.text FROM sie_vouchers " OF_PERIOD, NULL },
    { 0 },
};
static const char sie_type[] = "application/x-sie";
static const struct stream_form forms[] = {
    { "application/json", NULL, json, "]}" },
    { "application/x-ndjson", NULL, lines, NULL },
    { "text/csv", NULL, csv, NULL },
    { sie_type, "CP437", sie, NULL },
    { 0 },
};

static struct problem export_ledger(struct request *rq, struct response *rs)
{
    const struct config *config = rq->service->config;
    const char *from, *to, *number = config->organisation_number;
    const struct stream_form *form = resource_form(rq, forms);
    TRY(periods_read_days(rq, form && form->type == sie_type, &from, &to));
    const char *const values[] = { from, to, config->organisation_name, number ? number : "", UTVAG_VERSION };
    return resource_stream(rq, rs, form, sizeof values / sizeof *values, values);
}

const struct operation ledger[] = {
    { "listLedgerTransactions", resource_list, "ledger_transaction_bodies", NULL },
    { "readLedgerTransaction", resource_read, "ledger_transaction_bodies", NULL },
    { "exportLedger", export_ledger, NULL, NULL },
    { "readLedgerRatio", read_ratio, NULL, NULL },
    { 0 },
};
