#include "utvag/rewrap.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/digest.h"
#include "utvag/seal.h"
#include "utvag/uuid.h"

enum { VERSION_HEX = 4, WRAPPED_HEX = 2 * SEAL_WRAPPED + 1 };

/* A wrapped key begins with its version, big endian: older ones are smaller. */
#define OLDER "substring(wrapped FROM 1 FOR 2) < decode($1::json->>'version', 'hex')"

static const char find_sql[] =
    "SELECT coalesce(json_agg(json_build_array(record_id, encode(wrapped, 'hex')) ORDER BY record_id), '[]')::text FROM ("
    "SELECT record_id, wrapped FROM vault.data_keys WHERE record_id > ($1::json->>'after')::uuid AND " OLDER
    " ORDER BY record_id LIMIT 1000) chunk";

/* Guarded twice: a row that changed since is not touched, and one that is locked is left for later. */
static const char replace_sql[] =
    "WITH chunk AS (SELECT (row->>0)::uuid AS record_id, decode(row->>1, 'hex') AS old, decode(row->>2, 'hex') AS new "
    "FROM json_array_elements($1::json) row), "
    "ours AS MATERIALIZED (SELECT k.record_id, chunk.old, chunk.new FROM vault.data_keys k JOIN chunk USING (record_id) "
    "WHERE k.wrapped = chunk.old ORDER BY k.record_id FOR UPDATE OF k SKIP LOCKED), "
    "done AS (UPDATE vault.data_keys k SET wrapped = ours.new FROM ours "
    "WHERE k.record_id = ours.record_id AND k.wrapped = ours.old RETURNING 1) SELECT count(*)::text FROM done";

static const char count_sql[] = "SELECT count(*)::text FROM vault.data_keys WHERE " OLDER;

static void version_hex(const struct keyring *ring, char out[VERSION_HEX + 1])
{
    snprintf(out, VERSION_HEX + 1, "%04x", (unsigned)keyring_version(ring, KEY_ENCRYPTION) & 0xffffu);
}

/* The first value of the answer, as a number; -1 with the reason on stderr. */
static long ask_number(struct owner *owner, const char *sql, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    char *answer = text ? owner_ask(owner, sql, text) : NULL;
    long number = answer ? strtol(answer, NULL, 10) : -1;
    free(answer);
    free(text);
    return number;
}

/* Adds the new wrapping to [record, old]. */
static bool rewrap_row(const struct keyring *ring, json_t *row)
{
    unsigned char old[SEAL_WRAPPED], new[SEAL_WRAPPED];
    char hex[WRAPPED_HEX];
    size_t length = 0;
    const char *record = json_string_value(json_array_get(row, 0)), *text = json_string_value(json_array_get(row, 1));

    if (OPENSSL_hexstr2buf_ex(old, sizeof old, &length, text, '\0') != 1 ||
        !seal_rewrap(ring, record, old, length, new))
        return false;
    digest_hex(new, sizeof new, hex);
    return json_array_append_new(row, json_string(hex)) == 0;
}

static bool rewrap_chunk(struct owner *owner, const struct keyring *ring, json_t *chunk, struct rewrap *out)
{
    json_t *ready = json_array(), *row;
    size_t index;

    json_array_foreach(chunk, index, row) {
        if (rewrap_row(ring, row))
            json_array_append(ready, row);
        else
            out->closed++;
    }
    long done = json_array_size(ready) ? ask_number(owner, replace_sql, ready) : 0;
    json_decref(ready);
    if (done > 0) out->done += done;
    return done >= 0;
}

/* The next rows under an older key, behind the record `after`, which moves on. NULL with the reason on stderr. */
static json_t *find_chunk(struct owner *owner, const char *version, char after[UUID_SIZE])
{
    json_t *place = json_pack("{s:s, s:s}", "after", after, "version", version);
    char *text = json_dumps(place, JSON_COMPACT);
    char *answer = owner_ask(owner, find_sql, text);
    json_t *chunk = answer ? json_loads(answer, 0, NULL) : NULL;
    size_t count = json_array_size(chunk);

    if (count) snprintf(after, UUID_SIZE, "%s", json_string_value(json_array_get(json_array_get(chunk, count - 1), 0)));
    free(answer);
    free(text);
    json_decref(place);
    return chunk;
}

/* Once through the table. */
static bool pass(struct owner *owner, const struct keyring *ring, struct rewrap *out)
{
    char version[VERSION_HEX + 1], after[UUID_SIZE] = "00000000-0000-0000-0000-000000000000";
    bool fine = true;
    size_t count;

    version_hex(ring, version);
    do {
        json_t *chunk = find_chunk(owner, version, after);
        count = json_array_size(chunk);
        fine = chunk && rewrap_chunk(owner, ring, chunk, out);
        json_decref(chunk);
    } while (fine && count > 0);
    return fine;
}

bool rewrap_all(struct owner *owner, const struct keyring *ring, struct rewrap *out)
{
    char version[VERSION_HEX + 1];
    long before;

    *out = (struct rewrap){ .done = 0 };
    do {
        before = out->done;
        out->closed = 0;
        if (!pass(owner, ring, out)) return false;
    } while (out->done > before);
    version_hex(ring, version);
    json_t *place = json_pack("{s:s}", "version", version);
    out->left = ask_number(owner, count_sql, place);
    json_decref(place);
    return out->left >= 0;
}
