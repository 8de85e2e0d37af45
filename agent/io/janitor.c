/* The election:
 *
 *   UNKNOWN --lock--> OURS      until the lock key or our lease is gone
 *      ^       |
 *      |       +----> OTHERS    until the watch shows that the key is gone;
 *      |                |       looked at again now and then all the same
 *      +----- gone -----+
 *
 * A vacancy is not rushed at: each agent waits for up to VACANCY_MS_MAX. */

#include "agent/io/janitor.h"

#include <stdlib.h>
#include <uv.h>

#include "agent/core/record.h"
#include "agent/io/link.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/loop.h"

enum {
    VACANCY_MS_MAX = 1000,
    RETRY_MS = 1000,
    LOOK_AGAIN_MS = 60000,
    GUARDED_MS = 200,
    FAILED_MS = 5000,
    HOLDER_MAX = 128, /* Of a name, for show. */
};

enum janitor_state {
    JANITOR_UNKNOWN,
    JANITOR_OTHERS,
    JANITOR_OURS,
};

struct janitor {
    struct loop *loop;
    struct link *link;
    struct rng rng;
    struct arena names;
    struct slice key;
    struct slice value;
    enum janitor_state state;
    int64_t lease_id;        /* Under which the lock is ours. */
    int64_t create_revision; /* Of the lock key, if it is ours. */
    char holder[HOLDER_MAX + 1];
    bool asking; /* For the lock. */
    struct janitor_duty duties[JANITOR_DUTIES_MAX];
    size_t duties_count;
    size_t turn;    /* Which duty is asked first. */
    size_t at_work; /* Whose transaction is under way. */
    bool in_flight;
    uint64_t pause_until_ms; /* After a failure. */
    struct loop_task task;
    uv_timer_t timer;
    bool stopping;
    janitor_stopped_fn *on_stopped;
    void *arg;
};

/* ---- Who it is --------------------------------------------------------- */

bool janitor_is_ours(const struct janitor *j)
{
    return j->state == JANITOR_OURS;
}

const char *janitor_name(const struct janitor *j)
{
    return j->state == JANITOR_UNKNOWN ? "" : j->holder;
}

/* The lock's value is "node\nincarnation". */
static void holder_take(struct janitor *j, struct slice value)
{
    size_t len = 0;

    while (len < value.len && len < HOLDER_MAX && value.data[len] != '\n') {
        j->holder[len] = (char)value.data[len];
        len++;
    }
    j->holder[len] = '\0';
}

static void set_state(struct janitor *j, enum janitor_state state)
{
    bool was_ours = j->state == JANITOR_OURS;
    bool is_ours = state == JANITOR_OURS;

    j->state = state;
    if (was_ours == is_ours) {
        return;
    }
    log_info("agent", is_ours ? "janitor: it is us who tidy up for all agents"
                              : "janitor: it is no longer us");
    for (size_t i = 0; i < j->duties_count; i++) {
        if (j->duties[i].elected) {
            j->duties[i].elected(j->duties[i].ctx, is_ours,
                                 loop_now_ms(j->loop));
        }
    }
}

static void on_timer(uv_timer_t *timer)
{
    janitor_poke(timer->data);
}

static void wake_in(struct janitor *j, uint64_t ms)
{
    if (!j->stopping) {
        CHECK(uv_timer_start(&j->timer, on_timer, ms, 0) == 0);
    }
}

/* ---- The lock ---------------------------------------------------------- */

static void on_lock(void *arg, enum link_lock_result result,
                    const struct link_lock_holder *holder)
{
    struct janitor *j = arg;

    j->asking = false;
    if (j->stopping) {
        return;
    }
    switch (result) {
    case LINK_LOCK_OURS:
        holder_take(j, j->value);
        j->lease_id = holder->lease_id;
        j->create_revision = holder->create_revision;
        set_state(j, JANITOR_OURS);
        janitor_poke(j);
        return;
    case LINK_LOCK_OTHERS:
        holder_take(j, holder->value);
        set_state(j, JANITOR_OTHERS);
        wake_in(j, LOOK_AGAIN_MS + rng_below(&j->rng, LOOK_AGAIN_MS));
        return;
    case LINK_LOCK_FAILED:
        set_state(j, JANITOR_UNKNOWN);
        wake_in(j, FAILED_MS + rng_below(&j->rng, FAILED_MS));
        return;
    }
    UNREACHABLE();
}

static void lock_ask(struct janitor *j)
{
    if (j->asking) {
        return;
    }
    j->asking = link_lock(j->link, j->key, j->value, on_lock, j);
    if (!j->asking) {
        wake_in(j, RETRY_MS); /* We have no lease yet. */
    }
}

void janitor_update(struct janitor *j, const struct link_update *update)
{
    bool seen = false;
    bool gone = false;

    for (size_t i = 0; i < update->events_count; i++) {
        const struct catalog_event *e = &update->events[i];

        if (slice_eq(e->key, j->key)) {
            seen = true;
            gone = e->deleted;
            if (!gone) {
                holder_take(j, e->value);
            }
        }
    }
    gone = gone || (update->full && !seen);
    if (gone && j->state != JANITOR_UNKNOWN) {
        set_state(j, JANITOR_UNKNOWN);
        wake_in(j, rng_below(&j->rng, VACANCY_MS_MAX));
    } else if (j->state == JANITOR_OURS) {
        janitor_poke(j);
    }
}

