/* How an agent ends, phase by phase (agent_impl.h). */

#include <stdlib.h>
#include <unistd.h>

#include "agent/io/agent_impl.h"
#include "base/core/check.h"
#include "base/core/log.h"

static void next_phase(struct agent *a);

static void part_ended(void *arg)
{
    struct agent *a = arg;

    CHECK(a->open > 0);
    if (--a->open == 0) {
        next_phase(a);
    }
}

static void end_input(struct agent *a)
{
    if (a->services) {
        a->open++;
        services_stop(a->services, part_ended, a);
    }
    if (a->runner) {
        a->open++;
        runner_stop(a->runner, part_ended, a);
    }
    if (a->front) {
        a->open++;
        front_stop(a->front, part_ended, a);
    }
    if (a->lines) {
        a->open++;
        lines_stop(a->lines, part_ended, a);
        a->lines = NULL;
    }
    if (a->coords) {
        a->open++;
        coords_stop(a->coords, part_ended, a);
    }
    if (a->projector) {
        a->open++;
        projector_stop(a->projector, part_ended, a);
    }
    if (a->janitor) {
        a->open++;
        janitor_stop(a->janitor, part_ended, a);
        a->open++;
        sessions_stop(a->sessions, part_ended, a);
    }
}

static void end_link(struct agent *a)
{
    if (a->datacenters) {
        a->open++;
        datacenters_stop(a->datacenters, part_ended, a);
    }
    if (a->link) {
        a->open++;
        link_stop(a->link,
                  a->stop_mode == AGENT_STOP_LEAVE ? LINK_STOP_LEAVE
                                                   : LINK_STOP_KEEP,
                  part_ended, a);
    }
}

static void on_sentry_stopped(void *arg)
{
    struct agent *a = arg;

    a->sentry = NULL;
    part_ended(a);
}

static void on_handle_closed(uv_handle_t *handle)
{
    part_ended(handle->data);
}

static void end_disk(struct agent *a)
{
    if (a->feed) {
        dnsfeed_stop(a->feed);
    }
    dns_server_stop(a->dns);
    a->dns = NULL;
    if (a->feed) {
        a->open++;
        dnsfeed_close(a->feed, part_ended, a);
    }
    if (a->sentry) {
        a->open++;
        sentry_stop(a->sentry, on_sentry_stopped, a);
    }
    if (a->datacenters) {
        a->open++;
        datacenters_close(a->datacenters, part_ended, a);
    }
    if (a->replica) {
        a->open++;
        replica_close(a->replica, part_ended, a);
    }
    if (a->state) {
        if (a->local) {
            (void)state_save(a->state, a->local, agent_time(a));
        }
        a->open++;
        state_close(a->state, part_ended, a);
    }
    a->open++;
    uv_close((uv_handle_t *)&a->relist, on_handle_closed);
    a->open++;
    uv_close((uv_handle_t *)&a->prepare, on_handle_closed);
    a->open++;
    uv_close((uv_handle_t *)&a->drain, on_handle_closed);
}

static void next_phase(struct agent *a)
{
    /* One more than the parts, so that a part that ends at once does not start
     * the next phase from within this one. */
    a->open = 1;
    switch (a->phase) {
    case AGENT_RUNS:
        a->phase = AGENT_ENDS_INPUT;
        end_input(a);
        break;
    case AGENT_ENDS_INPUT:
        a->phase = AGENT_ENDS_LINK;
        end_link(a);
        break;
    case AGENT_ENDS_LINK:
        a->phase = AGENT_ENDS_DISK;
        end_disk(a);
        break;
    case AGENT_ENDS_DISK:
        a->phase = AGENT_ENDED;
        a->on_ended(a, a->arg);
        return;
    case AGENT_ENDED:
        UNREACHABLE();
    }
    part_ended(a);
}

static void on_drained(uv_timer_t *timer)
{
    struct agent *a = timer->data;

    if (a->phase == AGENT_RUNS) {
        next_phase(a);
    }
}

/* Before its services are gone from the catalogue, they are critical for a
 * while: who has their addresses still finds them there. False: nobody can see
 * that, or they have been. */
static bool drain(struct agent *a)
{
    if (a->leaving || a->config->leave_drain_ms == 0 ||
        local_services_count(a->local) == 0 || !link_stats(a->link).attached) {
        return false;
    }
    a->leaving = true;
    log_info("agent", "leaving: services are critical for %llu ms, then gone",
             (unsigned long long)a->config->leave_drain_ms);
    local_leave(a->local, agent_time(a));
    (void)agent_local_changed(a);
    CHECK(uv_timer_start(&a->drain, on_drained, a->config->leave_drain_ms, 0) ==
          0);
    return true;
}

void agent_stop(struct agent *a, enum agent_stop_mode mode)
{
    if (mode == AGENT_STOP_LEAVE) {
        a->stop_mode = AGENT_STOP_LEAVE;
    }
    if (a->phase == AGENT_RUNS && mode == AGENT_STOP_LEAVE && drain(a)) {
        return; /* Asked once more, it goes at once. */
    }
    if (a->phase == AGENT_RUNS) {
        log_info("agent", "%s",
                 mode == AGENT_STOP_LEAVE ? "leaving" : "stopping");
        agent_notify_stopping(a);
        next_phase(a);
    }
}

void agent_free(struct agent *a)
{
    if (!a) {
        return;
    }
    CHECK(a->phase == AGENT_ENDED);
    front_free(a->front);
    coords_watch_free(a->coords);
    projector_free(a->projector);
    datacenters_free(a->datacenters);
    janitor_free(a->janitor);
    sessions_free(a->sessions);
    reaper_free(a->reaper);
    members_free(a->members);
    local_free(a->local);
    access_free(a->access);
    if (a->lock_fd >= 0) {
        (void)close(a->lock_fd);
    }
    agent_suspend_free(a);
    free(a->dns_listens);
    arena_release(&a->view_arena);
    free(a);
}
