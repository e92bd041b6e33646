/* The contract as it is handed out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract_compile.h"
#include "utvag/digest.h"

/* The text with every `from` in it as `to`; the caller's to free. */
static char *replaced(const char *text, const char *from, const char *to)
{
    size_t old = strlen(from), new = strlen(to), count = 0;
    for (const char *at = text; (at = strstr(at, from)); at += old) count++;
    char *out = malloc(strlen(text) + count * new + 1), *end = out;
    for (const char *at; out && (at = strstr(text, from)); text = at + old) {
        end = mempcpy(end, text, (size_t)(at - text));
        end = mempcpy(end, to, new);
    }
    if (out) memcpy(end, text, strlen(text) + 1);
    return out;
}

static bool publish(struct published *form, const char *origin, const char *served)
{
    unsigned char digest[DIGEST_BYTES];
    char *text = replaced(form->text, origin, served);
    if (!text) return false;
    free(form->text);
    form->text = text;
    form->length = strlen(text);
    digest_sha256(text, form->length, digest);
    digest_hex(digest, PUBLISHED_DIGEST, form->etag + 1);
    form->etag[0] = form->etag[2 * PUBLISHED_DIGEST + 1] = '"';
    return true;
}

bool contract_publish(struct contract *contract, const char *origin)
{
    return publish(&contract->yaml, contract->origin, origin) && publish(&contract->json, contract->origin, origin);
}

const struct published *contract_yaml(const struct contract *contract) { return &contract->yaml; }

const struct published *contract_json(const struct contract *contract) { return &contract->json; }
