#include "utvag/turns.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

struct turns {
    sem_t places;
    int wait_ms;
};

struct turns *turns_new(int most, int wait_ms)
{
    struct turns *turns = malloc(sizeof *turns);
    if (!turns) return NULL;
    turns->wait_ms = wait_ms;
    sem_init(&turns->places, 0, (unsigned)most);
    return turns;
}

void turns_free(struct turns *turns)
{
    if (turns) sem_destroy(&turns->places);
    free(turns);
}

static struct timespec later(int ms)
{
    struct timespec when;
    clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += ms / 1000;
    when.tv_nsec += ms % 1000 * 1000000L;
    if (when.tv_nsec >= 1000000000L) {
        when.tv_sec++;
        when.tv_nsec -= 1000000000L;
    }
    return when;
}

bool turns_take(struct turns *turns)
{
    if (sem_trywait(&turns->places) == 0) return true;
    const struct timespec until = later(turns->wait_ms);
    int taken;
    while ((taken = sem_clockwait(&turns->places, CLOCK_MONOTONIC, &until)) < 0 && errno == EINTR) continue;
    return taken == 0;
}

int turns_at_door(int most) { return most / 4 > 1 ? most / 4 : 1; }

void turns_give(struct turns *turns) { sem_post(&turns->places); }
