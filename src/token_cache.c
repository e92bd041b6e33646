#include "utvag/token_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utvag/token.h"

enum { SETS = 2048, WAYS = 2, LOCKS = 64 };

struct slot {
    unsigned char digest[DIGEST_BYTES];
    long long expires; /* 0: empty */
    struct caller caller;
    char officer[TOKEN_OFFICER + 1]; /* what caller.officer stands for here */
};

struct token_cache {
    pthread_mutex_t locks[LOCKS];
    struct slot slots[SETS][WAYS];
};

struct token_cache *token_cache_new(void)
{
    struct token_cache *cache = calloc(1, sizeof *cache);
    for (size_t i = 0; cache && i < LOCKS; i++) pthread_mutex_init(&cache->locks[i], NULL);
    return cache;
}

void token_cache_free(struct token_cache *cache)
{
    if (!cache) return;
    for (size_t i = 0; i < LOCKS; i++) pthread_mutex_destroy(&cache->locks[i]);
    free(cache);
}

static size_t set_of(const unsigned char *digest) { return ((size_t)digest[0] << 8 | digest[1]) % SETS; }

static bool copy_out(const struct slot *slot, struct arena *arena, struct caller *caller)
{
    *caller = slot->caller;
    if (!slot->officer[0]) return true;
    caller->officer = arena_copy(arena, slot->officer, strlen(slot->officer));
    return caller->officer != NULL;
}

bool token_cache_find(struct token_cache *cache, const unsigned char digest[DIGEST_BYTES], long long now,
                      struct arena *arena, struct caller *caller)
{
    size_t set = set_of(digest);
    bool found = false;

    pthread_mutex_lock(&cache->locks[set % LOCKS]);
    for (size_t way = 0; way < WAYS && !found; way++) {
        const struct slot *slot = &cache->slots[set][way];
        if (slot->expires > now && memcmp(slot->digest, digest, DIGEST_BYTES) == 0)
            found = copy_out(slot, arena, caller);
    }
    pthread_mutex_unlock(&cache->locks[set % LOCKS]);
    return found;
}

void token_cache_add(struct token_cache *cache, const unsigned char digest[DIGEST_BYTES], long long expires,
                     const struct caller *caller)
{
    size_t set = set_of(digest);

    pthread_mutex_lock(&cache->locks[set % LOCKS]);
    struct slot *slot = &cache->slots[set][0];
    for (size_t way = 1; way < WAYS; way++)
        if (cache->slots[set][way].expires < slot->expires) slot = &cache->slots[set][way];
    memcpy(slot->digest, digest, DIGEST_BYTES);
    slot->expires = expires;
    slot->caller = *caller;
    slot->caller.officer = NULL;
    snprintf(slot->officer, sizeof slot->officer, "%s", caller->officer ? caller->officer : "");
    pthread_mutex_unlock(&cache->locks[set % LOCKS]);
}
