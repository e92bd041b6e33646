#include "utvag/accept.h"
#include "utvag/resource.h"

const struct stream_form *resource_form(struct request *rq, const struct stream_form *forms)
{
    const char *accept = request_header(rq, "Accept");
    const struct stream_form *best = NULL;
    int most = 0;
    for (const struct stream_form *form = forms; form->type; form++) {
        int weight = accept_weight(accept, form->type);
        if (weight <= most) continue;
        most = weight;
        best = form;
    }
    return best;
}

struct problem resource_stream(struct request *rq, struct response *rs, const struct stream_form *form, size_t count,
                               const char *const *values)
{
    if (!form) return problem(406, "not_acceptable");
    TRY(stream_open(rq, form, count, values, &rs->stream));
    rs->status = rq->contract->success;
    rs->type = form->type;
    return PROBLEM_NONE;
}
