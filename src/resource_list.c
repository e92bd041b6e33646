/* Pages: keyset-paged by default, on an index; by number where someone asks. The text of a list's statement is made
   from the contract's own names, once for each set of filters, order and limit; no value of a request is in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/config.h"
#include "utvag/cursor.h"
#include "utvag/record.h"
#include "utvag/resource.h"
#include "utvag/respond.h"

enum { FILTERS_MOST = 16, REACH = 10000 /* page x limit at most */, LIMIT_USUAL = 20 };

struct list {
    struct request *rq;
    const char *view, *root; /* root: the view of the record that the page is below, or NULL */
    const char *sort;        /* "-created_at" */
    int limit, page;         /* page 0: not by number */
    bool count;
    const char *values[FILTERS_MOST + 4];
    size_t used;
    unsigned filters;  /* which of the contract's filters are set: part of the statement's name */
    const char *where; /* SQL of the filters */
    const char *scope; /* operation, order and filters: what a cursor is bound to */
    const char *after_key, *after_id;
};

static struct problem parameter_problem(struct request *rq, const char *parameter, const char *code)
{
    struct member_error *error = arena_alloc(rq->arena, sizeof *error);
    if (!error) return problem(500, "out_of_memory");
    *error = (struct member_error){ .parameter = parameter, .code = code };
    struct problem refused = problem(400, "parameters_invalid");
    refused.errors = error;
    refused.error_count = 1;
    return refused;
}

/* Adds a condition on a value of the request, as a parameter of the statement. */
static bool add_condition(struct list *list, const char *column, const char *comparison, const char *value)
{
    struct arena *arena = list->rq->arena;
    if (list->used == FILTERS_MOST) return false;
    list->values[list->used++] = value;
    list->where = arena_text(arena, "%s AND v.%s %s $%zu", list->where, column, comparison, list->used);
    list->scope = arena_text(arena, "%s|%s%s%s", list->scope, column, comparison, value);
    return list->where && list->scope;
}

static bool add_filters(struct list *list)
{
    const struct contract_operation *contract = list->rq->contract;
    unsigned bit = 1;
    for (size_t i = 0; i < contract->parameter_count; i++) {
        const struct contract_parameter *parameter = &contract->parameters[i];
        if (!parameter->column) continue;
        const char *value = request_query(list->rq, parameter->name);
        if (value && !add_condition(list, parameter->column, parameter->comparison, value)) return false;
        if (value) list->filters |= bit;
        bit <<= 1;
    }
    return true;
}

/* The column of a sort key, which the contract's enum has let pass. */
static const char *sort_column(const struct list *list) { return list->sort + (*list->sort == '-'); }

static struct problem read_place(struct list *list)
{
    struct request *rq = list->rq;
    const char *cursor = request_query(rq, "cursor"), *page = request_query(rq, "page");
    const char *limit = request_query(rq, "limit"), *count = request_query(rq, "count");
    list->limit = limit ? atoi(limit) : LIMIT_USUAL;
    list->page = page ? atoi(page) : 0;
    list->count = count && strcmp(count, "true") == 0;
    if (cursor && page) return parameter_problem(rq, "page", "page_with_cursor");
    if (list->page > REACH / list->limit) return parameter_problem(rq, "page", "page_too_far");
    return cursor ? cursor_read(rq, list->scope, cursor, &list->after_key, &list->after_id) : PROBLEM_NONE;
}

static struct problem list_read(struct request *rq, struct list *list)
{
    const char *sort = request_query(rq, "sort"), *id = request_path(rq, "id");
    const struct contract_operation *above = contract_reader(rq->service->contract, rq->contract->path);
    *list = (struct list){ .rq = rq, .view = rq->contract->operation->view, .where = "" };
    list->root = above ? above->operation->view : NULL; /* the record below which the list is */
    list->sort = sort ? sort : rq->contract->sort ? rq->contract->sort : "created_at";
    list->scope = arena_text(rq->arena, "%s|%s", rq->contract->id, list->sort);
    bool fine = list->scope && (!id || add_condition(list, "parent_id", "=", id)) && add_filters(list);
    return fine ? read_place(list) : problem(500, "out_of_memory");
}

/* The rows of the page, and one more that tells whether there is a next one. */
static const char *rows_sql(struct list *list)
{
    struct arena *arena = list->rq->arena;
    const char *column = sort_column(list), *way = *list->sort == '-' ? "DESC" : "ASC", *after = "", *offset = "";
    if (list->after_id) {
        list->values[list->used++] = list->after_key;
        list->values[list->used++] = list->after_id;
        after = arena_text(arena, " AND (v.%s, v.id) %s ($%zu, $%zu)", column, *way == 'D' ? "<" : ">", list->used - 1,
                           list->used);
    }
    if (list->page > 1) offset = arena_text(arena, " OFFSET %d", (list->page - 1) * list->limit);
    /* The limit is part of the text: without it the planner, of a generic plan, may choose to sort. */
    return arena_text(arena,
                      "listed AS (SELECT v.id, v.version, v.body, v.%s::text AS key FROM %s v WHERE true%s%s"
                      " ORDER BY v.%s %s, v.id %s LIMIT %d%s)",
                      column, list->view, list->where, after, column, way, way, list->limit + 1, offset);
}

