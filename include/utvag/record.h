/* Records: what the contract marks x-record becomes a row, and its x-sealed members leave the body before
   PostgreSQL sees it. */
#pragma once
#include "utvag/request.h"

/* Walks the validated body along its schema. Each object that is a record gets: `id` (a new UUIDv4 unless the
   path named one), `data_key` (wrapped), one member per sealed group (its column's name, "\\x…" of the sealed
   JSON), and `blind`, [{index, token}]. The sealed members themselves are removed. */
struct problem record_seal(struct request *rq, json_t *body, const struct schema *schema)
    __attribute__((warn_unused_result));

/* Replaces each "$seal" marker of a body made by PostgreSQL with the members it holds; drops it where the record's
   key is gone. Text in the arena. */
struct problem record_open(struct request *rq, const char *body, size_t length, const char **out, size_t *out_length)
    __attribute__((warn_unused_result));
