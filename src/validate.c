#include "utvag/validate.h"

#include <string.h>
#include <strings.h>

#include "utvag/accept.h"
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

static struct problem check_accept(struct request *rq)
{
    const char *accept = request_header(rq, "Accept");
    const char *const *type = rq->contract->answer_types;
    if (!type || !*type) return PROBLEM_NONE;
    for (; *type; type++)
        if (accept_weight(accept, *type)) return PROBLEM_NONE;
    return problem(406, "not_acceptable");
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
