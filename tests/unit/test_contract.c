/* The contract: YAML read as meant, operations compiled whole, mistakes named, and the service's own contract sound. */
#include "utvag/contract.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/contract_yaml.h"
#include "utvag/operation.h"

static char error[500];
static struct contract *contract;

static void teardown(void)
{
    contract_free(contract);
    contract = NULL;
}

/* YAML -------------------------------------------------------------------------------------------------------------- */

static void check_yaml(const char *yaml, const char *expected)
{
    json_t *tree = contract_yaml_parse(yaml, strlen(yaml), error, sizeof error);
    ck_assert_msg(tree != NULL, "%s: %s", yaml, error);
    char *text = json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY);
    ck_assert_str_eq(text, expected);
    free(text);
    json_decref(tree);
}

static void refuse_yaml(const char *yaml, const char *reason)
{
    json_t *tree = contract_yaml_parse(yaml, strlen(yaml), error, sizeof error);
    ck_assert_msg(tree == NULL, "is read: %s", yaml);
    ck_assert_msg(strstr(error, reason) != NULL, "%s: %s lacks %s", yaml, error, reason);
}

START_TEST(test_plain_scalars_follow_the_core_schema)
{
    check_yaml("[null, ~, Null, NULL, ]", "[null,null,null,null]");
    check_yaml("[true, True, FALSE, yes, no, on, off, y, n]",
               "[true,true,false,\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\"]");
    check_yaml("[0, 12, -3, +4, 0o17, 0x1F, 007, 1_000, 0b1, 1:30]", "[0,12,-3,4,15,31,7,\"1_000\",\"0b1\",\"1:30\"]");
    check_yaml("[1.5, -2., .5, 1e3, 1.0]", "[1.5,-2.0,0.5,1000.0,1.0]");
    check_yaml("[3.1.0, 2026-11-24, ., -, e1, 0x, 0o9]",
               "[\"3.1.0\",\"2026-11-24\",\".\",\"-\",\"e1\",\"0x\",\"0o9\"]");
    check_yaml("a:\nb: ", "{\"a\":null,\"b\":null}");
}
END_TEST

START_TEST(test_quoted_and_block_scalars_are_texts)
{
    check_yaml("['0114', \"null\", 'true', '']", "[\"0114\",\"null\",\"true\",\"\"]");
    check_yaml("a: |\n  12\n  x\nb: >\n  1\n  2\n", "{\"a\":\"12\\nx\\n\",\"b\":\"1 2\\n\"}");
    check_yaml("a: \"\\u00e5 å\"", "{\"a\":\"å å\"}");
}
END_TEST

START_TEST(test_keys_are_texts_in_their_order)
{
    check_yaml("'200': a\n404: b\n/x/{id}: {z: 1, a: 2}",
               "{\"200\":\"a\",\"404\":\"b\",\"/x/{id}\":{\"z\":1,\"a\":2}}");
}
END_TEST

START_TEST(test_what_reads_differently_elsewhere_is_refused)
{
    refuse_yaml("a: 1\nb: 2\na: 3", "line 3: the key stands twice");
    refuse_yaml("a: {b: 1, b: 2}", "line 1: the key stands twice");
    refuse_yaml("a: 1\nb: &x 2", "line 2: anchors are not read");
    refuse_yaml("&x a: 1", "line 1: anchors");
    refuse_yaml("a: *x", "line 1: aliases are not read");
    refuse_yaml("a:\n  - !!str 1", "line 2: tags are not read");
    refuse_yaml("a: !x {b: 1}", "tags are not read");
    refuse_yaml("<<: {a: 1}", "merge keys are not read");
    refuse_yaml("[a]: 1", "a key is not a text");
    refuse_yaml("a: .nan", "JSON has no such number");
    refuse_yaml("a: 99999999999999999999", "too large");
    refuse_yaml("a: \"\\0\"", "U+0000");
    refuse_yaml("a: 1\n---\nb: 2", "second document");
    refuse_yaml("", "no document");
    refuse_yaml("a: [1\nb: 2", "line 2");
    refuse_yaml("a: 1\n\tb: 2", "line 2");
}
END_TEST

