#include "utvag/jwks.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "utvag/jwk.h"
#include "utvag/log.h"

enum { MOST_BYTES = 256 << 10, ERROR_BYTES = 256, SETTLED_SECONDS = 2 };

struct key {
    const char *kid; /* the tree's */
    char *pem;
    const char *algorithm;
};

/* What a file held. */
struct set {
    json_t *tree;
    struct key *keys;
    size_t count;
};

struct jwks {
    const char *path;
    pthread_mutex_t lock;
    struct set set;
    struct stat seen; /* of the file when it was last tried */
    bool settled;     /* it was so old then that a later change shows */
    bool changed;     /* there are other keys than when jwks_look was last asked */
};

static bool fail(char *error, size_t error_size, const char *path, const char *reason)
{
    snprintf(error, error_size, "%s: %s", path, reason);
    return false;
}

static void set_free(struct set *set)
{
    for (size_t i = 0; i < set->count; i++) free(set->keys[i].pem);
    free(set->keys);
    json_decref(set->tree);
    *set = (struct set){ 0 };
}

static const struct key *set_find(const struct set *set, const char *kid)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->keys[i].kid, kid) == 0) return &set->keys[i];
    return NULL;
}

/* A reason, or NULL. */
static const char *take_keys(struct set *set)
{
    const json_t *list = json_object_get(set->tree, "keys"), *jwk;
    size_t index;

    if (!json_is_array(list)) return "not a set of keys";
    set->keys = calloc(json_array_size(list) + 1, sizeof *set->keys);
    if (!set->keys) return "out of memory";
    json_array_foreach((json_t *)list, index, jwk) {
        struct key *key = &set->keys[set->count];
        if (jwk_is_private(jwk)) return "holds a private key";
        key->kid = json_string_value(json_object_get(jwk, "kid"));
        if (!key->kid || !jwk_public_pem(jwk, &key->pem, &key->algorithm)) continue;
        if (set_find(set, key->kid)) {
            free(key->pem);
            return "two keys have one kid";
        }
        set->count++;
    }
    return set->count ? NULL : "no key for signatures, of P-256 or RSA and with a kid";
}

static bool set_parse(int fd, const char *path, struct set *out, char *error, size_t error_size)
{
    json_error_t fault;
    char reason[ERROR_BYTES];

    *out = (struct set){ .tree = json_loadfd(fd, JSON_REJECT_DUPLICATES, &fault) };
    snprintf(reason, sizeof reason, "no JSON in line %d", fault.line);
    const char *stop = out->tree ? take_keys(out) : reason;
    if (!stop) return true;
    set_free(out);
    return fail(error, error_size, path, stop);
}

static bool set_read(const char *path, struct set *out, char *error, size_t error_size)
{
    struct stat facts;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *reason = NULL;

    if (fd < 0 || fstat(fd, &facts) != 0)
        reason = strerror(errno);
    else if (!S_ISREG(facts.st_mode))
        reason = "not a file";
    else if (facts.st_mode & (S_IWGRP | S_IWOTH))
        reason = "group or others may write it";
    else if (facts.st_size > MOST_BYTES)
        reason = "too large";
    bool read = reason ? fail(error, error_size, path, reason) : set_parse(fd, path, out, error, error_size);
    if (fd >= 0) close(fd);
    return read;
}

static bool differ(const struct stat *one, const struct stat *other)
{
    return one->st_ino != other->st_ino || one->st_size != other->st_size || one->st_mode != other->st_mode ||
           one->st_ctim.tv_sec != other->st_ctim.tv_sec || one->st_ctim.tv_nsec != other->st_ctim.tv_nsec;
}

/* False if the file is as it was. */
static bool note(struct jwks *jwks)
{
    struct stat facts = { .st_ino = 0 };
    (void)stat(jwks->path, &facts); /* a missing file is one of its states */
    if (jwks->settled && !differ(&facts, &jwks->seen)) return false;
    jwks->seen = facts;
    jwks->settled = time(NULL) - facts.st_ctim.tv_sec > SETTLED_SECONDS;
    return true;
}

/* `lock` is held. */
static void reload(struct jwks *jwks)
{
    char error[ERROR_BYTES];
    struct set fresh;

    if (!note(jwks)) return;
    if (!set_read(jwks->path, &fresh, error, sizeof error)) {
        log_line(LOG_ERROR, "issuer_keys_unreadable", "reason", error, NULL);
        return;
    }
    bool same = json_equal(fresh.tree, jwks->set.tree);
    struct set old = same ? fresh : jwks->set;
    if (!same) jwks->set = fresh;
    set_free(&old);
    jwks->changed = jwks->changed || !same;
}

bool jwks_look(struct jwks *jwks)
{
    pthread_mutex_lock(&jwks->lock);
    reload(jwks);
    bool changed = jwks->changed;
    jwks->changed = false;
    pthread_mutex_unlock(&jwks->lock);
    return changed;
}

bool jwks_find(struct jwks *jwks, const char *kid, struct arena *arena, const char **pem, const char **algorithm)
{
    pthread_mutex_lock(&jwks->lock);
    const struct key *key = set_find(&jwks->set, kid);
    if (!key) {
        reload(jwks);
        key = set_find(&jwks->set, kid);
    }
    *pem = key ? arena_copy(arena, key->pem, strlen(key->pem)) : NULL;
    *algorithm = key ? key->algorithm : NULL;
    pthread_mutex_unlock(&jwks->lock);
    return *pem != NULL;
}

struct jwks *jwks_open(const char *path, char *error, size_t error_size)
{
    struct jwks *jwks = calloc(1, sizeof *jwks);

    if (!jwks) {
        fail(error, error_size, path, "out of memory");
        return NULL;
    }
    jwks->path = path;
    pthread_mutex_init(&jwks->lock, NULL);
    (void)note(jwks);
    if (set_read(path, &jwks->set, error, error_size)) return jwks;
    jwks_free(jwks);
    return NULL;
}

void jwks_free(struct jwks *jwks)
{
    if (!jwks) return;
    set_free(&jwks->set);
    pthread_mutex_destroy(&jwks->lock);
    free(jwks);
}
