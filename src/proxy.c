#include "utvag/proxy.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "utvag/config.h"

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

const char *proxy_client_address(const struct request *rq, const char *connected)
{
    if (!is_listed(rq->service->config->proxies, connected)) return connected;
    const char *stated = last_forwarded(rq);
    unsigned char bytes[16];
    if (!stated || (inet_pton(AF_INET, stated, bytes) != 1 && inet_pton(AF_INET6, stated, bytes) != 1))
        return connected;
    return stated;
}
