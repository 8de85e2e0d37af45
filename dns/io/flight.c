#include "dns/io/flight.h"

#include <openssl/rand.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/io/counts.h"

enum {
    FAIL_MS = 2000,  /* RFC 9520, 3.2: at least a second. */
    HOLD_MS = 30000, /* RFC 8767, 5: the failure recheck timer. */
};

static struct dns_asked asked_of(const struct flight *f)
{
    return (struct dns_asked){
        .name = slice_of(f->query + DNS_HEADER_BYTES, f->name.len),
        .type = f->type,
        .dnssec_ok = f->dnssec_ok,
        .ttl_max_s = f->recursion->ttl_max_s,
    };
}

static void on_stale(uv_timer_t *timer);

static void stale_plan(struct upstream *u)
{
    const struct flight *first = TAILQ_FIRST(&u->stale);
    uint64_t now = upstream_now_ms(u);

    if (first == NULL) {
        (void)uv_timer_stop(&u->stale_timer);
        return;
    }
    CHECK(uv_timer_start(
              &u->stale_timer, on_stale,
              first->stale_at_ms > now ? first->stale_at_ms - now : 0, 0) == 0);
}

static void stale_forget(struct flight *f)
{
    if (f->in_stale) {
        TAILQ_REMOVE(&f->upstream->stale, f, stale_link);
        f->in_stale = false;
    }
}

static void flight_free(struct flight *f)
{
    struct upstream *u = f->upstream;

    stale_forget(f);
    HASH_DELETE(hh, u->flights, f);
    u->flights_count--;
    recursion_unref(f->recursion);
    free(f);
}

/* ---- Those who wait ----------------------------------------------------- */

static void serve_all(struct flight *f, const struct dns_cached *found,
                      bool stale)
{
    struct errand_part *part;

    while ((part = LIST_FIRST(&f->waiting)) != NULL) {
        LIST_REMOVE(part, link);
        part_reply(part, found, stale);
    }
}

static void fail_all(struct flight *f, int extended_error)
{
    struct errand_part *part;

    while ((part = LIST_FIRST(&f->waiting)) != NULL) {
        LIST_REMOVE(part, link);
        part->extended_error = extended_error;
        part_done(part, ERRAND_FAILED);
    }
}

/* Clients that came by UDP get the truncated answer and ask again over TCP;
 * where the answer is to be a part of ours, it has to be whole. */
static void truncate_some(struct flight *f)
{
    struct errand_part *part = LIST_FIRST(&f->waiting);

    while (part != NULL) {
        struct errand_part *next = LIST_NEXT(part, link);

        if (!part->errand->tcp && part->errand->kind == RESPONSE_FORWARD) {
            LIST_REMOVE(part, link);
            part_done(part, ERRAND_TRUNCATED);
        }
        part = next;
    }
}

/* The stale answer at hand, if there is one, is given to all. */
static bool serve_stale(struct flight *f)
{
    uint8_t space[LIMIT_DNS_TCP];
    struct upstream *u = f->upstream;
    struct dns_cached found;
    enum dns_cache_state state =
        shared_cache_get(u->cache, &f->key, upstream_now_ms(u), space, &found);

    if (state != DNS_CACHE_STALE && state != DNS_CACHE_HELD) {
        return false;
    }
    serve_all(f, &found, true);
    return true;
}

/* Those who have waited long enough for something better. */
static void on_stale(uv_timer_t *timer)
{
    struct upstream *u = timer->data;
    struct flight *f;

    while ((f = TAILQ_FIRST(&u->stale)) != NULL &&
           f->stale_at_ms <= upstream_now_ms(u)) {
        stale_forget(f);
        (void)serve_stale(f);
    }
    stale_plan(u);
}

/* ---- Ends ---------------------------------------------------------------- */

static void flight_failed(struct flight *f)
{
    struct upstream *u = f->upstream;
    struct dns_cache_failure failure = {
        .extended_error =
            f->heard ? DNS_EDE_NETWORK_ERROR : DNS_EDE_NO_AUTHORITY,
        .fail_ms = FAIL_MS,
        .hold_ms = HOLD_MS,
    };

    shared_cache_fail(u->cache, &f->key, &failure, upstream_now_ms(u));
    if (!serve_stale(f)) {
        fail_all(f, failure.extended_error);
    }
    flight_free(f);
}

static void flight_landed(struct flight *f, struct dns_reply *reply)
{
    struct upstream *u = f->upstream;
    struct dns_cached found = {.reply = slice_of(reply->bytes, reply->len)};

    shared_cache_put(u->cache, &f->key, found.reply, reply->ttl_s,
                     upstream_now_ms(u));
    serve_all(f, &found, false);
    dns_reply_release(reply);
    flight_free(f);
}

/* ---- Asking -------------------------------------------------------------- */

