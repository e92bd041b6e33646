#include "utvag/body.h"

#include <string.h>
#include <strings.h>

#include "utvag/config.h"
#include "utvag/percent.h"

static struct problem unsupported(struct request *rq, const char *code)
{
    char *types = arena_text(rq->arena, "%s", rq->contract->body_types[0]);
    for (const char *const *type = rq->contract->body_types + 1; types && *type; type++)
        types = arena_text(rq->arena, "%s, %s", types, *type);
    return (struct problem){ .status = 415, .code = code, .allow = types };
}

/* The parameters of a media type: none, or a charset that is UTF-8. Others are passed over (RFC 9110, 8.3). */
static bool charset_is_utf8(const char *parameters)
{
    const char *charset = strcasestr(parameters, "charset=");
    if (!charset) return true;
    charset += sizeof "charset=" - 1;
    if (*charset == '"') charset++;
    return strncasecmp(charset, "utf-8", 5) == 0 && (!charset[5] || strchr("\"; \t", charset[5]));
}

static bool type_is_taken(const struct request *rq)
{
    const char *type = request_header(rq, "Content-Type");
    if (!type) return false;
    size_t length = strcspn(type, "; \t");
    if (!charset_is_utf8(type + length)) return false;
    for (const char *const *taken = rq->contract->body_types; *taken; taken++)
        if (strlen(*taken) == length && strncasecmp(*taken, type, length) == 0) return true;
    return false;
}

/* Brackets outside of strings, counted before the parser recurses over them. */
static bool depth_is_within(const char *text, size_t length, int limit)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '[') && ++depth > limit)
            return false;
        else if (!quoted && (c == '}' || c == ']'))
            depth--;
    }
    return true;
}

/* The integer that a real such as 100.0 or 1E2 is: PostgreSQL reads no other spelling. NULL for any other value. */
static json_t *integer_of(const json_t *value)
{
    return json_is_real(value) && schema_is_integral(value) ? json_integer((json_int_t)json_real_value(value)) : NULL;
}

static void write_integers(json_t *value)
{
    json_t *element, *integer;
    size_t i;
    for (void *at = json_object_iter(value); at; at = json_object_iter_next(value, at)) {
        element = json_object_iter_value(at);
        if ((integer = integer_of(element)))
            json_object_iter_set_new(value, at, integer);
        else
            write_integers(element);
    }
    json_array_foreach(value, i, element) {
        if ((integer = integer_of(element)))
            json_array_set_new(value, i, integer);
        else
            write_integers(element);
    }
}

static struct problem parse_json(struct request *rq)
{
    if (!depth_is_within(rq->body, rq->body_length, rq->service->config->depth_limit))
        return problem(400, "json_too_deep");
    /* jansson refuses U+0000, lone surrogates and bad UTF-8 by itself. */
    rq->json = json_loadb(rq->body, rq->body_length, JSON_REJECT_DUPLICATES, NULL);
    if (!rq->json) return problem(400, "json_invalid");
    write_integers(rq->json);
    return PROBLEM_NONE;
}

static struct problem parse_form(struct request *rq)
{
    const struct pair *pairs = percent_pairs(rq->arena, rq->body, rq->body_length);
    if (!pairs || !(rq->json = json_object())) return problem(400, "form_invalid");
    for (; pairs->name; pairs++) {
        if (json_object_get(rq->json, pairs->name)) return problem(400, "form_invalid");
        if (json_object_set_new(rq->json, pairs->name, json_string(pairs->value)) != 0)
            return problem(400, "form_invalid");
    }
    return PROBLEM_NONE;
}

static struct problem check_schema(struct request *rq)
{
    const struct member_error *errors = NULL;
    size_t count = schema_faults(rq->contract->body, rq->json, "", rq->arena, &errors);
    if (!count) return PROBLEM_NONE;
    int status = rq->contract->form ? 400 : 422; /* RFC 6749 (5.2) knows 400 only */
    return (struct problem){ .status = status, .code = "body_invalid", .errors = errors, .error_count = count };
}

struct problem body_read(struct request *rq)
{
    const struct contract_operation *operation = rq->contract;
    if (rq->body_length > rq->service->config->body_limit) return problem(413, "body_too_large");
    if (!operation->body) return rq->body_length ? problem(400, "body_unexpected") : PROBLEM_NONE;
    if (!rq->body_length) return operation->body_required ? problem(400, "body_required") : PROBLEM_NONE;
    const char *coding = request_header(rq, "Content-Encoding");
    if (coding && strcasecmp(coding, "identity") != 0) return unsupported(rq, "content_encoding_unsupported");
    if (!type_is_taken(rq)) return unsupported(rq, "media_type_unsupported");
    const char *type = request_header(rq, "Content-Type");
    bool form = operation->form && strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0;
    TRY(form ? parse_form(rq) : parse_json(rq));
    return check_schema(rq);
}
