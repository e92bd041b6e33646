/* Schemas: what compiles, what is a fault, and how it is told. */
#include "utvag/schema.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static json_t *contract;
static struct schema_set *set;
static struct arena *arena;
static const struct schema *schema;
static char error[400];

static void setup(void) { arena = arena_new(1 << 20); }

static void drop(void)
{
    schema_set_free(set);
    json_decref(contract);
    set = NULL;
    contract = NULL;
}

static void teardown(void)
{
    drop();
    arena_free(arena);
}

/* text: the schemas of a contract by name; the one named X is compiled. ' stands for a quotation mark. */
static bool compiles(const char *text)
{
    char *json = strdup(text);
    for (char *c = json; *c; c++)
        if (*c == '\'') *c = '"';
    json_error_t fault;
    json_t *schemas = json_loads(json, 0, &fault);
    free(json);
    ck_assert_msg(schemas != NULL, "%s: %s", fault.text, text);
    drop();
    contract = json_pack("{s:o}", "schemas", schemas);
    set = schema_set_new(contract);
    schema = schema_compile(set, json_object_get(schemas, "X"), "/schemas/X", error, sizeof error);
    ck_assert_int_eq(schema == NULL, *error != '\0');
    return schema != NULL;
}

static void compile(const char *text) { ck_assert_msg(compiles(text), "%s", error); }

static void refuses(const char *text, const char *reason)
{
    ck_assert_msg(!compiles(text), "compiles: %s", text);
    ck_assert_msg(strstr(error, reason) != NULL, "%s lacks %s", error, reason);
}

/* The faults of value as "pointer code=argument", set apart by "; ". */
static const char *told(const struct member_error *errors, size_t count)
{
    static char text[4000];
    *text = '\0';
    for (size_t i = 0; i < count; i++) {
        const struct member_error *fault = &errors[i];
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s %s%s%s", i ? "; " : "",
                 fault->parameter ? fault->parameter : fault->pointer, fault->code, fault->argument ? "=" : "",
                 fault->argument ? fault->argument : "");
    }
    return text;
}

static const char *faults_from(const char *base, const char *text)
{
    const struct member_error *errors = NULL;
    char *json = strdup(text);
    for (char *c = json; *c; c++)
        if (*c == '\'') *c = '"';
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    free(json);
    ck_assert_msg(value != NULL, "%s", text);
    size_t count = schema_faults(schema, value, base, arena, &errors);
    json_decref(value);
    return told(errors, count);
}

static const char *faults(const char *text) { return faults_from("", text); }

static const char *parameter_faults(const char *text)
{
    const struct member_error *errors = NULL;
    size_t count = schema_parameter_faults(schema, "limit", text, arena, &errors);
    return told(errors, count);
}

START_TEST(test_value_has_the_type_that_is_asked_for)
{
    compile("{'X':{'type':'string'}}");
    ck_assert_str_eq(faults("'a'"), "");
    ck_assert_str_eq(faults("1"), " type=string");
    compile("{'X':{'type':['string','null']}}");
    ck_assert_str_eq(faults("null"), "");
    ck_assert_str_eq(faults("{}"), " type=null, string");
    compile("{'X':{'type':'boolean'}}");
    ck_assert_str_eq(faults("true"), "");
    ck_assert_str_eq(faults("'true'"), " type=boolean");
    compile("{'X':{}}");
    ck_assert_str_eq(faults("[{}]"), "");
}
END_TEST

START_TEST(test_an_integral_real_is_an_integer)
{
    compile("{'X':{'type':'integer','maximum':10}}");
    ck_assert_str_eq(faults("1.0"), "");
    ck_assert_str_eq(faults("1e1"), "");
    ck_assert_str_eq(faults("1.5"), " type=integer");
    ck_assert_str_eq(faults("1e2"), " too_large=10");
    ck_assert_str_eq(faults("-9007199254740991.0"), "");
    ck_assert_str_eq(faults("-9007199254740992.0"), " type=integer"); /* which one was meant? */
    ck_assert_str_eq(faults("1e300"), " type=integer");
    compile("{'X':{'type':'number'}}");
    ck_assert_str_eq(faults("1"), "");
    ck_assert_str_eq(faults("1.5"), "");
}
END_TEST

START_TEST(test_numbers_have_limits)
{
    compile("{'X':{'type':'integer','minimum':1,'maximum':100000000000}}");
    ck_assert_str_eq(faults("0"), " too_small=1");
    ck_assert_str_eq(faults("1"), "");
    ck_assert_str_eq(faults("100000000000"), "");
    ck_assert_str_eq(faults("100000000001"), " too_large=100000000000");
}
END_TEST

