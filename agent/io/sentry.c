#include "agent/io/sentry.h"

#include <stdlib.h>
#include <uv.h>

#include "agent/io/link.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/loop.h"

#define KNOCK_MS 1000 /* Then a door is silent. */

struct sentry {
    struct loop *loop;
    struct link *link;
    struct sentry_hooks hooks;
    struct guard *guard;
    struct knocks *knocks;
    uv_timer_t due;
    struct arena arena;     /* Of `work`. */
    struct guard_work work; /* Decided, not shown yet. */
    struct catalog *before; /* For a refill. */
    bool emptied;           /* As the guard said last. */
    bool refill_over;       /* To be told. */
    bool knocking;          /* Within knock_all(). */
    struct loop_task news;  /* Tell of verdicts. */
    bool stopping;
    unsigned open;
    sentry_stopped_fn *on_stopped;
    void *arg;
};

static void closed_one(struct sentry *s)
{
    if (--s->open > 0) {
        return;
    }
    guard_free(s->guard);
    knocks_free(s->knocks);
    catalog_unref(s->before);
    arena_release(&s->arena);
    s->on_stopped(s->arg);
    free(s);
}

/* ---- The guard --------------------------------------------------------- */

static void on_due(uv_timer_t *timer);

static void wake_when_due(struct sentry *s)
{
    uint64_t due_ms = guard_due_ms(s->guard);
    uint64_t now_ms = loop_now_ms(s->loop);

    (void)uv_timer_stop(&s->due);
    if (due_ms != UINT64_MAX && !s->stopping) {
        CHECK(uv_timer_start(&s->due, on_due,
                             due_ms > now_ms ? due_ms - now_ms : 0, 0) == 0);
    }
}

/* What the guard has said, once. */
static void say(struct sentry *s)
{
    struct guard_status status = guard_status(s->guard);

    if (!s->work.said) {
        return;
    }
    if (status.cause != GUARD_CAUSE_NONE) {
        log_warn("agent",
                 "%s: %s; those that are lost are taken for alive until it is "
                 "over (muster guard off ends it)",
                 s->hooks.title, s->work.said);
    } else {
        log_warn("agent", "%s: over: %s; %zu nodes are let go", s->hooks.title,
                 s->work.said, s->work.release.count);
    }
}

static void decided(struct sentry *s)
{
    bool emptied = guard_status(s->guard).store_emptied;

    say(s);
    s->refill_over = s->emptied && !emptied;
    s->emptied = emptied;
    wake_when_due(s);
}

void sentry_look(struct sentry *s, const struct link_update *update)
{
    struct guard_input in = {.before = update->before,
                             .after = link_catalog(s->link),
                             .lives = update->changes->lives,
                             .gap_ms = link_stale_ms(s->link),
                             .replaced = update->replaced};

    if (update->aside || s->stopping) {
        return;
    }
    arena_reset(&s->arena);
    guard_update(s->guard, &in, loop_now_ms(s->loop), &s->arena, &s->work);
    if (s->work.refill) {
        s->before = catalog_ref(update->before);
    }
    decided(s);
}

static void refill(struct sentry *s)
{
    struct arena arena = {0};
    struct catalog_changes changes;
    struct catalog *next =
        catalog_refill(link_catalog(s->link), s->before, &arena, &changes);

    s->work.refill = false;
    catalog_unref(s->before);
    s->before = NULL;
    link_show(s->link, next, &changes);
    arena_release(&arena);
}

void sentry_act(struct sentry *s)
{
    struct guard_work work = s->work;
    struct arena arena = {0};
    struct catalog_changes changes;

    if (work.refill) {
        refill(s);
    }
    s->work = (struct guard_work){0};
    if (work.hold.count > 0 || work.release.count > 0) {
        struct catalog *next = catalog_hold(link_catalog(s->link), work.hold,
                                            work.release, &arena, &changes);

        link_show(s->link, next, &changes);
    }
    arena_release(&arena);
    if (guard_status(s->guard).held == 0) {
        knocks_clear(s->knocks);
    }
    if (s->refill_over) {
        s->refill_over = false;
        s->hooks.on_refill_over(s->hooks.ctx);
    }
}

static void on_due(uv_timer_t *timer)
{
    struct sentry *s = timer->data;

    arena_reset(&s->arena);
    guard_tick(s->guard, link_catalog(s->link), loop_now_ms(s->loop), &s->arena,
               &s->work);
    decided(s);
    sentry_act(s);
}

void sentry_set_mode(struct sentry *s, enum guard_mode mode)
{
    if (s->stopping) {
        return;
    }
    log_info("agent", "%s: the operator wants it %s", s->hooks.title,
             guard_mode_text(mode));
    arena_reset(&s->arena);
    guard_set_mode(s->guard, mode, link_catalog(s->link), loop_now_ms(s->loop),
                   &s->arena, &s->work);
    decided(s);
    sentry_act(s);
}

void sentry_set_limits(struct sentry *s, const struct guard_limits *limits)
{
    guard_set_limits(s->guard, limits);
    wake_when_due(s);
}

struct guard_status sentry_status(const struct sentry *s)
{
    return guard_status(s->guard);
}

/* ---- Doors ------------------------------------------------------------- */

/* One connection that is tried. */
struct knocking {
    struct sentry *sentry;
    uint64_t id;
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_timer_t timer;
    unsigned open;
    bool done;
};

