#include "utvag/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CLASSES = 5, BUCKETS = 13 };

/* Upper bounds in microseconds; the last bucket has none. */
static const uint64_t bounds_us[BUCKETS - 1] = { 500,   1000,   2500,   5000,   10000,   25000,
                                                 50000, 100000, 250000, 500000, 1000000, 2500000 };

struct counter {
    _Atomic uint64_t answers[CLASSES];
};

struct metrics {
    const struct contract *contract;
    _Atomic int in_flight;
    _Atomic uint64_t buckets[BUCKETS];
    _Atomic uint64_t spent_us;
    struct counter operations[]; /* one an operation, and a last one for what reached none */
};

struct metrics *metrics_new(const struct contract *contract)
{
    size_t count = contract_count(contract) + 1;
    struct metrics *metrics = calloc(1, sizeof *metrics + count * sizeof(struct counter));
    if (metrics) metrics->contract = contract;
    return metrics;
}

void metrics_free(struct metrics *metrics) { free(metrics); }

static void add(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static size_t operation_index(const struct metrics *metrics, const struct contract_operation *operation)
{
    return operation ? (size_t)(operation - contract_at(metrics->contract, 0)) : contract_count(metrics->contract);
}

void metrics_count(struct metrics *metrics, const struct request *rq, int status)
{
    if (status < 100 || status > 599) return;
    add(&metrics->operations[operation_index(metrics, rq->contract)].answers[status / 100 - 1], 1);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t spent = ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec - rq->started_ns) / 1000;
    size_t bucket = 0;
    while (bucket < BUCKETS - 1 && spent > bounds_us[bucket]) bucket++;
    add(&metrics->buckets[bucket], 1);
    add(&metrics->spent_us, spent);
}

void metrics_in_flight(struct metrics *metrics, int change) { atomic_fetch_add(&metrics->in_flight, change); }

static uint64_t value(const _Atomic uint64_t *counter) { return atomic_load_explicit(counter, memory_order_relaxed); }

static void write_answers(const struct metrics *metrics, FILE *out)
{
    size_t count = contract_count(metrics->contract);
    fputs("# HELP utvag_requests_total Answers by operation and status class.\n"
          "# TYPE utvag_requests_total counter\n",
          out);
    for (size_t i = 0; i <= count; i++)
        for (int class = 0; class < CLASSES; class ++) {
            uint64_t answers = value(&metrics->operations[i].answers[class]);
            const char *name = i < count ? contract_at(metrics->contract, i)->id : "none";
            if (answers)
                fprintf(out, "utvag_requests_total{operation=\"%s\",status=\"%dxx\"} %llu\n", name, class + 1,
                        (unsigned long long)answers);
        }
}

static void write_latency(const struct metrics *metrics, FILE *out)
{
    fputs("# HELP utvag_request_seconds Time from the request's arrival to its answer.\n"
          "# TYPE utvag_request_seconds histogram\n",
          out);
    uint64_t total = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        total += value(&metrics->buckets[i]);
        if (i < BUCKETS - 1)
            fprintf(out, "utvag_request_seconds_bucket{le=\"%g\"} %llu\n", (double)bounds_us[i] / 1e6,
                    (unsigned long long)total);
    }
    fprintf(out,
            "utvag_request_seconds_bucket{le=\"+Inf\"} %llu\nutvag_request_seconds_sum %.6f\n"
            "utvag_request_seconds_count %llu\n",
            (unsigned long long)total, (double)value(&metrics->spent_us) / 1e6, (unsigned long long)total);
}

char *metrics_text(const struct metrics *metrics)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out) return NULL;
    write_answers(metrics, out);
    write_latency(metrics, out);
    fprintf(out, "# HELP utvag_in_flight Requests being answered.\n# TYPE utvag_in_flight gauge\nutvag_in_flight %d\n",
            atomic_load(&metrics->in_flight));
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
