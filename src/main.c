/* From the command line to a command, with what it needs made ready. The one file that sees the list of resources. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"
#include "utvag/command.h"
#include "utvag/config.h"
#include "utvag/contract.h"
#include "utvag/embedded.h"
#include "utvag/keyring.h"
#include "utvag/log.h"
#include "utvag/router.h"

static const struct command commands[] = {
    { "serve", "", "answer requests until SIGTERM", NEEDS_DATABASE | NEEDS_KEYS | NEEDS_CONTRACT, NULL, command_serve },
    { "migrate", "", "bring the database up to this program, as its owner", NEEDS_DATABASE, NULL, command_migrate },
    { "check", "", "hold the ledger and the database's own guards against their rules, and tell each fault",
      NEEDS_DATABASE, NULL, command_check },
    { "user add", "--name NAME --email ADDRESS --role ROLE… [--phone NUMBER] [--agency ID]",
      "make a first user, whom nobody approves, and print her invitation", NEEDS_DATABASE | NEEDS_KEYS | NEEDS_CONTRACT,
      command_user_options, command_user_add },
    { "client add", "--label LABEL --role ROLE… [--agency ID]",
      "make a first machine client, which nobody approves, and print its invitation",
      NEEDS_DATABASE | NEEDS_KEYS | NEEDS_CONTRACT, command_client_options, command_client_add },
    { "demo", "--write FILE", "load the demo into an empty database, and write its credentials to FILE",
      NEEDS_DATABASE | NEEDS_KEYS | NEEDS_CONTRACT, command_demo_options, command_demo },
    { "key init", "", "make the key ring, or what it lacks", NEEDS_FOLDER, NULL, command_key_init },
    { "key rotate", "",
      "let the next keys sign and wrap, make new next ones, and re-wrap every data key, as the database's owner;\n"
      "      running processes follow by themselves; where the folder is copied to other hosts, copy it again before the "
      "next time",
      NEEDS_DATABASE | NEEDS_KEYS, NULL, command_key_rotate },
    { "key rewrap", "",
      "re-wrap what is still under older keys: goes on where a rotation was cut short, and makes no key; once it finds\n"
      "      none, and no backup from before it is left, kek-N below kek-current may be deleted",
      NEEDS_DATABASE | NEEDS_KEYS, NULL, command_key_rewrap },
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

#define ROW(table) table,
static const struct operation *const resources[] = { RESOURCES(ROW) NULL };
static const struct text *const rules[] = { RULES(ROW) NULL };
#undef ROW

static int usage(int status)
{
    FILE *out = status ? stderr : stdout;
    fputs("utvag " UTVAG_VERSION ": support for people exposed to human trafficking\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *command = &commands[i];
        fprintf(out, "  utvag %s%s%s\n      %s\n", command->name, command->arguments[0] ? " " : "", command->arguments,
                command->help);
    }
    fputs("\nThe configuration is the environment, UTVAG_…: README.md lists it.\n", out);
    return status;
}

/* The number of words of the command's name that begin the arguments; 0 if they do not. */
static int words_match(const char *name, int count, char **arguments)
{
    int words = 0;
    while (*name) {
        size_t length = strcspn(name, " ");
        if (words == count || strlen(arguments[words]) != length || strncmp(arguments[words], name, length) != 0)
            return 0;
        words++;
        name += length + (name[length] == ' ');
    }
    return words;
}

static bool config_suffices(const struct config *config, unsigned needs)
{
    bool database = !(needs & NEEDS_DATABASE) || config->database_url;
    bool keys = !(needs & (NEEDS_FOLDER | NEEDS_KEYS)) || config->keys;
    if (!database) command_fail("UTVAG_DATABASE_URL: not set");
    if (!keys) command_fail("UTVAG_KEYS: not set");
    return database && keys;
}

static void log_start(const char *level)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    for (int i = 0; i < 4; i++)
        if (strcmp(names[i], level) == 0) log_open((enum log_level)i);
}

static bool contract_open(struct service *service, char *error, size_t error_size)
{
    struct contract *contract = contract_load(embedded_contract.text, embedded_contract.length, error, error_size);
    service->contract = contract;
    if (!contract || !contract_bind(contract, resources, error, error_size)) return false;
    if (!contract_publish(contract, service->config->base_url)) return false;
    for (const struct text *const *table = rules; *table; table++) text_add(*table);
    service->router = router_new(contract);
    return service->router != NULL;
}

static bool service_prepare(struct service *service, unsigned needs)
{
    char error[512] = "out of memory";
    if (needs & NEEDS_KEYS) {
        service->keyring = keyring_open(service->config->keys, error, sizeof error);
        if (!service->keyring) {
            command_fail("UTVAG_KEYS: %s", error);
            return false;
        }
    }
    if ((needs & NEEDS_CONTRACT) && !contract_open(service, error, sizeof error)) {
        command_fail("openapi.yaml: %s", error);
        return false;
    }
    return true;
}

static void service_free(struct service *service)
{
    if (service->router) router_free((struct router *)service->router);
    if (service->contract) contract_free((struct contract *)service->contract);
    if (service->keyring) keyring_free(service->keyring);
}

static int command_run(const struct command *command, int count, char **arguments)
{
    if (!command_fits(command, count, arguments)) return 2;
    struct service service = { .config = config_read() };
    if (!service.config || !config_suffices(service.config, command->needs)) return 2;
    log_start(service.config->log_level);
    json_object_seed(0); /* before there is a second thread */
    int status = service_prepare(&service, command->needs) ? command->run(&service, count, arguments) : 2;
    service_free(&service);
    return status;
}

int main(int count, char **arguments)
{
    if (count < 2) return usage(2);
    if (strcmp(arguments[1], "--version") == 0) return puts("utvag " UTVAG_VERSION) < 0;
    if (strcmp(arguments[1], "help") == 0 || strcmp(arguments[1], "--help") == 0) return usage(0);
    for (size_t i = 0; i < COMMANDS; i++) {
        int words = words_match(commands[i].name, count - 1, arguments + 1);
        if (words) return command_run(&commands[i], count - 1 - words, arguments + 1 + words);
    }
    command_fail("%s%s%s: no such command\n", arguments[1], count > 2 ? " " : "", count > 2 ? arguments[2] : "");
    return usage(2);
}
