#include "utvag/rate.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "utvag/config.h"
#include "utvag/digest.h"
#include "utvag/siphash.h"

#define MINUTE_NS UINT64_C(60000000000)
#define SECOND_NS UINT64_C(1000000000)

enum { SHARDS = 64, SETS = 128, WAYS = 8, ATTEMPTS = 16, WAITING_MOST = 16, WAIT_SECONDS = 10 };
enum kind { REQUESTS, LOGINS_ADDRESS, LOGINS_ACCOUNT, KINDS };

/* A bucket is one number: when it is full again (the generic cell rate algorithm). In the past: full now. */
struct bucket {
    uint64_t name;
    uint64_t full_ns;
};

/* Logins of one bucket that are being tried, and those that wait for what becomes of them. */
struct attempts {
    uint64_t name;
    int trying, waiting; /* both 0: a free place */
};

struct shard {
    pthread_mutex_t lock;
    pthread_cond_t settled; /* an attempt of some bucket here has ended */
    struct attempts attempts[ATTEMPTS];
    struct bucket buckets[SETS][WAYS];
};

struct rate {
    unsigned char keys[KINDS][SIPHASH_KEY]; /* of chance, so that nobody can choose whose place her bucket takes */
    int requests, logins;                   /* a minute */
    struct shard shards[SHARDS];
};

struct rate *rate_new(const struct config *config)
{
    struct rate *rate = calloc(1, sizeof *rate);
    if (!rate) return NULL;
    digest_random(rate->keys, sizeof rate->keys);
    rate->requests = config->rate_per_minute;
    rate->logins = config->failed_logins_per_minute;
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&rate->shards[i].lock, NULL);
        pthread_cond_init(&rate->shards[i].settled, &clock);
    }
    pthread_condattr_destroy(&clock);
    return rate;
}