START_TEST(test_lengths_count_code_points)
{
    compile("{'X':{'type':'string','minLength':2,'maxLength':3}}");
    ck_assert_str_eq(faults("'å'"), " too_short=2");
    ck_assert_str_eq(faults("'åäö'"), "");
    ck_assert_str_eq(faults("'👩👩👩'"), "");
    ck_assert_str_eq(faults("'åäöå'"), " too_long=3");
}
END_TEST

START_TEST(test_a_pattern_ends_where_the_text_ends)
{
    compile("{'X':{'type':'string','pattern':'^[a-z]+$'}}");
    ck_assert_str_eq(faults("'abc'"), "");
    ck_assert_str_eq(faults("'abc\\n'"), " pattern=^[a-z]+$");
    ck_assert_str_eq(faults("''"), " pattern=^[a-z]+$");
    compile("{'X':{'type':'string','pattern':'^.$'}}");
    ck_assert_str_eq(faults("'å'"), "");
}
END_TEST

START_TEST(test_a_class_of_characters_holds_for_the_whole_text)
{
    compile("{'X':{'type':'string','pattern':'^[A-Z._å-]+$'}}");
    ck_assert_str_eq(faults("'A._-Å'"), " pattern=^[A-Z._å-]+$");
    ck_assert_str_eq(faults("'A._-å'"), "");
    ck_assert_str_eq(faults("'A b'"), " pattern=^[A-Z._å-]+$");
    compile("{'X':{'type':'string','pattern':'^[^a-c]+$'}}");
    ck_assert_str_eq(faults("'xyzö'"), "");
    ck_assert_str_eq(faults("'xyzöa'"), " pattern=^[^a-c]+$");
    compile("{'X':{'type':'string','pattern':'^[a][^b]+$'}}");
    ck_assert_str_eq(faults("'axyz'"), "");
    ck_assert_str_eq(faults("'xyz'"), " pattern=^[a][^b]+$");
}
END_TEST

START_TEST(test_a_pattern_that_works_too_long_fails_closed)
{
    char text[64] = "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'";
    compile("{'X':{'type':'string','pattern':'^(a+)+$'}}");
    ck_assert_str_eq(faults(text), " pattern=^(a+)+$");
}
END_TEST

START_TEST(test_enum_and_const)
{
    compile("{'X':{'type':['string','null'],'enum':['a','b',null]}}");
    ck_assert_str_eq(faults("null"), "");
    ck_assert_str_eq(faults("'b'"), "");
    ck_assert_str_eq(faults("'c'"), " enum=a, b");
    compile("{'X':{'const':'child'}}");
    ck_assert_str_eq(faults("'child'"), "");
    ck_assert_str_eq(faults("'applicant'"), " const=child");
    compile("{'X':{'enum':[1]}}");
    ck_assert_str_eq(faults("1.0"), "");
}
END_TEST

START_TEST(test_a_format_has_a_code_of_its_own)
{
    compile("{'X':{'type':'object','properties':{'at':{'type':'string','format':'date-time'},'n':{'type':['string',"
            "'null'],'format':'personnummer'}}}}");
    ck_assert_str_eq(faults("{'at':'x','n':'1'}"), "/at format_date_time; /n format_personnummer");
    ck_assert_str_eq(faults("{'n':null}"), "");
}
END_TEST

START_TEST(test_dates_have_limits)
{
    compile("{'X':{'type':'string','format':'date','x-earliest':'1900-01-01','x-latest':'2199-12-31'}}");
    ck_assert_str_eq(faults("'1900-01-01'"), "");
    ck_assert_str_eq(faults("'2199-12-31'"), "");
    ck_assert_str_eq(faults("'1899-12-31'"), " date_too_early=1900-01-01");
    ck_assert_str_eq(faults("'2200-01-01'"), " date_too_late=2199-12-31");
    ck_assert_str_eq(faults("'x'"), " format_date");
    compile("{'X':{'$ref':'#/schemas/Y','x-latest':'today'},'Y':{'type':'string','format':'date'}}");
    ck_assert_str_eq(faults("'2020-02-29'"), "");
    ck_assert_str_eq(faults("'2999-01-01'"), " date_in_future");
    compile("{'X':{'type':'string','format':'date','x-earliest':'today'}}");
    ck_assert_str_eq(faults("'2999-01-01'"), "");
    refuses("{'X':{'type':'string','x-latest':'tomorrow'}}", "x-earliest and x-latest are dates");
}
END_TEST

