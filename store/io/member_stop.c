/*
 * The end of a member: leadership goes first, then what is open closes, then
 * what is applied is written.
 */
#include <inttypes.h>

#include "base/core/check.h"
#include "store/io/member_impl.h"

/* For answers that are on their way. */
#define STOP_GRACE_MS 500

static void on_closed(struct loop_task *task)
{
    struct member *m = MEMBER_OF(task, closed);
    member_stopped_fn *on_stopped = m->on_stopped;
    void *ctx = m->stopped_ctx;

    member_free(m);
    if (on_stopped != NULL) {
        on_stopped(ctx);
    }
}

/* What is applied and not in the backend yet would only be replayed. */
static void write_last_batch(struct member *m)
{
    const struct kv_batch *batch = m->failed ? NULL : kv_take(m->kv);

    if (batch == NULL) {
        return;
    }
    if (backend_write_now(m->backend, batch)) {
        log_error("store", "%s; the log has it all",
                  backend_error(m->backend)->text);
    }
    kv_done(m->kv);
}

/* Called whenever something has ended: go on with what is next. */
void member_stop_step(struct member *m)
{
    if (!m->stopping || m->listeners_open > 0 || m->timers_open > 0 ||
        m->peers != NULL || m->works_open > 0 ||
        backend_is_writing(m->backend) || file_disk_is_busy(m->disk) ||
        m->closed.run != NULL) {
        return;
    }
    m->running = false;
    loop_undefer(m->loop, LOOP_WORK, &m->turn);
    write_last_batch(m);
    m->closed.run = on_closed;
    loop_post(m->loop, &m->closed);
}

static void on_server_stopped(void *ctx)
{
    struct listener *l = ctx;

    CHECK(l->member->listeners_open > 0);
    l->member->listeners_open--;
    member_stop_step(l->member);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct member *m = handle->data;

    CHECK(m->timers_open > 0);
    m->timers_open--;
    member_stop_step(m);
}

static void stop_now(struct member *m)
{
    m->stopping = true;
    m->leaving = false;
    api_stop(m->api);
    member_save_stop(m);
    for (size_t i = 0; i < m->listeners_count; i++) {
        server_stop(m->listeners[i].server, m->failed ? 0 : STOP_GRACE_MS,
                    on_server_stopped, &m->listeners[i]);
    }
    member_close_peers(m);
    if (m->timers_open > 0) {
        uv_close((uv_handle_t *)&m->beat, on_timer_closed);
        uv_close((uv_handle_t *)&m->batch, on_timer_closed);
    }
}

/* The voter that is heard and has most of the log; RAFT_NOBODY: none. */
static uint64_t best_successor(const struct member *m)
{
    const struct raft_conf *conf = node_conf(m->node);
    uint64_t best = RAFT_NOBODY;
    uint64_t match = 0;

    for (size_t i = 0; i < conf->count; i++) {
        struct raft_progress p;

        if ((conf->list[i].roles & RAFT_VOTER) &&
            conf->list[i].id != member_id(m) &&
            node_progress(m->node, conf->list[i].id, &p) && p.active &&
            p.match > match) {
            best = conf->list[i].id;
            match = p.match;
        }
    }
    return best;
}

/* A leader that just leaves costs the others an election time-out. */
static bool hand_over(struct member *m)
{
    uint64_t now_ms = loop_now_ms(m->loop);
    uint64_t to;

    if (!m->running || m->failed || m->removed ||
        node_status(m->node).role != RAFT_LEADER) {
        return false;
    }
    to = best_successor(m);
    if (to == RAFT_NOBODY || node_transfer(m->node, to, now_ms)) {
        return false;
    }
    log_info("store", "leadership goes to member %" PRIx64 " before the end",
             to);
    m->leaving = true;
    m->leaving_ends_ms = now_ms + m->plan.config.election_timeout_ms;
    member_wake(m);
    return true;
}

void member_leave_step(struct member *m, uint64_t now_ms)
{
    if (m->failed || now_ms >= m->leaving_ends_ms ||
        node_status(m->node).role != RAFT_LEADER) {
        stop_now(m);
    }
}

void member_stop(struct member *m, member_stopped_fn *on_stopped, void *ctx)
{
    CHECK(!m->stopping);
    CHECK(!m->leaving);
    m->on_stopped = on_stopped;
    m->stopped_ctx = ctx;
    if (!hand_over(m)) {
        stop_now(m);
    }
}
