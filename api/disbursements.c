/* Disbursements: ordered of a decision's line, approved by others, and what came of them. Their gates are in
   0034_disbursements_more.sql. */
#include <string.h>

#include "utvag/resource.h"

/* The contract has one member in pay_to. */
static const char *method_of(const json_t *pay_to)
{
    const char *name = json_object_iter_key(json_object_iter((json_t *)pay_to));
    return name && strcmp(name, "iban") == 0 ? "account" : name;
}

/* Who is paid, and where, leaves the body sealed: what the rules ask of it goes beside. */
static struct problem order_disbursement(struct request *rq, struct response *rs)
{
    json_t *payee = json_object_get(rq->json, "payee"), *agency = json_object_get(payee, "agency_id");
    const char *method = method_of(json_object_get(rq->json, "pay_to"));
    bool fine = json_object_set(rq->json, "payee_kind", json_object_get(payee, "kind")) == 0 &&
                (!agency || json_object_set(rq->json, "payee_agency_id", agency) == 0) && method &&
                json_object_set_new(rq->json, "method", json_string(method)) == 0;
    return fine ? resource_write(rq, rs) : problem(500, "out_of_memory");
}

const struct operation disbursements[] = {
    { "listDisbursements", resource_list, "disbursement_bodies", NULL },
    { "readDisbursement", resource_read, "disbursement_bodies", NULL },
    { "listApplicationDisbursements", resource_list, "application_disbursement_bodies", NULL },
    { "orderDisbursement", order_disbursement, NULL, "create_disbursement" },
    { "approveDisbursement", resource_write, NULL, "approve_disbursement" },
    { "cancelDisbursement", resource_write, NULL, "cancel_disbursement" },
    { "listReceipts", resource_list, "receipt_bodies", NULL },
    { "addReceipt", resource_write, NULL, "add_receipt" },
    { "listRefunds", resource_list, "refund_bodies", NULL },
    { "addRefund", resource_write, NULL, "add_refund" },
    { 0 },
};
