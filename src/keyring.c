#include "utvag/keyring.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keyring_state.h"
#include "utvag/log.h"

enum { ERROR_BYTES = 256, TRIES = 3, PAUSE_MS = 1000, SETTLED_MS = 2000 };

/* The last look into the folder: `lock` is held while it is used. */
struct look {
    struct keyfolder_stamp stamp; /* of the folder before it was read */
    bool settled;                 /* what changed it is so old that a later change has another stamp */
    long long at;                 /* CLOCK_MONOTONIC, milliseconds */
    char error[ERROR_BYTES];      /* why it could not be read; "": it could */
};

struct keyring {
    _Atomic(struct keyring_state *) state;
    pthread_mutex_t lock;
    struct look look;
    char path[];
};

static const struct keyring_state *state_of(const struct keyring *ring)
{
    return atomic_load_explicit(&ring->state, memory_order_acquire);
}

static long long clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* A file that was listed may be gone when it is read, while somebody rotates: what that leaves is whole again at once. */
static struct keyring_state *read_state(const char *path, char *error, size_t error_size)
{
    struct keyring_state *state = NULL;
    for (int i = 0; i < TRIES && !state; i++) {
        struct keyfolder folder = { .path = path, .fd = -1, .error = error, .error_size = error_size };
        state = keyring_state_read(&folder);
    }
    return state;
}

static void look_begin(struct keyring *ring)
{
    long long changed = keyfolder_stamp(ring->path, &ring->look.stamp);
    ring->look.settled = clock_ms(CLOCK_REALTIME) - changed > SETTLED_MS;
    ring->look.at = clock_ms(CLOCK_MONOTONIC);
}

static void publish(struct keyring *ring, struct keyring_state *state)
{
    char version[16];
    state->older = atomic_load_explicit(&ring->state, memory_order_relaxed);
    state->generation = state->older->generation + 1;
    atomic_store_explicit(&ring->state, state, memory_order_release);
    snprintf(version, sizeof version, "%d", state->versions[KEY_ENCRYPTION].current);
    log_line(LOG_INFO, "keys_changed", "kek", version, "kid", state->signing[0].kid, NULL);
}

/* One line when it begins to fail, and for each new reason; not one each second. */
static void complain(struct look *look, const char *error)
{
    if (strcmp(look->error, error) == 0) return;
    snprintf(look->error, sizeof look->error, "%s", error);
    if (*error)
        log_line(LOG_ERROR, "keys_unreadable", "reason", error, NULL);
    else
        log_line(LOG_INFO, "keys_readable", NULL);
}

static void reload(struct keyring *ring)
{
    char error[ERROR_BYTES] = "";

    look_begin(ring);
    struct keyring_state *state = read_state(ring->path, error, sizeof error);
    complain(&ring->look, state ? "" : error);
    if (state && !keyring_state_equal(state, state_of(ring)))
        publish(ring, state);
    else
        keyring_state_free(state);
}

/* A stamp that is known already is looked behind again only while it is young or the folder was unreadable, and then
   once a second: whoever sends key names that nobody has shall not keep us reading. */
static bool worth_reading(const struct keyring *ring)
{
    const struct look *look = &ring->look;
    struct keyfolder_stamp stamp;

    keyfolder_stamp(ring->path, &stamp);
    if (memcmp(&stamp, &look->stamp, sizeof stamp) != 0) return true;
    return (!look->settled || *look->error) && clock_ms(CLOCK_MONOTONIC) - look->at >= PAUSE_MS;
}

void keyring_look(const struct keyring *ring)
{
    struct keyring *own = (struct keyring *)ring; /* const for whoever uses the keys */

    pthread_mutex_lock(&own->lock);
    if (worth_reading(own)) reload(own);
    pthread_mutex_unlock(&own->lock);
}

struct keyring *keyring_open(const char *path, char *error, size_t error_size)
{
    size_t size = strlen(path) + 1;
    struct keyring *ring = calloc(1, sizeof *ring + size);

    if (!ring) {
        snprintf(error, error_size, "%s: out of memory", path);
        return NULL;
    }
    memcpy(ring->path, path, size);
    pthread_mutex_init(&ring->lock, NULL);
    look_begin(ring);
    atomic_init(&ring->state, read_state(path, error, error_size));
    if (state_of(ring)) return ring;
    keyring_free(ring);
    return NULL;
}

void keyring_free(struct keyring *ring)
{
    if (!ring) return;
    struct keyring_state *state = atomic_load(&ring->state);
    while (state) {
        struct keyring_state *older = state->older;
        keyring_state_free(state);
        state = older;
    }
    pthread_mutex_destroy(&ring->lock);
    free(ring);
}

unsigned keyring_generation(const struct keyring *ring) { return state_of(ring)->generation; }

int keyring_version(const struct keyring *ring, enum key_use use) { return state_of(ring)->versions[use].current; }

const unsigned char *keyring_key(const struct keyring *ring, enum key_use use, int version)
{
    if (version < 1 || version > MOST_VERSIONS) return NULL;
    const struct versions *versions = &state_of(ring)->versions[use];
    if (!versions->known[version]) {
        keyring_look(ring);
        versions = &state_of(ring)->versions[use];
    }
    return versions->known[version] ? versions->key[version] : NULL;
}

const struct signing_key *keyring_signing(const struct keyring *ring, size_t *count)
{
    const struct keyring_state *state = state_of(ring);
    *count = state->signing_count;
    return state->signing;
}

static const struct signing_key *find_signing(const struct keyring_state *state, const char *kid)
{
    for (size_t i = 0; i < state->signing_count; i++)
        if (strcmp(state->signing[i].kid, kid) == 0) return &state->signing[i];
    return NULL;
}

const struct signing_key *keyring_verifying(const struct keyring *ring, const char *kid)
{
    const struct signing_key *key = find_signing(state_of(ring), kid);
    if (key) return key;
    keyring_look(ring);
    return find_signing(state_of(ring), kid);
}
