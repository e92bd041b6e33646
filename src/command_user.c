#include "utvag/command.h"
#include "utvag/principal.h"

const struct command_option command_user_options[] = {
    { "name", "name", true },    { "email", "email", true },       { "role", "roles", true },
    { "phone", "phone", false }, { "agency", "agency_id", false }, { 0 },
};

/* The first users have nobody to approve them. Whoever may run this is the owner of the database and of the keys; the
   audit log has it as cli.user_add. */
int command_user_add(struct service *service, int count, char **arguments)
{
    struct principal user = { .operation = "createUser", .audited = "cli.user_add", .options = command_user_options };
    user.body = principal_body(command_user_options, count, arguments);
    int status = principal_invite(service, &user);
    json_decref(user.body);
    return status;
}