START_TEST(test_nesting_has_a_limit)
{
    char text[201] = { 0 };
    memset(text, '[', 100);
    memset(text + 100, ']', 100);
    refuse_yaml(text, "too deep");
}
END_TEST

/* Contracts made up -------------------------------------------------------------------------------------------------- */

static const char head[] =
    "openapi: 3.1.0\n"
    "info: { title: T, version: 1.0.0 }\n"
    "servers: [{ url: 'https://api.example/v1' }]\n"
    "tags: [{ name: t, description: d }]\n"
    "components:\n"
    "  securitySchemes: { utvag: { type: oauth2, flows: { clientCredentials: { scopes: { partner: d, intake: d,\n"
    "    case_worker: d, decision_maker: d, triage: d, fund_manager: d, project_manager: d, auditor: d, admin: d } } } } }\n"
    "  parameters:\n"
    "    Id: { name: id, in: path, required: true, description: d, schema: { type: string } }\n"
    "    Sort: { name: sort, in: query, description: d, schema: { type: string, enum: ['-a', a] } }\n"
    "    From: { name: from, in: query, description: d, x-column: a, x-comparison: '>=', schema: { type: string } }\n"
    "    IfMatch: { name: If-Match, in: header, required: true, description: d, schema: { type: string } }\n"
    "  responses: { Gone: { description: d } }\n"
    "  schemas:\n"
    "    Purpose: { type: string, enum: [case_work] }\n"
    "    Secret: { type: string, x-sealed: true }\n"
    "    New: { type: object, x-record: things, properties: { a: { $ref: '#/components/schemas/Secret' } } }\n"
    "    Bare: { type: object, properties: { list: { type: array, items: { type: object, properties: {\n"
    "      a: { $ref: '#/components/schemas/Secret' } } } } } }\n"
    "    Odd: { type: object, x-record: things, properties: { a: { $ref: '#/components/schemas/Secret' } },\n"
    "      oneOf: [{ type: object, properties: { a: { type: string } } }] }\n"
    "paths:\n";

/* An operation in flow style, its parts replaceable: what is NULL is left out. */
struct parts {
    const char *id, *description, *security, *more, *responses;
};

static const struct parts sound = {
    "operationId: listThings", "description: d", "security: [{ utvag: [partner] }, { utvag: [case_worker] }]",
    "summary: s", "responses: { '200': { description: d }, '404': { $ref: '#/components/responses/Gone' } }"
};

static bool load_text(const char *paths)
{
    char *text = NULL;
    ck_assert_int_gt(asprintf(&text, "%s%s", head, paths), 0);
    contract_free(contract);
    contract = contract_load(text, strlen(text), error, sizeof error);
    free(text);
    ck_assert_int_eq(contract == NULL, *error != '\0');
    return contract != NULL;
}

static bool load(const char *path, const struct parts *parts)
{
    const char *const list[] = { parts->id, parts->description, parts->security, parts->more, parts->responses };
    char text[4000];
    int used = snprintf(text, sizeof text, "  %s: { get: { tags: [t]", path);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i]) used += snprintf(text + used, sizeof text - (size_t)used, ", %s", list[i]);
    snprintf(text + used, sizeof text - (size_t)used, " } }\n");
    return load_text(text);
}

static void refuse(const char *path, struct parts parts, const char *reason)
{
    ck_assert_msg(!load(path, &parts), "loads, though %s", reason);
    ck_assert_msg(strstr(error, reason) != NULL, "%s lacks %s", error, reason);
}

static struct parts with(const char *more)
{
    struct parts parts = sound;
    parts.more = more;
    return parts;
}

