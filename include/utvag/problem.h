/* What stops a request: one value, returned by value, that must be used. Zero status is success.
   Strings are literals or live in the request's arena; a value of the caller's body is never among them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct member_error {
    const char *pointer;   /* RFC 6901 pointer into the body, or NULL */
    const char *parameter; /* name of a query, path or header parameter, or NULL */
    const char *code;      /* its text, in both languages, is in text_platform.c or api/…_rules.c */
    const char *argument;  /* what the text's {} stands for (a limit, a state), or NULL; never a caller's value */
};

struct problem {
    int status;
    const char *code;
    const struct member_error *errors;
    size_t error_count;
    const char *allow; /* 405 and 415: the Allow or Accept-* header's value */
    int retry_after;   /* seconds; 0: no header */
    bool close;        /* the connection ends with this answer */
    bool audited;      /* the refusal is in the audit log already */
};

#define PROBLEM_NONE ((struct problem){ 0 })

/* Inline, so that analysers see that a problem has a status. */
__attribute__((warn_unused_result)) static inline struct problem problem(int status, const char *code)
{
    return (struct problem){ .status = status, .code = code };
}

/* 503 for a state that passes: the caller is asked to try again in a second. */
static inline struct problem problem_later(const char *code)
{
    return (struct problem){ .status = 503, .code = code, .retry_after = 1 };
}

/* Stops the calling function, which returns struct problem, at the first problem. */
#define TRY(call)                                   \
    do {                                            \
        struct problem try_problem = (call);        \
        if (try_problem.status) return try_problem; \
    } while (0)