static void put_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Letters in random case: whoever answers unseen has to guess them, too. */
static void spell(uint8_t *name, size_t len)
{
    uint8_t coins[(DNS_NAME_MAX + 7) / 8];

    CHECK(RAND_bytes(coins, sizeof(coins)) == 1);
    for (size_t i = 0; i < len; i++) {
        bool letter = name[i] >= 'a' && name[i] <= 'z';

        if (letter && (coins[i / 8] >> i % 8 & 1)) {
            name[i] = (uint8_t)(name[i] - 'a' + 'A');
        }
    }
}

/* RFC 6891: OPT with the option that lists the agents passed. */
static size_t put_opt(const struct flight *f, uint8_t *at)
{
    memset(at, 0, 11);
    at[2] = DNS_TYPE_OPT;
    put_u16(at + 3, LIMIT_DNS_UDP);
    put_u16(at + 7, f->dnssec_ok ? 0x8000 : 0);
    put_u16(at + 9, (unsigned)f->path_len + 4);
    put_u16(at + 11, DNS_OPTION_PATH);
    put_u16(at + 13, (unsigned)f->path_len);
    memcpy(at + 15, f->path, f->path_len);
    return 15 + f->path_len;
}

static void make_query(struct flight *f)
{
    uint8_t *out = f->query;
    size_t len = DNS_HEADER_BYTES;

    memset(out, 0, DNS_HEADER_BYTES);
    CHECK(RAND_bytes(out, 2) == 1);
    put_u16(out + 2, DNS_FLAG_RD | (f->checking_disabled ? DNS_FLAG_CD : 0));
    put_u16(out + 4, 1);
    put_u16(out + 10, f->plain ? 0 : 1);
    memcpy(out + len, f->name.bytes, f->name.len);
    if (!f->tcp) {
        spell(out + len, f->name.len);
    }
    len += f->name.len;
    put_u16(out + len, f->type);
    put_u16(out + len + 2, DNS_CLASS_IN);
    len += 4;
    f->query_len = len + (f->plain ? 0 : put_opt(f, out + len));
}

static void on_exchanged(void *arg, enum exchange_end end, struct slice packet);

static void ask_present(struct flight *f)
{
    struct upstream *u = f->upstream;
    uint8_t number = f->order[f->next - 1];
    struct exchange_to to = {
        .server = f->recursion->recursors[number].text,
        .timeout_ms = f->recursion->timeout_ms,
        .tcp = f->tcp,
        .edns = !f->plain,
    };

    make_query(f);
    f->asked_ns = uv_hrtime();
    if (f->recursion == u->recursion) {
        count(&u->recursors[u->stats_of[number]].asked);
    }
    exchange_start(u->exchanges, &to, slice_of(f->query, f->query_len),
                   on_exchanged, f);
}

static void ask_next(struct flight *f)
{
    if (f->next == f->order_count) {
        flight_failed(f);
        return;
    }
    f->next++;
    f->plain = false;
    ask_present(f);
}

/* ---- What comes back ----------------------------------------------------- */

static void count_latency(struct upstream *u, uint64_t took_ns)
{
    uint64_t bound_us = DNS_LATENCY_FIRST_US;
    unsigned bucket = 0;

    while (bucket < DNS_LATENCY_BUCKETS && took_ns / 1000 > bound_us) {
        bound_us *= 2;
        bucket++;
    }
    count(&u->latency[bucket]);
    count_add(&u->latency_us, (int64_t)(took_ns / 1000));
}

/* The recursor did its work, or it did not. What a flight of an earlier
 * configuration finds out is of recursors with other numbers. */
static void judge(struct flight *f, bool good, bool demote)
{
    struct upstream *u = f->upstream;
    uint8_t number = f->order[f->next - 1];
    struct recursor_stats *stats;

    if (f->recursion != u->recursion) {
        return;
    }
    stats = &u->recursors[u->stats_of[number]];
    count(good ? &stats->answered : &stats->failed);
    if (good) {
        dns_recursor_answered(&u->health, number);
    } else if (demote) {
        dns_recursor_failed(&u->health, number, upstream_now_ms(u));
    }
}

static void over_tcp(struct flight *f)
{
    f->tcp = true;
    if (LIST_EMPTY(&f->waiting)) {
        flight_free(f); /* Nobody is left who would wait. */
    } else {
        ask_present(f);
    }
}

static void on_answer(struct flight *f, struct slice packet)
{
    struct dns_asked asked = asked_of(f);
    struct dns_reply reply;
    enum dns_reply_verdict verdict = dns_reply_read(packet, &asked, &reply);

    switch (verdict) {
    case DNS_REPLY_GOOD:
        judge(f, true, false);
        flight_landed(f, &reply);
        return;
    case DNS_REPLY_TRUNCATED:
        judge(f, true, false);
        if (f->tcp) {
            break; /* TCP has room for everything. */
        }
        truncate_some(f);
        over_tcp(f);
        return;
    case DNS_REPLY_MISSPELT:
        count(&f->upstream->rejected);
        if (f->tcp) {
            break;
        }
        over_tcp(f);
        return;
    case DNS_REPLY_FORMERR:
        f->heard = true;
        if (!f->plain) {
            f->plain = true; /* RFC 6891, 6.2.2. */
            ask_present(f);
            return;
        }
        judge(f, false, false);
        break;
    case DNS_REPLY_FOREIGN:
    case DNS_REPLY_BROKEN:
        count(&f->upstream->rejected);
        judge(f, false, true);
        break;
    case DNS_REPLY_LAME:
    case DNS_REPLY_REFUSED:
        f->heard = true;
        judge(f, false, true);
        break;
    case DNS_REPLY_FAILED: /* Of this name; others it may well know. */
        f->heard = true;
        judge(f, false, false);
        break;
    }
    ask_next(f);
}

