/* Pages: an operation, what the database would give for it, a query, and a way to forge. The statement holds the
   contract's names only, a cursor of ours leads back to where the page ended, and whatever else is refused.

   "2 1 2026-11-02 13:00:00+00|sort=created_at&limit=1|7x": which list, rows beyond the page, the last row's key, the query,
   and which byte of the cursor becomes which. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stage.h"
#include "utvag/cursor.h"
#include "utvag/db.h"
#include "utvag/operation.h"
#include "utvag/resource.h"
#include "utvag/router.h"
#include "utvag/validate.h"

enum { TARGET_MOST = 2048, NAMES = 1 << 16, NAME_MOST = 60, KEY_MOST = 200, VALUES = 32 };

#define HOLD(rule) ((rule) ? (void)0 : fail(#rule, __LINE__))

static void fail(const char *rule, int line)
{
    fprintf(stderr, "fuzz_cursor.c:%d: does not hold: %s\n", line, rule);
    abort();
}

/* What the database is asked last, and what it answers. */
static struct {
    const char *key;
    size_t beyond; /* rows that follow the page */
    const char *sql;
    size_t count;
    const char *values[VALUES];
} database;

static const char id[] = "8c0e6a52-93b4-4f0b-8f63-3ab5a7f3f6d0", other_id[] = "0d3c3a0e-6a4c-4b8e-9d55-0b4a6a1f2c3d";

struct problem __wrap_db_run(struct request *rq, const struct statement *statement, size_t count,
                             const char *const *values, struct rows *rows) __attribute__((warn_unused_result));

/* A statement is prepared under its name: two texts under one would answer what was not asked. */
static void check_name(const struct statement *statement)
{
    static struct {
        char *name, *sql;
    } seen[NAMES];
    static size_t filled;
    size_t slot = 5381;
    HOLD(strlen(statement->name) <= NAME_MOST);
    for (const char *at = statement->name; *at; at++) slot = slot * 33 + (unsigned char)*at;
    for (slot %= NAMES; seen[slot].name; slot = (slot + 1) % NAMES)
        if (strcmp(seen[slot].name, statement->name) == 0) {
            HOLD(strcmp(seen[slot].sql, statement->sql) == 0);
            return;
        }
    if (filled++ > NAMES / 2) return;
    seen[slot].name = strdup(statement->name);
    seen[slot].sql = strdup(statement->sql);
}

/* Values go beside the text, each used, and none that does not exist. */
static void check_sql(const char *sql, size_t count)
{
    bool used[VALUES] = { false };
    HOLD(count < VALUES);
    for (const char *at = sql; *at; at++) {
        HOLD(isalnum((unsigned char)*at) || strchr(" _.,()*=<>:$", *at));
        if (*at != '$') continue;
        size_t number = strtoul(at + 1, NULL, 10);
        HOLD(number >= 1 && number <= count);
        used[number] = true;
    }
    for (size_t i = 1; i <= count; i++) HOLD(used[i]);
}

struct problem __wrap_db_run(struct request *rq, const struct statement *statement, size_t count,
                             const char *const *values, struct rows *rows)
{
    const char *limit = strstr(statement->sql, " LIMIT ");
    HOLD(limit);
    size_t most = strtoul(limit + 7, NULL, 10), headed = !!strstr(statement->sql, " UNION ALL ");
    HOLD(most >= 2 && most <= 101);
    check_name(statement);
    check_sql(statement->sql, count);
    database.sql = statement->sql;
    database.count = count;
    for (size_t i = 0; i < count; i++) {
        HOLD(values[i]);
        database.values[i] = values[i];
    }
    size_t listed = database.beyond ? most : most - 1;
    struct row *row = arena_alloc(rq->arena, (listed + 1) * sizeof *row);
    HOLD(row);
    row[0] = (struct row){ .id = id, .version = 7 };
    for (size_t i = 0; i < listed; i++)
        row[headed + i] = (struct row){
            .id = i + 2 == most ? id : other_id, .version = 1, .body = "{}", .length = 2, .key = database.key
        };
    *rows = (struct rows){ row, headed + listed };
    return PROBLEM_NONE;
}

