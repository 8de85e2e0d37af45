#include <uv.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/core/reply.h"
#include "dns/io/responder.h"
#include "dns/io/shared_cache.h"

static int stale_error(struct slice reply)
{
    return (reply.data[3] & 15) == DNS_NXDOMAIN ? DNS_EDE_STALE_NXDOMAIN
                                                : DNS_EDE_STALE;
}

size_t responder_relay(struct responder *r, const struct query *query,
                       const struct dns_question *q,
                       const struct dns_cached *found, bool stale, uint8_t *out)
{
    struct dns_transport t = responder_transport(r, q, query);
    struct dns_dress dress = {
        .age_s = found->age_s,
        .stale = stale,
        .extended_error = stale ? stale_error(found->reply) : DNS_EDE_NONE,
        .transport = &t,
    };
    size_t len = dns_reply_dress(found->reply, q, &dress, out);

    if (stale) {
        count(&r->counts->cache_stale);
    }
    responder_count(r, out);
    return len;
}

size_t responder_truncated(struct responder *r, const struct query *query,
                           const struct dns_question *q, uint8_t *out)
{
    struct dns_transport t = responder_transport(r, q, query);
    size_t len = dns_pack_error(q, DNS_NOERROR, &t, out);

    out[2] |= DNS_FLAG_TC >> 8;
    responder_count(r, out);
    return len;
}

size_t responder_chased(struct responder *r, const struct dns_zone *zone,
                        const struct query *query, const struct dns_question *q,
                        const struct dns_heard *heard, size_t count,
                        uint8_t *out)
{
    struct dns_transport t = responder_transport(r, q, query);
    struct dns_answer answer;
    size_t len;

    arena_reset(&r->scratch);
    dns_decide(zone, q, &r->scratch, &answer);
    if (answer.verdict == DNS_CHASE) {
        dns_chase_add(&r->scratch, &answer, heard, count);
    }
    len = dns_pack(zone, q, &answer, &t, out);
    responder_count(r, out);
    return len;
}

static enum dns_cache_state look_up(struct responder *r,
                                    const struct dns_question *q,
                                    const struct dns_want *want, uint8_t *space,
                                    struct dns_cached *found)
{
    struct dns_cache_key key;

    dns_cache_key_make(&key, want->name, want->type, q->edns.dnssec_ok,
                       (q->flags & DNS_FLAG_CD) != 0);
    return shared_cache_get(r->cache, &key, uv_hrtime() / 1000000, space,
                            found);
}

static enum response forward(struct responder *r, const struct query *query,
                             uint8_t *out, struct taken *taken)
{
    uint8_t space[LIMIT_DNS_TCP];
    const struct dns_question *q = &taken->question;
    struct dns_cached found;

    switch (look_up(r, q, &taken->wants[0], space, &found)) {
    case DNS_CACHE_FRESH:
        count(&r->counts->cache_hits);
        taken->len = responder_relay(r, query, q, &found, false, out);
        return RESPONSE_SEND;
    case DNS_CACHE_HELD:
        taken->len = responder_relay(r, query, q, &found, true, out);
        return RESPONSE_SEND;
    case DNS_CACHE_FAILED:
        count(&r->counts->cache_hits);
        taken->len = responder_failure(r, query, q, found.extended_error, out);
        return RESPONSE_SEND;
    case DNS_CACHE_MISS:
    case DNS_CACHE_STALE:
        count(&r->counts->cache_misses);
        return RESPONSE_FORWARD;
    }
    UNREACHABLE();
}

/* All of it, or upstream gets to hear of all. */
static enum response chase(struct responder *r, const struct dns_zone *zone,
                           const struct query *query, uint8_t *out,
                           struct taken *taken)
{
    uint8_t space[LIMIT_DNS_TCP];
    struct arena arena = {0};
    struct dns_heard heard[DNS_WANTS_MAX];
    size_t known = 0;

    for (; known < taken->wants_count; known++) {
        const struct dns_want *want = &taken->wants[known];
        struct dns_cached found;

        if (look_up(r, &taken->question, want, space, &found) !=
            DNS_CACHE_FRESH) {
            break;
        }
        heard[known] =
            (struct dns_heard){.name = arena_copy(&arena, want->name),
                               .type = want->type,
                               .reply = arena_copy(&arena, found.reply),
                               .age_s = found.age_s};
    }
    if (known == taken->wants_count) {
        count(&r->counts->cache_hits);
        taken->len = responder_chased(r, zone, query, &taken->question, heard,
                                      known, out);
    } else {
        count(&r->counts->cache_misses);
    }
    arena_release(&arena);
    return known == taken->wants_count ? RESPONSE_SEND : RESPONSE_CHASE;
}

enum response responder_remember(struct responder *r,
                                 const struct dns_zone *zone,
                                 const struct query *query, enum response kind,
                                 uint8_t *out, struct taken *taken)
{
    return kind == RESPONSE_FORWARD ? forward(r, query, out, taken)
                                    : chase(r, zone, query, out, taken);
}
