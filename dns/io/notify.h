/*
 * notify.h - tells secondaries that a zone has changed (RFC 1996).
 *
 * One NOTIFY at a time to each secondary about each zone, sent again after 1,
 * 2, 4 and 8 s until it is answered, and given up after that: a secondary that
 * was away asks by itself when it is back. The next one goes out
 * notify_interval after the one before, however often the zone has changed.
 * With other rules all are told anew: what was due may have been lost.
 * Answers count from the address that was asked, with our id and question, and
 * our key's signature if there is one.
 */
#pragma once

#include <stdatomic.h>
#include <uv.h>

#include "dns/io/transfer_rules.h"

struct notifier;

struct notify_counts {
    _Atomic uint64_t sent;
    _Atomic uint64_t answered;
    _Atomic uint64_t failed;
};

/* Of the loop's thread. Everything is borrowed. */
struct notifier *notifier_new(uv_loop_t *loop, struct notify_counts *counts);

/* It is sent from the first of these that can reach its target; they stay until
 * the next call. */
void notifier_listen(struct notifier *n, const union address *own,
                     size_t own_count);

/* The secondaries are now those of `rules`, which stay until the next call;
 * NULL: none. */
void notifier_set(struct notifier *n, const struct transfer_rules *rules);

/* There is a new serial of our domain number `domain`. */
void notifier_changed(struct notifier *n, const struct dns_zone *zone,
                      unsigned domain);

/* The memory goes with the loop. */
void notifier_close(struct notifier *n);
