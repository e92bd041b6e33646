#include "utvag/cursor.h"

#include <stdint.h>
#include <string.h>

#include "utvag/base64url.h"
#include "utvag/blind.h"
#include "utvag/digest.h"

enum { MAC_BYTES = 16, TEXT_LIMIT = 2048 };

/* A cursor is base64url of: MAC, key, NUL, id. */

static bool mac_of(const struct request *rq, const char *scope, const unsigned char *page, size_t length,
                   unsigned char out[BLIND_BYTES])
{
    size_t scoped = strlen(scope) + 1;
    char *bytes = arena_alloc(rq->arena, scoped + length);

    if (!bytes) return false;
    memcpy(bytes, scope, scoped);
    memcpy(bytes + scoped, page, length);
    return blind_mac(rq->service->keyring, "cursor", bytes, scoped + length, out);
}

const char *cursor_make(const struct request *rq, const char *scope, const char *key, const char *id)
{
    unsigned char mac[BLIND_BYTES];
    size_t keyed = strlen(key) + 1, length = keyed + strlen(id);
    unsigned char *bytes = arena_alloc(rq->arena, MAC_BYTES + length);
    char *text = arena_alloc(rq->arena, BASE64URL_LENGTH(MAC_BYTES + length) + 1);

    if (!bytes || !text) return NULL;
    memcpy(bytes + MAC_BYTES, key, keyed);
    memcpy(bytes + MAC_BYTES + keyed, id, length - keyed);
    if (!mac_of(rq, scope, bytes + MAC_BYTES, length, mac)) return NULL;
    memcpy(bytes, mac, MAC_BYTES);
    base64url_encode(bytes, MAC_BYTES + length, text);
    return text;
}

static bool read_signed(const struct request *rq, const char *scope, const char *text, const char **key,
                        const char **id)
{
    unsigned char mac[BLIND_BYTES];
    size_t length = strnlen(text, TEXT_LIMIT + 1), filled = 0;
    unsigned char *bytes = length > TEXT_LIMIT ? NULL : arena_alloc(rq->arena, length + 1); /* + 1: ends the id */

    if (!bytes || !base64url_decode(text, length, bytes, &filled) || filled < MAC_BYTES) return false;
    const char *page = (const char *)bytes + MAC_BYTES;
    if (!mac_of(rq, scope, bytes + MAC_BYTES, filled - MAC_BYTES, mac)) return false;
    if (!digest_equal(mac, bytes, MAC_BYTES)) return false;
    *key = page;
    *id = page + strlen(page) + 1;
    return true;
}

struct problem cursor_read(const struct request *rq, const char *scope, const char *text, const char **key,
                           const char **id)
{
    static const struct member_error refused = { .parameter = "cursor", .code = "cursor_invalid" };
    struct problem wrong = problem(400, "cursor_invalid");

    if (read_signed(rq, scope, text, key, id)) return PROBLEM_NONE;
    wrong.errors = &refused;
    wrong.error_count = 1;
    return wrong;
}
