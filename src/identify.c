#include "utvag/identify.h"

#include <string.h>
#include <strings.h>

#include "utvag/identity.h"
#include "utvag/issuer.h"
#include "utvag/token.h"

enum { OFFICER_LIMIT = 64 /* as the contract has it, for operations that do not declare the header too */ };

/* A bound token is worth nothing without its certificate (RFC 8705, 3), nor is its holder then known. */
static struct problem require_certificate(struct request *rq)
{
    const char *wanted = rq->caller.certificate;
    if (!*wanted || (rq->certificate && strcmp(rq->certificate, wanted) == 0)) return PROBLEM_NONE;
    rq->caller = (struct caller){ .role = ROLE_COUNT };
    return problem(401, "token_invalid");
}

struct problem identify_caller(struct request *rq)
{
    if (rq->contract->open) return PROBLEM_NONE;
    const char *value = request_header(rq, "Authorization");
    if (!value || strncasecmp(value, "Bearer ", 7) != 0) return problem(401, "token_missing");
    value += 7 + strspn(value + 7, " ");
    struct problem refused = token_verify(rq->service->tokens, value, rq->arena, &rq->caller);
    if (refused.status && rq->service->issuers) refused = issuer_identify(rq, value, refused);
    TRY(refused);
    if (!rq->caller.known) return problem(401, "token_invalid");
    return require_certificate(rq);
}

/* An opaque reference of the agency's own; an identity number would put a person into the audit log. */
static bool officer_is_opaque(const char *officer)
{
    size_t length = strlen(officer);
    if (!length || length > OFFICER_LIMIT || identity_resembles(officer, length)) return false;
    for (; *officer; officer++)
        if (*officer <= ' ' || *officer >= 0x7f) return false;
    return true;
}

static struct problem require_officer(struct request *rq)
{
    struct caller *caller = &rq->caller;
    const char *stated = request_header(rq, "X-Acting-Officer");
    if (!caller->machine || !caller->agency[0]) return PROBLEM_NONE;
    if (stated && !officer_is_opaque(stated)) return problem(400, "acting_officer_invalid");
    if (stated && caller->officer && strcmp(stated, caller->officer) != 0)
        return problem(400, "acting_officer_invalid");
    if (stated) caller->officer = stated;
    bool writes = strcmp(rq->contract->method, "GET") != 0;
    return writes && !caller->officer ? problem(400, "acting_officer_required") : PROBLEM_NONE;
}

struct problem identify_authorise(struct request *rq)
{
    const struct contract_operation *operation = rq->contract;
    if (operation->open) return PROBLEM_NONE;
    for (size_t i = 0; i < operation->role_count; i++)
        if (rq->caller.roles & 1u << operation->roles[i]) {
            rq->caller.role = operation->roles[i];
            return require_officer(rq);
        }
    return problem(403, "role_missing");
}
