/*
 * counts.h - a worker's counters: written by it alone, read by anybody.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define COUNTS_LIST(X)       \
    X(queries_udp)           \
    X(queries_tcp)           \
    X(answers_prepared)      \
    X(noerror)               \
    X(nxdomain)              \
    X(servfail)              \
    X(refused)               \
    X(truncated)             \
    X(dropped)               \
    X(forwarded)             \
    X(forward_failed)        \
    X(forward_loops)         \
    X(cache_hits)            \
    X(cache_stale)           \
    X(cache_misses)          \
    X(tcp_conns)             \
    X(queries_tls)           \
    X(tls_handshakes)        \
    X(tls_failed)            \
    X(tcp_idle)              \
    X(tcp_evicted)           \
    X(tcp_refused)           \
    X(tcp_slow_readers)      \
    X(tcp_slow_senders)      \
    X(malformed_long)        \
    X(malformed_short)       \
    X(malformed_response)    \
    X(malformed_counts)      \
    X(malformed_name)        \
    X(malformed_options)     \
    X(rate_dropped)          \
    X(rate_slipped)          \
    X(amplified)             \
    X(cookies_good)          \
    X(cookies_new)           \
    X(transfers_whole)       \
    X(transfers_differences) \
    X(transfers_current)     \
    X(transfers_refused)     \
    X(transfers_broken)      \
    X(tsig_bad)

struct counts {
#define X(name) _Atomic uint64_t name;
    COUNTS_LIST(X)
#undef X
};

/* No lock prefix: there is one writer. */
static inline void count_add(_Atomic uint64_t *count, int64_t by)
{
    uint64_t now = atomic_load_explicit(count, memory_order_relaxed);

    atomic_store_explicit(count, now + (uint64_t)by, memory_order_relaxed);
}

static inline void count(_Atomic uint64_t *one)
{
    count_add(one, 1);
}
