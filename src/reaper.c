#include "utvag/reaper.h"

#include <linux/sockios.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

enum { TICK_NS = 250000000 };

struct reaper {
    pthread_mutex_t lock; /* guards the list, and with it that no listed socket is closed */
    pthread_cond_t stopped;
    pthread_t thread;
    struct watch *first;
    bool stop;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Who does not take what she asked for would keep it, megabytes perhaps, in the kernel's buffers after the end of the
   connection, for as long as she says that she is there: a reset drops it. Whoever has everything sees an orderly end. */
static void drop_unread(int socket)
{
    const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    int unread = 0;
    if (ioctl(socket, SIOCOUTQ, &unread) == 0 && unread > 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* An orderly end would tell a client of HTTP/1.0 that what it has is all. To take the peer's address away from a socket is how
   Linux resets its connection without closing it. */
void reaper_break(struct watch *watch)
{
    const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
    if (connect(watch->socket, &nobody, sizeof nobody) < 0) shutdown(watch->socket, SHUT_RDWR);
}

static void end(struct watch *watch)
{
    if (watch->unfinished)
        reaper_break(watch);
    else
        shutdown(watch->socket, SHUT_RDWR);
}

static void reap(struct reaper *reaper, uint64_t now)
{
    for (struct watch *watch = reaper->first; watch; watch = watch->next) {
        if (atomic_load_explicit(&watch->deadline_ns, memory_order_relaxed) >= now) continue;
        if (!watch->unfinished) drop_unread(watch->socket);
        end(watch);
    }
}

static void *run(void *argument)
{
    struct reaper *reaper = argument;
    pthread_mutex_lock(&reaper->lock);
    while (!reaper->stop) {
        uint64_t wake = now_ns() + TICK_NS;
        struct timespec until = { (time_t)(wake / 1000000000u), (long)(wake % 1000000000u) };
        pthread_cond_timedwait(&reaper->stopped, &reaper->lock, &until);
        reap(reaper, now_ns());
    }
    pthread_mutex_unlock(&reaper->lock);
    return NULL;
}

struct reaper *reaper_start(void)
{
    struct reaper *reaper = calloc(1, sizeof *reaper);
    if (!reaper) return NULL;
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&reaper->stopped, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&reaper->lock, NULL);
    if (pthread_create(&reaper->thread, NULL, run, reaper) == 0) return reaper;
    pthread_cond_destroy(&reaper->stopped);
    pthread_mutex_destroy(&reaper->lock);
    free(reaper);
    return NULL;
}

void reaper_stop(struct reaper *reaper)
{
    pthread_mutex_lock(&reaper->lock);
    reaper->stop = true;
    pthread_cond_signal(&reaper->stopped);
    pthread_mutex_unlock(&reaper->lock);
    pthread_join(reaper->thread, NULL);
    pthread_cond_destroy(&reaper->stopped);
    pthread_mutex_destroy(&reaper->lock);
    free(reaper);
}

void reaper_add(struct reaper *reaper, struct watch *watch, int socket, int seconds)
{
    watch->socket = socket;
    reaper_allow(watch, seconds);
    pthread_mutex_lock(&reaper->lock);
    watch->next = reaper->first;
    watch->place = &reaper->first;
    if (watch->next) watch->next->place = &watch->next;
    reaper->first = watch;
    pthread_mutex_unlock(&reaper->lock);
}

void reaper_remove(struct reaper *reaper, struct watch *watch)
{
    pthread_mutex_lock(&reaper->lock);
    *watch->place = watch->next;
    if (watch->next) watch->next->place = watch->place;
    pthread_mutex_unlock(&reaper->lock);
}

void reaper_allow(struct watch *watch, int seconds)
{
    uint64_t deadline = now_ns() + (uint64_t)seconds * 1000000000u;
    atomic_store_explicit(&watch->deadline_ns, deadline, memory_order_relaxed);
}

void reaper_end_all(struct reaper *reaper)
{
    pthread_mutex_lock(&reaper->lock);
    for (struct watch *watch = reaper->first; watch; watch = watch->next) end(watch);
    pthread_mutex_unlock(&reaper->lock);
}
