#include "dns/io/upstream.h"

#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/io/counts.h"
#include "dns/io/flight.h"

struct upstream *upstream_new(void)
{
    struct upstream *u = calloc(1, sizeof(*u));
    uint64_t seed;

    CHECK(u != NULL);
    CHECK(RAND_bytes(u->id, sizeof(u->id)) == 1);
    CHECK(RAND_bytes((unsigned char *)&seed, sizeof(seed)) == 1);
    rng_init(&u->rng, seed);
    CHECK(pthread_mutex_init(&u->lock, NULL) == 0);
    STAILQ_INIT(&u->inbox);
    TAILQ_INIT(&u->stale);
    u->cache = shared_cache_new();
    return u;
}

struct shared_cache *upstream_cache(struct upstream *u)
{
    return u->cache;
}

struct slice upstream_id(const struct upstream *u)
{
    return slice_of(u->id, sizeof(u->id));
}

/* ---- Errands come back --------------------------------------------------- */

static void done(struct errand *e)
{
    atomic_fetch_sub(&e->upstream->waiting, 1);
    errand_done(e);
}

void part_done(struct errand_part *part, enum errand_outcome outcome)
{
    struct errand *e = part->errand;

    part->outcome = outcome;
    CHECK(e->waiting > 0);
    if (--e->waiting == 0) {
        done(e);
    }
}

void part_reply(struct errand_part *part, const struct dns_cached *found,
                bool stale)
{
    part->reply = malloc(found->reply.len);
    CHECK(part->reply != NULL);
    memcpy(part->reply, found->reply.data, found->reply.len);
    part->reply_len = found->reply.len;
    part->age_s = found->age_s;
    part->stale = stale;
    part_done(part, ERRAND_HEARD);
}

static void refuse(struct errand *e)
{
    e->refused = true;
    done(e);
}

bool upstream_ask(struct upstream *u, struct errand *e)
{
    bool taken;

    CHECK(pthread_mutex_lock(&u->lock) == 0);
    taken = u->running && !u->stopping &&
            atomic_load(&u->waiting) < LIMIT_DNS_WAITING;
    if (taken) {
        e->upstream = u;
        atomic_fetch_add(&u->waiting, 1);
        STAILQ_INSERT_TAIL(&u->inbox, e, link);
        CHECK(uv_async_send(&u->wake) == 0);
    }
    CHECK(pthread_mutex_unlock(&u->lock) == 0);
    return taken;
}

/* ---- The thread ---------------------------------------------------------- */

/* The counters of a recursor stay its own over reloads; past the last place
 * newcomers share one. */
static uint8_t stats_index(struct upstream *u, const char *text)
{
    size_t used = atomic_load(&u->recursors_count);

    for (size_t i = 0; i < used; i++) {
        if (strcmp(u->recursors[i].text, text) == 0) {
            return (uint8_t)i;
        }
    }
    if (used == DNS_UPSTREAM_STATS_MAX) {
        return DNS_UPSTREAM_STATS_MAX - 1;
    }
    strcpy(u->recursors[used].text, text);
    atomic_store(&u->recursors_count, used + 1);
    return (uint8_t)used;
}

static void adopt(struct upstream *u, struct recursion *r)
{
    recursion_unref(u->recursion);
    u->recursion = r;
    u->health = (struct dns_recursor_health){0};
    for (size_t i = 0; i < r->count; i++) {
        u->stats_of[i] = stats_index(u, r->recursors[i].text);
    }
}

static void take_errand(struct upstream *u, struct errand *e)
{
    size_t parts = e->parts_count;

    if (u->closing) {
        refuse(e);
        return;
    }
    /* With its last part done the errand is gone. */
    for (size_t i = 0; i < parts; i++) {
        flight_join(u, &e->parts[i]);
    }
}

static void refuse_waiting(struct upstream *u)
{
    struct flight *f;
    struct flight *next;

    HASH_ITER(hh, u->flights, f, next)
    {
        struct errand_part *part;

        while ((part = LIST_FIRST(&f->waiting)) != NULL) {
            LIST_REMOVE(part, link);
            part->errand->refused = true;
            part_done(part, ERRAND_FAILED);
        }
    }
}

static void end(struct upstream *u)
{
    u->closing = true;
    refuse_waiting(u);
    exchanges_close(u->exchanges);
    flights_drop_all(u);
    uv_close((uv_handle_t *)&u->stale_timer, NULL);
    uv_close((uv_handle_t *)&u->wake, NULL);
}

