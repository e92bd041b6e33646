/* The order to the bank: an ISO 20022 customer credit transfer initiation, pain.001.001.03, as Swedish banks take it. */
#pragma once
#include <stddef.h>

#include "utvag/arena.h"

/* To where money goes. What is not of the kind is NULL. */
enum pain001_kind { PAIN001_BANKGIRO, PAIN001_PLUSGIRO, PAIN001_ACCOUNT, PAIN001_IBAN, PAIN001_FOREIGN };

struct pain001_payment {
    const char *voucher; /* EndToEndId, and all that the payee is told */
    const char *payee;   /* name, UTF-8 */
    enum pain001_kind kind;
    const char *number;   /* bankgiro, plusgiro, or Swedish account with its clearing number; hyphens or not */
    const char *iban;     /* PAIN001_IBAN and PAIN001_FOREIGN */
    const char *bic;      /* PAIN001_FOREIGN */
    const char *country;  /* PAIN001_FOREIGN: ISO 3166, two letters */
    const char *currency; /* ISO 4217; "SEK" but for PAIN001_FOREIGN */
    long long amount;     /* in the currency's least unit: öre */
};

struct pain001_file {
    const char *message;    /* MsgId, at most 30 characters */
    const char *created_at; /* RFC 3339 */
    const char *pay_on;     /* YYYY-MM-DD */
    const char *payer_name, *payer_iban, *payer_bic;
    const char *payer_number; /* organisation number, or NULL */
    const struct pain001_payment *payments;
    size_t count;
};

/* The file as XML in the arena, the same bytes each time; NULL when out of memory. It holds names and account numbers: the
   copies made on the way are wiped. Any thread. */
const char *pain001_write(struct arena *arena, const struct pain001_file *file, size_t *length);