START_TEST(test_array_is_judged_by_its_length_and_each_of_its_items)
{
    compile("{'X':{'type':'array','items':{'type':'integer'},'minItems':1,'maxItems':3,'uniqueItems':true}}");
    ck_assert_str_eq(faults("[]"), " too_few=1");
    ck_assert_str_eq(faults("[1,2,3]"), "");
    ck_assert_str_eq(faults("[1,2,3,4]"), " too_many=3");
    ck_assert_str_eq(faults("[1,1.0]"), " not_unique");
    ck_assert_str_eq(faults("[1,'a',null]"), "/1 type=integer; /2 type=integer");
}
END_TEST

START_TEST(test_every_fault_is_told_at_once)
{
    compile(
        "{'X':{'type':'object','additionalProperties':false,'required':['a','b'],'properties':{'a':{'type':'string'},"
        "'b':{'type':'object','required':['c'],'properties':{'c':{'type':'integer'}}},'d':{'type':'string',"
        "'minLength':3,'pattern':'^x'}}}}");
    ck_assert_str_eq(faults("{'b':{'c':'1'},'d':'y'}"),
                     "/a required; /b/c type=integer; /d too_short=3; /d pattern=^x");
    ck_assert_str_eq(faults("{'a':'','b':{}}"), "/b/c required");
    ck_assert_str_eq(faults_from("/0", "{'a':''}"), "/0/b required");
}
END_TEST

/* Its name may be a person's. */
START_TEST(test_an_unknown_member_is_told_at_its_parent_without_its_name)
{
    compile("{'X':{'type':'object','properties':{'b':{'type':'object','additionalProperties':false}}}}");
    ck_assert_str_eq(faults("{'b':{'Anna Svensson':1,'19900101-2385':2},'c':1}"), "/b unknown_member");
}
END_TEST

START_TEST(test_pointers_are_escaped)
{
    compile("{'X':{'type':'object','properties':{'a/b~c':{'type':'integer'}}}}");
    ck_assert_str_eq(faults("{'a/b~c':''}"), "/a~1b~0c type=integer");
}
END_TEST

START_TEST(test_at_most_a_hundred_faults_are_told)
{
    const struct member_error *errors = NULL;
    compile("{'X':{'type':'array','items':{'type':'string'}}}");
    json_t *value = json_array();
    for (int i = 0; i < 500; i++) json_array_append_new(value, json_integer(i));
    ck_assert_uint_eq(schema_faults(schema, value, "", arena, &errors), 100);
    ck_assert_str_eq(errors[99].pointer, "/99");
    json_decref(value);
}
END_TEST

START_TEST(test_a_fault_that_finds_no_memory_is_a_fault)
{
    const struct member_error *errors = NULL;
    struct arena *small = arena_new(1);
    compile("{'X':{'type':'string'}}");
    json_t *value = json_integer(1);
    ck_assert_uint_eq(schema_faults(schema, value, "", small, &errors), 1);
    ck_assert_str_eq(errors[0].code, "faults_untold");
    json_decref(value);
    arena_free(small);
}
END_TEST

START_TEST(test_one_of_takes_exactly_one)
{
    compile("{'X':{'oneOf':[{'type':'integer'},{'type':'number'},{'type':'string'}]}}");
    ck_assert_str_eq(faults("1.5"), "");
    ck_assert_str_eq(faults("'a'"), "");
    ck_assert_str_eq(faults("1"), " one_of");
    ck_assert_str_eq(faults("null"), " one_of");
}
END_TEST

#define BRANCHES                                                                                                     \
    "'A':{'type':'object','additionalProperties':false,'required':['phone'],'properties':{'phone':{'type':'string'," \
    "'minLength':5}}},'B':{'type':'object','additionalProperties':false,'required':['names'],'properties':{"         \
    "'names':{'type':'string'}}}"

START_TEST(test_one_of_tells_the_faults_of_the_branch_that_was_meant)
{
    compile("{'X':{'oneOf':[{'$ref':'#/schemas/A'},{'$ref':'#/schemas/B'}]}," BRANCHES "}");
    ck_assert_str_eq(faults("{'phone':'070123'}"), "");
    ck_assert_str_eq(faults("{'phone':'1'}"), "/phone too_short=5");
    ck_assert_str_eq(faults("{}"), " one_of");
    ck_assert_str_eq(faults("{'phone':'070123','names':'a'}"), " one_of");
}
END_TEST

