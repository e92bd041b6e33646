/* Any text as an access token: none is taken, since no fuzzer holds the key. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/keyring.h"
#include "utvag/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct token_verifier *verifier;
static struct arena *arena;

static void verifier_make(void)
{
    static char folder[] = "/tmp/utvag-fuzz-XXXXXX";
    char error[256] = "", command[64];
    struct keyring *keys =
        mkdtemp(folder) && keyring_init(folder, error, sizeof error) ? keyring_open(folder, error, sizeof error) : NULL;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (!keys || system(command) != 0) abort();
    verifier = token_verifier_new(keys, "https://api.utvag.example");
    arena = arena_new(1 << 20);
    if (!verifier || !arena) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (!verifier) verifier_make();
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, bytes, size);
    text[size] = '\0';
    struct caller caller = { 0 };
    struct assertion assertion;
    if (token_verify(verifier, text, arena, &caller).status != 401) abort();
    const char *client = token_assertion_client(text, arena);
    if (client && !memchr(client, '\0', size + 1)) abort();
    if (token_assertion_verify(text, "", "https://api.utvag.example", arena, &assertion)) abort();
    arena_reset(arena);
    free(text);
    return 0;
}
