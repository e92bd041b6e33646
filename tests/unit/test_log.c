#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "utvag/log.h"

static int pipe_ends[2];
static int saved;

static void capture_begin(void)
{
    ck_assert_int_eq(pipe(pipe_ends), 0);
    saved = dup(STDERR_FILENO);
    dup2(pipe_ends[1], STDERR_FILENO);
}

/* The line that was written, parsed: it must be one line of valid JSON. */
static json_t *capture_end(void)
{
    static char text[8192];
    dup2(saved, STDERR_FILENO);
    close(pipe_ends[1]);
    ssize_t length = read(pipe_ends[0], text, sizeof text - 1);
    close(pipe_ends[0]);
    if (length <= 0) return NULL;
    text[length] = '\0';
    ck_assert_ptr_eq(strchr(text, '\n'), text + length - 1);
    json_error_t error;
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(line != NULL, "%s in %s", error.text, text);
    return line;
}

static const char *member(const json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

START_TEST(test_a_line_is_an_object_with_time_level_message_and_pairs)
{
    capture_begin();
    log_line(LOG_WARN, "answered", "operation", "readChild", "status", "200", NULL);
    json_t *line = capture_end();
    ck_assert_str_eq(member(line, "level"), "warn");
    ck_assert_str_eq(member(line, "message"), "answered");
    ck_assert_str_eq(member(line, "operation"), "readChild");
    ck_assert_str_eq(member(line, "status"), "200");
    const char *time = member(line, "time");
    ck_assert_uint_eq(strlen(time), strlen("2026-01-01T00:00:00.000Z"));
    ck_assert_int_eq(time[23], 'Z');
    json_decref(line);
}
END_TEST

START_TEST(test_values_cannot_break_out)
{
    capture_begin();
    log_line(LOG_ERROR, "x", "a", "\"},\n\\\x01\x7f", "b", "å\xff\xed\xa0\x80\xc0\xaf", NULL);
    json_t *line = capture_end();
    ck_assert_str_eq(member(line, "a"), "\"},\n\\\x01\x7f");
    ck_assert_ptr_eq(strstr(member(line, "b"), "å"), member(line, "b"));
    json_decref(line);
}
END_TEST

START_TEST(test_a_long_line_is_cut_and_stays_json)
{
    for (size_t size = 3900; size < 4200; size++) {
        char *value = malloc(size + 1);
        memset(value, 'x', size);
        value[size] = '\0';
        capture_begin();
        log_line(LOG_ERROR, "x", "a", value, "b", "last", NULL);
        json_t *line = capture_end();
        ck_assert_ptr_nonnull(member(line, "a"));
        json_decref(line);
        free(value);
    }
}
END_TEST

START_TEST(test_what_is_below_the_level_is_not_written)
{
    log_open(LOG_WARN);
    capture_begin();
    log_line(LOG_INFO, "x", NULL);
    ck_assert_ptr_null(capture_end());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tcase = tcase_create("log");
    tcase_add_test(tcase, test_a_line_is_an_object_with_time_level_message_and_pairs);
    tcase_add_test(tcase, test_values_cannot_break_out);
    tcase_add_test(tcase, test_a_long_line_is_cut_and_stays_json);
    tcase_add_test(tcase, test_what_is_below_the_level_is_not_written);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
