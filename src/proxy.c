#include "utvag/proxy.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "utvag/base64url.h"
#include "utvag/config.h"
#include "utvag/digest.h"

static bool is_listed(const char *list, const char *address)
{
    size_t length = strlen(address);
    while (list && *list) {
        size_t size = strcspn(list, ",");
        if (size == length && memcmp(list, address, size) == 0) return true;
        list += size + (list[size] == ',');
    }
    return false;
}

/* What clients send stands before what the proxy adds: the last word of the last header is the proxy's own. */
static const char *last_forwarded(const struct request *rq)
{
    const char *value = NULL;
    for (size_t i = 0; i < rq->header_count; i++)
        if (strcasecmp(rq->headers[i].name, "X-Forwarded-For") == 0) value = rq->headers[i].value;
    const char *comma = value ? strrchr(value, ',') : NULL;
    if (comma) value = comma + 1;
    return value ? value + strspn(value, " \t") : NULL;
}

void proxy_address_text(int family, const void *bytes, char out[ADDRESS_SIZE])
{
    enum { MAPPED_PREFIX = 12 }; /* bytes before the IPv4 address (RFC 4291, 2.5.5.2) */
    const unsigned char *from = bytes;
    if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)bytes)) {
        family = AF_INET;
        from += MAPPED_PREFIX;
    }
    if (!inet_ntop(family, from, out, ADDRESS_SIZE)) out[0] = '\0';
}

const char *proxy_client_address(const struct request *rq, const char *connected)
{
    if (!is_listed(rq->service->config->proxies, connected)) return connected;
    const char *stated = last_forwarded(rq);
    struct in6_addr bytes;
    char text[ADDRESS_SIZE];
    int family = stated && strchr(stated, ':') ? AF_INET6 : AF_INET;
    if (!stated || inet_pton(family, stated, &bytes) != 1) return connected;
    proxy_address_text(family, &bytes, text);
    const char *copy = arena_copy(rq->arena, text, strlen(text));
    return copy ? copy : connected;
}

/* Certificates --------------------------------------------------------------------------------------------------- */

/* Base64 as RFC 4648, section 4 has it, padded, without line ends: its bytes in the arena, or NULL. */
static unsigned char *base64_read(struct arena *arena, const char *text, size_t length, size_t *filled)
{
    char *url = length % 4 == 0 ? arena_copy(arena, text, length) : NULL;
    unsigned char *bytes = url ? arena_alloc(arena, length) : NULL;
    if (!bytes || memchr(url, '-', length) || memchr(url, '_', length)) return NULL;
    for (int i = 0; i < 2 && length && url[length - 1] == '='; i++) length--;
    for (size_t i = 0; i < length; i++)
        if (url[i] == '+' || url[i] == '/') url[i] = "-_"[url[i] == '/'];
    return base64url_decode(url, length, bytes, filled) ? bytes : NULL;
}

static unsigned hex_value(char c)
{
    static const char digits[] = "0123456789ABCDEF0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (unsigned)(at - digits) % 16 : 16;
}

/* Takes the percent-encoding away, and with it the ends of lines. */
static char *unescape(struct arena *arena, const char *escaped)
{
    char *text = arena_copy(arena, escaped, strlen(escaped)), *to = text;
    if (!text) return NULL;
    for (const char *at = escaped; *at; at++) {
        bool escape = *at == '%' && hex_value(at[1]) < 16 && hex_value(at[2]) < 16;
        char c = escape ? (char)(hex_value(at[1]) << 4 | hex_value(at[2])) : *at;
        if (c != '\n' && c != '\r') *to++ = c;
        if (escape) at += 2;
    }
    *to = '\0';
    return text;
}

/* The base64 text of the first certificate of a percent-encoded PEM; NULL if it is none. */
static const char *unwrap(struct arena *arena, const char *escaped)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    char *text = unescape(arena, escaped), *end = text ? strstr(text, "-----END CERTIFICATE-----") : NULL;
    if (!end || strncmp(text, begin, sizeof begin - 1) != 0) return NULL;
    *end = '\0';
    return text + sizeof begin - 1;
}

static const char *thumbprint(struct arena *arena, const char *base64, size_t length)
{
    enum { SEQUENCE = 0x30 }; /* what every certificate is, in DER */
    unsigned char digest[DIGEST_BYTES];
    size_t filled = 0;
    unsigned char *der = base64_read(arena, base64, length, &filled);
    char *text = arena_alloc(arena, BASE64URL_LENGTH(DIGEST_BYTES) + 1);
    if (!der || !filled || der[0] != SEQUENCE || !text) return NULL;
    digest_sha256(der, filled, digest);
    base64url_encode(digest, sizeof digest, text);
    return text;
}

const char *proxy_client_certificate(const struct request *rq, const char *connected, const char *own)
{
    const char *value = NULL;
    if (!is_listed(rq->service->config->proxies, connected)) return own;
    for (size_t i = 0; i < rq->header_count; i++) {
        if (strcasecmp(rq->headers[i].name, "Client-Cert") != 0) continue;
        if (value) return NULL; /* one of them is not the proxy's */
        value = rq->headers[i].value;
    }
    size_t length = value ? strlen(value) : 0;
    if (length > 2 && value[0] == ':' && value[length - 1] == ':') return thumbprint(rq->arena, value + 1, length - 2);
    const char *base64 = length ? unwrap(rq->arena, value) : NULL;
    return base64 ? thumbprint(rq->arena, base64, strlen(base64)) : NULL;
}
