#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "utvag/command.h"
#include "utvag/config.h"
#include "utvag/digest.h"
#include "utvag/rewrap.h"
#include "utvag/uuid.h"

enum { LOOK_SECONDS = 2 }; /* running processes look into the folder once a second */

int command_key_init(struct service *service, int count, char **arguments)
{
    char error[256];
    (void)count, (void)arguments;
    if (!keyring_init(service->config->keys, error, sizeof error)) return command_fail("%s", error);
    return 0;
}

/* Who used the owner's rights is not known here: that somebody did is in the audit log before it is done. */
static bool audit(struct owner *owner, const char *operation)
{
    static const char sql[] = "INSERT INTO audit_events (id, operation, trace_id, address, outcome) "
                              "SELECT (v->>'id')::uuid, v->>'operation', v->>'trace', 'cli', 'ok' "
                              "FROM (SELECT $1::json AS v) given RETURNING id";
    unsigned char trace[16];
    char hex[33], id[UUID_SIZE];

    digest_random(trace, sizeof trace);
    digest_hex(trace, sizeof trace, hex);
    uuid_v7(id);
    json_t *row = json_pack("{s:s, s:s, s:s}", "id", id, "operation", operation, "trace", hex);
    char *text = json_dumps(row, JSON_COMPACT);
    char *made = owner_ask(owner, sql, text);
    bool written = made != NULL;
    free(made);
    free(text);
    json_decref(row);
    return written;
}

static int rewrap(struct owner *owner, const struct keyring *ring)
{
    struct rewrap rewrap;
    int version = keyring_version(ring, KEY_ENCRYPTION);

    if (!rewrap_all(owner, ring, &rewrap)) return command_fail("re-wrapping stopped; utvag key rewrap goes on");
    printf("re-wrapped: %ld data keys, under kek-%d\nunder older keys: %ld\n", rewrap.done, version, rewrap.left);
    if (rewrap.closed)
        return command_fail("%ld data keys do not open: altered, or their key is not in the folder", rewrap.closed);
    return rewrap.left ? command_fail("some were being written; utvag key rewrap goes on") : 0;
}

int command_key_rewrap(struct service *service, int count, char **arguments)
{
    (void)count, (void)arguments;
    struct owner *owner = owner_open(service->config->owner_url);
    int status = owner && audit(owner, "cli.key_rewrap") ? rewrap(owner, service->keyring) : 1;
    owner_close(owner);
    return status;
}

static int rotate(struct owner *owner, const struct service *service)
{
    char error[256];

    if (!audit(owner, "cli.key_rotate")) return 1;
    if (!keyring_rotate(service->config->keys, error, sizeof error)) return command_fail("%s", error);
    sleep(LOOK_SECONDS);
    keyring_look(service->keyring);
    return rewrap(owner, service->keyring);
}

/* The database is asked first: without it no key comes into use. */
int command_key_rotate(struct service *service, int count, char **arguments)
{
    (void)count, (void)arguments;
    struct owner *owner = owner_open(service->config->owner_url);
    int status = owner ? rotate(owner, service) : 1;
    owner_close(owner);
    return status;
}
