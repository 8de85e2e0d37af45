/*
 * flight.h - one question on its way through a name's recursors.
 *
 * Those who have the same question wait for the same flight. The recursors are
 * asked one after the other: NOERROR and NXDOMAIN are final, everything else
 * goes on to the next. Belongs to the upstream thread; for upstream.c and
 * flight.c only.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

#include "dns/core/reply.h"
#include "dns/io/exchange.h"
#include "dns/io/upstream.h"

#define FLIGHT_QUERY_MAX \
    (DNS_HEADER_BYTES + DNS_NAME_MAX + 4 + 11 + 4 + UPSTREAM_PATH_MAX)

struct flight {
    UT_hash_handle hh; /* By key. */
    TAILQ_ENTRY(flight) stale_link;
    struct upstream *upstream;
    struct recursion *recursion; /* As it was when this began. */
    struct dns_cache_key key;
    struct dns_name name; /* Lower case. */
    uint16_t type;
    bool dnssec_ok;
    bool checking_disabled;
    uint8_t path[UPSTREAM_PATH_MAX]; /* Agents, ours included. */
    size_t path_len;
    struct errand_parts waiting;
    uint8_t order[DNS_ROUTE_RECURSORS_MAX];
    size_t order_count;
    size_t next; /* In `order`; the one before is being asked. */
    bool tcp;
    bool plain;    /* Without OPT. */
    bool heard;    /* Somebody answered, if only to refuse. */
    bool in_stale; /* In the list of those with a stale answer at hand. */
    uint64_t stale_at_ms; /* When those who wait get that. */
    uint64_t asked_ns;
    uint8_t query[FLIGHT_QUERY_MAX];
    size_t query_len;
};

TAILQ_HEAD(flights, flight);

struct recursor_stats {
    char text[RECURSOR_TEXT_MAX];
    _Atomic uint64_t asked;
    _Atomic uint64_t answered;
    _Atomic uint64_t failed;
};

struct upstream {
    pthread_t thread;
    bool running;
    atomic_bool turned; /* Since it was asked for the last time. */
    uint8_t id[UPSTREAM_ID_BYTES];
    struct shared_cache *cache;

    /* Between threads. */
    pthread_mutex_t lock;
    uv_async_t wake;
    struct errands inbox;
    struct recursion *wanted; /* The newest; NULL: none yet. */
    bool stopping;
    _Atomic unsigned waiting; /* Errands that have not come back. */

    /* The thread's own. */
    uv_loop_t loop;
    struct exchanges *exchanges;
    struct recursion *recursion;
    struct dns_recursor_health health;
    uint8_t stats_of[DNS_RECURSORS_MAX]; /* Of the recursion's recursors. */
    struct rng rng;
    struct flight *flights; /* By key. */
    unsigned flights_count;
    struct flights stale; /* Those with a stale answer, the next due first. */
    uv_timer_t stale_timer;
    bool closing;

    /* Written by the thread, read by anybody. */
    struct recursor_stats recursors[DNS_UPSTREAM_STATS_MAX];
    _Atomic size_t recursors_count;
    _Atomic uint64_t joined;
    _Atomic uint64_t rejected;
    _Atomic uint64_t latency[DNS_LATENCY_BUCKETS + 1];
    _Atomic uint64_t latency_us;
};

/* A part's question is to be asked, by a flight of its own or another's. */
void flight_join(struct upstream *u, struct errand_part *part);

/* Forget them; who waits has been taken care of. */
void flights_drop_all(struct upstream *u);

/* The part has its outcome (upstream.c). */
void part_done(struct errand_part *part, enum errand_outcome outcome);
void part_reply(struct errand_part *part, const struct dns_cached *found,
                bool stale);

static inline uint64_t upstream_now_ms(struct upstream *u)
{
    return uv_now(&u->loop);
}