START_TEST(test_an_operation_is_compiled_whole)
{
    struct parts parts =
        with("x-purpose: case_work, x-list: things, x-sort: '-a', x-event: thing.read, x-action: look,"
             "x-location: '/things/{id}', x-opens: [partner], parameters: [{ $ref: '#/components/parameters/Id' },"
             "{ $ref: '#/components/parameters/Sort' }, { $ref: '#/components/parameters/From' },"
             "{ $ref: '#/components/parameters/IfMatch' }]");
    ck_assert_msg(load("/things/{id}", &parts), "%s", error);
    ck_assert_uint_eq(contract_count(contract), 1);
    const struct contract_operation *operation = contract_at(contract, 0);
    ck_assert_str_eq(operation->id, "listThings");
    ck_assert_str_eq(operation->method, "GET");
    ck_assert_str_eq(operation->path, "/v1/things/{id}");
    ck_assert(!operation->open && operation->role_count == 2);
    ck_assert_int_eq(operation->roles[0], ROLE_PARTNER);
    ck_assert_int_eq(operation->roles[1], ROLE_CASE_WORKER);
    ck_assert_int_eq(operation->success, 200);
    ck_assert_ptr_null(operation->answer_type);
    ck_assert_ptr_null(operation->body);
    ck_assert_uint_eq(operation->opens, 1u << ROLE_PARTNER);
    ck_assert_str_eq(operation->list, "things");
    ck_assert_str_eq(operation->sort, "-a");
    ck_assert_str_eq(operation->event, "thing.read");
    ck_assert_str_eq(operation->action, "look");
    ck_assert_str_eq(operation->location, "/v1/things/{id}");
    ck_assert_str_eq(operation->purpose, "case_work");
    ck_assert(operation->personal);
    ck_assert_ptr_null(contract_at(contract, 1));
}
END_TEST

START_TEST(test_parameters_are_found_by_place_and_name)
{
    struct parts parts =
        with("parameters: [{ $ref: '#/components/parameters/From' }, { $ref: '#/components/parameters/IfMatch' }]");
    ck_assert_msg(load("/things", &parts), "%s", error);
    const struct contract_operation *operation = contract_at(contract, 0);
    const struct contract_parameter *from = contract_parameter(operation, IN_QUERY, "from");
    ck_assert_str_eq(from->column, "a");
    ck_assert_str_eq(from->comparison, ">=");
    ck_assert(!from->required);
    ck_assert(contract_parameter(operation, IN_HEADER, "if-match")->required);
    ck_assert_ptr_null(contract_parameter(operation, IN_QUERY, "From"));
    ck_assert_ptr_null(contract_parameter(operation, IN_PATH, "from"));
}
END_TEST

START_TEST(test_a_paths_parameters_are_its_operations)
{
    ck_assert_msg(
        load_text("  /things/{id}:\n"
                  "    parameters: [{ $ref: '#/components/parameters/Id' },\n"
                  "      { name: from, in: query, description: d, schema: { type: integer } }]\n"
                  "    get: { operationId: a, tags: [t], description: d, security: [], parameters: [\n"
                  "      { $ref: '#/components/parameters/From' }], responses: { '204': { description: d } } }\n"),
        "%s", error);
    const struct contract_operation *operation = contract_at(contract, 0);
    ck_assert_uint_eq(operation->parameter_count, 2);
    ck_assert_str_eq(contract_parameter(operation, IN_QUERY, "from")->column, "a"); /* the operation's own goes first */
    ck_assert(operation->open);
    ck_assert_int_eq(operation->success, 204);
}
END_TEST

START_TEST(test_a_body_has_its_types_and_schema)
{
    struct parts parts = with("requestBody: { description: d, required: true, content: {"
                              "application/merge-patch+json: { schema: { $ref: '#/components/schemas/New' } },"
                              "application/json: { schema: { $ref: '#/components/schemas/New' } } } }");
    ck_assert_msg(load("/things", &parts), "%s", error);
    const struct contract_operation *operation = contract_at(contract, 0);
    ck_assert(operation->body_required && !operation->form);
    ck_assert_str_eq(operation->body_types[0], "application/merge-patch+json");
    ck_assert_str_eq(operation->body_types[1], "application/json");
    ck_assert_ptr_null(operation->body_types[2]);
    ck_assert_str_eq(operation->body->record, "things");
}
END_TEST

