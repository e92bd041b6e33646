#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "contract_compile.h"

/* An operation while it is compiled. */
struct draft {
    struct contract *contract;
    struct contract_operation *operation;
    const json_t *node;
    const struct contract_path *path;
    const char *place;
};

static bool add_parameter(struct draft *draft, const json_t *node, const char *place, size_t first);

static const char *text_of(const json_t *node, const char *key)
{
    return json_string_value(json_object_get(node, key));
}

static bool is_in(const json_t *array, const char *text)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *item = json_string_value(json_array_get(array, i));
        if (item && strcmp(item, text) == 0) return true;
    }
    return false;
}

static bool read_comparison(struct draft *draft, struct contract_parameter *parameter, const json_t *node,
                            const char *place)
{
    parameter->column = text_of(node, "x-column");
    parameter->comparison = text_of(node, "x-comparison");
    if (!parameter->comparison) parameter->comparison = "=";
    const char *comparison = parameter->comparison;
    if (strcmp(comparison, "=") != 0 && strcmp(comparison, ">=") != 0 && strcmp(comparison, "<=") != 0)
        return contract_fail(draft->contract, place, "x-comparison is one of =, >= and <=");
    if (!json_object_get(node, "x-column"))
        return !json_object_get(node, "x-comparison") ||
               contract_fail(draft->contract, place, "x-comparison without x-column");
    if (parameter->place != IN_QUERY || !parameter->column)
        return contract_fail(draft->contract, place, "x-column names a column, on a query parameter");
    /* It becomes an identifier of a statement's text. */
    bool plain = !parameter->column[strspn(parameter->column, "abcdefghijklmnopqrstuvwxyz0123456789_")];
    return plain || contract_fail(draft->contract, place, "x-column is a name in snake_case");
}

static bool read_place(struct draft *draft, struct contract_parameter *parameter, const json_t *node, const char *place)
{
    static const char *const names[] = { [IN_PATH] = "path", [IN_QUERY] = "query", [IN_HEADER] = "header" };
    const char *in = text_of(node, "in");
    for (size_t i = 0; in && i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], in) != 0) continue;
        parameter->place = (enum parameter_place)i;
        return true;
    }
    return contract_fail(draft->contract, place, "in is one of path, query and header");
}

/* Fills in one parameter; `first` is where the list that it stands in begins, within which a name may stand once.
   What the operation says goes before what its path says. */
static bool add_parameter(struct draft *draft, const json_t *node, const char *place, size_t first)
{
    static const char *const keys[] = { "name",     "in",           "required",   "description", "schema",
                                        "example",  "examples",     "deprecated", "style",       "explode",
                                        "x-column", "x-comparison", NULL };
    struct contract *contract = draft->contract;
    struct contract_operation *operation = draft->operation;
    if (!(node = contract_follow(contract, node, "parameters", &place))) return false;
    if (!contract_check_keys(contract, node, place, keys) || !contract_check_text(contract, node, place, "name") ||
        !contract_check_text(contract, node, place, "description"))
        return false;

    struct contract_parameter parameter = { .name = text_of(node, "name") };
    parameter.required = json_is_true(json_object_get(node, "required"));
    if (!read_place(draft, &parameter, node, place) || !read_comparison(draft, &parameter, node, place)) return false;
    const struct contract_parameter *known = contract_parameter(operation, parameter.place, parameter.name);
    if (known && known >= operation->parameters + first)
        return contract_fail(contract, place, "parameter stands twice: %s", parameter.name);
    if (known) return true;
    if (parameter.place == IN_PATH && !parameter.required)
        return contract_fail(contract, place, "a path parameter is required");
    parameter.schema = contract_schema(contract, json_object_get(node, "schema"), place);
    ((struct contract_parameter *)operation->parameters)[operation->parameter_count++] = parameter;
    return parameter.schema != NULL;
}

static bool read_parameters(struct draft *draft, const json_t *item)
{
    const json_t *lists[] = { json_object_get(draft->node, "parameters"), json_object_get(item, "parameters") };
    size_t room = json_array_size(lists[0]) + json_array_size(lists[1]);
    draft->operation->parameters = arena_alloc(draft->contract->arena, (room + 1) * sizeof(struct contract_parameter));
    if (!draft->operation->parameters) return contract_fail(draft->contract, draft->place, "out of memory");
    for (size_t list = 0; list < 2; list++) {
        size_t first = draft->operation->parameter_count;
        for (size_t i = 0; i < json_array_size(lists[list]); i++) {
            const char *place = contract_text(draft->contract, "%s/parameters/%zu", draft->place, i);
            if (!add_parameter(draft, json_array_get(lists[list], i), place, first)) return false;
        }
    }
    return true;
}

