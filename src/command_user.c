#include "utvag/command.h"
#include "utvag/principal.h"

/* The first users have nobody to approve them. Whoever may run this is the owner of the database and of the keys; the
   audit log has it as cli.user_add. */
int command_user_add(struct service *service, int count, char **arguments)
{
    static const char *const options[] = { "name", "email", "phone", "role", "agency", NULL };
    struct principal user = { .operation = "createUser", .audited = "cli.user_add", .body = json_object() };
    int status = 2;
    if (principal_options(count, arguments, options, user.body)) status = principal_invite(service, &user);
    json_decref(user.body);
    return status;
}
