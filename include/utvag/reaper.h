/* Ends connections whose time is up. libmicrohttpd's own timeout counts idle time only: one byte now and then would
   keep a connection, and its thread, for ever. Safe from any thread. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct reaper;

/* One connection; owned by whoever accepted it. */
struct watch {
    struct watch *next, **place;
    int socket;
    _Atomic uint64_t deadline_ns; /* CLOCK_MONOTONIC */
    _Atomic bool unfinished; /* an answer is under way that only its end would tell to be whole: it ends in a reset */
};

struct reaper *reaper_start(void); /* NULL if there is no thread to be had */
void reaper_stop(struct reaper *reaper);

/* From add to remove the socket must stay open: it is shut down, never closed, here. */
void reaper_add(struct reaper *reaper, struct watch *watch, int socket, int seconds);
void reaper_remove(struct reaper *reaper, struct watch *watch);
void reaper_allow(struct watch *watch, int seconds); /* from now */
void reaper_break(struct watch *watch);              /* resets the connection at once */
void reaper_end_all(struct reaper *reaper);          /* shuts every connection down; what was sent still arrives */