/* The template and the path parameters name the same. */
static bool check_template(struct draft *draft)
{
    size_t in_template = 0, declared = 0;
    for (const char *open = strchr(draft->path->template, '{'); open; open = strchr(open + 1, '{'), in_template++) {
        size_t length = strcspn(open + 1, "}/");
        if (open[1 + length] != '}' || !length)
            return contract_fail(draft->contract, draft->place, "the path is no template");
        const char *name = contract_text(draft->contract, "%.*s", (int)length, open + 1);
        if (!contract_parameter(draft->operation, IN_PATH, name))
            return contract_fail(draft->contract, draft->place, "path parameter is not declared: %s", name);
    }
    for (size_t i = 0; i < draft->operation->parameter_count; i++)
        declared += draft->operation->parameters[i].place == IN_PATH;
    return declared == in_template ||
           contract_fail(draft->contract, draft->place, "a path parameter is not in the path, or stands there twice");
}

static bool read_role(struct draft *draft, const json_t *alternative, enum role *role)
{
    const json_t *scopes = json_object_get(alternative, "utvag");
    const char *scope = json_string_value(json_array_get(scopes, 0));
    if (json_object_size(alternative) != 1 || json_array_size(scopes) != 1 || !scope)
        return contract_fail(draft->contract, draft->place, "an alternative of security is one scope of utvag");
    *role = role_find(scope);
    return *role != ROLE_COUNT || contract_fail(draft->contract, draft->place, "role is not known: %s", scope);
}

/* Nothing is open by omission. */
static bool read_security(struct draft *draft)
{
    const json_t *security = json_object_get(draft->node, "security");
    size_t count = json_array_size(security);
    if (!json_is_array(security)) return contract_fail(draft->contract, draft->place, "security is missing");
    enum role *roles = arena_alloc(draft->contract->arena, (count + 1) * sizeof *roles);
    if (!roles) return contract_fail(draft->contract, draft->place, "out of memory");
    for (size_t i = 0; i < count; i++)
        if (!read_role(draft, json_array_get(security, i), &roles[i])) return false;
    for (size_t i = 0; i < count; i++) draft->operation->role_bits |= 1u << roles[i];
    draft->operation->open = count == 0;
    draft->operation->roles = roles;
    draft->operation->role_count = count;
    return true;
}

static bool check_media(struct contract *contract, const json_t *media, const char *place, const struct schema **schema)
{
    static const char *const keys[] = { "schema", "example", "examples", NULL };
    if (!contract_check_keys(contract, media, place, keys)) return false;
    *schema = contract_schema(contract, json_object_get(media, "schema"), place);
    return *schema != NULL;
}

static bool is_lower(const char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z') return false;
    return true;
}

/* All media types of a body share one schema: it is the same body, written otherwise. */
static bool read_content(struct draft *draft, const json_t *content, const char *place)
{
    const char *type;
    json_t *media;
    const json_t *first = NULL;
    size_t count = 0;
    const char **types = arena_alloc(draft->contract->arena, (json_object_size(content) + 1) * sizeof *types);
    if (!types || !json_object_size(content)) return contract_fail(draft->contract, place, "content is missing");
    json_object_foreach((json_t *)content, type, media) {
        const char *inner = contract_text(draft->contract, "%s/%s", place, type);
        if (!is_lower(type)) return contract_fail(draft->contract, inner, "a media type is written in lower case");
        if (!check_media(draft->contract, media, inner, &draft->operation->body)) return false;
        const json_t *schema = json_object_get(media, "schema");
        if (first && !json_equal(first, schema)) return contract_fail(draft->contract, inner, "the schemas differ");
        first = schema;
        types[count++] = type;
        draft->operation->form |= strcmp(type, "application/x-www-form-urlencoded") == 0;
    }
    draft->operation->body_types = types;
    return true;
}

static bool read_body(struct draft *draft)
{
    static const char *const keys[] = { "description", "required", "content", NULL };
    const json_t *node = json_object_get(draft->node, "requestBody");
    const char *place = contract_text(draft->contract, "%s/requestBody", draft->place), *unsealed;
    if (!node) return true;
    if (!(node = contract_follow(draft->contract, node, "requestBodies", &place))) return false;
    if (!contract_check_keys(draft->contract, node, place, keys) ||
        !contract_check_text(draft->contract, node, place, "description") ||
        !read_content(draft, json_object_get(node, "content"), contract_text(draft->contract, "%s/content", place)))
        return false;
    draft->operation->body_required = json_is_true(json_object_get(node, "required"));
    if (!contract_has_unsealed(draft->operation->body, &unsealed)) return true;
    return contract_fail(draft->contract, place, "a sealed member would not be sealed: #%s", unsealed);
}

