/* Counters for Prometheus: requests by operation and status class, latency buckets, requests in flight. Lock-free. */
#pragma once
#include "utvag/request.h"

struct metrics;
struct metrics *metrics_new(const struct contract *contract);
void metrics_free(struct metrics *metrics);
void metrics_count(struct metrics *metrics, const struct request *rq, int status);
void metrics_in_flight(struct metrics *metrics, int change);
/* One of the requests that are carried out, if there are fewer than `most`: what is being refused is none of them, else a
   flood would keep out more the larger it is. Whoever was admitted leaves. */
bool metrics_admit(struct metrics *metrics, int most) __attribute__((warn_unused_result));
void metrics_leave(struct metrics *metrics);
char *metrics_text(const struct metrics *metrics); /* to be freed */