START_TEST(test_the_root_is_the_base)
{
    ck_assert_msg(load("/", &sound), "%s", error);
    ck_assert_str_eq(contract_at(contract, 0)->path, "/v1");
}
END_TEST

/* What RFC 8615 and others place at the root of the host, beside /v1. */
START_TEST(test_a_path_may_stand_outside_the_base)
{
    static const char get[] = "get: { operationId: a, tags: [t], description: d, security: [], responses: {"
                              "'204': { description: d } } } }\n";
    char text[500];
    snprintf(text, sizeof text, "  /.well-known/x: { servers: [{ url: 'https://api.example/' }], %s", get);
    ck_assert_msg(load_text(text), "%s", error);
    ck_assert_str_eq(contract_at(contract, 0)->path, "/.well-known/x");
    snprintf(text, sizeof text, "  /.well-known/x: { servers: [{ url: 'https://other.example/' }], %s", get);
    ck_assert(!load_text(text));
    ck_assert_msg(strstr(error, "where all are: at https://api.example"), "%s", error);
    snprintf(text, sizeof text, "  /.well-known/x: { servers: [{ url: / }], %s", get);
    ck_assert(!load_text(text));
    ck_assert_msg(strstr(error, "absolute url"), "%s", error);
}
END_TEST

START_TEST(test_an_operation_must_say_who_what_and_why)
{
    struct parts parts = sound;
    parts.id = NULL;
    refuse("/x", parts, "#/paths//x/get: operationId is missing");
    parts = sound, parts.security = NULL;
    refuse("/x", parts, "security is missing");
    parts = sound, parts.description = NULL;
    refuse("/x", parts, "description is missing");
    parts = sound, parts.responses = NULL;
    refuse("/x", parts, "a 2xx response is missing");
    parts.responses = "responses: { '404': { description: d } }";
    refuse("/x", parts, "a 2xx response is missing");
    parts.responses = "responses: { '200': { description: d }, '201': { description: d } }";
    refuse("/x", parts, "two 2xx responses");
    parts.responses = "responses: { '200': {} }";
    refuse("/x", parts, "#/paths//x/get/responses/200: description is missing");
    parts.responses = "responses: { 2XX: { description: d } }";
    refuse("/x", parts, "three digits");
}
END_TEST

START_TEST(test_roles_must_be_known)
{
    struct parts parts = sound;
    parts.security = "security: [{ utvag: [king] }]";
    refuse("/x", parts, "role is not known: king");
    parts.security = "security: [{ utvag: [partner, admin] }]";
    refuse("/x", parts, "one scope of utvag");
    refuse("/x", with("x-opens: [admin]"), "may not call this");
    refuse("/x", with("x-opens: partner"), "list of roles");
    parts.security = "security: [{}]";
    refuse("/x", parts, "one scope of utvag");
    parts.security = "security: [{ basic: [] }]";
    refuse("/x", parts, "one scope of utvag");
    parts.security = "security: {}";
    refuse("/x", parts, "security is missing");
}
END_TEST