static bool check_headers(struct contract *contract, const json_t *headers, const char *place)
{
    static const char *const keys[] = { "description", "required", "schema", "example", "examples", NULL };
    const char *name;
    json_t *node;
    json_object_foreach((json_t *)headers, name, node) {
        const char *inner = contract_text(contract, "%s/headers/%s", place, name);
        const json_t *header = contract_follow(contract, node, "headers", &inner);
        if (!header || !contract_check_keys(contract, header, inner, keys) ||
            !contract_check_text(contract, header, inner, "description") ||
            !contract_schema(contract, json_object_get(header, "schema"), inner))
            return false;
    }
    return true;
}

/* *types become its media types, ended by NULL, and *schema that of the first; NULL for an empty answer. */
static bool check_response(struct contract *contract, const json_t *node, const char *place, const char ***types,
                           const struct schema **schema)
{
    static const char *const keys[] = { "description", "headers", "content", NULL };
    const char *type;
    json_t *media;
    const struct schema *other;
    if (!(node = contract_follow(contract, node, "responses", &place))) return false;
    if (!contract_check_keys(contract, node, place, keys) ||
        !contract_check_text(contract, node, place, "description") ||
        !check_headers(contract, json_object_get(node, "headers"), place))
        return false;
    const json_t *content = json_object_get(node, "content");
    size_t count = 0;
    *schema = NULL;
    *types = NULL;
    if (!content) return true;
    *types = arena_alloc(contract->arena, (json_object_size(content) + 1) * sizeof **types);
    if (!*types) return contract_fail(contract, place, "out of memory");
    json_object_foreach((json_t *)content, type, media) {
        const char *inner = contract_text(contract, "%s/content/%s", place, type);
        if (!check_media(contract, media, inner, count ? &other : schema)) return false;
        (*types)[count++] = type;
    }
    return true;
}

static bool read_responses(struct draft *draft)
{
    struct contract_operation *operation = draft->operation;
    const char *status, **types;
    const struct schema *answer;
    json_t *node;
    json_object_foreach(json_object_get(draft->node, "responses"), status, node) {
        const char *place = contract_text(draft->contract, "%s/responses/%s", draft->place, status);
        if (strlen(status) != 3 || status[strspn(status, "0123456789")])
            return contract_fail(draft->contract, place, "a response has a status of three digits");
        if (!check_response(draft->contract, node, place, &types, &answer)) return false;
        if (strcmp(status, "429") == 0) operation->limited = true;
        if (*status != '2') continue;
        if (operation->success) return contract_fail(draft->contract, place, "there are two 2xx responses");
        sscanf(status, "%d", &operation->success);
        operation->answer_type = types ? types[0] : NULL;
        operation->answer_types = types;
        operation->answer = answer;
    }
    return operation->success || contract_fail(draft->contract, draft->place, "a 2xx response is missing");
}

/* It becomes part of a statement's text. */
static bool is_order(const char *text) { return text && !text[strspn(text, "-abcdefghijklmnopqrstuvwxyz0123456789_")]; }

/* The order of a list: the default of its sort parameter, or the only one if it has none. */
static bool read_sort(struct draft *draft)
{
    const struct contract_parameter *sort = contract_parameter(draft->operation, IN_QUERY, "sort");
    const char *order = draft->operation->sort = text_of(draft->node, "x-sort");
    if (order && !is_order(order))
        return contract_fail(draft->contract, draft->place, "x-sort is a column in snake_case, with or without -");
    if (!sort) return true;
    if (!order) return contract_fail(draft->contract, draft->place, "a sort parameter without x-sort");
    const json_t *orders = sort->schema->enumeration;
    for (size_t i = 0; i < json_array_size(orders); i++)
        if (!is_order(json_string_value(json_array_get(orders, i))))
            return contract_fail(draft->contract, draft->place, "sort takes columns in snake_case, with or without -");
    return is_in(orders, order) || contract_fail(draft->contract, draft->place, "x-sort is not in sort's enum");
}

/* What `fields` chooses from: the members of an answer, or of a list's records. */
static bool read_record(struct draft *draft)
{
    struct contract_operation *operation = draft->operation;
    const struct schema *record = operation->answer;
    if (record && operation->list) {
        const struct schema *list = schema_member(record, operation->list);
        record = list ? list->items : NULL;
        if (!record) return contract_fail(draft->contract, draft->place, "x-list is no array of the answer");
    }
    if (record && (record->property_count || record->one_of_count)) operation->record = record;
    return operation->record || !contract_parameter(operation, IN_QUERY, "fields") ||
           contract_fail(draft->contract, draft->place, "fields, where the answer has no members");
}

