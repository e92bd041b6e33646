#include "utvag/keyring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "utvag/digest.h"
#include "utvag/keyfolder.h"
#include "utvag/signing.h"

enum { KEY_USES = KEY_MAC + 1, MOST_VERSIONS = 999, MOST_SIGNING = 8, NAME_BYTES = 80 };

static const char *const prefixes[KEY_USES] = { "kek", "blind", "mac" };

struct versions {
    int newest;
    bool known[MOST_VERSIONS + 1];
    unsigned char key[MOST_VERSIONS + 1][KEY_BYTES];
};

struct keyring {
    struct versions versions[KEY_USES];
    struct signing_key signing[MOST_SIGNING];
    size_t signing_count;
};

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

/* 0: there is none; -1: the folder cannot be listed. */
static int newest_version(struct keyfolder *folder, int use)
{
    struct newest newest = { .prefix = prefixes[use] };
    return keyfolder_list(folder, visit_version, &newest) ? newest.version : -1;
}

static void key_name(int use, int version, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%s-%d", prefixes[use], version);
}

static void signing_name(const char *kid, char out[NAME_BYTES]) { snprintf(out, NAME_BYTES, "sign-%.60s.pem", kid); }

/* Making keys. */

static bool add_key(struct keyfolder *folder, int use, int version)
{
    unsigned char key[KEY_BYTES];
    char text[2 * KEY_BYTES + 1], name[NAME_BYTES];

    digest_random(key, sizeof key);
    digest_hex(key, sizeof key, text);
    key_name(use, version, name);
    bool added = keyfolder_add(folder, name, text);
    explicit_bzero(key, sizeof key);
    explicit_bzero(text, sizeof text);
    return added;
}

static bool add_missing_keys(struct keyfolder *folder)
{
    for (int use = 0; use < KEY_USES; use++) {
        int version = newest_version(folder, use);
        if (version < 0 || (version == 0 && !add_key(folder, use, 1))) return false;
    }
    return true;
}

/* A new signing key, marked afterwards: a mark never names a key that is not there. */
static bool add_signing(struct keyfolder *folder, const char *mark, bool replacing)
{
    struct signing_key key;
    char name[NAME_BYTES];

    if (!signing_make(&key)) return keyfolder_fail(folder, "%s: no signing key could be made", folder->path);
    signing_name(key.kid, name);
    bool added = keyfolder_add(folder, name, key.private_pem) &&
                 (replacing ? keyfolder_replace(folder, mark, key.kid) : keyfolder_add(folder, mark, key.kid));
    signing_free(&key);
    return added;
}

static bool make_folder(struct keyfolder *folder)
{
    if (mkdir(folder->path, S_IRWXU) == 0 || errno == EEXIST) return keyfolder_open(folder);
    return keyfolder_fail(folder, "%s: %s", folder->path, strerror(errno));
}

bool keyring_init(const char *path, char *error, size_t error_size)
{
    struct keyfolder folder = { .path = path, .fd = -1, .error = error, .error_size = error_size };

    if (!make_folder(&folder)) return false;
    bool made = add_missing_keys(&folder) &&
                (keyfolder_has(&folder, "sign-current") || add_signing(&folder, "sign-current", false)) &&
                (keyfolder_has(&folder, "sign-next") || add_signing(&folder, "sign-next", false));
    keyfolder_close(&folder);
    return made;
}

/* Rotation. */

struct retirement {
    struct keyfolder *folder;
    char kept[2][NAME_BYTES];
};

static bool is_signing_name(const char *name)
{
    size_t length = strlen(name);
    return length > 9 && strncmp(name, "sign-", 5) == 0 && strcmp(name + length - 4, ".pem") == 0;
}

static bool visit_retired(const char *name, void *context)
{
    const struct retirement *retirement = context;
    if (!is_signing_name(name) || strcmp(name, retirement->kept[0]) == 0 || strcmp(name, retirement->kept[1]) == 0)
        return true;
    return keyfolder_remove(retirement->folder, name);
}

/* Tokens of a key before the current one ended long ago: such keys go. Then next becomes current. */
static bool rotate_signing(struct keyfolder *folder)
{
    char current[KEYFOLDER_TEXT], next[KEYFOLDER_TEXT];
    struct retirement retirement = { .folder = folder };

    if (!keyfolder_read(folder, "sign-current", current) || !keyfolder_read(folder, "sign-next", next)) return false;
    signing_name(current, retirement.kept[0]);
    signing_name(next, retirement.kept[1]);
    return keyfolder_list(folder, visit_retired, &retirement) && keyfolder_replace(folder, "sign-current", next) &&
           add_signing(folder, "sign-next", true);
}

