/* What /metrics says of forwarding: cache, recursors, how long they take. */

#include <stdio.h>

#include "agent/io/agent_impl.h"
#include "base/core/check.h"
#include "base/core/metrics.h"

enum {
    PLAIN_MAX = 16
};

struct page {
    struct metrics *list;
    struct metric plain[PLAIN_MAX];
    size_t count;
    struct metric asked[DNS_UPSTREAM_STATS_MAX];
    struct metric failed[DNS_UPSTREAM_STATS_MAX];
    char labels[DNS_UPSTREAM_STATS_MAX][96];
    struct metric latency;
    struct metric_buckets buckets;
};

static void add(struct page *p, enum metric_type type, const char *name,
                const char *help, uint64_t value)
{
    struct metric *m = &p->plain[p->count++];

    CHECK(p->count <= PLAIN_MAX);
    *m = (struct metric){
        .name = name, .help = help, .type = type, .value = (double)value};
    metrics_add(p->list, m);
}

static void add_cache(struct page *p, const struct dns_server_stats *w,
                      const struct dns_upstream_stats *s)
{
    add(p, METRIC_COUNTER, "muster_dns_cache_hits_total",
        "Foreign names answered from the cache.", w->cache_hits);
    add(p, METRIC_COUNTER, "muster_dns_cache_misses_total",
        "Foreign names that upstream was needed for.", w->cache_misses);
    add(p, METRIC_COUNTER, "muster_dns_cache_stale_total",
        "Answers that had expired, served because upstream failed.",
        w->cache_stale);
    add(p, METRIC_GAUGE, "muster_dns_cache_bytes", "Used by the cache.",
        s->cache_bytes);
    add(p, METRIC_GAUGE, "muster_dns_cache_entries", "Answers in the cache.",
        s->cache_entries);
    add(p, METRIC_COUNTER, "muster_dns_cache_evicted_total",
        "Answers that made room.", s->cache_evicted);
}

static void add_forwarding(struct page *p, const struct dns_server_stats *w,
                           const struct dns_upstream_stats *s)
{
    add(p, METRIC_COUNTER, "muster_dns_forward_joined_total",
        "Questions that an equal one was under way for.", s->joined);
    add(p, METRIC_COUNTER, "muster_dns_forward_loops_total",
        "Queries that came back to this agent.", w->forward_loops);
    add(p, METRIC_GAUGE, "muster_dns_forward_waiting",
        "Queries that wait for upstream.", s->waiting);
    add(p, METRIC_COUNTER, "muster_dns_upstream_rejected_total",
        "Answers that were not to our question, or none at all.", s->rejected);
}

static void add_recursors(struct page *p, const struct dns_upstream_stats *s)
{
    for (size_t i = 0; i < s->recursors_count; i++) {
        (void)snprintf(p->labels[i], sizeof(p->labels[i]), "recursor=\"%s\"",
                       s->recursors[i].address);
        p->asked[i] =
            (struct metric){.name = "muster_dns_upstream_queries_total",
                            .help = "Questions to a recursor.",
                            .type = METRIC_COUNTER,
                            .labels = p->labels[i],
                            .value = (double)s->recursors[i].asked};
        metrics_add(p->list, &p->asked[i]);
    }
    for (size_t i = 0; i < s->recursors_count; i++) {
        p->failed[i] = (struct metric){
            .name = "muster_dns_upstream_failures_total",
            .help = "Questions that it failed: silent, refusing, broken.",
            .type = METRIC_COUNTER,
            .labels = p->labels[i],
            .value = (double)s->recursors[i].failed};
        metrics_add(p->list, &p->failed[i]);
    }
}

static void add_latency(struct page *p, const struct dns_upstream_stats *s)
{
    p->buckets = (struct metric_buckets){
        .first = DNS_LATENCY_FIRST_US / 1e6,
        .count = DNS_LATENCY_BUCKETS,
        .sum = (double)s->latency_us / 1e6,
    };
    for (unsigned i = 0; i <= DNS_LATENCY_BUCKETS; i++) {
        p->buckets.hits[i] = s->latency[i];
    }
    p->latency = (struct metric){
        .name = "muster_dns_upstream_seconds",
        .help = "Time until a recursor answered.",
        .type = METRIC_HISTOGRAM,
        .buckets = &p->buckets,
    };
    metrics_add(p->list, &p->latency);
}

void agent_upstream_metrics(struct dns_server *dns, struct arena *arena,
                            struct metrics *list)
{
    struct dns_upstream_stats *s = arena_zalloc(arena, 1, sizeof(*s));
    struct page *p = arena_zalloc(arena, 1, sizeof(*p));
    struct dns_server_stats w;

    p->list = list;
    dns_server_upstream_stats(dns, s);
    dns_server_stats(dns, &w);
    add_cache(p, &w, s);
    add_forwarding(p, &w, s);
    add_recursors(p, s);
    add_latency(p, s);
}