START_TEST(test_unknown_keywords_are_refused_where_they_stand)
{
    refuse("/x", with("x-foo: 1"), "#/paths//x/get: keyword is not known: x-foo");
    refuse("/x", with("callbacks: {}"), "callbacks");
    refuse("/x", with("parameters: [{ name: a, in: query, description: d, allowEmptyValue: true, schema: {} }]"),
           "#/paths//x/get/parameters/0: keyword is not known: allowEmptyValue");
    refuse("/x", with("parameters: [{ name: a, in: cookie, description: d, schema: {} }]"), "in is one of");
    refuse("/x", with("parameters: [{ name: a, in: query, schema: {} }]"), "description is missing");
    refuse("/x", with("parameters: [{ name: a, in: query, description: d }]"), "schema is missing");
    refuse("/x", with("parameters: [{ name: a, in: query, description: d, schema: { typ: string } }]"),
           "#/paths//x/get/parameters/0/schema: keyword is not known: typ");
    refuse("/x", with("x-purpose: curiosity"), "x-purpose is not one of");
    refuse("/x", with("x-purpose: [case_work]"), "x-purpose is missing");
    refuse("/x", with("tags2: []"), "tags2");
    ck_assert(!load_text("  /x: { trace: {} }\n"));
    ck_assert_msg(strstr(error, "#/paths//x: keyword is not known: trace"), "%s", error);
    ck_assert(!load_text("  x: { get: {} }\n"));
}
END_TEST

START_TEST(test_path_parameters_and_template_agree)
{
    refuse("/x/{id}", sound, "path parameter is not declared: id");
    refuse("/x", with("parameters: [{ $ref: '#/components/parameters/Id' }]"), "a path parameter is not in the path");
    refuse("/x/{id}/{id}", with("parameters: [{ $ref: '#/components/parameters/Id' }]"), "stands there twice");
    refuse("/x/{id", with("parameters: [{ $ref: '#/components/parameters/Id' }]"), "no template");
    refuse("/x/{a}", with("parameters: [{ name: a, in: path, description: d, schema: {} }]"), "is required");
    refuse("/x",
           with("parameters: [{ $ref: '#/components/parameters/From' }, { $ref: '#/components/parameters/From' }]"),
           "parameter stands twice: from");
    refuse("/x", with("parameters: [{ $ref: '#/components/parameters/Nowhere' }]"), "leads nowhere");
    refuse("/x", with("parameters: [{ $ref: '#/components/responses/Gone' }]"), "components.parameters");
}
END_TEST

START_TEST(test_orders_and_filters_are_columns)
{
    refuse("/x", with("parameters: [{ $ref: '#/components/parameters/Sort' }]"), "a sort parameter without x-sort");
    refuse("/x", with("x-sort: b, parameters: [{ $ref: '#/components/parameters/Sort' }]"), "not in sort's enum");
    refuse("/x", with("x-sort: 'a; drop'"), "snake_case");
    refuse("/x", with("parameters: [{ name: a, in: query, description: d, x-column: 'a b', schema: {} }]"),
           "snake_case");
    refuse("/x",
           with("parameters: [{ name: a, in: query, description: d, x-column: a, x-comparison: like, schema: {} }]"),
           "x-comparison is one of");
    refuse("/x", with("parameters: [{ name: a, in: query, description: d, x-comparison: '>=', schema: {} }]"),
           "without x-column");
    refuse("/x", with("parameters: [{ name: a, in: header, description: d, x-column: a, schema: {} }]"),
           "on a query parameter");
}
END_TEST

/* Forgetting x-record would hand a name to the database in the clear. */
START_TEST(test_a_sealed_member_must_stand_in_a_record)
{
    refuse("/x",
           with("requestBody: { description: d, content: { application/json: { schema: {"
                "$ref: '#/components/schemas/Bare' } } } }"),
           "a sealed member would not be sealed");
    refuse("/x",
           with("requestBody: { description: d, content: { application/json: { schema: {"
                "$ref: '#/components/schemas/Odd' } } } }"),
           "a sealed member would not be sealed");
    refuse("/x",
           with("requestBody: { description: d, content: { application/json: { schema: {"
                "$ref: '#/components/schemas/New' } }, text/csv: { schema: { type: string } } } }"),
           "the schemas differ");
}
END_TEST

