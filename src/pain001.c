#include "utvag/pain001.h"

#include <libxml/parser.h>
#include <libxml/xmlwriter.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "utvag/account_number.h"

#define NAMESPACE "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"

enum { NAME_MOST = 70, AMOUNT_SIZE = 32, NUMBER_SIZE = 40 };

/* One file on its way; once something failed, the rest does nothing. */
struct writer {
    xmlTextWriterPtr xml;
    bool failed;
};

static void begin(struct writer *writer, const char *element)
{
    if (!writer->failed && xmlTextWriterStartElement(writer->xml, BAD_CAST element) < 0) writer->failed = true;
}

static void end(struct writer *writer)
{
    if (!writer->failed && xmlTextWriterEndElement(writer->xml) < 0) writer->failed = true;
}

static void text(struct writer *writer, const char *element, const char *value)
{
    if (!writer->failed && xmlTextWriterWriteElement(writer->xml, BAD_CAST element, BAD_CAST value) < 0)
        writer->failed = true;
}

/* path: elements within one another, ended by NULL; the last holds the value. */
static void nested(struct writer *writer, const char *value, ...) __attribute__((sentinel));
static void nested(struct writer *writer, const char *value, ...)
{
    va_list path;
    int depth = 0;
    va_start(path, value);
    for (const char *element = va_arg(path, const char *), *next; element; element = next) {
        next = va_arg(path, const char *);
        if (!next) {
            text(writer, element, value);
        } else {
            begin(writer, element);
            depth++;
        }
    }
    va_end(path);
    while (depth--) end(writer);
}

/* Names of banks' files are short, and XML has no place for control characters or U+FFFE and U+FFFF. */
static void name(struct writer *writer, const char *value)
{
    char out[NAME_MOST * 4 + 1];
    size_t used = 0;
    for (int count = 0; *value && count < NAME_MOST; count++) {
        size_t size = 1;
        while (((unsigned char)value[size] & 0xC0) == 0x80) size++;
        bool odd = (unsigned char)*value < 0x20 || memcmp(value, "\xEF\xBF\xBE", size) == 0 ||
                   memcmp(value, "\xEF\xBF\xBF", size) == 0;
        if (odd)
            out[used++] = ' ';
        else if (size <= 4)
            used += (size_t)(mempcpy(out + used, value, size) - (void *)(out + used));
        value += size;
    }
    out[used] = '\0';
    text(writer, "Nm", out);
    explicit_bzero(out, sizeof out);
}

/* Amounts ------------------------------------------------------------------------------------------------------------ */

/* Digits after the point (ISO 4217), two for most. */
static int decimals_of(const char *currency)
{
    static const char none[] = " BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF ",
                      three[] = " BHD IQD JOD KWD LYD OMR TND ";
    char word[8];
    snprintf(word, sizeof word, " %.3s ", currency);
    return strstr(none, word) ? 0 : strstr(three, word) ? 3 : 2;
}

static void write_amount(char out[AMOUNT_SIZE], long long least, int decimals)
{
    static const long long units[] = { 1, 10, 100, 1000 };
    if (decimals)
        snprintf(out, AMOUNT_SIZE, "%lld.%0*lld", least / units[decimals], decimals, least % units[decimals]);
    else
        snprintf(out, AMOUNT_SIZE, "%lld", least);
}

/* Payments abroad have an order of their own in the file. */
static bool is_of(const struct pain001_payment *payment, bool foreign)
{
    return (payment->kind == PAIN001_FOREIGN) == foreign;
}

static size_t count_of(const struct pain001_file *file, bool foreign)
{
    size_t count = 0;
    for (size_t i = 0; i < file->count; i++) count += is_of(&file->payments[i], foreign);
    return count;
}

/* A sum of numbers, whatever their currencies (the standard's own control); in thousandths. */
static long long sum_of(const struct pain001_file *file, bool foreign)
{
    static const long long thousandths[] = { 1000, 100, 10, 1 };
    long long sum = 0;
    for (size_t i = 0; i < file->count; i++) {
        const struct pain001_payment *payment = &file->payments[i];
        if (is_of(payment, foreign)) sum += payment->amount * thousandths[decimals_of(payment->currency)];
    }
    return sum;
}

static void totals(struct writer *writer, size_t count, long long sum)
{
    char number[AMOUNT_SIZE];
    snprintf(number, sizeof number, "%zu", count);
    text(writer, "NbOfTxs", number);
    if (sum % 10 == 0)
        write_amount(number, sum / 10, 2);
    else
        write_amount(number, sum, 3);
    text(writer, "CtrlSum", number);
}

/* One payment -------------------------------------------------------------------------------------------------------- */

/* The bank, by its clearing number in Sweden: 9900 is Bankgirot, 9960 Plusgirot. */
static void clearing(struct writer *writer, const char *member)
{
    begin(writer, "CdtrAgt");
    begin(writer, "FinInstnId");
    begin(writer, "ClrSysMmbId");
    nested(writer, "SESBA", "ClrSysId", "Cd", NULL);
    text(writer, "MmbId", member);
    end(writer);
    end(writer);
    end(writer);
}

static void agent(struct writer *writer, const struct pain001_payment *payment)
{
    char member[5] = "";
    switch (payment->kind) {
    case PAIN001_BANKGIRO: clearing(writer, "9900"); break;
    case PAIN001_PLUSGIRO: clearing(writer, "9960"); break;
    case PAIN001_ACCOUNT:
        memcpy(member, payment->number, 4);
        clearing(writer, member);
        break;
    case PAIN001_FOREIGN:
        begin(writer, "CdtrAgt");
        begin(writer, "FinInstnId");
        text(writer, "BIC", payment->bic);
        nested(writer, payment->country, "PstlAdr", "Ctry", NULL);
        end(writer);
        end(writer);
        break;
    case PAIN001_IBAN: /* tells its bank itself */ break;
    }
}

