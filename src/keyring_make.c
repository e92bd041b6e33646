#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "keyring_state.h"
#include "utvag/digest.h"
#include "utvag/signing.h"

/* Making keys. */

static bool add_key(struct keyfolder *folder, int use, int version)
{
    unsigned char key[KEY_BYTES];
    char text[2 * KEY_BYTES + 1], name[NAME_BYTES];

    digest_random(key, sizeof key);
    digest_hex(key, sizeof key, text);
    keyring_key_name(use, version, name);
    bool added = keyfolder_add(folder, name, text);
    explicit_bzero(key, sizeof key);
    explicit_bzero(text, sizeof text);
    return added;
}

/* A mark follows its key: it never names one that is not there. */
static bool mark_version(struct keyfolder *folder, int version)
{
    char text[16];
    snprintf(text, sizeof text, "%d", version);
    return keyfolder_replace(folder, "kek-current", text);
}

static bool add_missing_keys(struct keyfolder *folder)
{
    for (int use = 0; use < KEY_USES; use++) {
        int version = keyring_newest(folder, use);
        if (version < 0 || (version == 0 && !add_key(folder, use, 1))) return false;
    }
    if (!keyfolder_has(folder, "kek-current") && !mark_version(folder, keyring_newest(folder, KEY_ENCRYPTION)))
        return false;
    int current = keyring_marked(folder);
    return current > 0 && add_key(folder, KEY_ENCRYPTION, current + 1);
}

static bool add_signing(struct keyfolder *folder, const char *mark)
{
    struct signing_key key;
    char name[NAME_BYTES];

    if (!signing_make(&key)) return keyfolder_fail(folder, "%s: no signing key could be made", folder->path);
    keyring_signing_name(key.kid, name);
    bool added = keyfolder_add(folder, name, key.private_pem) && keyfolder_replace(folder, mark, key.kid);
    signing_free(&key);
    return added;
}

static bool add_missing(struct keyfolder *folder)
{
    return add_missing_keys(folder) && (keyfolder_has(folder, "sign-current") || add_signing(folder, "sign-current")) &&
           (keyfolder_has(folder, "sign-next") || add_signing(folder, "sign-next"));
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
    bool made = keyfolder_lock(&folder) && add_missing(&folder);
    keyfolder_close(&folder);
    return made;
}

/* Rotation. */

static bool rotate_encryption(struct keyfolder *folder)
{
    int current = keyring_marked(folder);
    if (current < 0) return false;
    if (current + 2 > MOST_VERSIONS)
        return keyfolder_fail(folder, "%s: more than %d key-encryption keys", folder->path, MOST_VERSIONS);
    return add_key(folder, KEY_ENCRYPTION, current + 2) && mark_version(folder, current + 1);
}

struct retirement {
    struct keyfolder *folder;
    char kept[2][NAME_BYTES];
};

static bool visit_retired(const char *name, void *context)
{
    const struct retirement *retirement = context;
    if (!keyring_is_signing_name(name) || strcmp(name, retirement->kept[0]) == 0 ||
        strcmp(name, retirement->kept[1]) == 0)
        return true;
    return keyfolder_remove(retirement->folder, name);
}

/* The key before the current one goes, then next becomes current. Where both marks name one key, a rotation was cut
   short here: it goes on, and retires nothing twice. */
static bool rotate_signing(struct keyfolder *folder)
{
    char current[KEYFOLDER_TEXT], next[KEYFOLDER_TEXT];
    struct retirement retirement = { .folder = folder };

    if (!keyfolder_read(folder, "sign-current", current) || !keyfolder_read(folder, "sign-next", next)) return false;
    keyring_signing_name(current, retirement.kept[0]);
    keyring_signing_name(next, retirement.kept[1]);
    if (strcmp(current, next) != 0 &&
        !(keyfolder_list(folder, visit_retired, &retirement) && keyfolder_replace(folder, "sign-current", next)))
        return false;
    return add_signing(folder, "sign-next");
}

static bool rotate(struct keyfolder *folder)
{
    int newest = keyring_newest(folder, KEY_ENCRYPTION);
    if (newest < 0) return false;
    if (newest == 0) return keyfolder_fail(folder, "%s: no key-encryption key to go on from", folder->path);
    return add_missing(folder) && rotate_encryption(folder) && rotate_signing(folder);
}

bool keyring_rotate(const char *path, char *error, size_t error_size)
{
    struct keyfolder folder = { .path = path, .fd = -1, .error = error, .error_size = error_size };

    if (!keyfolder_open(&folder)) return false;
    bool rotated = keyfolder_lock(&folder) && rotate(&folder);
    keyfolder_close(&folder);
    return rotated;
}