START_TEST(test_operation_ids_are_unique)
{
    ck_assert(!load_text("  /a: { get: { operationId: a, tags: [t], description: d, security: [], responses: { '204': "
                         "{ description: d } } } }\n"
                         "  /b: { get: { operationId: a, tags: [t], description: d, security: [], responses: { '204': "
                         "{ description: d } } } }\n"));
    ck_assert_msg(strstr(error, "#/paths//b/get: operationId stands twice: a"), "%s", error);
}
END_TEST

START_TEST(test_a_broken_text_is_told_with_its_line)
{
    static const char text[] = "openapi: 3.1.0\nopenapi: 3.1.0\n";
    ck_assert_ptr_null(contract_load(text, strlen(text), error, sizeof error));
    ck_assert_msg(strstr(error, "line 2"), "%s", error);
    ck_assert_ptr_null(contract_load("openapi: 3.0.3", 14, error, sizeof error));
    ck_assert_msg(strstr(error, "3.1"), "%s", error);
}
END_TEST

static struct problem run(struct request *rq, struct response *rs)
{
    (void)rq, (void)rs;
    return PROBLEM_NONE;
}

START_TEST(test_every_operation_has_one_handler)
{
    static const struct operation good[] = { { .id = "listThings", .run = run }, { 0 } };
    static const struct operation other[] = { { .id = "readThing", .run = run }, { 0 } };
    static const struct operation hollow[] = { { .id = "listThings" }, { 0 } };
    static const struct operation *const none[] = { NULL }, *const fine[] = { good, NULL },
                                         *const twice[] = { good, good, NULL }, *const more[] = { good, other, NULL },
                                         *const empty[] = { hollow, NULL };
    ck_assert(load("/x", &sound) && !contract_bind(contract, none, error, sizeof error));
    ck_assert_str_eq(error, "listThings has no handler");
    ck_assert(contract_bind(contract, fine, error, sizeof error));
    ck_assert_ptr_eq(contract_at(contract, 0)->operation, good);
    ck_assert(load("/x", &sound) && !contract_bind(contract, twice, error, sizeof error));
    ck_assert_str_eq(error, "listThings has two handlers");
    ck_assert(load("/x", &sound) && !contract_bind(contract, more, error, sizeof error));
    ck_assert_str_eq(error, "readThing has no operation in the contract");
    ck_assert(load("/x", &sound) && !contract_bind(contract, empty, error, sizeof error));
    ck_assert_str_eq(error, "listThings has no function");
}
END_TEST

/* The service's own --------------------------------------------------------------------------------------------------- */

static const char *read_own(size_t *length)
{
    static char text[4 << 20];
    char path[400];
    const char *source = getenv("UTVAG_SOURCE");
    snprintf(path, sizeof path, "%s/openapi.yaml", source ? source : ".");
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    *length = fread(text, 1, sizeof text, file);
    fclose(file);
    return text;
}

static void load_own(void)
{
    size_t length;
    const char *text = read_own(&length);
    contract_free(contract);
    contract = contract_load(text, length, error, sizeof error);
    ck_assert_msg(contract != NULL, "%s", error);
    ck_assert_uint_eq(contract_yaml(contract)->length, length);
    ck_assert_int_eq(memcmp(contract_yaml(contract)->text, text, length), 0);
}

