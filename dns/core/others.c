/*
 * Zones of other datacenters. Ours refer to them, so that one pointer shows a
 * reader everything at once; each is freed with the last zone that does.
 */
#include "base/core/check.h"
#include "dns/core/decide.h"

void dns_others_ref(struct dns_zone *const *from, struct dns_zone **to)
{
    for (size_t i = 0; i < LIMIT_DATACENTERS; i++) {
        to[i] = from[i];
        if (to[i] != NULL) {
            to[i]->refs++;
        }
    }
}

void dns_others_unref(struct dns_zone **others)
{
    for (size_t i = 0; i < LIMIT_DATACENTERS; i++) {
        dns_zone_free(others[i]);
        others[i] = NULL;
    }
}

bool dns_turn_to(struct dns_decider *d)
{
    const struct dns_zone *zone = d->home->others[d->place.dc - 1];

    if (zone == NULL) {
        return false;
    }
    d->zone = zone;
    d->config = zone->config;
    return true;
}