/* ---- Work -------------------------------------------------------------- */

static void on_txn(void *arg, enum sync_result result, int64_t revision)
{
    struct janitor *j = arg;
    uint64_t now_ms = loop_now_ms(j->loop);
    const struct janitor_duty *duty = &j->duties[j->at_work];

    (void)revision;
    j->in_flight = false;
    if (j->stopping) {
        return;
    }
    if (result == SYNC_REFUSED) {
        log_warn("agent", "janitor: %s: the store refused a transaction",
                 duty->name);
    }
    if (result != SYNC_WRITTEN) {
        j->pause_until_ms =
            now_ms + (result == SYNC_GUARDED ? GUARDED_MS : FAILED_MS);
    }
    duty->done(duty->ctx, result, now_ms);
    janitor_poke(j);
}

static bool is_held(const struct janitor *j)
{
    struct link_stats s = link_stats(j->link);

    return s.attached && s.lease_id == j->lease_id;
}

/* Ask the duties, beginning with the one that has waited longest. */
static void work(struct janitor *j, uint64_t now_ms)
{
    uint64_t wake_ms = now_ms + LOOK_AGAIN_MS;
    struct arena arena = {0};

    for (size_t i = 0; i < j->duties_count && !j->in_flight; i++) {
        size_t which = (j->turn + i) % j->duties_count;
        const struct janitor_duty *duty = &j->duties[which];
        uint64_t duty_wake_ms = UINT64_MAX;
        struct sync_txn txn = {0};

        if (duty->next(duty->ctx, now_ms, &arena, &txn, &duty_wake_ms)) {
            txn.live_key = j->key;
            txn.live_create_revision = j->create_revision;
            j->at_work = which;
            j->in_flight = true;
            link_txn(j->link, &txn, on_txn, j);
        } else if (duty_wake_ms < wake_ms) {
            wake_ms = duty_wake_ms;
        }
    }
    j->turn = j->duties_count > 0 ? (j->turn + 1) % j->duties_count : 0;
    arena_release(&arena);
    wake_in(j, wake_ms > now_ms ? wake_ms - now_ms : 1);
}

static void on_task(struct loop_task *task)
{
    struct janitor *j =
        (struct janitor *)(void *)((char *)task -
                                   offsetof(struct janitor, task));
    uint64_t now_ms = loop_now_ms(j->loop);

    if (j->stopping || j->in_flight) {
        return;
    }
    if (j->state == JANITOR_OURS && !is_held(j)) {
        set_state(j, JANITOR_UNKNOWN);
    }
    if (j->state != JANITOR_OURS) {
        lock_ask(j);
    } else if (!link_current(j->link)) {
        wake_in(j, RETRY_MS);
    } else if (now_ms < j->pause_until_ms) {
        wake_in(j, j->pause_until_ms - now_ms);
    } else {
        work(j, now_ms);
    }
}

void janitor_poke(struct janitor *j)
{
    if (!j->stopping) {
        loop_defer(j->loop, LOOP_WORK, &j->task);
    }
}

/* ---- Start, stop ------------------------------------------------------- */

struct janitor *janitor_start(struct loop *loop, struct link *link,
                              const struct janitor_config *config)
{
    struct janitor *j = calloc(1, sizeof(*j));

    CHECK(j != NULL);
    j->loop = loop;
    j->link = link;
    rng_init(&j->rng, config->seed);
    j->key = record_lock_key(&j->names, config->datacenter, "janitor");
    j->value = slice_str(
        arena_printf(&j->names, "%s\n%s", config->node, config->incarnation));
    j->task.run = on_task;
    CHECK(uv_timer_init(loop_uv(loop), &j->timer) == 0);
    j->timer.data = j;
    wake_in(j, RETRY_MS);
    return j;
}

void janitor_add(struct janitor *j, const struct janitor_duty *duty)
{
    CHECK(j->duties_count < JANITOR_DUTIES_MAX);
    j->duties[j->duties_count++] = *duty;
}

static void on_closed(uv_handle_t *handle)
{
    struct janitor *j = handle->data;

    j->on_stopped(j->arg);
}

void janitor_stop(struct janitor *j, janitor_stopped_fn *on_stopped, void *arg)
{
    CHECK(!j->stopping);
    j->stopping = true;
    j->on_stopped = on_stopped;
    j->arg = arg;
    loop_undefer(j->loop, LOOP_WORK, &j->task);
    uv_close((uv_handle_t *)&j->timer, on_closed);
}

void janitor_free(struct janitor *j)
{
    if (!j) {
        return;
    }
    CHECK(j->stopping);
    CHECK(!j->asking);
    CHECK(!j->in_flight);
    arena_release(&j->names);
    free(j);
}
