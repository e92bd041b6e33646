#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "utvag/config.h"

static char said[4096]; /* what the last config_read wrote to stderr */

static void empty_environment(void)
{
    clearenv();
    setenv("UTVAG_DATABASE_URL", "postgresql:///utvag", 1);
}

static const struct config *read_config(void)
{
    char path[] = "/tmp/utvag-config-XXXXXX";
    int file = mkstemp(path);
    int saved = dup(STDERR_FILENO);
    ck_assert_int_ge(file, 0);
    unlink(path);
    dup2(file, STDERR_FILENO);
    const struct config *config = config_read();
    dup2(saved, STDERR_FILENO);
    ssize_t length = pread(file, said, sizeof said - 1, 0);
    said[length < 0 ? 0 : length] = '\0';
    close(saved);
    close(file);
    return config;
}

static void refuses(const char *name, const char *value)
{
    empty_environment();
    setenv(name, value, 1);
    ck_assert_msg(read_config() == NULL, "%s=%s was accepted", name, value);
    ck_assert_msg(strstr(said, name) != NULL, "%s is not named in: %s", name, said);
    ck_assert_msg(strchr(said, '\n') == strrchr(said, '\n'), "more than one line: %s", said);
}

START_TEST(test_defaults_stand_where_nothing_is_set)
{
    empty_environment();
    const struct config *config = read_config();
    ck_assert_ptr_nonnull(config);
    ck_assert_str_eq(config->address, "127.0.0.1");
    ck_assert_int_eq(config->port, 8080);
    ck_assert_int_eq(config->admin_port, 9090);
    ck_assert_str_eq(config->base_url, "http://127.0.0.1:8080");
    ck_assert_str_eq(config->issuer, config->base_url);
    ck_assert_str_eq(config->owner_url, config->database_url);
    ck_assert(!config->demo && !config->client_secrets && config->prepare);
    ck_assert_uint_eq(config->body_limit, 1 << 20);
    ck_assert_int_eq(config->double_grant_days, 365);
    ck_assert_ptr_null(config->origins);
    ck_assert_ptr_null(config->keys);
}
END_TEST

START_TEST(test_an_empty_value_is_no_value)
{
    empty_environment();
    setenv("UTVAG_PORT", "", 1);
    const struct config *config = read_config();
    ck_assert_ptr_nonnull(config);
    ck_assert_int_eq(config->port, 8080);
}
END_TEST

START_TEST(test_a_demo_takes_client_secrets_unless_told_not_to)
{
    empty_environment();
    setenv("UTVAG_DEMO", "1", 1);
    ck_assert(read_config()->client_secrets);
    setenv("UTVAG_CLIENT_SECRETS", "0", 1);
    ck_assert(!read_config()->client_secrets);
}
END_TEST

START_TEST(test_port_zero_becomes_a_free_port_that_the_base_url_names)
{
    empty_environment();
    setenv("UTVAG_PORT", "0", 1);
    setenv("UTVAG_ADDRESS", "::1", 1);
    const struct config *config = read_config();
    ck_assert_ptr_nonnull(config);
    ck_assert_int_gt(config->port, 1023);
    ck_assert_ptr_nonnull(strstr(config->base_url, "http://[::1]:"));
}
END_TEST

START_TEST(test_a_bad_value_is_named)
{
    refuses("UTVAG_PORT", "http");
    refuses("UTVAG_PORT", "65536");
    refuses("UTVAG_PORT", "-1");
    refuses("UTVAG_ADMIN_PORT", "-2");
    refuses("UTVAG_ADDRESS", "localhost");
    refuses("UTVAG_POOL", "0");
    refuses("UTVAG_POOL", "99999999999999999999");
    refuses("UTVAG_BODY_LIMIT", "1MiB");
    refuses("UTVAG_DEMO", "yes");
    refuses("UTVAG_LOG_LEVEL", "loud");
    refuses("UTVAG_LOG_LEVEL", "info warn");
    refuses("UTVAG_BASE_URL", "https://api.example.se/");
    refuses("UTVAG_BASE_URL", "api.example.se");
    refuses("UTVAG_CORS_ORIGINS", "*");
    refuses("UTVAG_CORS_ORIGINS", "https://a.example,https://b.example/path");
    refuses("UTVAG_DOUBLE_GRANT_DAYS", "-1");
    refuses("UTVAG_TWO_APPROVERS_ABOVE_ORE", "-1");
    refuses("UTVAG_PAYER_IBAN", "SE4550000000058398257467");
    refuses("UTVAG_PAYER_IBAN", "SE4550000000058398257466"); /* without its bank */
    refuses("UTVAG_PAYER_BIC", "ESSE");
    refuses("UTVAG_PAYER_BIC", "ESSESESS");
    refuses("UTVAG_RATE_PER_MINUTE", "-1");
    refuses("UTVAG_HEADER_LIMIT", "100");
    refuses("UTVAG_PROXIES", "proxy.internal");
    refuses("UTVAG_PROXIES", "127.0.0.1, ::1");
}
END_TEST

START_TEST(test_every_bad_value_is_named_at_once)
{
    empty_environment();
    setenv("UTVAG_PORT", "x", 1);
    setenv("UTVAG_POOL", "y", 1);
    ck_assert_ptr_null(read_config());
    ck_assert_ptr_nonnull(strstr(said, "UTVAG_PORT"));
    ck_assert_ptr_nonnull(strstr(said, "UTVAG_POOL"));
}
END_TEST

START_TEST(test_a_misspelt_name_is_refused)
{
    refuses("UTVAG_DATABASE_URI", "postgresql:///utvag");
    refuses("UTVAG_POR", "8080");
    refuses("UTVAG_PORTS", "8080");
    empty_environment();
    setenv("UTVAG_VAR", "var", 1);
    setenv("UTVAG_TEST_CLUSTER", "x", 1);
    ck_assert_ptr_nonnull(read_config());
}
END_TEST

START_TEST(test_the_demo_is_for_loopback_only)
{
    empty_environment();
    setenv("UTVAG_DEMO", "1", 1);
    setenv("UTVAG_ADDRESS", "0.0.0.0", 1);
    ck_assert_ptr_null(read_config());
    ck_assert_ptr_nonnull(strstr(said, "UTVAG_DEMO"));
    setenv("UTVAG_ADDRESS", "127.0.0.2", 1);
    ck_assert_ptr_nonnull(read_config());
}
END_TEST

START_TEST(test_tls_needs_both_files)
{
    refuses("UTVAG_TLS_KEY", "/dev/null");
    ck_assert_ptr_nonnull(strstr(said, "UTVAG_TLS_CERTIFICATE"));
    empty_environment();
    setenv("UTVAG_TLS_CERTIFICATE", "/dev/null", 1);
    setenv("UTVAG_TLS_KEY", "/dev/null", 1);
    ck_assert_str_eq(read_config()->base_url, "https://127.0.0.1:8080");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tcase = tcase_create("config");
    tcase_add_test(tcase, test_defaults_stand_where_nothing_is_set);
    tcase_add_test(tcase, test_an_empty_value_is_no_value);
    tcase_add_test(tcase, test_a_demo_takes_client_secrets_unless_told_not_to);
    tcase_add_test(tcase, test_port_zero_becomes_a_free_port_that_the_base_url_names);
    tcase_add_test(tcase, test_a_bad_value_is_named);
    tcase_add_test(tcase, test_every_bad_value_is_named_at_once);
    tcase_add_test(tcase, test_a_misspelt_name_is_refused);
    tcase_add_test(tcase, test_the_demo_is_for_loopback_only);
    tcase_add_test(tcase, test_tls_needs_both_files);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
