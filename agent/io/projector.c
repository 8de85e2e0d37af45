#include "agent/io/projector.h"

#include <stddef.h>
#include <stdlib.h>
#include <uv.h>

#include "agent/io/link.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/loop.h"

/* While there is no lease. */
#define AGAIN_MS 1000

struct projector {
    struct loop *loop;
    struct link *link;
    const struct local *local;
    struct projections *core;
    struct arena names;
    struct slice live_key;
    bool on; /* Something is to be written. */
    bool told;
    bool stopping;
    uv_timer_t timer;
    struct loop_task look;
    void (*on_stopped)(void *arg);
    void *arg;
};

static void on_look(struct loop_task *task);

void projector_poke(struct projector *p)
{
    if (!p->stopping && (p->on || projections_count(p->core) > 0)) {
        loop_defer(p->loop, LOOP_WORK, &p->look);
    }
}

static void on_timer(uv_timer_t *timer)
{
    projector_poke(timer->data);
}

static void wake_in(struct projector *p, uint64_t ms)
{
    CHECK(uv_timer_start(&p->timer, on_timer, ms, 0) == 0);
}

static void on_answer(void *arg, struct store_answer *answer)
{
    struct projector *p = arg;
    bool refused =
        answer->result == STORE_REFUSED || answer->result == STORE_TOO_BIG;

    projections_done(p->core, answer, loop_now_ms(p->loop));
    if (refused && !p->told) {
        log_error("agent",
                  "projections: refused by the store: %s; tried again each "
                  "minute",
                  answer->text ? answer->text : "too big");
    }
    p->told = refused || (p->told && answer->result != STORE_DONE);
    store_answer_release(answer);
    projector_poke(p);
}

static void on_look(struct loop_task *task)
{
    struct projector *p =
        (struct projector *)(void *)((char *)task -
                                     offsetof(struct projector, look));
    struct link_stats stats = link_stats(p->link);
    struct projection_ground ground = {.lease = stats.lease_id,
                                       .live_key = p->live_key,
                                       .live_create_revision =
                                           stats.live_create_revision};
    uint64_t now = loop_now_ms(p->loop);
    uint64_t wake_ms = UINT64_MAX;
    struct arena arena = {0};
    struct store_ask ask;

    if (p->stopping) {
        return;
    }
    (void)uv_timer_stop(&p->timer);
    if (!stats.attached || !link_current(p->link)) {
        wake_in(p, AGAIN_MS);
        return;
    }
    if (projections_next(p->core, p->local, &ground, now, &arena, &ask,
                         &wake_ms)) {
        link_store(p->link, &ask, on_answer, p);
    } else if (wake_ms != UINT64_MAX) {
        wake_in(p, wake_ms > now ? wake_ms - now : 1);
    }
    arena_release(&arena);
}

void projector_set(struct projector *p,
                   const struct projection_settings *settings)
{
    p->on = settings->skydns[0] != '\0' || settings->grpc[0] != '\0';
    projections_set(p->core, settings, loop_now_ms(p->loop));
    projector_poke(p);
}

struct projector *projector_start(struct loop *loop, struct link *link,
                                  const struct local *local,
                                  const struct projection_settings *settings)
{
    struct projector *p = calloc(1, sizeof(*p));
    const struct local_host *host = local_host(local);
    struct record_key key = {.kind = RECORD_LIVE, .node = host->node.name};

    CHECK(p != NULL);
    p->loop = loop;
    p->link = link;
    p->local = local;
    p->core = projections_new();
    p->live_key = record_key_write(&p->names, host->datacenter, &key);
    p->look.run = on_look;
    CHECK(uv_timer_init(loop_uv(loop), &p->timer) == 0);
    p->timer.data = p;
    projector_set(p, settings);
    return p;
}

void projector_forget(struct projector *p)
{
    projections_forget(p->core);
    projector_poke(p);
}

bool projector_farewell(struct projector *p, int64_t lease, struct arena *a,
                        struct sync_txn *out_txn)
{
    return projections_farewell(p->core, p->local, lease, a, out_txn);
}

size_t projector_count(const struct projector *p)
{
    return projections_count(p->core);
}

static void on_closed(uv_handle_t *handle)
{
    struct projector *p = handle->data;

    p->on_stopped(p->arg);
}

void projector_stop(struct projector *p, void (*on_stopped)(void *arg),
                    void *arg)
{
    p->stopping = true;
    p->on_stopped = on_stopped;
    p->arg = arg;
    loop_undefer(p->loop, LOOP_WORK, &p->look);
    uv_close((uv_handle_t *)&p->timer, on_closed);
}

void projector_free(struct projector *p)
{
    if (p != NULL) {
        projections_free(p->core);
        arena_release(&p->names);
        free(p);
    }
}
