/*
 * metrics.h - numbers for the operator, in Prometheus' text form.
 *
 * A metric is a struct embedded in whatever counts it, filled in by its owner
 * and put on a list once; from then on the owner just changes the number.
 * Whoever is asked for the numbers writes the list. One thread.
 *
 *     s->puts = (struct metric){.name = "etcd_mvcc_put_total",
 *                               .help = "Number of puts.",
 *                               .type = METRIC_COUNTER};
 *     metrics_add(&all, &s->puts);
 *     s->puts.value++;
 *
 * Metrics of one name and different labels are added one after the other.
 */
#pragma once

#include <stdint.h>

#include "base/core/bytes.h"

enum metric_type {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM
};

#define METRIC_BUCKETS_MAX 16

/* Buckets with bounds first, 2 first, 4 first ... and one above them all. */
struct metric_buckets {
    double first;
    unsigned count; /* At most METRIC_BUCKETS_MAX, without the last one. */
    uint64_t hits[METRIC_BUCKETS_MAX + 1];
    double sum;
};

struct metric {
    const char *name;
    const char *help;
    enum metric_type type;
    const char *labels; /* `to="1",kind="x"`, escaped; NULL: none. */
    double value;       /* Of counters and gauges. */
    struct metric_buckets *buckets; /* Of histograms. */
    struct metric *next;
};

/* A zeroed struct is an empty list. It owns nothing. */
struct metrics {
    struct metric *first;
    struct metric *last;
};

void metrics_add(struct metrics *list, struct metric *metric);

/* Count one value of a histogram. */
void metric_observe(struct metric *metric, double value);

/* Append all of them. ST_TOO_BIG: the buffer's limit; what it held is kept,
 * what was added is cut anywhere. */
enum status metrics_write(const struct metrics *list, struct buf *out);