START_TEST(test_own_contract_is_sound_and_kept_as_both_texts)
{
    load_own();
    const struct published *form = contract_json(contract);
    json_t *again = json_loads(form->text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_uint_eq(form->length, strlen(form->text));
    ck_assert(json_equal(again, contract_tree(contract)));
    json_decref(again);
}
END_TEST

START_TEST(test_own_contract_is_handed_out_with_the_address_it_is_served_at)
{
    load_own();
    char own[32];
    snprintf(own, sizeof own, "%s", contract_yaml(contract)->etag);
    ck_assert(contract_publish(contract, "https://api.other.example"));
    const struct published *forms[] = { contract_yaml(contract), contract_json(contract) };
    for (size_t i = 0; i < 2; i++) {
        ck_assert_ptr_null(strstr(forms[i]->text, "https://api.utvag.example"));
        ck_assert_ptr_nonnull(strstr(forms[i]->text, "https://api.other.example/v1/oauth/token"));
        ck_assert_uint_eq(strlen(forms[i]->text), forms[i]->length);
    }
    ck_assert_str_ne(contract_yaml(contract)->etag, own); /* though it is as long */
    ck_assert_str_ne(contract_yaml(contract)->etag, contract_json(contract)->etag);
}
END_TEST

/* What a $ref to a component means; the node itself if it is none. */
static const json_t *meant(const json_t *node)
{
    char kind[40], name[100];
    const char *target = json_string_value(json_object_get(node, "$ref"));
    if (!target) return node;
    ck_assert_int_eq(sscanf(target, "#/components/%39[^/]/%99[^/]", kind, name), 2);
    const json_t *components = json_object_get(contract_tree(contract), "components");
    const json_t *found = json_object_get(json_object_get(components, kind), name);
    ck_assert_msg(found != NULL, "%s leads nowhere", target);
    return found;
}

static struct schema_set *own_schemas;
static struct arena *arena;
static int examples;

static void check_example(const struct schema *schema, const json_t *value, const char *place)
{
    const struct member_error *errors;
    size_t count = schema_faults(schema, value, "", arena, &errors);
    ck_assert_msg(count == 0, "%s: example has %s at %s", place, count ? errors[0].code : "",
                  count ? errors[0].pointer : "");
    examples++;
}

static void check_media(const json_t *content, const char *place)
{
    const char *type, *name;
    json_t *media, *example;
    json_object_foreach((json_t *)content, type, media) {
        char where[300];
        snprintf(where, sizeof where, "%s/%s", place, type);
        const struct schema *schema =
            schema_compile(own_schemas, json_object_get(media, "schema"), where, error, sizeof error);
        ck_assert_msg(schema != NULL, "%s", error);
        const json_t *one = json_object_get(media, "example"), *many = json_object_get(media, "examples");
        if (strstr(type, "json")) ck_assert_msg(one || json_object_size(many), "%s has no example", where);
        if (one) check_example(schema, one, where);
        json_object_foreach((json_t *)many, name, example)
            check_example(schema, json_object_get(meant(example), "value"), where);
    }
}

START_TEST(test_every_json_body_has_examples_that_its_schema_takes)
{
    const char *path, *method, *status;
    json_t *item, *operation, *response;
    load_own();
    own_schemas = schema_set_new(contract_tree(contract));
    arena = arena_new(1 << 20);
    json_object_foreach(json_object_get(contract_tree(contract), "paths"), path, item) {
        json_object_foreach(item, method, operation) {
            char place[300];
            snprintf(place, sizeof place, "/paths/%s/%s/requestBody", path, method);
            check_media(json_object_get(meant(json_object_get(operation, "requestBody")), "content"), place);
            json_object_foreach(json_object_get(operation, "responses"), status, response) {
                snprintf(place, sizeof place, "/paths/%s/%s/responses/%s", path, method, status);
                check_media(json_object_get(meant(response), "content"), place);
                arena_reset(arena);
            }
        }
    }
    ck_assert_int_gt(examples, 50);
    arena_free(arena);
    schema_set_free(own_schemas);
}
END_TEST

static bool answers(const char *id, const char *status)
{
    const char *path, *method;
    json_t *item, *operation;
    json_object_foreach(json_object_get(contract_tree(contract), "paths"), path, item)
        json_object_foreach(item, method, operation) {
            const char *own = json_string_value(json_object_get(operation, "operationId"));
            if (own && strcmp(own, id) == 0) return json_object_get(json_object_get(operation, "responses"), status);
        }
    return false;
}

START_TEST(test_operations_tell_the_refusals_that_follow_from_what_they_take)
{
    load_own();
    for (size_t i = 0; i < contract_count(contract); i++) {
        const struct contract_operation *operation = contract_at(contract, i);
        const struct contract_parameter *match = contract_parameter(operation, IN_HEADER, "If-Match");
        ck_assert_msg(answers(operation->id, "500"), "%s lacks 500", operation->id);
        ck_assert_msg(operation->open || answers(operation->id, "401"), "%s lacks 401", operation->id);
        ck_assert_msg(operation->open || answers(operation->id, "403"), "%s lacks 403", operation->id);
        ck_assert_msg(!operation->body || answers(operation->id, "415"), "%s lacks 415", operation->id);
        ck_assert_msg(!operation->body || operation->form || answers(operation->id, "422"), "%s lacks 422",
                      operation->id);
        ck_assert_msg(!match || answers(operation->id, "412"), "%s lacks 412", operation->id);
        ck_assert_msg(!match || !match->required || answers(operation->id, "428"), "%s lacks 428", operation->id);
        ck_assert_msg(!strchr(operation->path, '{') || answers(operation->id, "404"), "%s lacks 404", operation->id);
    }
}
END_TEST

START_TEST(test_case_data_is_for_known_callers_with_a_purpose)
{
    load_own();
    for (size_t i = 0; i < contract_count(contract); i++) {
        const struct contract_operation *operation = contract_at(contract, i);
        ck_assert_msg(!operation->personal || !operation->open, "%s is open", operation->id);
        ck_assert_msg(!operation->personal || contract_parameter(operation, IN_HEADER, "X-Purpose"),
                      "%s takes no X-Purpose", operation->id);
        bool patch = strcmp(operation->method, "PATCH") == 0;
        const struct contract_parameter *match = contract_parameter(operation, IN_HEADER, "If-Match");
        ck_assert_msg(!patch || (match && match->required), "%s needs If-Match", operation->id);
        ck_assert_msg(!patch || contract_parameter(operation, IN_HEADER, "Idempotency-Key"),
                      "%s takes no Idempotency-Key", operation->id);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contract");
    TCase *tests = tcase_create("contract");
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_plain_scalars_follow_the_core_schema);
    tcase_add_test(tests, test_quoted_and_block_scalars_are_texts);
    tcase_add_test(tests, test_keys_are_texts_in_their_order);
    tcase_add_test(tests, test_what_reads_differently_elsewhere_is_refused);
    tcase_add_test(tests, test_nesting_has_a_limit);
    tcase_add_test(tests, test_an_operation_is_compiled_whole);
    tcase_add_test(tests, test_parameters_are_found_by_place_and_name);
    tcase_add_test(tests, test_a_paths_parameters_are_its_operations);
    tcase_add_test(tests, test_a_body_has_its_types_and_schema);
    tcase_add_test(tests, test_the_root_is_the_base);
    tcase_add_test(tests, test_a_path_may_stand_outside_the_base);
    tcase_add_test(tests, test_an_operation_must_say_who_what_and_why);
    tcase_add_test(tests, test_roles_must_be_known);
    tcase_add_test(tests, test_unknown_keywords_are_refused_where_they_stand);
    tcase_add_test(tests, test_path_parameters_and_template_agree);
    tcase_add_test(tests, test_orders_and_filters_are_columns);
    tcase_add_test(tests, test_a_sealed_member_must_stand_in_a_record);
    tcase_add_test(tests, test_operation_ids_are_unique);
    tcase_add_test(tests, test_a_broken_text_is_told_with_its_line);
    tcase_add_test(tests, test_every_operation_has_one_handler);
    tcase_add_test(tests, test_own_contract_is_sound_and_kept_as_both_texts);
    tcase_add_test(tests, test_own_contract_is_handed_out_with_the_address_it_is_served_at);
    tcase_add_test(tests, test_every_json_body_has_examples_that_its_schema_takes);
    tcase_add_test(tests, test_operations_tell_the_refusals_that_follow_from_what_they_take);
    tcase_add_test(tests, test_case_data_is_for_known_callers_with_a_purpose);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
