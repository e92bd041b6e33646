#include "api/second_factor.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/tokens.h"
#include "utvag/digest.h"
#include "utvag/seal.h"

enum { RECOVERY_BYTES = 10, RECOVERY_DIGITS = 2 * RECOVERY_BYTES, SEALED_ROOM = 128 };

/* 80 bits of chance, so that a plain digest is enough: 1f3a9-… is read aloud and typed without mistakes. */
static void recovery_make(char out[RECOVERY_SIZE])
{
    unsigned char chance[RECOVERY_BYTES];
    char hex[RECOVERY_DIGITS + 1];
    digest_random(chance, sizeof chance);
    digest_hex(chance, sizeof chance, hex);
    snprintf(out, RECOVERY_SIZE, "%.5s-%.5s-%.5s-%.5s", hex, hex + 5, hex + 10, hex + 15);
    explicit_bzero(chance, sizeof chance);
    explicit_bzero(hex, sizeof hex);
}

void second_factor_digest(const char *code, char out[SECRET_DIGEST_SIZE])
{
    char plain[RECOVERY_DIGITS + 1] = "";
    size_t used = 0;
    for (; *code && used < RECOVERY_DIGITS; code++)
        if (isxdigit((unsigned char)*code)) plain[used++] = (char)tolower((unsigned char)*code);
    secret_digest(plain, out);
    explicit_bzero(plain, sizeof plain);
}

static const char *bytes_text(struct request *rq, const unsigned char *bytes, size_t length)
{
    char *text = arena_alloc(rq->arena, 2 + 2 * length + 1);
    if (!text) return NULL;
    memcpy(text, "\\x", 2);
    digest_hex(bytes, length, text + 2);
    return text;
}

/* Sealed as a record's members are, so that the row is opened as theirs (record.h). */
static json_t *seal_secret(struct request *rq, const char *secret)
{
    char id[UUID_SIZE], text[SEALED_ROOM];
    unsigned char key[KEY_BYTES], wrapped[SEAL_WRAPPED], sealed[SEALED_ROOM + SEAL_OVERHEAD];
    uuid_v4(id);
    size_t length = (size_t)snprintf(text, sizeof text, "{\"totp_secret\":\"%s\"}", secret);
    struct seal_place place = { .table = "credentials", .column = "totp_sealed", .record = id };
    bool fine = seal_make_key(rq->service->keyring, id, key, wrapped) && seal_close(key, &place, text, length, sealed);
    explicit_bzero(key, sizeof key);
    explicit_bzero(text, sizeof text);
    if (!fine) return NULL;
    return json_pack("{s:s, s:s, s:s}", "id", id, "data_key", bytes_text(rq, wrapped, sizeof wrapped), "sealed",
                     bytes_text(rq, sealed, length + SEAL_OVERHEAD));
}

const char *second_factor_make(struct request *rq, struct second_factor *factor)
{
    json_t *kept = totp_make(factor->secret) ? seal_secret(rq, factor->secret) : NULL, *digests = json_array();
    for (int i = 0; i < RECOVERY_CODES; i++) {
        char digest[SECRET_DIGEST_SIZE];
        recovery_make(factor->recovery[i]);
        second_factor_digest(factor->recovery[i], digest);
        json_array_append_new(digests, json_string(digest));
    }
    json_object_set_new(kept, "recovery", digests);
    return token_terms(rq, kept);
}
