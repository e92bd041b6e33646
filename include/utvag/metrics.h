/* Counters for Prometheus: requests by operation and status class, latency buckets, requests in flight. Lock-free. */
#pragma once
#include "utvag/request.h"

struct metrics;
struct metrics *metrics_new(const struct contract *contract);
void metrics_free(struct metrics *metrics);
void metrics_count(struct metrics *metrics, const struct request *rq, int status);
void metrics_in_flight(struct metrics *metrics, int change);
char *metrics_text(const struct metrics *metrics); /* to be freed */