static void account(struct writer *writer, const struct pain001_payment *payment)
{
    char digits[NUMBER_SIZE];
    if (payment->iban) {
        nested(writer, payment->iban, "CdtrAcct", "Id", "IBAN", NULL);
        return;
    }
    account_number_digits(payment->number, digits);
    begin(writer, "CdtrAcct");
    begin(writer, "Id");
    begin(writer, "Othr");
    text(writer, "Id", digits);
    if (payment->kind == PAIN001_BANKGIRO)
        nested(writer, "BGNR", "SchmeNm", "Prtry", NULL);
    else
        nested(writer, "BBAN", "SchmeNm", "Cd", NULL);
    end(writer);
    end(writer);
    end(writer);
}

static void transfer(struct writer *writer, const struct pain001_payment *payment)
{
    char amount[AMOUNT_SIZE];
    write_amount(amount, payment->amount, decimals_of(payment->currency));
    begin(writer, "CdtTrfTxInf");
    nested(writer, payment->voucher, "PmtId", "EndToEndId", NULL);
    begin(writer, "Amt");
    begin(writer, "InstdAmt");
    if (!writer->failed && (xmlTextWriterWriteAttribute(writer->xml, BAD_CAST "Ccy", BAD_CAST payment->currency) < 0 ||
                            xmlTextWriterWriteString(writer->xml, BAD_CAST amount) < 0))
        writer->failed = true;
    end(writer);
    end(writer);
    agent(writer, payment);
    begin(writer, "Cdtr");
    name(writer, payment->payee);
    if (payment->country) nested(writer, payment->country, "PstlAdr", "Ctry", NULL);
    end(writer);
    account(writer, payment);
    nested(writer, payment->voucher, "RmtInf", "Ustrd", NULL);
    end(writer);
}

/* The file ----------------------------------------------------------------------------------------------------------- */

static void payer(struct writer *writer, const struct pain001_file *file, const char *element)
{
    char digits[NUMBER_SIZE];
    begin(writer, element);
    name(writer, file->payer_name);
    if (file->payer_number) {
        account_number_digits(file->payer_number, digits);
        nested(writer, digits, "Id", "OrgId", "Othr", "Id", NULL);
    }
    end(writer);
}

static void order(struct writer *writer, const struct pain001_file *file, bool foreign)
{
    char id[NUMBER_SIZE];
    size_t count = count_of(file, foreign);
    if (!count) return;
    snprintf(id, sizeof id, "%.30s-%d", file->message, foreign ? 2 : 1);
    begin(writer, "PmtInf");
    text(writer, "PmtInfId", id);
    text(writer, "PmtMtd", "TRF");
    totals(writer, count, sum_of(file, foreign));
    nested(writer, "NURG", "PmtTpInf", "SvcLvl", "Cd", NULL);
    text(writer, "ReqdExctnDt", file->pay_on);
    payer(writer, file, "Dbtr");
    begin(writer, "DbtrAcct");
    nested(writer, file->payer_iban, "Id", "IBAN", NULL);
    text(writer, "Ccy", "SEK");
    end(writer);
    nested(writer, file->payer_bic, "DbtrAgt", "FinInstnId", "BIC", NULL);
    text(writer, "ChrgBr", foreign ? "SHAR" : "SLEV");
    for (size_t i = 0; i < file->count; i++)
        if (is_of(&file->payments[i], foreign)) transfer(writer, &file->payments[i]);
    end(writer);
}

static void document(struct writer *writer, const struct pain001_file *file)
{
    char created[20]; /* without a zone, in UTC */
    snprintf(created, sizeof created, "%.19s", file->created_at);
    if (xmlTextWriterStartDocument(writer->xml, NULL, "UTF-8", NULL) < 0) writer->failed = true;
    begin(writer, "Document");
    if (!writer->failed && xmlTextWriterWriteAttribute(writer->xml, BAD_CAST "xmlns", BAD_CAST NAMESPACE) < 0)
        writer->failed = true;
    begin(writer, "CstmrCdtTrfInitn");
    begin(writer, "GrpHdr");
    text(writer, "MsgId", file->message);
    text(writer, "CreDtTm", created);
    totals(writer, file->count, sum_of(file, false) + sum_of(file, true));
    payer(writer, file, "InitgPty");
    end(writer);
    order(writer, file, false);
    order(writer, file, true);
    if (!writer->failed && xmlTextWriterEndDocument(writer->xml) < 0) writer->failed = true;
}

const char *pain001_write(struct arena *arena, const struct pain001_file *file, size_t *length)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, xmlInitParser); /* else the first two threads may do it at the same time */
    xmlBufferPtr buffer = xmlBufferCreate();
    struct writer writer = { .xml = buffer ? xmlNewTextWriterMemory(buffer, 0) : NULL };
    const char *made = NULL;
    if (writer.xml) {
        document(&writer, file);
        xmlFreeTextWriter(writer.xml); /* writes the rest into the buffer */
        *length = (size_t)xmlBufferLength(buffer);
        if (!writer.failed) made = arena_copy(arena, (const char *)xmlBufferContent(buffer), *length);
        explicit_bzero((void *)xmlBufferContent(buffer), *length);
    }
    if (buffer) xmlBufferFree(buffer);
    return made;
}
