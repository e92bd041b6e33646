#include "keyring_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/digest.h"
#include "utvag/signing.h"

static const char *const prefixes[KEY_USES] = { "kek", "blind", "mac" };

/* Names of the folder. */

struct newest {
    const char *prefix;
    int version;
};

static bool visit_version(const char *name, void *context)
{
    struct newest *newest = context;
    char expected[NAME_BYTES];
    size_t length = strlen(newest->prefix);

    if (strncmp(name, newest->prefix, length) != 0 || name[length] != '-') return true;
    long version = strtol(name + length + 1, NULL, 10);
    if (version <= newest->version || version > MOST_VERSIONS) return true;
    snprintf(expected, sizeof expected, "%s-%ld", newest->prefix, version);
    if (strcmp(name, expected) == 0) newest->version = (int)version;
    return true;
}

int keyring_newest(struct keyfolder *folder, int use)
{
    struct newest newest = { .prefix = prefixes[use] };
    return keyfolder_list(folder, visit_version, &newest) ? newest.version : -1;
}

void keyring_key_name(int use, int version, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%s-%d", prefixes[use], version);
}

void keyring_signing_name(const char *kid, char out[NAME_BYTES]) { snprintf(out, NAME_BYTES, "sign-%.60s.pem", kid); }

bool keyring_is_signing_name(const char *name)
{
    size_t length = strlen(name);
    return length > 9 && strncmp(name, "sign-", 5) == 0 && strcmp(name + length - 4, ".pem") == 0;
}

int keyring_marked(struct keyfolder *folder)
{
    char text[KEYFOLDER_TEXT], expected[NAME_BYTES];

    if (!keyfolder_read(folder, "kek-current", text)) return -1;
    long version = strtol(text, NULL, 10);
    snprintf(expected, sizeof expected, "%ld", version);
    if (version >= 1 && version <= MOST_VERSIONS && strcmp(text, expected) == 0) return (int)version;
    keyfolder_fail(folder, "%s/kek-current: not a version", folder->path);
    return -1;
}

/* Keys by version. */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* An empty or all-zero file is a disk's accident, not a key. */
static bool parse_key(const char *text, unsigned char out[KEY_BYTES])
{
    unsigned char any = 0;

    if (strlen(text) != 2 * KEY_BYTES) return false;
    for (size_t i = 0; i < KEY_BYTES; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (unsigned char)(high << 4 | low);
        any |= out[i];
    }
    return any != 0;
}

static bool load_key(struct keyfolder *folder, struct versions *versions, int use, int version)
{
    char text[KEYFOLDER_TEXT], name[NAME_BYTES];

    keyring_key_name(use, version, name);
    if (!keyfolder_has(folder, name)) return true; /* retired: nothing is wrapped by it any more */
    if (!keyfolder_read(folder, name, text)) return false;
    versions->known[version] = parse_key(text, versions->key[version]);
    explicit_bzero(text, sizeof text);
    return versions->known[version] || keyfolder_fail(folder, "%s/%s: not a key", folder->path, name);
}

/* In a folder from before there was a mark, the newest version wraps. */
static bool load_mark(struct keyfolder *folder, struct versions *versions)
{
    if (!keyfolder_has(folder, "kek-current")) return true;
    int marked = keyring_marked(folder);
    if (marked < 0) return false;
    if (!versions->known[marked])
        return keyfolder_fail(folder, "%s/kek-%d: missing, while kek-current names it", folder->path, marked);
    versions->current = marked;
    return true;
}

static bool load_keys(struct keyfolder *folder, struct keyring_state *state)
{
    for (int use = 0; use < KEY_USES; use++) {
        struct versions *versions = &state->versions[use];
        versions->current = keyring_newest(folder, use);
        if (versions->current < 0) return false;
        if (versions->current == 0) return keyfolder_fail(folder, "%s/%s-1: missing", folder->path, prefixes[use]);
        for (int version = 1; version <= versions->current; version++)
            if (!load_key(folder, versions, use, version)) return false;
    }
    return load_mark(folder, &state->versions[KEY_ENCRYPTION]);
}

/* Signing keys. */

static bool load_signing(struct keyfolder *folder, struct keyring_state *state, const char *name)
{
    char text[KEYFOLDER_TEXT], expected[NAME_BYTES];
    struct signing_key *key = &state->signing[state->signing_count];

    if (state->signing_count == MOST_SIGNING)
        return keyfolder_fail(folder, "%s: more than %d signing keys", folder->path, MOST_SIGNING);
    if (!keyfolder_read(folder, name, text)) return false;
    bool read = signing_read(text, key);
    explicit_bzero(text, sizeof text);
    if (!read) return keyfolder_fail(folder, "%s/%s: not a P-256 key", folder->path, name);
    state->signing_count++;
    keyring_signing_name(key->kid, expected);
    return strcmp(name, expected) == 0 ||
           keyfolder_fail(folder, "%s/%s: the key in it has another thumbprint", folder->path, name);
}

struct loading {
    struct keyfolder *folder;
    struct keyring_state *state;
    char marked[2][NAME_BYTES];
};

static bool visit_signing(const char *name, void *context)
{
    struct loading *loading = context;
    if (!keyring_is_signing_name(name) || strcmp(name, loading->marked[0]) == 0 ||
        strcmp(name, loading->marked[1]) == 0)
        return true;
    return load_signing(loading->folder, loading->state, name);
}

static bool read_mark(struct keyfolder *folder, const char *mark, char out[NAME_BYTES])
{
    char kid[KEYFOLDER_TEXT];
    if (!keyfolder_read(folder, mark, kid)) return false;
    keyring_signing_name(kid, out);
    return true;
}

/* While a rotation is under way, the next key and the current one are the same for a moment. */
static bool load_all_signing(struct keyfolder *folder, struct keyring_state *state)
{
    struct loading loading = { .folder = folder, .state = state };

    if (!read_mark(folder, "sign-current", loading.marked[0]) || !read_mark(folder, "sign-next", loading.marked[1]) ||
        !load_signing(folder, state, loading.marked[0]))
        return false;
    bool same = strcmp(loading.marked[0], loading.marked[1]) == 0;
    return (same || load_signing(folder, state, loading.marked[1])) && keyfolder_list(folder, visit_signing, &loading);
}

struct keyring_state *keyring_state_read(struct keyfolder *folder)
{
    struct keyring_state *state = calloc(1, sizeof *state);

    if (!state) {
        keyfolder_fail(folder, "%s: out of memory", folder->path);
        return NULL;
    }
    bool loaded = keyfolder_open(folder) && load_keys(folder, state) && load_all_signing(folder, state);
    keyfolder_close(folder);
    if (loaded) return state;
    keyring_state_free(state);
    return NULL;
}

void keyring_state_free(struct keyring_state *state)
{
    if (!state) return;
    for (size_t i = 0; i < state->signing_count; i++) signing_free(&state->signing[i]);
    explicit_bzero(state, sizeof *state);
    free(state);
}

bool keyring_state_equal(const struct keyring_state *one, const struct keyring_state *other)
{
    bool equal = digest_equal(one->versions, other->versions, sizeof one->versions) &&
                 one->signing_count == other->signing_count;
    for (size_t i = 0; equal && i < one->signing_count; i++)
        equal = strcmp(one->signing[i].kid, other->signing[i].kid) == 0;
    return equal;
}