static void on_exchanged(void *arg, enum exchange_end end, struct slice packet)
{
    struct flight *f = arg;

    if (end == EXCHANGE_ANSWERED) {
        count_latency(f->upstream, uv_hrtime() - f->asked_ns);
        on_answer(f, packet);
        return;
    }
    /* One that has no TCP is not worse than before. */
    judge(f, false, !f->tcp);
    ask_next(f);
}

/* ---- Beginnings ---------------------------------------------------------- */

static void take_path(struct flight *f, const struct errand *e)
{
    const struct upstream *u = f->upstream;

    CHECK(e->path_len + sizeof(u->id) <= sizeof(f->path));
    memcpy(f->path, u->id, sizeof(u->id));
    if (e->path_len > 0) {
        memcpy(f->path + sizeof(u->id), e->packet + e->path_at, e->path_len);
    }
    f->path_len = sizeof(u->id) + e->path_len;
}

static struct flight *flight_new(struct upstream *u,
                                 const struct errand_part *part,
                                 const struct dns_cache_key *key,
                                 const struct dns_route *route)
{
    struct flight *f = calloc(1, sizeof(*f));
    const struct errand *e = part->errand;

    CHECK(f != NULL);
    f->upstream = u;
    f->recursion = recursion_ref(u->recursion);
    f->key = *key;
    f->name = part->name;
    dns_name_lower(&f->name);
    f->type = part->type;
    f->dnssec_ok = e->dnssec_ok;
    f->checking_disabled = e->checking_disabled;
    f->tcp = e->tcp;
    take_path(f, e);
    LIST_INIT(&f->waiting);
    f->order_count = route->count;
    dns_recursors_arrange(route, u->recursion->order, &u->health,
                          upstream_now_ms(u), &u->rng, f->order);
    HASH_ADD_KEYPTR(hh, u->flights, f->key.bytes, f->key.len, f);
    u->flights_count++;
    return f;
}

static void begin(struct upstream *u, struct errand_part *part,
                  const struct dns_cache_key *key, bool stale)
{
    const struct dns_route *route =
        dns_routes_find(&u->recursion->routes, dns_name_slice(&part->name));
    struct flight *f;

    if (route == NULL) {
        part_done(part, ERRAND_UNROUTED);
        return;
    }
    if (u->flights_count == LIMIT_DNS_FORWARDS) {
        part->extended_error = DNS_EDE_NO_AUTHORITY;
        part_done(part, ERRAND_FAILED);
        return;
    }
    f = flight_new(u, part, key, route);
    LIST_INSERT_HEAD(&f->waiting, part, link);
    if (stale) {
        f->stale_at_ms = upstream_now_ms(u) + u->recursion->stale_wait_ms;
        f->in_stale = true;
        TAILQ_INSERT_TAIL(&u->stale, f, stale_link);
        stale_plan(u);
    }
    ask_next(f);
}

void flight_join(struct upstream *u, struct errand_part *part)
{
    uint8_t space[LIMIT_DNS_TCP];
    const struct errand *e = part->errand;
    struct dns_cached found = {0};
    struct dns_cache_key key;
    struct flight *f;
    enum dns_cache_state state;

    dns_cache_key_make(&key, dns_name_slice(&part->name), part->type,
                       e->dnssec_ok, e->checking_disabled);
    HASH_FIND(hh, u->flights, key.bytes, key.len, f);
    if (f != NULL) {
        count(&u->joined);
        LIST_INSERT_HEAD(&f->waiting, part, link);
        if (f->stale_at_ms > 0 && f->stale_at_ms <= upstream_now_ms(u)) {
            (void)serve_stale(f); /* As those before it. */
        }
        return;
    }
    /* It may have come while this was on its way here. */
    state = shared_cache_get(u->cache, &key, upstream_now_ms(u), space, &found);
    switch (state) {
    case DNS_CACHE_FRESH:
    case DNS_CACHE_HELD:
        part_reply(part, &found, state == DNS_CACHE_HELD);
        return;
    case DNS_CACHE_FAILED:
        part->extended_error = found.extended_error;
        part_done(part, ERRAND_FAILED);
        return;
    case DNS_CACHE_MISS:
    case DNS_CACHE_STALE:
        begin(u, part, &key, state == DNS_CACHE_STALE);
        return;
    }
}

void flights_drop_all(struct upstream *u)
{
    struct flight *f;
    struct flight *next;

    HASH_ITER(hh, u->flights, f, next)
    {
        CHECK(LIST_EMPTY(&f->waiting));
        flight_free(f);
    }
}