START_TEST(test_a_discriminator_chooses_the_branch)
{
    compile("{'X':{'oneOf':[{'$ref':'#/schemas/A'},{'$ref':'#/schemas/B'}],'discriminator':{'propertyName':'kind'}},"
            "'A':{'type':'object','required':['kind','n'],'properties':{'kind':{'const':'a'},'n':{'type':'integer'}}},"
            "'B':{'type':'object','properties':{'kind':{'enum':['b','c']},'n':{'type':'string'}}}}");
    ck_assert_str_eq(faults("{'kind':'a','n':1}"), "");
    ck_assert_str_eq(faults("{'kind':'c','n':'x'}"), "");
    ck_assert_str_eq(faults("{'kind':'a','n':'x'}"), "/n type=integer");
    ck_assert_str_eq(faults("{'kind':'z'}"), "/kind enum");
    ck_assert_str_eq(faults("{}"), "/kind required");
}
END_TEST

START_TEST(test_a_reference_may_go_in_a_circle_through_members)
{
    compile("{'X':{'type':'object','additionalProperties':false,'properties':{'child':{'$ref':'#/schemas/X'},"
            "'own':{'$ref':'#/schemas/X','readOnly':true}}}}");
    ck_assert_str_eq(faults("{'child':{'child':{'z':1}}}"), "/child/child unknown_member");
    ck_assert_ptr_eq(schema_member(schema, "child"), schema);
    ck_assert(schema_member(schema, "own")->read_only && !schema->read_only);
    ck_assert_uint_eq(schema_member(schema, "own")->property_count, 2);
}
END_TEST

START_TEST(test_annotations_beside_a_reference_apply_there_only)
{
    compile("{'X':{'type':'object','properties':{'a':{'$ref':'#/schemas/S','x-sealed':true,'x-blind':'phone'},"
            "'b':{'$ref':'#/schemas/S','description':'plain'},'c':{'$ref':'#/schemas/T'},"
            "'d':{'$ref':'#/schemas/T','readOnly':true}}},'S':{'type':'string','maxLength':3},"
            "'T':{'$ref':'#/schemas/U','x-sealed':'sealed_place'},'U':{'$ref':'#/schemas/S','x-record':'persons'}}");
    ck_assert_str_eq(schema_member(schema, "a")->sealed, "sealed");
    ck_assert_str_eq(schema_member(schema, "a")->blind, "phone");
    ck_assert_ptr_null(schema_member(schema, "b")->sealed);
    ck_assert_str_eq(schema_member(schema, "c")->sealed, "sealed_place");
    const struct schema *d = schema_member(schema, "d");
    ck_assert(d->read_only && strcmp(d->sealed, "sealed_place") == 0 && strcmp(d->record, "persons") == 0);
    ck_assert_uint_eq(d->max_length, 3);
    ck_assert_ptr_null(schema_member(schema, "e"));
}
END_TEST

START_TEST(test_what_the_validator_does_not_know_does_not_compile)
{
    refuses("{'X':{'type':'object','properties':{'a':{'type':'string','maxlength':3}}}}",
            "#/schemas/X/properties/a: keyword is not known: maxlength");
    refuses("{'X':{'type':'string','format':'idn-email'}}", "format is not known: idn-email");
    refuses("{'X':{'type':'strnig'}}", "type is not known");
    refuses("{'X':{'type':['string','string']}}", "type is not known");
    refuses("{'X':{'allOf':[]}}", "allOf");
    refuses("{'X':{'type':'string','nullable':true}}", "nullable");
    refuses("{'X':{'x-seald':true}}", "x-seald");
    refuses("{'X':{'x-sealed':false}}", "snake_case");
    refuses("{'X':{'x-record':'persons; drop'}}", "snake_case");
    refuses("{'X':{'additionalProperties':{'type':'string'}}}", "true or false");
    refuses("{'X':true}", "a schema is an object");
    refuses("{'X':{'pattern':'('}}", "pattern, at");
    refuses("{'X':{'maxLength':0}}", "at least 1");
    refuses("{'X':{'enum':[]}}", "enum");
    refuses("{'X':{'type':'array','uniqueItems':true}}", "uniqueItems needs maxItems");
    refuses("{'X':{'required':['a'],'properties':{'b':{}}}}", "required names");
    refuses("{'X':{'discriminator':{'propertyName':'kind'}}}", "discriminator without oneOf");
}
END_TEST

