#include "utvag/command.h"
#include "utvag/principal.h"

/* As command_user_add, for a machine: in the audit log it is cli.client_add. */
int command_client_add(struct service *service, int count, char **arguments)
{
    static const char *const options[] = { "label", "role", "agency", NULL };
    struct principal client = { .operation = "createClient", .audited = "cli.client_add", .body = json_object() };
    int status = 2;
    if (principal_options(count, arguments, options, client.body)) status = principal_invite(service, &client);
    json_decref(client.body);
    return status;
}
