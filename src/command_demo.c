#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "utvag/command.h"
#include "utvag/config.h"
#include "utvag/db.h"
#include "utvag/demo.h"
#include "utvag/embedded.h"
#include "utvag/log.h"
#include "utvag/metrics.h"
#include "utvag/migrate.h"
#include "utvag/password.h"
#include "utvag/principal.h"
#include "utvag/token.h"
#include "utvag/turns.h"

/* empty: nobody yet. foreign: somebody who is not of the demo, and nobody who is. accounts: the demo's people are there,
   loaded: its cases too. */
static const char state_sql[] =
    "SELECT CASE WHEN EXISTS (SELECT FROM audit_events WHERE operation = 'cli.demo') THEN 'loaded'"
    " WHEN holds_demo() THEN 'accounts'"
    " WHEN EXISTS (SELECT FROM principals) OR EXISTS (SELECT FROM agencies) THEN 'foreign' ELSE 'empty' END";

static const char loaded_sql[] = "INSERT INTO audit_events (id, operation, trace_id, address, outcome)"
                                 " VALUES (gen_random_uuid(), 'cli.demo', repeat('0', 32), 'cli', 'ok')";

struct demo {
    struct service *service;
    struct owner *owner;
    json_t *script; /* demo.json: users, clients, steps */
    json_t *people; /* key: {id, agency, roles, machine}, as the steps want them */
    json_t *credentials;
};

/* Accounts ----------------------------------------------------------------------------------------------------------- */

static void note_person(struct demo *demo, const json_t *entry, const char *id, bool machine)
{
    json_t *who = json_object_get(entry, "body");
    const char *key = json_string_value(json_object_get(entry, "key"));
    json_object_set_new(demo->people, key,
                        json_pack("{s:s, s:O*, s:O, s:b}", "id", id, "agency", json_object_get(who, "agency_id"),
                                  "roles", json_object_get(who, "roles"), "machine", machine));
}

static void note_credentials(struct demo *demo, const json_t *entry, const char *id, bool machine, const char *secret)
{
    const char *key = json_string_value(json_object_get(entry, "key"));
    json_t *email = json_object_get(json_object_get(entry, "body"), "email");
    json_object_set_new(demo->credentials, key,
                        machine ? json_pack("{s:s, s:s}", "client_id", id, "client_secret", secret)
                                : json_pack("{s:O, s:s}", "email", email, "password", secret));
}

/* The digest of a secret as the database keeps it, for a person or a machine. */
static bool keep_secret(const char *secret, bool machine, char out[PASSWORD_SIZE])
{
    if (!machine) return password_hash(secret, out);
    secret_digest(secret, out);
    return true;
}

static bool add_account(struct demo *demo, const json_t *entry, bool machine)
{
    char secret[SECRET_SIZE], kept[PASSWORD_SIZE], id[UUID_SIZE];
    secret_make(secret);
    if (!keep_secret(secret, machine, kept)) return false;
    struct principal principal = { .operation = machine ? "createClient" : "createUser",
                                   .audited = "cli.demo_account",
                                   .body = json_deep_copy(json_object_get(entry, "body")),
                                   .status = "active",
                                   .demo = true };
    *(machine ? &principal.secret_digest : &principal.password_hash) = kept;
    bool fine = principal.body && principal_add(demo->owner, demo->service, &principal, id);
    json_decref(principal.body);
    if (!fine) return false;
    note_person(demo, entry, id, machine);
    note_credentials(demo, entry, id, machine, secret);
    return true;
}

static bool each_account(struct demo *demo, bool (*act)(struct demo *, const json_t *, bool machine))
{
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(demo->script, "users"), index, entry)
        if (!act(demo, entry, false)) return false;
    json_array_foreach(json_object_get(demo->script, "clients"), index, entry)
        if (!act(demo, entry, true)) return false;
    return true;
}

/* All or nothing; the ids go along, since a user's name is sealed and finds nobody later. */
static bool add_accounts(struct demo *demo)
{
    return owner_run(demo->owner, "BEGIN") && owner_run(demo->owner, embedded_demo.text) &&
           each_account(demo, add_account) && owner_run(demo->owner, "COMMIT");
}

/* A new secret for an account whose file was lost. */
static bool renew_account(struct demo *demo, const json_t *entry, bool machine)
{
    const char *key = json_string_value(json_object_get(entry, "key"));
    const char *id = json_string_value(json_object_get(json_object_get(demo->people, key), "id"));
    char secret[SECRET_SIZE], kept[PASSWORD_SIZE];
    secret_make(secret);
    if (!id || !keep_secret(secret, machine, kept)) return false;
    json_t *body = json_pack("{s:s, s:s}", "id", id, machine ? "secret_digest" : "password_hash", kept);
    bool fine = owner_call(demo->owner, "cli_renew_credentials", body);
    json_decref(body);
    note_credentials(demo, entry, id, machine, secret);
    return fine;
}

/* The file ----------------------------------------------------------------------------------------------------------- */

