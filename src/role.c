#include "utvag/role.h"

#include <string.h>

static const struct {
    const char *name, *database;
} roles[] = {
#define ROLE_ROW(upper, name, database) [ROLE_##upper] = { #name, #database },
    ROLES(ROLE_ROW)
#undef ROLE_ROW
};

const char *role_name(enum role role) { return roles[role].name; }

const char *role_database(enum role role) { return roles[role].database; }

enum role role_find(const char *name)
{
    for (int role = 0; role < ROLE_COUNT; role++)
        if (strcmp(roles[role].name, name) == 0) return (enum role)role;
    return ROLE_COUNT;
}
