/* A request, written as HTTP has it ("GET /v1/children?limit=2", headers, an empty line, a body), through every step that
   looks at bytes of a stranger: guard, router, parameters, body, answer. Nobody is asked who calls. */
#include <stdlib.h>
#include <string.h>

#include "stage.h"
#include "utvag/respond.h"
#include "utvag/router.h"
#include "utvag/validate.h"

enum { HEADERS = 32 };

static struct problem journey(struct request *rq, struct response *rs)
{
    TRY(request_guard(rq));
    TRY(router_match(rq->service->router, rq));
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
    char *text = stage_text(bytes, size);
    struct pair headers[HEADERS];
    struct request rq = { .arena = stage_arena(), .service = stage_service(), .address = "192.0.2.1" };
    struct response rs = { 0 };
    if (request_parse(&rq, headers, text, size)) {
        request_begin(&rq);
        struct problem stopped = journey(&rq, &rs);
        if (stopped.status) respond_problem(&rq, &rs, &stopped);
        respond_finish(&rq, &rs);
        if (rs.status < 200 || rs.status > 599) abort();
        json_decref(rq.json);
    }
    arena_reset(stage_arena());
    free(text);
    return 0;
}
