#include "utvag/request.h"

#include <string.h>
#include <strings.h>

#include "utvag/digest.h"

static struct problem ambiguous(const char *code)
{
    return (struct problem){ .status = 400, .code = code, .close = true };
}

/* RFC 9110, 5.6.2. */
static bool is_token(const char *text)
{
    if (!*text) return false;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!word && !strchr("!#$%&'*+-.^_`|~", c)) return false;
    }
    return true;
}

static bool is_clean(const char *value)
{
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;
        if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

/* In any case. Most names differ in their first letter already. */
static bool is_named(const struct pair *header, const char *name)
{
    return ((*header->name ^ *name) & ~0x20) == 0 && strcasecmp(header->name, name) == 0;
}

static size_t header_times(const struct request *rq, const char *name)
{
    size_t times = 0;
    for (size_t i = 0; i < rq->header_count; i++) times += is_named(&rq->headers[i], name);
    return times;
}

/* One Content-Length of digits, or one Transfer-Encoding of exactly chunked, or neither. */
static bool framing_is_plain(const struct request *rq)
{
    const char *length = request_header(rq, "Content-Length");
    const char *coding = request_header(rq, "Transfer-Encoding");
    if (header_times(rq, "Content-Length") > 1 || header_times(rq, "Transfer-Encoding") > 1) return false;
    if (length && coding) return false;
    if (coding && strcasecmp(coding, "chunked") != 0) return false;
    return !length || (*length && strlen(length) < 20 && strspn(length, "0123456789") == strlen(length));
}

static bool host_is_plain(const struct request *rq)
{
    const char *host = request_header(rq, "Host");
    if (!host || !*host || header_times(rq, "Host") > 1) return false;
    for (; *host; host++) {
        bool word = (*host >= '0' && *host <= '9') || ((*host | 0x20) >= 'a' && (*host | 0x20) <= 'z');
        if (!word && !strchr("-._~:[]", *host)) return false;
    }
    return true;
}

/* Where a second value could mean another caller, body or version than the first one. */
static bool singletons_are_single(const struct request *rq)
{
    static const char *const names[] = { "Authorization",   "Content-Type", "Content-Encoding", "If-Match",
                                         "Idempotency-Key", "X-Purpose",    "X-Acting-Officer" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (header_times(rq, names[i]) > 1) return false;
    return true;
}

struct problem request_guard(struct request *rq)
{
    if (!is_token(rq->method)) return ambiguous("method_invalid");
    for (size_t i = 0; i < rq->header_count; i++)
        if (!is_token(rq->headers[i].name) || !is_clean(rq->headers[i].value)) return ambiguous("header_invalid");
    if (!framing_is_plain(rq)) return ambiguous("framing_ambiguous");
    if (!host_is_plain(rq)) return ambiguous("host_invalid");
    if (!singletons_are_single(rq)) return ambiguous("header_repeated");
    return PROBLEM_NONE;
}

size_t request_head_length(const struct request *rq)
{
    size_t length = strlen(rq->method) + strlen(rq->url) + sizeof "  HTTP/1.1\r\n\r\n" - 1;
    for (size_t i = 0; i < rq->header_count; i++)
        length += strlen(rq->headers[i].name) + strlen(rq->headers[i].value) + sizeof ": \r\n" - 1;
    return length;
}

static bool is_hex(const char *text, size_t length)
{
    bool other_than_zero = false;
    for (size_t i = 0; i < length; i++) {
        if (!strchr("0123456789abcdef", text[i]) || !text[i]) return false;
        other_than_zero |= text[i] != '0';
    }
    return other_than_zero;
}

/* https://www.w3.org/TR/trace-context/: version-trace-parent-flags; a later version may go on after a dash. */
static bool traceparent_is_valid(const char *text)
{
    if (!text || strlen(text) < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
    bool first_version = memcmp(text, "00", 2) == 0;
    if (!first_version && (!is_hex(text, 2) || memcmp(text, "ff", 2) == 0)) return false;
    if (text[55] && (first_version || text[55] != '-')) return false;
    bool flags = is_hex(text + 53, 2) || memcmp(text + 53, "00", 2) == 0;
    return flags && is_hex(text + 3, 32) && is_hex(text + 36, 16);
}

void request_begin(struct request *rq)
{
    unsigned char chance[24];
    digest_chance(chance, sizeof chance);
    chance[0] |= 1; /* neither id may be all zero */
    chance[16] |= 1;
    digest_hex(chance, 16, rq->trace);
    digest_hex(chance + 16, 8, rq->parent);
    const char *parent = request_header(rq, "traceparent");
    if (traceparent_is_valid(parent)) memcpy(rq->trace, parent + 3, 32);
    rq->language = text_language(request_header(rq, "Accept-Language"));
    rq->head = strcmp(rq->method, "HEAD") == 0;
}

const char *request_header(const struct request *rq, const char *name)
{
    for (size_t i = 0; i < rq->header_count; i++)
        if (is_named(&rq->headers[i], name)) return rq->headers[i].value;
    return NULL;
}

const char *request_list(const struct request *rq, const char *name)
{
    const char *joined = NULL;
    for (size_t i = 0; i < rq->header_count; i++) {
        if (!is_named(&rq->headers[i], name)) continue;
        const char *value = rq->headers[i].value;
        joined = joined ? arena_text(rq->arena, "%s, %s", joined, value) : value;
        if (!joined) return NULL;
    }
    return joined;
}

static const char *pair_value(const struct pair *pairs, const char *name)
{
    for (; pairs && pairs->name; pairs++)
        if (strcmp(pairs->name, name) == 0) return pairs->value;
    return NULL;
}

const char *request_query(const struct request *rq, const char *name) { return pair_value(rq->query, name); }

const char *request_path(const struct request *rq, const char *name) { return pair_value(rq->path_values, name); }

/* "<version>.<digest>", perhaps marked by our own compression (compress.h) or weakened by that of a proxy. */
int request_version(const struct request *rq)
{
    const char *tag = request_header(rq, "If-Match");
    if (!tag) return 0;
    if (strncmp(tag, "W/", 2) == 0) tag += 2;
    if (*tag++ != '"') return -1;
    size_t digits = strspn(tag, "0123456789");
    if (!digits || digits > 9 || *tag == '0') return -1;
    int version = 0;
    for (size_t i = 0; i < digits; i++) version = version * 10 + (tag[i] - '0');
    const char *rest = tag + digits;
    if (*rest == '.') rest += 1 + strspn(rest + 1, "0123456789abcdef");
    if (strncmp(rest, "-gzip", 5) == 0) rest += 5;
    return strcmp(rest, "\"") == 0 ? version : -1;
}

void response_header(struct response *rs, const char *name, const char *value)
{
    for (size_t i = 0; i < rs->header_count; i++)
        if (is_named(&rs->headers[i], name)) {
            rs->headers[i].value = value;
            return;
        }
    if (rs->header_count < RESPONSE_HEADERS) rs->headers[rs->header_count++] = (struct pair){ name, value };
}
