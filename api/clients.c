/* Machine clients: an agency's systems, and machines of our own. */
#include "api/invitations.h"
#include "utvag/resource.h"

const struct operation clients[] = {
    { "listClients", resource_list, "client_bodies", NULL },
    { "createClient", resource_write, "client_bodies", "create_client" },
    { "readClient", resource_read, "client_bodies", NULL },
    { "updateClient", resource_merge, "client_bodies", "update_client" },
    { "approveClient", approve_with_invitation, "client_bodies", "approve_client" },
    { "rejectClient", resource_write, "client_bodies", "reject_client" },
    { "resetClient", resource_write, "client_bodies", "reset_client" },
    { "signOutClient", resource_write, "client_bodies", "sign_out_client" },
    { 0 },
};
