/* Records: what the contract marks x-record becomes a row, and its x-sealed members leave the body before
   PostgreSQL sees it. */
#pragma once
#include "utvag/request.h"

/* Walks the validated body along its schema. Each object that is a record gets `id` (a new UUIDv4), `data_key`
   (wrapped), a member per sealed group ("\\x…", under the group's column name) and `blind`, [{index, token}];
   its sealed members are removed. */
struct problem record_seal(struct request *rq, json_t *body, const struct schema *schema)
    __attribute__((warn_unused_result));

/* The same for a merge patch (RFC 7396) of the record `id`: `current` is the record as the caller reads it, `stored`
   the text that it was opened from. Every sealed group that the patch touches is sealed anew, whole. Members that
   are readOnly must be as they are (422 read_only), and leave the patch. */
struct problem record_merge(struct request *rq, json_t *patch, const struct schema *schema, const json_t *current,
                            const char *stored) __attribute__((warn_unused_result));
/* Whether a patch needs its record to be read first: it names sealed or readOnly members. */
bool record_merge_reads(const json_t *patch, const struct schema *schema);

/* A search: every x-blind member of the body leaves it and becomes a row of `blind`. A value of which nothing is
   left once normalised finds nobody. */
struct problem record_blind(struct request *rq, json_t *body, const struct schema *schema)
    __attribute__((warn_unused_result));

/* Replaces each "$seal" marker of a body made by PostgreSQL with the members it holds; drops it where the record's
   key is gone, or where the caller's role opens no seal. Text in the arena; 500 if anything was tampered with. */
struct problem record_open(struct request *rq, const char *body, size_t length, const char **out, size_t *out_length)
    __attribute__((warn_unused_result));

/* The wrapped data key that a stored body holds for a record, in hexadecimal in the arena; NULL if it has none. */
const char *record_wrapped_key(struct request *rq, const char *stored, const char *id);
