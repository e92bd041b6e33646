#include "stage.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"
#include "utvag/config.h"
#include "utvag/embedded.h"
#include "utvag/keyring.h"
#include "utvag/router.h"

enum { CEILING = 8 << 20 };

#define ROW(table) table,
static const struct operation *const resources[] = { RESOURCES(ROW) NULL };
static const struct text *const rules[] = { RULES(ROW) NULL };
#undef ROW

struct arena *stage_arena(void)
{
    static struct arena *arena;
    if (!arena && !(arena = arena_new(CEILING))) abort();
    return arena;
}

struct service *stage_service(void)
{
    static struct service service;
    char error[512] = "";
    if (service.router) return &service;
    struct contract *contract = contract_load(embedded_contract.text, embedded_contract.length, error, sizeof error);
    service.config = config_read();
    service.contract = contract;
    if (!service.config || !contract || !contract_bind(contract, resources, error, sizeof error)) {
        fprintf(stderr, "%s\n", error);
        abort();
    }
    for (const struct text *const *table = rules; *table; table++) text_add(*table);
    if (!(service.router = router_new(contract))) abort();
    return &service;
}

struct keyring *stage_keyring(void)
{
    static struct keyring *keys;
    char folder[] = "/tmp/utvag-fuzz-XXXXXX", error[256] = "", command[64];
    if (keys) return keys;
    if (mkdtemp(folder) && keyring_init(folder, error, sizeof error)) keys = keyring_open(folder, error, sizeof error);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (!keys || system(command) != 0) abort();
    return keys;
}

char *stage_text(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    if (!text) abort();
    if (size) memcpy(text, bytes, size);
    text[size] = '\0';
    return text;
}

const char *stage_encode(const char *text)
{
    char *out = arena_alloc(stage_arena(), 3 * strlen(text) + 1), *at = out;
    if (!out) abort();
    for (; *text; text++) {
        if (isalnum((unsigned char)*text))
            *at++ = *text;
        else
            at += sprintf(at, "%%%02X", (unsigned char)*text);
    }
    return out;
}
