#include "utvag/principal.h"

#include <stdio.h>
#include <string.h>

#include "utvag/command.h"
#include "utvag/config.h"
#include "utvag/contract.h"
#include "utvag/digest.h"
#include "utvag/password.h"
#include "utvag/record.h"

enum { ARENA_CEILING = 1 << 20 };

static const struct schema *body_schema(const struct service *service, const char *operation)
{
    for (size_t i = 0; i < contract_count(service->contract); i++)
        if (strcmp(contract_at(service->contract, i)->id, operation) == 0)
            return contract_at(service->contract, i)->body;
    return NULL;
}

/* What the member was typed as: --role for /roles/0. The pointer itself if it was not typed. */
static const char *typed_as(struct arena *arena, const struct command_option *option, const char *pointer)
{
    for (; option && option->name; option++) {
        size_t length = strlen(option->member);
        bool same = strncmp(pointer + (*pointer == '/'), option->member, length) == 0;
        if (same && strchr("/", pointer[1 + length])) return arena_text(arena, "--%s", option->name);
    }
    return pointer;
}

/* A command is held to the contract as a request is. */
static bool body_fits(struct request *rq, const struct schema *schema, const struct principal *principal)
{
    const struct member_error *errors = NULL;
    size_t count = schema_faults(schema, principal->body, "", rq->arena, &errors);
    for (size_t i = 0; i < count; i++)
        command_fail("%s: %s", typed_as(rq->arena, principal->options, errors[i].pointer),
                     text_filled(rq->arena, errors[i].code, errors[i].argument, ENGLISH));
    return count == 0;
}

static void add_terms(const struct principal *principal, json_t *body)
{
    unsigned char trace[16];
    char hex[33], audit_id[UUID_SIZE];
    digest_random(trace, sizeof trace);
    digest_hex(trace, sizeof trace, hex);
    uuid_v7(audit_id);
    bool user = strcmp(principal->operation, "createUser") == 0;
    json_t *terms =
        json_pack("{s:s, s:s, s:b, s:s, s:s, s:s, s:s*, s:s*, s:s*}", "kind", user ? "user" : "client", "status",
                  principal->status, "demo", principal->demo, "operation", principal->audited, "audit_id", audit_id,
                  "trace", hex, "password_hash", principal->password_hash, "secret_digest", principal->secret_digest,
                  "invitation_digest", principal->invitation_digest);
    json_object_update(body, terms);
    json_decref(terms);
}

bool principal_add(struct owner *owner, const struct service *service, const struct principal *principal,
                   char id[UUID_SIZE])
{
    struct request rq = { .arena = arena_new(ARENA_CEILING), .service = service };
    const struct schema *schema = body_schema(service, principal->operation);
    bool fine = rq.arena && schema && body_fits(&rq, schema, principal) &&
                record_seal(&rq, principal->body, schema).status == 0;
    if (fine) {
        add_terms(principal, principal->body);
        fine = owner_call(owner, "cli_add_principal", principal->body);
        snprintf(id, UUID_SIZE, "%s", json_string_value(json_object_get(principal->body, "id")));
    }
    if (rq.arena) arena_free(rq.arena);
    return fine;
}

static const struct command_option *option_of(const struct command_option *option, const char *argument)
{
    while (strcmp(option->name, argument + 2) != 0) option++;
    return option;
}

json_t *principal_body(const struct command_option *options, int count, char **arguments)
{
    json_t *body = json_pack("{s:[]}", "roles");
    for (int i = 0; i < count; i += 2) {
        const char *member = option_of(options, arguments[i])->member;
        if (strcmp(member, "roles") == 0)
            json_array_append_new(json_object_get(body, member), json_string(arguments[i + 1]));
        else
            json_object_set_new(body, member, json_string(arguments[i + 1]));
    }
    return body;
}

int principal_invite(struct service *service, struct principal *principal)
{
    char token[SECRET_SIZE], digest[SECRET_DIGEST_SIZE], id[UUID_SIZE];
    secret_make(token);
    secret_digest(token, digest);
    principal->status = "invited";
    principal->invitation_digest = digest;
    struct owner *owner = owner_open(service->config->owner_url);
    bool made = owner && principal_add(owner, service, principal, id);
    owner_close(owner);
    if (made) printf("id: %s\ninvitation: %s\n", id, token);
    explicit_bzero(token, sizeof token);
    return made ? 0 : 1;
}
