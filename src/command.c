#include "utvag/command.h"

#include <stdarg.h>
#include <stdio.h>

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

int command_migrate(struct service *service, int count, char **arguments)
{
    (void)arguments;
    if (count) return command_fail("migrate takes no arguments");
    return migrate_run(service->config->owner_url) ? 0 : 1;
}