START_TEST(test_a_reference_must_lead_to_a_schema)
{
    refuses("{'X':{'$ref':'#/schemas/Y'}}", "#/schemas/X: $ref leads nowhere: #/schemas/Y");
    refuses("{'X':{'$ref':'other.yaml#/Y'}}", "begin with #/");
    refuses("{'X':{'$ref':'#/schemas/Y'},'Y':{'$ref':'#/schemas/X'}}", "in a circle");
    refuses("{'X':{'$ref':'#/schemas/Y','maxLength':3},'Y':{}}", "maxLength may not stand beside $ref");
    refuses("{'X':{'$ref':'#/schemas/Y'},'Y':{'foo':1}}", "#/schemas/Y: keyword is not known: foo");
}
END_TEST

START_TEST(test_parameters_are_read_as_their_type)
{
    compile("{'X':{'type':'integer','minimum':1,'maximum':100}}");
    ck_assert_str_eq(parameter_faults("20"), "");
    ck_assert_str_eq(parameter_faults("101"), "limit too_large=100");
    static const char *const texts[] = { "", "x", "1.0", "+1", "01", " 1", "1 ", "0x1", "1e1", "99999999999999999999" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(strcmp(parameter_faults(texts[i]), "limit type=integer") == 0, "%s", texts[i]);
    compile("{'X':{'type':'boolean'}}");
    ck_assert_str_eq(parameter_faults("true"), "");
    ck_assert_str_eq(parameter_faults("1"), "limit type=boolean");
    compile("{'X':{'type':'string','enum':['-created_at','created_at']}}");
    ck_assert_str_eq(parameter_faults("-created_at"), "");
    ck_assert_str_eq(parameter_faults("name"), "limit enum=-created_at, created_at");
    ck_assert_str_eq(parameter_faults("\xff"), "limit type=string");
}
END_TEST

START_TEST(test_a_list_parameter_is_set_apart_by_commas)
{
    compile("{'X':{'type':'array','items':{'type':'string','enum':['a','b']},'maxItems':2,'uniqueItems':true}}");
    ck_assert_str_eq(parameter_faults("a,b"), "");
    ck_assert_str_eq(parameter_faults("a,c"), "limit enum=a, b");
    ck_assert_str_eq(parameter_faults("a,a"), "limit not_unique");
    ck_assert_str_eq(parameter_faults("a,"), "limit enum=a, b");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schema");
    TCase *tests = tcase_create("schemas");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_value_has_the_type_that_is_asked_for);
    tcase_add_test(tests, test_an_integral_real_is_an_integer);
    tcase_add_test(tests, test_numbers_have_limits);
    tcase_add_test(tests, test_lengths_count_code_points);
    tcase_add_test(tests, test_a_pattern_ends_where_the_text_ends);
    tcase_add_test(tests, test_a_class_of_characters_holds_for_the_whole_text);
    tcase_add_test(tests, test_a_pattern_that_works_too_long_fails_closed);
    tcase_add_test(tests, test_enum_and_const);
    tcase_add_test(tests, test_a_format_has_a_code_of_its_own);
    tcase_add_test(tests, test_dates_have_limits);
    tcase_add_test(tests, test_array_is_judged_by_its_length_and_each_of_its_items);
    tcase_add_test(tests, test_every_fault_is_told_at_once);
    tcase_add_test(tests, test_an_unknown_member_is_told_at_its_parent_without_its_name);
    tcase_add_test(tests, test_pointers_are_escaped);
    tcase_add_test(tests, test_at_most_a_hundred_faults_are_told);
    tcase_add_test(tests, test_a_fault_that_finds_no_memory_is_a_fault);
    tcase_add_test(tests, test_one_of_takes_exactly_one);
    tcase_add_test(tests, test_one_of_tells_the_faults_of_the_branch_that_was_meant);
    tcase_add_test(tests, test_a_discriminator_chooses_the_branch);
    tcase_add_test(tests, test_a_reference_may_go_in_a_circle_through_members);
    tcase_add_test(tests, test_annotations_beside_a_reference_apply_there_only);
    tcase_add_test(tests, test_what_the_validator_does_not_know_does_not_compile);
    tcase_add_test(tests, test_a_reference_must_lead_to_a_schema);
    tcase_add_test(tests, test_parameters_are_read_as_their_type);
    tcase_add_test(tests, test_a_list_parameter_is_set_apart_by_commas);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