static void knock_all(struct sentry *s);

static void on_knock_closed(uv_handle_t *handle)
{
    struct knocking *k = handle->data;
    struct sentry *s = k->sentry;

    if (--k->open == 0) {
        free(k);
        closed_one(s);
    }
}

static void on_news(struct loop_task *task)
{
    struct sentry *s =
        (struct sentry *)(void *)((char *)task - offsetof(struct sentry, news));

    s->hooks.on_verdict(s->hooks.ctx);
}

static void knock_end(struct knocking *k, enum knock_verdict verdict)
{
    struct sentry *s = k->sentry;

    if (k->done) {
        return;
    }
    k->done = true;
    if (knocks_done(s->knocks, k->id, verdict, loop_now_ms(s->loop)) &&
        !s->stopping) {
        loop_defer(s->loop, LOOP_WORK, &s->news);
    }
    uv_close((uv_handle_t *)&k->tcp, on_knock_closed);
    uv_close((uv_handle_t *)&k->timer, on_knock_closed);
    if (!s->stopping) {
        knock_all(s);
    }
}

static enum knock_verdict verdict_of(int error)
{
    switch (error) {
    case 0:
        return KNOCK_OPEN;
    case UV_ECONNREFUSED:
    case UV_ECONNRESET:
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
        return KNOCK_SHUT;
    case UV_ETIMEDOUT:
        return KNOCK_SILENT;
    default:
        return KNOCK_UNKNOWN; /* Our own trouble says nothing of theirs. */
    }
}

static void on_connected(uv_connect_t *request, int error)
{
    knock_end(request->data, verdict_of(error));
}

static void on_silence(uv_timer_t *timer)
{
    knock_end(timer->data, KNOCK_SILENT);
}

/* False: a host name; those are not knocked at. */
static bool address_of(const struct knock_target *target,
                       struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    return uv_ip4_addr(target->address, target->port, v4) == 0 ||
           uv_ip6_addr(target->address, target->port, v6) == 0;
}

static void knock(struct sentry *s, const struct knock_target *target)
{
    struct sockaddr_storage address = {0};
    struct knocking *k;
    int error;

    if (!address_of(target, &address)) {
        (void)knocks_done(s->knocks, target->id, KNOCK_UNKNOWN,
                          loop_now_ms(s->loop));
        return;
    }
    k = calloc(1, sizeof(*k));
    CHECK(k != NULL);
    k->sentry = s;
    k->id = target->id;
    k->tcp.data = k;
    k->timer.data = k;
    k->connect.data = k;
    k->open = 2;
    s->open++;
    CHECK(uv_tcp_init(loop_uv(s->loop), &k->tcp) == 0);
    CHECK(uv_timer_init(loop_uv(s->loop), &k->timer) == 0);
    CHECK(uv_timer_start(&k->timer, on_silence, KNOCK_MS, 0) == 0);
    error = uv_tcp_connect(&k->connect, &k->tcp, (struct sockaddr *)&address,
                           on_connected);
    if (error) {
        knock_end(k, verdict_of(error));
    }
}

static void knock_all(struct sentry *s)
{
    struct knock_target target;

    if (s->knocking) {
        return; /* One has failed at once; the loop goes on. */
    }
    s->knocking = true;
    while (knocks_next(s->knocks, &target)) {
        knock(s, &target);
    }
    s->knocking = false;
}

static bool want(void *ctx, const struct catalog_instance *i)
{
    struct sentry *s = ctx;
    const struct catalog_node *n =
        catalog_node(link_catalog(s->link), i->record.node);

    if (n && n->held) {
        knocks_want(s->knocks,
                    i->record.address[0] != '\0' ? i->record.address
                                                 : n->record.address,
                    i->record.port, loop_now_ms(s->loop));
    }
    return true;
}

void sentry_asked(struct sentry *s, const char *service)
{
    const struct catalog_service *of =
        catalog_service(link_catalog(s->link), service);

    if (of && !s->stopping) {
        catalog_each_instance(of, want, s);
        knock_all(s);
    }
}

enum knock_verdict sentry_verdict(const struct sentry *s, const char *address,
                                  uint16_t port)
{
    return knocks_verdict(s->knocks, address, port);
}

uint64_t sentry_knocks(const struct sentry *s)
{
    return knocks_total(s->knocks);
}

/* ---- Start, stop ------------------------------------------------------- */

struct sentry *sentry_start(struct loop *loop, struct link *link,
                            const struct guard_limits *limits,
                            enum guard_mode mode, struct sentry_hooks hooks)
{
    struct sentry *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->loop = loop;
    s->link = link;
    s->hooks = hooks;
    s->guard = guard_new(limits, mode);
    s->knocks = knocks_new();
    s->news.run = on_news;
    CHECK(uv_timer_init(loop_uv(loop), &s->due) == 0);
    s->due.data = s;
    s->open = 1;
    return s;
}

static void on_due_closed(uv_handle_t *handle)
{
    closed_one(handle->data);
}

/* Connections that are being tried end by themselves, within KNOCK_MS. */
void sentry_stop(struct sentry *s, sentry_stopped_fn *on_stopped, void *arg)
{
    CHECK(!s->stopping);
    s->stopping = true;
    s->on_stopped = on_stopped;
    s->arg = arg;
    loop_undefer(s->loop, LOOP_WORK, &s->news);
    uv_close((uv_handle_t *)&s->due, on_due_closed);
}
