/* Any text as an access token: none is taken, since no fuzzer holds the key. */
#include <stdlib.h>
#include <string.h>

#include "stage.h"
#include "utvag/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct token_verifier *verifier;
    if (!verifier && !(verifier = token_verifier_new(stage_keyring(), "https://api.utvag.example"))) abort();
    struct arena *arena = stage_arena();
    char *text = stage_text(bytes, size);
    struct caller caller = { 0 };
    struct assertion assertion;
    if (token_verify(verifier, text, arena, &caller).status != 401) abort();
    if (token_assertion_read(text, arena, &assertion) && strlen(assertion.client) > size) abort();
    if (token_assertion_verify(text, "", "https://api.utvag.example", arena, &assertion)) abort();
    arena_reset(arena);
    free(text);
    return 0;
}
