#include "utvag/validate.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "utvag/body.h"
#include "utvag/fields.h"

enum { FAULTS = 100 };

/* Faults of all query and header parameters, told at once. */
struct faults {
    struct member_error *list;
    size_t count;
};

static const char *parameter_value(const struct request *rq, const struct contract_parameter *parameter)
{
    switch (parameter->place) {
    case IN_PATH: return request_path(rq, parameter->name);
    case IN_QUERY: return request_query(rq, parameter->name);
    case IN_HEADER: return request_header(rq, parameter->name);
    }
    return NULL;
}

static bool note(struct request *rq, struct faults *faults, const struct member_error *errors, size_t count)
{
    if (!faults->list && !(faults->list = arena_alloc(rq->arena, FAULTS * sizeof *faults->list))) return false;
    for (size_t i = 0; i < count && faults->count < FAULTS; i++) faults->list[faults->count++] = errors[i];
    return true;
}

/* If-Match states a version, which its own rule checks. traceparent is never a reason to refuse (W3C). */
static bool has_own_rule(const struct contract_parameter *parameter)
{
    return parameter->place == IN_PATH || strcasecmp(parameter->name, "If-Match") == 0 ||
           strcasecmp(parameter->name, "If-None-Match") == 0 || strcasecmp(parameter->name, "traceparent") == 0;
}

static struct problem check_parameters(struct request *rq)
{
    struct faults faults = { NULL, 0 };
    for (size_t i = 0; i < rq->contract->parameter_count; i++) {
        const struct contract_parameter *parameter = &rq->contract->parameters[i];
        if (has_own_rule(parameter)) continue;
        const char *value = parameter_value(rq, parameter);
        const struct member_error missing = { .parameter = parameter->name, .code = "required" }, *errors = &missing;
        size_t count = !value && parameter->required;
        if (value) count = schema_parameter_faults(parameter->schema, parameter->name, value, rq->arena, &errors);
        if (count && !note(rq, &faults, errors, count)) return problem(500, "out_of_memory");
    }
    if (!faults.count) return PROBLEM_NONE;
    return (struct problem){
        .status = 400, .code = "parameters_invalid", .errors = faults.list, .error_count = faults.count
    };
}

/* What cannot be an id names nothing: the same answer as for an id that names nothing. */
static struct problem check_path(struct request *rq)
{
    for (size_t i = 0; i < rq->contract->parameter_count; i++) {
        const struct contract_parameter *parameter = &rq->contract->parameters[i];
        if (parameter->place != IN_PATH) continue;
        const char *value = request_path(rq, parameter->name);
        const struct member_error *errors;
        if (!value || schema_parameter_faults(parameter->schema, parameter->name, value, rq->arena, &errors))
            return problem(404, "not_found");
    }
    return PROBLEM_NONE;
}

static struct problem check_version(struct request *rq)
{
    const struct contract_parameter *parameter = contract_parameter(rq->contract, IN_HEADER, "If-Match");
    if (!parameter) return PROBLEM_NONE;
    int version = request_version(rq);
    if (version < 0) return problem(400, "if_match_invalid");
    return !version && parameter->required ? problem(428, "if_match_required") : PROBLEM_NONE;
}

/* Whether one range of an Accept value, such as application/json;q=0.5, takes type; *refused if by q=0. */
static bool range_takes(const char *range, size_t length, const char *type, bool *refused)
{
    const char *parameters = memchr(range, ';', length);
    size_t size = parameters ? (size_t)(parameters - range) : length;
    while (size && (range[size - 1] == ' ' || range[size - 1] == '\t')) size--;
    const char *slash = strchr(type, '/');
    bool all = size == 3 && memcmp(range, "*/*", 3) == 0;
    bool exact = size == strlen(type) && strncasecmp(range, type, size) == 0;
    bool group = slash && size == (size_t)(slash - type) + 2 && strncasecmp(range, type, size - 1) == 0 &&
                 range[size - 1] == '*';
    bool zero = false;
    for (const char *at = parameters; at && at + 2 < range + length; at++)
        if ((*at == ';' || *at == ' ') && (at[1] | 0x20) == 'q' && at[2] == '=') zero = strtod(at + 3, NULL) <= 0;
    *refused = exact && zero;
    return (all || exact || group) && !zero;
}

static bool accept_takes(const char *accept, const char *type)
{
    bool taken = false, refused = false;
    while (*accept && !refused) {
        accept += strspn(accept, ", \t");
        size_t length = strcspn(accept, ",");
        taken |= length && range_takes(accept, length, type, &refused);
        accept += length;
    }
    return taken && !refused;
}

static struct problem check_accept(struct request *rq)
{
    const char *accept = request_header(rq, "Accept"), *type = rq->contract->answer_type;
    return !accept || !*accept || !type || accept_takes(accept, type) ? PROBLEM_NONE : problem(406, "not_acceptable");
}

struct problem validate_request(struct request *rq)
{
    TRY(check_path(rq));
    TRY(check_parameters(rq));
    TRY(fields_check(rq));
    TRY(check_version(rq));
    TRY(check_accept(rq));
    return body_read(rq);
}
