/*
 * publish.h - one writer shows zones, many readers look, nobody waits.
 *
 * A reader says "I am looking" before it takes the pointer and "I am not" after
 * its batch; each has a cache line of its own, so looking costs no contention.
 * The writer frees a zone once every reader either is not looking or has been
 * seen with a younger one. Publishing and freeing belong to one thread.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/core/zone.h"

struct reader {
    /* READER_IDLE, READER_ENTERING or the sequence of the zone looked at. */
    _Alignas(64) _Atomic uint64_t seen;
};

#define READER_IDLE     UINT64_MAX
#define READER_ENTERING 0

struct publisher {
    _Atomic(struct dns_zone *) current; /* NULL before the first. */
    struct dns_zone **old; /* Replaced, oldest first, not freed yet. */
    size_t old_count;
    size_t old_cap;
    struct reader **readers;
    size_t readers_count;
};

/* `readers` lives as long as the publisher. */
void publisher_init(struct publisher *p, struct reader **readers,
                    size_t readers_count);

/* Show `zone`; free what nobody looks at. */
void publisher_show(struct publisher *p, struct dns_zone *zone);

/* After the last reader is gone: free everything. */
void publisher_release(struct publisher *p);

/* The zone to look at until reader_leave(); NULL before the first. */
const struct dns_zone *reader_enter(struct reader *r,
                                    const struct publisher *p);
void reader_leave(struct reader *r);
