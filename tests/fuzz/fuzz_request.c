/* A request, written as HTTP has it ("GET /v1/children?limit=2", headers, an empty line, a body), through every step that
   looks at bytes of a stranger: guard, router, parameters, body, answer. Nobody is asked who calls. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"
#include "utvag/config.h"
#include "utvag/contract.h"
#include "utvag/embedded.h"
#include "utvag/respond.h"
#include "utvag/router.h"
#include "utvag/validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { HEADERS = 32, CEILING = 8 << 20 };

#define ROW(table) table,
static const struct operation *const resources[] = { RESOURCES(ROW) NULL };
static const struct text *const rules[] = { RULES(ROW) NULL };
#undef ROW

static struct service service;
static struct arena *arena;

static void service_make(void)
{
    char error[512] = "";
    struct contract *contract = contract_load(embedded_contract.text, embedded_contract.length, error, sizeof error);
    service.config = config_read();
    service.contract = contract;
    arena = arena_new(CEILING);
    if (!service.config || !arena || !contract || !contract_bind(contract, resources, error, sizeof error)) {
        fprintf(stderr, "%s\n", error);
        abort();
    }
    for (const struct text *const *table = rules; *table; table++) text_add(*table);
    service.router = router_new(contract);
}

static struct problem journey(struct request *rq, struct response *rs)
{
    TRY(request_guard(rq));
    TRY(router_match(service.router, rq));
    if (!rq->contract) return respond_options(rq, rs);
    TRY(validate_request(rq));
    respond_json(rq, rs, 200, rq->json);
    return PROBLEM_NONE;
}

/* Cuts text at the next separator, in place; NULL where there is none. */
static char *cut(char **text, const char *separator)
{
    char *begin = *text, *end = begin ? strstr(begin, separator) : NULL;
    if (!end) return NULL;
    *end = '\0';
    *text = end + strlen(separator);
    return begin;
}

static bool request_parse(struct request *rq, struct pair headers[HEADERS], char *text, size_t size)
{
    char *at = text, *line = cut(&at, "\n");
    rq->method = cut(&line, " ");
    rq->url = line;
    if (!rq->method) return false;
    for (char *header; (header = cut(&at, "\n")) && *header && rq->header_count < HEADERS;) {
        char *name = cut(&header, ": ");
        if (name) headers[rq->header_count++] = (struct pair){ name, header };
    }
    rq->headers = headers;
    rq->body = at;
    rq->body_length = size - (size_t)(at - text);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (!service.router) service_make();
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, bytes, size);
    text[size] = '\0';

    struct pair headers[HEADERS];
    struct request rq = { .arena = arena, .service = &service, .address = "192.0.2.1" };
    struct response rs = { 0 };
    if (request_parse(&rq, headers, text, size)) {
        request_begin(&rq);
        struct problem stopped = journey(&rq, &rs);
        if (stopped.status) respond_problem(&rq, &rs, &stopped);
        respond_finish(&rq, &rs);
        if (rs.status < 200 || rs.status > 599) abort();
        json_decref(rq.json);
    }
    arena_reset(arena);
    free(text);
    return 0;
}