static const struct contract_operation *list_operation(size_t which)
{
    const struct contract *contract = stage_service()->contract;
    size_t count = 0, i = 0;
    for (; i < contract_count(contract); i++) count += contract_at(contract, i)->operation->run == resource_list;
    which %= count;
    for (i = 0;; i++)
        if (contract_at(contract, i)->operation->run == resource_list && which-- == 0) return contract_at(contract, i);
}

static const char *path_of(const struct contract_operation *operation)
{
    const char *gap = strchr(operation->path, '{');
    if (!gap) return operation->path;
    return arena_text(stage_arena(), "%.*s%s%s", (int)(gap - operation->path), operation->path, id,
                      gap + strcspn(gap, "}") + 1);
}

static struct problem ask(struct request *rq, struct response *rs, const char *url)
{
    static const struct pair headers[] = { { "Host", "api.utvag.example" } };
    *rs = (struct response){ 0 };
    *rq = (struct request){ .arena = stage_arena(),
                            .service = stage_service(),
                            .method = "GET",
                            .url = url,
                            .headers = headers,
                            .header_count = 1,
                            .address = "192.0.2.1" };
    request_begin(rq);
    TRY(router_match(rq->service->router, rq));
    TRY(validate_request(rq));
    return resource_list(rq, rs);
}

static bool is_cursor_refusal(const struct problem *refused)
{
    return refused->status == 400 &&
           (strcmp(refused->code, "cursor_invalid") == 0 || strcmp(refused->code, "parameters_invalid") == 0);
}

/* The lowest bit of the last letter stands for nothing where bytes end in its midst: it has one spelling all the same. */
static void check_spelling(const char *next, size_t last)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *spelt = arena_copy(stage_arena(), next, strlen(next));
    struct request rq;
    struct response rs;
    spelt[last] = alphabet[(size_t)(strchr(alphabet, spelt[last]) - alphabet) ^ 1];
    struct problem refused = ask(&rq, &rs, spelt);
    HOLD(is_cursor_refusal(&refused));
}

/* The URL with its cursor changed: a byte of it, its length, or whose list it is of. */
static void check_forged(const char *next, const char *way)
{
    const char *cursor = strstr(next, "cursor=") + 7;
    size_t length = strcspn(cursor, "&"), at = length ? strtoul(way, NULL, 10) % length : 0;
    const char *rest = way + strspn(way, "0123456789");
    struct request rq;
    struct response rs;
    if (*rest && *rest != cursor[at] && isalnum((unsigned char)*rest)) {
        char *forged = arena_copy(stage_arena(), next, strlen(next));
        forged[(size_t)(cursor - next) + at] = *rest;
        struct problem refused = ask(&rq, &rs, forged);
        HOLD(is_cursor_refusal(&refused));
    }
    const char *cut = arena_text(stage_arena(), "%.*s%s", (int)((size_t)(cursor - next) + at), next, cursor + length);
    struct problem refused = ask(&rq, &rs, cut);
    HOLD(is_cursor_refusal(&refused));
    const char *longer =
        arena_text(stage_arena(), "%.*sA%s", (int)((size_t)(cursor - next) + length), next, cursor + length);
    refused = ask(&rq, &rs, longer);
    HOLD(is_cursor_refusal(&refused) || refused.status == 414);
    for (size_t which = 0; which < 40; which++) {
        const struct contract_operation *operation = list_operation(which);
        size_t path = strcspn(next, "?");
        if (strlen(path_of(operation)) == path && memcmp(path_of(operation), next, path) == 0) continue;
        refused = ask(&rq, &rs, arena_text(stage_arena(), "%s?cursor=%.*s", path_of(operation), (int)length, cursor));
        HOLD(is_cursor_refusal(&refused));
    }
}

