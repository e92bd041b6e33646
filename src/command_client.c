#include "utvag/command.h"
#include "utvag/principal.h"

const struct command_option command_client_options[] = {
    { "label", "label", true },
    { "role", "roles", true },
    { "agency", "agency_id", false },
    { 0 },
};

/* As command_user_add, for a machine: in the audit log it is cli.client_add. */
int command_client_add(struct service *service, int count, char **arguments)
{
    struct principal client = { .operation = "createClient",
                                .audited = "cli.client_add",
                                .options = command_client_options };
    client.body = principal_body(command_client_options, count, arguments);
    int status = principal_invite(service, &client);
    json_decref(client.body);
    return status;
}