/* Written anew beside the old one and then moved there, so that it is whole, and never readable for others. */
static bool write_file(const struct demo *demo, const char *path)
{
    char beside[4096];
    if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside) return false;
    unlink(beside);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    json_t *whole = json_pack("{s:o, s:O}", "base_url", json_sprintf("%s/v1", demo->service->config->base_url),
                              "credentials", demo->credentials);
    bool fine = file && json_dumpf(whole, file, JSON_INDENT(2)) == 0 && fputc('\n', file) != EOF;
    json_decref(whole);
    if (file) fine = fclose(file) == 0 && fine;
    fine = fine && rename(beside, path) == 0;
    if (!fine) command_fail("%s cannot be written", path);
    return fine;
}

/* Whether the file holds the credentials of this very database: then they stay. */
static bool read_file(struct demo *demo, const char *path)
{
    json_t *whole = json_load_file(path, 0, NULL), *kept = json_incref(json_object_get(whole, "credentials"));
    json_t *partner = json_object_get(kept, "partner");
    const char *secret = json_string_value(json_object_get(partner, "client_secret"));
    char digest[SECRET_DIGEST_SIZE];
    json_decref(whole);
    secret_digest(secret ? secret : "", digest);
    char *found = owner_ask(demo->owner, "SELECT principal_id FROM credentials WHERE secret_digest = $1", digest);
    bool ours = kept && found && *found;
    free(found);
    if (ours) json_object_update(demo->credentials, kept);
    json_decref(kept);
    return ours;
}

/* The cases ---------------------------------------------------------------------------------------------------------- */

/* As `serve`, without the socket. */
static bool play(struct demo *demo)
{
    struct service *service = demo->service;
    if (!migrate_verify(service->config->database_url, true)) return false;
    service->tokens = token_verifier_new(service->keyring, service->config->issuer);
    service->metrics = metrics_new(service->contract);
    service->turns = turns_new(service->config->in_flight, service->config->turn_wait_ms);
    service->door = turns_new(turns_at_door(service->config->in_flight), service->config->turn_wait_ms);
    service->db = db_open(service->config);
    bool fine = service->tokens && service->metrics && service->turns && service->door && service->db &&
                demo_play(service, json_object_get(demo->script, "steps"), demo->people);
    if (service->db) db_close(service->db);
    if (service->metrics) metrics_free(service->metrics);
    turns_free(service->turns);
    turns_free(service->door);
    if (service->tokens) token_verifier_free(service->tokens);
    return fine && owner_run(demo->owner, loaded_sql);
}

/* Who is who, from the accounts that are there: their order is that of the script. */
static bool find_people(struct demo *demo)
{
    char *text = owner_ask(demo->owner,
                           "SELECT json_agg(p.id ORDER BY a.occurred_at) FROM principals p JOIN audit_events a"
                           " ON a.operation = 'cli.demo_account' AND a.record_ids = ARRAY[p.id]",
                           NULL);
    json_t *ids = text ? json_loads(text, 0, NULL) : NULL;
    size_t at = 0, index;
    json_t *entry;
    json_array_foreach(json_object_get(demo->script, "users"), index, entry)
        note_person(demo, entry, json_string_value(json_array_get(ids, at++)), false);
    json_array_foreach(json_object_get(demo->script, "clients"), index, entry)
        note_person(demo, entry, json_string_value(json_array_get(ids, at++)), true);
    bool whole = json_array_size(ids) == at;
    json_decref(ids);
    free(text);
    if (!whole) command_fail("this database holds another demo");
    return whole;
}

static bool load(struct demo *demo, const char *path)
{
    char *state = owner_ask(demo->owner, state_sql, NULL);
    bool empty = state && strcmp(state, "empty") == 0, foreign = state && strcmp(state, "foreign") == 0;
    bool loaded = state && strcmp(state, "loaded") == 0;
    free(state);
    if (!state || foreign) {
        if (foreign)
            command_fail("this database holds users or agencies that are not a demo's: the demo stays out of it");
        return false;
    }
    if (empty && !add_accounts(demo)) return false;
    if (!empty && !find_people(demo)) return false;
    if (!empty && !read_file(demo, path) && !each_account(demo, renew_account)) return false;
    return write_file(demo, path) && (loaded || play(demo));
}

const struct command_option command_demo_options[] = { { "write", NULL, true }, { 0 } };

int command_demo(struct service *service, int count, char **arguments)
{
    (void)count;
    log_open(LOG_WARN);
    struct demo demo = { .service = service, .people = json_object(), .credentials = json_object() };
    demo.script = json_loadb(embedded_demo_cases.text, embedded_demo_cases.length, JSON_REJECT_DUPLICATES, NULL);
    demo.owner = owner_open(service->config->owner_url);
    bool fine = demo.script && demo.owner && load(&demo, arguments[1]);
    owner_close(demo.owner);
    json_decref(demo.script);
    json_decref(demo.people);
    json_decref(demo.credentials);
    return fine ? 0 : 1;
}