static bool read_purpose(struct draft *draft)
{
    const json_t *schemas = json_object_get(json_object_get(draft->contract->tree, "components"), "schemas");
    const json_t *known = json_object_get(json_object_get(schemas, "Purpose"), "enum");
    const char *purpose = draft->operation->purpose = text_of(draft->node, "x-purpose");
    draft->operation->personal = purpose != NULL;
    return !purpose || is_in(known, purpose) ||
           contract_fail(draft->contract, draft->place, "x-purpose is not one of the schema Purpose");
}

/* Roles that open no seal elsewhere, and do here. */
static bool read_opens(struct draft *draft)
{
    const json_t *opens = json_object_get(draft->node, "x-opens");
    if (opens && !json_array_size(opens))
        return contract_fail(draft->contract, draft->place, "x-opens is a list of roles");
    for (size_t i = 0; i < json_array_size(opens); i++) {
        const char *name = json_string_value(json_array_get(opens, i));
        enum role role = name ? role_find(name) : ROLE_COUNT;
        if (role == ROLE_COUNT || !(draft->operation->role_bits & 1u << role))
            return contract_fail(draft->contract, draft->place, "x-opens names a role that may not call this");
        draft->operation->opens |= 1u << role;
    }
    return true;
}

static bool read_extensions(struct draft *draft)
{
    static const char *const names[] = { "x-purpose", "x-action", "x-event", "x-list", "x-location", "x-sort", NULL };
    struct contract_operation *operation = draft->operation;
    for (const char *const *name = names; *name; name++)
        if (json_object_get(draft->node, *name) &&
            !contract_check_text(draft->contract, draft->node, draft->place, *name))
            return false;
    operation->action = text_of(draft->node, "x-action");
    operation->event = text_of(draft->node, "x-event");
    operation->list = text_of(draft->node, "x-list");
    const char *location = text_of(draft->node, "x-location");
    if (location && *location != '/') return contract_fail(draft->contract, draft->place, "x-location begins with /");
    if (location) operation->location = contract_text(draft->contract, "%s%s", draft->path->base, location);
    return read_purpose(draft) && read_opens(draft) && read_sort(draft) && read_record(draft);
}

static bool check_tags(struct draft *draft)
{
    const json_t *tags = json_object_get(draft->node, "tags"), *known = json_object_get(draft->contract->tree, "tags");
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));
        size_t at = 0;
        while (tag && at < json_array_size(known)) {
            const char *name = text_of(json_array_get(known, at), "name");
            if (name && strcmp(name, tag) == 0) break;
            at++;
        }
        if (at == json_array_size(known)) return contract_fail(draft->contract, draft->place, "tag is not declared");
    }
    return json_array_size(tags) > 0 || contract_fail(draft->contract, draft->place, "tags is missing");
}

static bool read_names(struct draft *draft, const char *method)
{
    static const char *const keys[] = { "operationId", "tags",     "summary",    "description", "externalDocs",
                                        "deprecated",  "security", "parameters", "requestBody", "responses",
                                        "x-purpose",   "x-action", "x-event",    "x-list",      "x-location",
                                        "x-sort",      "x-opens",  NULL };
    struct contract *contract = draft->contract;
    if (!contract_check_keys(contract, draft->node, draft->place, keys) ||
        !contract_check_text(contract, draft->node, draft->place, "operationId") ||
        !contract_check_text(contract, draft->node, draft->place, "description") || !check_tags(draft))
        return false;
    draft->operation->id = text_of(draft->node, "operationId");
    for (size_t i = 0; i < contract->count; i++)
        if (strcmp(contract->operations[i].id, draft->operation->id) == 0)
            return contract_fail(contract, draft->place, "operationId stands twice: %s", draft->operation->id);
    char *upper = arena_copy(contract->arena, method, strlen(method));
    for (char *c = upper; c && *c; c++) *c = (char)(*c - 'a' + 'A');
    draft->operation->method = upper;
    /* The root is the base itself, without a slash at its end. */
    const char *base = draft->path->base, *template = draft->path->template;
    draft->operation->path = contract_text(contract, "%s%s", base, template[1] || !*base ? template : "");
    return upper != NULL;
}

bool contract_add_operation(struct contract *contract, const struct contract_path *path, const char *method)
{
    struct draft draft = { .contract = contract,
                           .operation = &contract->operations[contract->count],
                           .node = json_object_get(path->item, method),
                           .path = path,
                           .place = contract_text(contract, "/paths/%s/%s", path->template, method) };
    bool whole = read_names(&draft, method) && read_parameters(&draft, path->item) && check_template(&draft) &&
                 read_security(&draft) && read_body(&draft) && read_responses(&draft) && read_extensions(&draft);
    contract->count += whole;
    return whole;
}