void rate_free(struct rate *rate)
{
    for (size_t i = 0; rate && i < SHARDS; i++) {
        pthread_mutex_destroy(&rate->shards[i].lock);
        pthread_cond_destroy(&rate->shards[i].settled);
    }
    free(rate);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static uint64_t name_of(const struct rate *rate, enum kind kind, const void *bytes, size_t length)
{
    return siphash(rate->keys[kind], bytes, length);
}

/* One customer of an IPv6 network has at least a /64: her addresses are one. */
static uint64_t address_name(const struct rate *rate, enum kind kind, const char *address)
{
    struct in6_addr wide;
    if (inet_pton(AF_INET6, address, &wide) == 1) return name_of(rate, kind, wide.s6_addr, 8);
    return name_of(rate, kind, address, strlen(address));
}

static struct shard *shard_of(struct rate *rate, uint64_t name) { return &rate->shards[name % SHARDS]; }

/* The bucket of that name, or the fullest of its set, emptied of what it was. */
static struct bucket *find(struct shard *shard, uint64_t name)
{
    struct bucket *set = shard->buckets[name / SHARDS % SETS], *found = set;
    for (struct bucket *at = set; at < set + WAYS; at++) {
        if (at->name == name) return at;
        if (at->full_ns < found->full_ns) found = at;
    }
    *found = (struct bucket){ .name = name };
    return found;
}

/* Takes one of `limit` a minute. False, with nothing taken, if there is none; share tells what is left, or how long to
   wait. Under the shard's lock. */
static bool spend(struct shard *shard, uint64_t name, int limit, struct rate_share *share)
{
    uint64_t now = now_ns(), one = MINUTE_NS / (uint64_t)limit;
    struct bucket *bucket = find(shard, name);
    uint64_t from = bucket->full_ns > now ? bucket->full_ns - now : 0;
    bool taken = from + one <= MINUTE_NS;
    if (taken) bucket->full_ns = now + (from += one);
    uint64_t wait = taken ? from : from + one - MINUTE_NS;
    *share = (struct rate_share){ .limit = limit,
                                  .left = taken ? (int)((MINUTE_NS - from) / one) : 0,
                                  .seconds = (int)((wait + SECOND_NS - 1) / SECOND_NS) };
    return taken;
}

static bool take(struct rate *rate, uint64_t name, int limit, struct rate_share *share)
{
    struct shard *shard = shard_of(rate, name);
    pthread_mutex_lock(&shard->lock);
    bool taken = spend(shard, name, limit, share);
    pthread_mutex_unlock(&shard->lock);
    return taken;
}

/* Those of that name, or a free place for them; NULL when there is none, and then nobody waits. */
static struct attempts *attempts_of(struct shard *shard, uint64_t name)
{
    struct attempts *place = NULL;
    for (struct attempts *at = shard->attempts; at < shard->attempts + ATTEMPTS; at++) {
        bool used = at->trying || at->waiting;
        if (used && at->name == name) return at;
        if (!used) place = at;
    }
    if (place) place->name = name;
    return place;
}

/* An attempt counts as failed until it has passed. Where those that are being tried have taken all, what becomes of them
   is awaited, by a few and for a while: many who sign in rightly at one time are no attack, and many who do not are
   refused as soon as those before them have failed. */
static bool attempt_begin(struct rate *rate, uint64_t name, struct rate_share *share)
{
    struct shard *shard = shard_of(rate, name);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_SECONDS;
    pthread_mutex_lock(&shard->lock);
    struct attempts *attempts = attempts_of(shard, name);
    bool taken = spend(shard, name, rate->logins, share), late = !attempts;
    while (!taken && !late && attempts->trying && attempts->waiting < WAITING_MOST) {
        attempts->waiting++;
        late = pthread_cond_timedwait(&shard->settled, &shard->lock, &until) != 0;
        attempts->waiting--;
        taken = spend(shard, name, rate->logins, share);
    }
    if (taken && attempts) attempts->trying++;
    pthread_mutex_unlock(&shard->lock);
    return taken;
}

static void attempt_end(struct rate *rate, uint64_t name, bool passed)
{
    struct shard *shard = shard_of(rate, name);
    uint64_t one = MINUTE_NS / (uint64_t)rate->logins;
    pthread_mutex_lock(&shard->lock);
    struct attempts *attempts = attempts_of(shard, name);
    struct bucket *bucket = find(shard, name);
    if (passed) bucket->full_ns -= bucket->full_ns < one ? bucket->full_ns : one;
    if (attempts && attempts->trying) attempts->trying--;
    pthread_cond_broadcast(&shard->settled);
    pthread_mutex_unlock(&shard->lock);
}

static struct problem refuse(const struct rate_share *share)
{
    return (struct problem){ .status = 429, .code = "rate_limited", .retry_after = share->seconds };
}

struct problem rate_take(struct request *rq)
{
    struct rate *rate = rq->service->rate;
    if (!rate || !rate->requests || !rq->contract->limited) return PROBLEM_NONE;
    uint64_t name = rq->caller.known ? name_of(rate, REQUESTS, rq->caller.id, strlen(rq->caller.id))
                                     : address_name(rate, REQUESTS, rq->address);
    return take(rate, name, rate->requests, &rq->rate) ? PROBLEM_NONE : refuse(&rq->rate);
}

struct problem rate_login_allowed(struct request *rq, const void *account, size_t length)
{
    struct rate *rate = rq->service->rate;
    struct rate_share share;
    if (!rate || !rate->logins) return PROBLEM_NONE;
    rate_login_ended(rq);
    uint64_t address = address_name(rate, LOGINS_ADDRESS, rq->address);
    uint64_t name = name_of(rate, LOGINS_ACCOUNT, account, length);
    if (!attempt_begin(rate, address, &share)) return refuse(&share);
    if (attempt_begin(rate, name, &share)) {
        rq->login = (struct rate_login){ .trying = true, .address = address, .account = name };
        return PROBLEM_NONE;
    }
    attempt_end(rate, address, true); /* nothing was tried */
    return refuse(&share);
}

static void end_login(struct request *rq, bool passed)
{
    if (!rq->login.trying) return;
    attempt_end(rq->service->rate, rq->login.address, passed);
    attempt_end(rq->service->rate, rq->login.account, passed);
    rq->login.trying = false;
}

void rate_login_passed(struct request *rq) { end_login(rq, true); }

void rate_login_ended(struct request *rq) { end_login(rq, false); }
