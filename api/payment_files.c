/* Payment files: approved disbursements on their way to the bank, and what the bank said. */
#include <string.h>

#include "utvag/config.h"
#include "utvag/pain001.h"
#include "utvag/record.h"
#include "utvag/resource.h"
#include "utvag/respond.h"

/* A row of payment_file_content, opened; owned by the caller. NULL when it cannot be read. */
static json_t *open_row(struct request *rq, const struct row *row)
{
    const char *body;
    size_t length;
    if (record_open(rq, row->body, row->length, &body, &length).status) return NULL;
    return json_loadb(body, length, 0, NULL);
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* One payment; false without payee, as when her keys are destroyed. */
static bool read_payment(const json_t *row, struct pain001_payment *payment)
{
    const json_t *pay_to = json_object_get(row, "pay_to"), *foreign = json_object_get(pay_to, "foreign");
    *payment = (struct pain001_payment){
        .voucher = text_of(row, "voucher"),
        .payee = text_of(json_object_get(row, "payee"), "name"),
        .currency = "SEK",
        .amount = json_integer_value(json_object_get(row, "amount_ore")),
    };
    if (foreign) {
        payment->kind = PAIN001_FOREIGN;
        payment->iban = text_of(foreign, "iban");
        payment->bic = text_of(foreign, "bic");
        payment->country = text_of(foreign, "country");
        payment->currency = text_of(foreign, "currency_code");
        payment->amount = json_integer_value(json_object_get(foreign, "amount_minor"));
    } else if ((payment->iban = text_of(pay_to, "iban"))) {
        payment->kind = PAIN001_IBAN;
    } else if ((payment->number = text_of(pay_to, "bankgiro"))) {
        payment->kind = PAIN001_BANKGIRO;
    } else if ((payment->number = text_of(pay_to, "plusgiro"))) {
        payment->kind = PAIN001_PLUSGIRO;
    } else {
        payment->kind = PAIN001_ACCOUNT;
        payment->number = text_of(pay_to, "account");
    }
    return payment->payee && (payment->iban || payment->number);
}

/* opened: a place for each row, whose strings the file points at. */
static struct problem write_file(struct request *rq, struct response *rs, const struct rows *rows, json_t **opened)
{
    const struct config *config = rq->service->config;
    struct pain001_payment *payments = arena_alloc(rq->arena, rows->count * sizeof *payments);
    size_t length;
    if (!payments) return problem(500, "out_of_memory");
    for (size_t i = 0; i < rows->count; i++) {
        if (!(opened[i] = open_row(rq, &rows->row[i]))) return problem(500, "internal");
        if (i > 0 && !read_payment(opened[i], &payments[i - 1])) return problem(404, "not_found");
    }
    struct pain001_file file = {
        .message = text_of(opened[0], "message"),
        .created_at = text_of(opened[0], "created_at"),
        .pay_on = text_of(opened[0], "pay_on"),
        .payer_name = config->organisation_name,
        .payer_iban = config->payer_iban,
        .payer_bic = config->payer_bic,
        .payer_number = config->organisation_number,
        .payments = payments,
        .count = rows->count - 1,
    };
    const char *xml = pain001_write(rq->arena, &file, &length);
    if (!xml) return problem(500, "out_of_memory");
    respond_body(rs, 200, "application/xml", xml, length);
    return PROBLEM_NONE;
}

static struct problem read_content(struct request *rq, struct response *rs)
{
    struct rows rows;
    const char *id = request_path(rq, "id");
    struct statement statement = {
        .name = rq->contract->id,
        .sql = "page AS (SELECT id, version, body, key FROM payment_file_content($1::uuid, NULL, NULL))",
    };
    if (!rq->service->config->payer_iban) return problem(503, "payer_not_set");
    TRY(db_run(rq, &statement, 1, &id, &rows));
    if (!rows.count) return problem(404, "not_found");
    json_t **opened = arena_alloc(rq->arena, rows.count * sizeof(json_t *));
    if (!opened) return problem(500, "out_of_memory");
    struct problem stop = write_file(rq, rs, &rows, opened);
    for (size_t i = 0; i < rows.count; i++) json_decref(opened[i]);
    return stop;
}

const struct operation payment_files[] = {
    { "listPaymentFiles", resource_list, "payment_file_summaries", NULL },
    { "readPaymentFile", resource_read, "payment_file_bodies", NULL },
    { "makePaymentFile", resource_write, NULL, "create_payment_file" },
    { "readPaymentFileContent", read_content, NULL, NULL },
    { "confirmPayments", resource_write, NULL, "confirm_payments" },
    { 0 },
};