static void on_wake(uv_async_t *wake)
{
    struct upstream *u = wake->data;
    struct errands taken;
    struct recursion *wanted;
    struct errand *e;
    bool stopping;

    STAILQ_INIT(&taken);
    atomic_store(&u->turned, true);
    CHECK(pthread_mutex_lock(&u->lock) == 0);
    STAILQ_CONCAT(&taken, &u->inbox);
    wanted = u->wanted;
    u->wanted = NULL;
    stopping = u->stopping;
    CHECK(pthread_mutex_unlock(&u->lock) == 0);
    if (wanted != NULL) {
        adopt(u, wanted);
    }
    if (stopping && !u->closing) {
        end(u);
    }
    while ((e = STAILQ_FIRST(&taken)) != NULL) {
        STAILQ_REMOVE_HEAD(&taken, link);
        take_errand(u, e);
    }
}

static void *run(void *arg)
{
    struct upstream *u = arg;

    (void)pthread_setname_np(pthread_self(), "muster-upstream");
    (void)uv_run(&u->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void close_loop(struct upstream *u)
{
    CHECK(uv_loop_close(&u->loop) == 0);
    recursion_unref(u->recursion);
    u->recursion = NULL;
}

static void set_running(struct upstream *u, bool running)
{
    CHECK(pthread_mutex_lock(&u->lock) == 0);
    u->running = running;
    CHECK(pthread_mutex_unlock(&u->lock) == 0);
}

/* Signals are for the main thread. */
static enum status start(struct upstream *u, struct err *err)
{
    sigset_t all;
    sigset_t before;
    int error;

    CHECK(uv_loop_init(&u->loop) == 0);
    CHECK(uv_async_init(&u->loop, &u->wake, on_wake) == 0);
    CHECK(uv_timer_init(&u->loop, &u->stale_timer) == 0);
    u->wake.data = u;
    u->stale_timer.data = u;
    u->exchanges = exchanges_new(&u->loop);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&u->thread, NULL, run, u);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        end(u);
        (void)uv_run(&u->loop, UV_RUN_DEFAULT);
        close_loop(u);
        u->closing = false;
        return err_set(err, ST_IO, "cannot start the thread that forwards: %s",
                       strerror(error));
    }
    atomic_store(&u->turned, true);
    set_running(u, true);
    return ST_OK;
}

enum status upstream_set(struct upstream *u, struct recursion *r,
                         struct err *err)
{
    struct recursion *before;

    shared_cache_limit(u->cache, &r->cache);
    if (!u->running) {
        if (r->count == 0) {
            return ST_OK;
        }
        adopt(u, recursion_ref(r));
        return start(u, err);
    }
    CHECK(pthread_mutex_lock(&u->lock) == 0);
    before = u->wanted;
    u->wanted = recursion_ref(r);
    CHECK(pthread_mutex_unlock(&u->lock) == 0);
    recursion_unref(before);
    CHECK(uv_async_send(&u->wake) == 0);
    return ST_OK;
}

bool upstream_pulse(struct upstream *u)
{
    bool turned;

    if (!u->running) {
        return true;
    }
    turned = atomic_exchange(&u->turned, false);
    CHECK(uv_async_send(&u->wake) == 0);
    return turned;
}

void upstream_stop(struct upstream *u)
{
    if (u == NULL || !u->running) {
        return;
    }
    CHECK(pthread_mutex_lock(&u->lock) == 0);
    u->stopping = true;
    CHECK(uv_async_send(&u->wake) == 0);
    CHECK(pthread_mutex_unlock(&u->lock) == 0);
    CHECK(pthread_join(u->thread, NULL) == 0);
    close_loop(u);
    set_running(u, false);
}

void upstream_free(struct upstream *u)
{
    if (u == NULL) {
        return;
    }
    CHECK(!u->running);
    recursion_unref(u->wanted);
    shared_cache_free(u->cache);
    (void)pthread_mutex_destroy(&u->lock);
    free(u);
}

/* ---- Numbers ------------------------------------------------------------- */

void upstream_stats(struct upstream *u, struct dns_upstream_stats *out_stats)
{
    struct dns_upstream_stats *s = out_stats;
    struct dns_cache_size size;

    memset(s, 0, sizeof(*s));
    shared_cache_size(u->cache, &size);
    s->cache_bytes = size.bytes;
    s->cache_entries = size.entries;
    s->cache_evicted = size.evicted;
    s->joined = atomic_load(&u->joined);
    s->rejected = atomic_load(&u->rejected);
    s->waiting = atomic_load(&u->waiting);
    for (unsigned i = 0; i <= DNS_LATENCY_BUCKETS; i++) {
        s->latency[i] = atomic_load(&u->latency[i]);
    }
    s->latency_us = atomic_load(&u->latency_us);
    s->recursors_count = atomic_load(&u->recursors_count);
    for (size_t i = 0; i < s->recursors_count; i++) {
        const struct recursor_stats *from = &u->recursors[i];

        s->recursors[i].address = from->text;
        s->recursors[i].asked = atomic_load(&from->asked);
        s->recursors[i].answered = atomic_load(&from->answered);
        s->recursors[i].failed = atomic_load(&from->failed);
    }
}
