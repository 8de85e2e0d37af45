#include "dns/io/publish.h"

#include <stdlib.h>
#include <string.h>

#include "base/core/check.h"

void publisher_init(struct publisher *p, struct reader **readers,
                    size_t readers_count)
{
    *p = (struct publisher){.readers = readers, .readers_count = readers_count};
}

/* The youngest sequence below which nobody looks. */
static uint64_t oldest_seen(const struct publisher *p)
{
    uint64_t oldest = UINT64_MAX;

    for (size_t i = 0; i < p->readers_count; i++) {
        uint64_t seen = atomic_load(&p->readers[i]->seen);

        if (seen < oldest) {
            oldest = seen;
        }
    }
    return oldest;
}

static void collect(struct publisher *p)
{
    uint64_t oldest = oldest_seen(p);
    size_t freed = 0;

    while (freed < p->old_count && dns_zone_sequence(p->old[freed]) < oldest) {
        dns_zone_free(p->old[freed++]);
    }
    p->old_count -= freed;
    memmove(p->old, p->old + freed, p->old_count * sizeof(p->old[0]));
}

void publisher_show(struct publisher *p, struct dns_zone *zone)
{
    struct dns_zone *before = atomic_exchange(&p->current, zone);

    if (before == NULL) {
        return;
    }
    CHECK(dns_zone_sequence(before) < dns_zone_sequence(zone));
    if (p->old_count == p->old_cap) {
        p->old_cap = p->old_cap == 0 ? 8 : 2 * p->old_cap;
        p->old = realloc(p->old, p->old_cap * sizeof(p->old[0]));
        CHECK(p->old != NULL);
    }
    p->old[p->old_count++] = before;
    collect(p);
}

void publisher_release(struct publisher *p)
{
    for (size_t i = 0; i < p->old_count; i++) {
        dns_zone_free(p->old[i]);
    }
    free(p->old);
    dns_zone_free(atomic_load(&p->current));
    atomic_store(&p->current, NULL);
    p->old = NULL;
    p->old_count = 0;
}

/* The order matters. Were the pointer taken first, the writer could find this
 * reader idle between the two steps and free what it is about to look at. As it
 * is, a writer that finds it idle has exchanged the pointer before, and the
 * reader gets the new one. */
const struct dns_zone *reader_enter(struct reader *r, const struct publisher *p)
{
    const struct dns_zone *zone;

    atomic_store(&r->seen, READER_ENTERING);
    zone = atomic_load(&p->current);
    if (zone != NULL) {
        atomic_store_explicit(&r->seen, dns_zone_sequence(zone),
                              memory_order_release);
    }
    return zone;
}

void reader_leave(struct reader *r)
{
    atomic_store_explicit(&r->seen, READER_IDLE, memory_order_release);
}