bool keyring_rotate(const char *path, char *error, size_t error_size)
{
    struct keyfolder folder = { .path = path, .fd = -1, .error = error, .error_size = error_size };

    if (!keyfolder_open(&folder)) return false;
    int newest = newest_version(&folder, KEY_ENCRYPTION);
    bool rotated = newest > 0 && newest < MOST_VERSIONS
                       ? add_key(&folder, KEY_ENCRYPTION, newest + 1) && rotate_signing(&folder)
                       : keyfolder_fail(&folder, "%s: no key-encryption key to go on from", path);
    keyfolder_close(&folder);
    return rotated;
}

/* Reading. */

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

    key_name(use, version, name);
    if (!keyfolder_has(folder, name)) return true; /* retired: nothing is wrapped by it any more */
    if (!keyfolder_read(folder, name, text)) return false;
    versions->known[version] = parse_key(text, versions->key[version]);
    explicit_bzero(text, sizeof text);
    return versions->known[version] || keyfolder_fail(folder, "%s/%s: not a key", folder->path, name);
}

static bool load_keys(struct keyfolder *folder, struct keyring *ring)
{
    for (int use = 0; use < KEY_USES; use++) {
        struct versions *versions = &ring->versions[use];
        versions->newest = newest_version(folder, use);
        if (versions->newest < 0) return false;
        if (versions->newest == 0) return keyfolder_fail(folder, "%s/%s-1: missing", folder->path, prefixes[use]);
        for (int version = 1; version <= versions->newest; version++)
            if (!load_key(folder, versions, use, version)) return false;
    }
    return true;
}

static bool load_signing(struct keyfolder *folder, struct keyring *ring, const char *name)
{
    char text[KEYFOLDER_TEXT], expected[NAME_BYTES];
    struct signing_key *key = &ring->signing[ring->signing_count];

    if (ring->signing_count == MOST_SIGNING)
        return keyfolder_fail(folder, "%s: more than %d signing keys", folder->path, MOST_SIGNING);
    if (!keyfolder_read(folder, name, text)) return false;
    bool read = signing_read(text, key);
    explicit_bzero(text, sizeof text);
    if (!read) return keyfolder_fail(folder, "%s/%s: not a P-256 key", folder->path, name);
    ring->signing_count++;
    signing_name(key->kid, expected);
    return strcmp(name, expected) == 0 ||
           keyfolder_fail(folder, "%s/%s: the key in it has another thumbprint", folder->path, name);
}

struct loading {
    struct keyfolder *folder;
    struct keyring *ring;
    char current[NAME_BYTES];
};

static bool visit_signing(const char *name, void *context)
{
    struct loading *loading = context;
    if (!is_signing_name(name) || strcmp(name, loading->current) == 0) return true;
    return load_signing(loading->folder, loading->ring, name);
}

static bool load_all_signing(struct keyfolder *folder, struct keyring *ring)
{
    char kid[KEYFOLDER_TEXT];
    struct loading loading = { .folder = folder, .ring = ring };

    if (!keyfolder_read(folder, "sign-current", kid)) return false;
    signing_name(kid, loading.current);
    return load_signing(folder, ring, loading.current) && keyfolder_list(folder, visit_signing, &loading);
}

struct keyring *keyring_open(const char *path, char *error, size_t error_size)
{
    struct keyfolder folder = { .path = path, .fd = -1, .error = error, .error_size = error_size };
    struct keyring *ring = calloc(1, sizeof *ring);

    if (!ring) {
        keyfolder_fail(&folder, "%s: out of memory", path);
        return NULL;
    }
    bool loaded = keyfolder_open(&folder) && load_keys(&folder, ring) && load_all_signing(&folder, ring);
    keyfolder_close(&folder);
    if (loaded) return ring;
    keyring_free(ring);
    return NULL;
}

void keyring_free(struct keyring *ring)
{
    if (!ring) return;
    for (size_t i = 0; i < ring->signing_count; i++) signing_free(&ring->signing[i]);
    explicit_bzero(ring, sizeof *ring);
    free(ring);
}

int keyring_version(const struct keyring *ring, enum key_use use) { return ring->versions[use].newest; }

const unsigned char *keyring_key(const struct keyring *ring, enum key_use use, int version)
{
    const struct versions *versions = &ring->versions[use];
    return version >= 1 && version <= versions->newest && versions->known[version] ? versions->key[version] : NULL;
}

const struct signing_key *keyring_signing(const struct keyring *ring, size_t *count)
{
    *count = ring->signing_count;
    return ring->signing;
}