/* A first row without body carries what is not of the page: that the record above it exists, and the count. */
static const char *list_sql(struct list *list)
{
    struct arena *arena = list->rq->arena;
    const char *where = list->where, *rows = rows_sql(list), *root = "", *head = "", *count = "0";
    if (list->root) root = arena_text(arena, "root AS (SELECT id FROM %s WHERE id = $1::uuid), ", list->root);
    if (list->count) count = arena_text(arena, "(SELECT count(*) FROM %s v WHERE true%s)", list->view, where);
    if (list->count || list->root)
        head =
            arena_text(arena, "SELECT %s AS id, %s::int AS version, NULL::text AS body, NULL::text AS key%s UNION ALL ",
                       list->root ? "r.id" : "NULL::uuid", count, list->root ? " FROM root r" : "");
    if (!rows || !root || !head || !count) return NULL;
    return arena_text(arena, "%s%s, page AS (%sSELECT id, version, body, key FROM listed)", root, rows, head);
}

static const char *list_name(const struct list *list)
{
    return arena_text(list->rq->arena, "%s %s%x.%d.%d.%d%s", list->rq->contract->id, list->sort, list->filters,
                      list->limit, list->page, (int)list->count, list->after_id ? "+" : "");
}

/* The list's own URL with another cursor. */
static const char *next_url(const struct list *list, const char *cursor)
{
    struct request *rq = list->rq;
    const char *query = strchr(rq->url, '?');
    char *url = arena_alloc(rq->arena, strlen(rq->service->config->base_url) + strlen(rq->url) + strlen(cursor) + 16);
    if (!url) return NULL;
    size_t path = query ? (size_t)(query - rq->url) : strlen(rq->url);
    int used = sprintf(url, "%s%.*s?cursor=%s", rq->service->config->base_url, (int)path, rq->url, cursor);
    for (const char *at = query; at && *at;) {
        const char *pair = at + 1, *end = strchr(pair, '&');
        size_t length = end ? (size_t)(end - pair) : strlen(pair);
        bool place = strncmp(pair, "cursor=", 7) == 0 || strncmp(pair, "page=", 5) == 0;
        if (!place && length) used += sprintf(url + used, "&%.*s", (int)length, pair);
        at = end;
    }
    return url;
}

/* The page's text, put together from the rows' own texts. */
static char *page_text(const struct list *list, const struct row *row, size_t count, int total, const char *next)
{
    struct request *rq = list->rq;
    const char *base = rq->service->config->base_url, *name = rq->contract->list;
    size_t room = 512 + strlen(name) + 2 * strlen(base) + strlen(rq->url) + (next ? strlen(next) : 0);
    for (size_t i = 0; i < count; i++) room += row[i].length + 1;
    char *text = arena_alloc(rq->arena, room);
    if (!text) return NULL;
    size_t used = (size_t)sprintf(text, "{\"%s\":[", name);
    for (size_t i = 0; i < count; i++) {
        if (i) text[used++] = ',';
        memcpy(text + used, row[i].body, row[i].length);
        used += row[i].length;
    }
    used += (size_t)sprintf(text + used, "],\"_meta\":{\"limit\":%d", list->limit);
    if (list->page) used += (size_t)sprintf(text + used, ",\"page\":%d", list->page);
    if (list->count) used += (size_t)sprintf(text + used, ",\"count\":%d", total);
    used +=
        (size_t)sprintf(text + used, "},\"_links\":{\"self\":{\"href\":\"%s%s\",\"rel\":\"self\",\"method\":\"%s\"}",
                        base, rq->url, rq->contract->method);
    if (next)
        used += (size_t)sprintf(text + used, ",\"next\":{\"href\":\"%s\",\"rel\":\"next\",\"method\":\"GET\"}", next);
    sprintf(text + used, "}}");
    return text;
}

static struct problem answer_page(struct list *list, struct response *rs, const struct rows *rows)
{
    struct request *rq = list->rq;
    const struct row *row = rows->row;
    size_t count = rows->count;
    bool headed = list->root || list->count;
    if (headed && !count) return problem(404, "not_found");
    int total = headed ? row++->version : 0;
    if (headed) count--;
    const char *next = NULL;
    if (count > (size_t)list->limit) {
        count = (size_t)list->limit;
        const char *cursor = cursor_make(rq, list->scope, row[count - 1].key, row[count - 1].id);
        next = cursor ? next_url(list, cursor) : NULL;
        const char *link = next ? arena_text(rq->arena, "<%s>; rel=\"next\"", next) : NULL;
        if (!link) return problem(500, "out_of_memory");
        response_header(rs, "Link", link);
    }
    char *text = page_text(list, row, count, total, next);
    const char *body;
    size_t length;
    if (!text) return problem(500, "out_of_memory");
    TRY(record_open(rq, text, strlen(text), &body, &length));
    respond_body(rs, 200, "application/json", body, length);
    return PROBLEM_NONE;
}

struct problem resource_list(struct request *rq, struct response *rs)
{
    struct list list;
    struct rows rows;
    TRY(list_read(rq, &list));
    struct statement statement = { .sql = list_sql(&list), .name = list_name(&list), .many = !list.root };
    if (!statement.sql || !statement.name) return problem(500, "out_of_memory");
    TRY(db_run(rq, &statement, list.used, list.values, &rows));
    return answer_page(&list, rs, &rows);
}

/* What a search found: at most a page, in no order that would tell anything. */
struct problem resource_search(struct request *rq, struct response *rs)
{
    struct list list = { .rq = rq, .limit = 100 };
    struct rows rows;
    TRY(record_blind(rq, rq->json, rq->contract->body));
    TRY(resource_call(rq, rq->json, &rows));
    return answer_page(&list, rs, &rows);
}
