/* Users: people who sign in. What one administrator asks for acts when another approves. */
#include "api/invitations.h"
#include "utvag/resource.h"

const struct operation users[] = {
    { "listUsers", resource_list, "user_bodies", NULL },
    { "createUser", resource_write, "user_bodies", "create_user" },
    { "readUser", resource_read, "user_bodies", NULL },
    { "updateUser", resource_merge, "user_bodies", "update_user" },
    { "approveUser", approve_with_invitation, "user_bodies", "approve_user" },
    { "rejectUser", resource_write, "user_bodies", "reject_user" },
    { "resetUser", resource_write, "user_bodies", "reset_user" },
    { "signOutUser", resource_write, "user_bodies", "sign_out_user" },
    { 0 },
};
