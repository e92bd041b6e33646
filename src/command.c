#include "utvag/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "utvag/config.h"
#include "utvag/migrate.h"

int command_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("utvag: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return 1;
}

static const struct command_option *find_option(const struct command *command, const char *argument)
{
    const struct command_option *option = command->options;
    if (!option || strncmp(argument, "--", 2) != 0) return NULL;
    while (option->name && strcmp(option->name, argument + 2) != 0) option++;
    return option->name ? option : NULL;
}

static bool is_given(const char *name, int count, char **arguments)
{
    for (int i = 0; i < count; i += 2)
        if (strcmp(arguments[i] + 2, name) == 0) return true;
    return false;
}

bool command_fits(const struct command *command, int count, char **arguments)
{
    for (int i = 0; i < count; i += 2) {
        bool known = find_option(command, arguments[i]) != NULL;
        if (known && i + 1 < count) continue;
        command_fail(known ? "%s needs a value" : "%s: %s takes no such argument", arguments[i], command->name);
        return false;
    }
    for (const struct command_option *option = command->options; option && option->name; option++)
        if (option->required && !is_given(option->name, count, arguments)) {
            command_fail("%s needs --%s", command->name, option->name);
            return false;
        }
    return true;
}

int command_migrate(struct service *service, int count, char **arguments)
{
    (void)count, (void)arguments;
    return migrate_run(service->config->owner_url) ? 0 : 1;
}