/* Following the link asks for what comes after the last row, with the same filters and order. */
static void check_next(const char *next, const char *way)
{
    struct request rq;
    struct response rs;
    const char *before[VALUES], *order = strstr(database.sql, " ORDER BY ");
    size_t count = database.count;
    memcpy(before, database.values, count * sizeof *before);
    order = arena_copy(stage_arena(), order, (size_t)(strstr(order, " LIMIT ") - order));
    struct problem refused = ask(&rq, &rs, next);
    HOLD(!refused.status);
    HOLD(database.count == count + 2);
    for (size_t i = 0; i < count; i++) HOLD(strcmp(database.values[i], before[i]) == 0);
    HOLD(strcmp(database.values[count], database.key) == 0 && strcmp(database.values[count + 1], id) == 0);
    HOLD(strstr(database.sql, order) && !strstr(database.sql, " OFFSET "));
    check_spelling(next, (size_t)(strstr(next, "cursor=") - next) + 6 + strcspn(strstr(next, "cursor=") + 7, "&"));
    check_forged(next, way);
}

static const char *link_of(const struct response *rs)
{
    for (size_t i = 0; i < rs->header_count; i++)
        if (strcmp(rs->headers[i].name, "Link") == 0) return rs->headers[i].value;
    return NULL;
}

static void check_page(const struct request *rq, const struct response *rs, const char *way)
{
    json_t *page = json_loadb(rs->body, rs->length, JSON_REJECT_DUPLICATES, NULL);
    HOLD(page && rs->status == 200);
    const json_t *meta = json_object_get(page, "_meta"), *rows = json_object_get(page, rq->contract->list);
    json_int_t limit = json_integer_value(json_object_get(meta, "limit"));
    HOLD(limit >= 1 && limit <= 100 && json_array_size(rows) == (size_t)limit);
    const char *count = request_query(rq, "count"), *link = link_of(rs);
    HOLD((count && strcmp(count, "true") == 0) == (json_integer_value(json_object_get(meta, "count")) == 7));
    const char *href =
        json_string_value(json_object_get(json_object_get(json_object_get(page, "_links"), "next"), "href"));
    HOLD((href != NULL) == (database.beyond > 0) && (href != NULL) == (link != NULL));
    if (href) {
        HOLD(strncmp(link + 1, href, strlen(href)) == 0);
        const char *next = arena_copy(rq->arena, strstr(href, "/v1"), strlen(strstr(href, "/v1")));
        if (strlen(next) <= TARGET_MOST) check_next(next, way);
    }
    json_decref(page);
}

/* The next part of the text, cut off at `end`; empty where there is none. */
static char *part(char **text, char end)
{
    char *begin = *text, *stop = strchr(begin, end);
    *text = stop ? stop + 1 : begin + strlen(begin);
    if (stop) *stop = '\0';
    return begin;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = stage_text(bytes, size), *at = text;
    stage_service()->keyring = stage_keyring();
    const struct contract_operation *operation = list_operation(strtoul(part(&at, ' '), NULL, 10));
    database.beyond = part(&at, ' ')[0] == '1';
    database.key = part(&at, '|');
    const char *query = part(&at, '|');
    struct request rq;
    struct response rs;
    if (strlen(database.key) <= KEY_MOST) {
        struct problem refused = ask(&rq, &rs, arena_text(stage_arena(), "%s?%s", path_of(operation), query));
        HOLD(!refused.status || refused.status == 400 || refused.status == 404 || refused.status == 414);
        const char *cursor = refused.status ? NULL : request_query(&rq, "cursor");
        HOLD(!cursor); /* none of its own is known to an input */
        if (!refused.status) check_page(&rq, &rs, at);
    }
    arena_reset(stage_arena());
    free(text);
    return 0;
}
