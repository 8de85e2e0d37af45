/* What this agent writes to the store besides its records: as the janitor of
 * all, and for others' registries. */

#include <openssl/rand.h>

#include "agent/io/agent_impl.h"
#include "base/core/check.h"
#include "base/core/log.h"

#define GUARDED_MS 5000
#define MEMBERS_MS 5000 /* A round of questions to the store's members. */

/* ---- Dead nodes -------------------------------------------------------- */

static bool reaper_duty_next(void *ctx, uint64_t now_ms, struct arena *arena,
                             struct sync_txn *out_txn, uint64_t *out_wake_ms)
{
    struct agent *a = ctx;

    if (sentry_status(a->sentry).cause != GUARD_CAUSE_NONE) {
        *out_wake_ms = now_ms + GUARDED_MS; /* Who is dead is not known. */
        return false;
    }
    return reaper_next(a->reaper, link_catalog(a->link), now_ms, arena, out_txn,
                       out_wake_ms);
}

static void reaper_duty_done(void *ctx, enum sync_result result,
                             uint64_t now_ms)
{
    struct agent *a = ctx;
    uint64_t nodes_before = reaper_stats(a->reaper).nodes;

    reaper_done(a->reaper, result == SYNC_WRITTEN, now_ms);
    if (reaper_stats(a->reaper).nodes > nodes_before) {
        log_info("agent",
                 "janitor: node \"%s\" has been dead longer than its reap "
                 "timeout: its records are removed",
                 reaper_node(a->reaper));
    }
}

/* ---- The store's members ----------------------------------------------- */

void agent_members_changed(void *ctx)
{
    struct agent *a = ctx;
    size_t count;
    const struct member *list = link_members(a->link, &count);

    members_set(a->members, list, count);
    janitor_poke(a->janitor);
}

void agent_member_asked(void *ctx, const char *member, bool answered)
{
    struct agent *a = ctx;

    members_answered(a->members, member, answered);
    janitor_poke(a->janitor);
}

static void members_duty_elected(void *ctx, bool ours, uint64_t now_ms)
{
    struct agent *a = ctx;

    (void)now_ms;
    link_members_often(a->link, ours);
    coords_hurry(a->coords, ours ? MEMBERS_MS : 0);
    members_sweep(a->members);
}

static bool members_duty_next(void *ctx, uint64_t now_ms, struct arena *arena,
                              struct sync_txn *out_txn, uint64_t *out_wake_ms)
{
    struct agent *a = ctx;

    (void)now_ms;
    (void)out_wake_ms; /* When something has changed. */
    return members_next(a->members, link_catalog(a->link), arena, out_txn);
}

static void members_duty_done(void *ctx, enum sync_result result,
                              uint64_t now_ms)
{
    (void)ctx;
    (void)result;
    (void)now_ms;
}

/* ---- All --------------------------------------------------------------- */

void agent_duties_open(struct agent *a)
{
    struct janitor_config config = {
        .datacenter = a->config->datacenter,
        .node = a->config->node,
        .incarnation = state_incarnation(a->state),
    };
    struct janitor_duty sessions;

    CHECK(RAND_bytes((unsigned char *)&config.seed, sizeof(config.seed)) == 1);
    a->janitor = janitor_start(a->loop, a->link, &config);
    janitor_add(a->janitor, &(struct janitor_duty){.name = "reaper",
                                                   .ctx = a,
                                                   .next = reaper_duty_next,
                                                   .done = reaper_duty_done});
    a->sessions = sessions_start(a->loop, a->link, a->config->datacenter);
    sessions = sessions_duty(a->sessions);
    janitor_add(a->janitor, &sessions);
    a->projector =
        projector_start(a->loop, a->link, a->local, &a->config->projections);
    janitor_add(a->janitor,
                &(struct janitor_duty){.name = "members",
                                       .ctx = a,
                                       .elected = members_duty_elected,
                                       .next = members_duty_next,
                                       .done = members_duty_done});
}
