#include "group.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/crc32c.h"
#include "group_impl.h"
#include "group_trace.h"

static void line(struct group *g, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void line(struct group *g, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    trace_line(&g->config, format, args);
    va_end(args);
}

/* ---- ports ---- */

static void drop_flying(struct group *g, size_t at)
{
    struct flying *f = &g->flying[at];

    for (size_t i = 0; i < f->msg.entries_count; i++) {
        free(f->entries[i].data);
    }
    free(f->entries);
    memmove(f, f + 1, (g->flying_count - at - 1) * sizeof(*f));
    g->flying_count--;
}

static void fly(struct group *g, const struct raft_msg *m)
{
    struct flying f = {.msg = *m, .due_ms = g->now_ms};

    CHECK(g->flying_count < FLYING_MAX);
    if (g->config.delay_ms > 0) {
        f.due_ms += rng_below(&g->rng, g->config.delay_ms + 1);
    }
    if (m->entries_count > 0) {
        f.entries = calloc(m->entries_count, sizeof(f.entries[0]));
        CHECK(f.entries != NULL);
        for (size_t i = 0; i < m->entries_count; i++) {
            f.entries[i] = raft_entry_copy(&m->entries[i]);
        }
    }
    f.msg.entries = NULL; /* Set when it arrives: the row moves. */
    g->flying[g->flying_count++] = f;
}

static void on_send(void *ctx, const struct raft_msg *messages, size_t count)
{
    struct group *g = ((struct member *)ctx)->group;

    for (size_t i = 0; i < count; i++) {
        const struct raft_msg *m = &messages[i];
        bool lost =
            g->cut[m->from][m->to] || rng_below(&g->rng, 1000) < g->config.loss;

        CHECK(m->from == ((struct member *)ctx)->id);
        trace_message(&g->config, m, lost ? " (lost)" : "");
        if (lost) {
            continue;
        }
        fly(g, m);
        if (rng_below(&g->rng, 1000) < g->config.twice) {
            fly(g, m);
        }
    }
}

static void apply_one(struct member *m, const struct raft_entry *e)
{
    struct group *g = m->group;
    uint64_t index = e->pos.index;
    struct applied now = {.term = e->pos.term,
                          .sum = crc32c(0, raft_entry_data(e))};

    CHECK(index == m->applied + 1);
    CHECK(index < ENTRIES_MAX);
    if (index <= g->applied_last) {
        CHECK(g->applied[index].term == now.term);
        CHECK(g->applied[index].sum == now.sum);
    } else {
        CHECK(index == g->applied_last + 1);
        g->applied[index] = now;
        g->applied_last = index;
    }
    m->applied = index;
    if (e->tag != 0) {
        line(g, "%" PRIu64 " answers %" PRIu64, m->id, e->tag);
        g->answered++;
        if (index > g->answered_last) {
            g->answered_last = index;
        }
    }
}

static void on_apply(void *ctx, const struct raft_entry *entries, size_t count)
{
    struct member *m = ctx;
    uint64_t from = m->applied + 1;

    for (size_t i = 0; i < count; i++) {
        apply_one(m, &entries[i]);
    }
    if (m->applied == from) {
        line(m->group, "%" PRIu64 " applies %" PRIu64, m->id, from);
    } else {
        line(m->group, "%" PRIu64 " applies %" PRIu64 " to %" PRIu64, m->id,
             from, m->applied);
    }
}

static bool on_apply_conf(void *ctx, const struct node_conf_entry *told)
{
    CHECK(!told->refused);
    on_apply(ctx, told->entry, 1);
    return true;
}

static enum status on_install(void *ctx, struct raft_pos pos, struct err *err)
{
    (void)ctx;
    (void)pos;
    (void)err;
    UNREACHABLE(); /* Nobody sends one: see group_save(). */
}

static void on_send_snapshot(void *ctx, const struct raft_msg *message)
{
    (void)ctx;
    (void)message;
    UNREACHABLE();
}

static void on_dropped(void *ctx, uint64_t tag, enum status why)
{
    struct member *m = ctx;

    line(m->group, "%" PRIu64 " drops %" PRIu64 ": %s", m->id, tag,
         status_text(why));
}

static void answer_read(struct member *m, uint64_t name)
{
    struct group *g = m->group;

    CHECK(m->applied >= g->reads[name].index);
    g->reads_answered++;
    line(g, "%" PRIu64 " answers read %" PRIu64, m->id, name);
}

static void on_read_ready(void *ctx, uint64_t tag, enum status why)
{
    struct member *m = ctx;

    if (why) {
        line(m->group, "%" PRIu64 " refuses read %" PRIu64 ": %s", m->id, tag,
             status_text(why));
    } else {
        answer_read(m, tag);
    }
}

static void on_changed(void *ctx, const struct raft_status *s)
{
    struct member *m = ctx;
    struct group *g = m->group;

    trace_role(&g->config, m->id, s);
    if (s->role == RAFT_LEADER) {
        CHECK(s->hard.term < TERMS_MAX);
        CHECK(g->leaders[s->hard.term] == 0 ||
              g->leaders[s->hard.term] == m->id);
        g->leaders[s->hard.term] = m->id;
    }
}

static void on_failed(void *ctx, enum status why, const struct err *err)
{
    struct member *m = ctx;

    (void)why;
    line(m->group, "%" PRIu64 " fails: %s", m->id, err->text);
}

/* ---- members ---- */

static uint64_t clock_of(const struct member *m)
{
    return m->group->now_ms + m->ahead_ms;
}

struct group *group_new(const struct group_config *config)
{
    struct group *g = calloc(1, sizeof(*g));

    CHECK(g != NULL);
    CHECK(config->members_count <= GROUP_MAX);
    g->config = *config;
    g->now_ms = 1;
    rng_init(&g->rng, config->seed);
    for (uint64_t id = 1; id <= config->members_count; id++) {
        g->members[id] =
            (struct member){.group = g, .id = id, .disk = mem_disk_new()};
    }
    return g;
}

void group_free(struct group *g)
{
    for (uint64_t id = 1; id <= g->config.members_count; id++) {
        if (g->members[id].node != NULL) {
            group_crash(g, id, 0);
        }
        mem_disk_free(g->members[id].disk);
    }
    while (g->flying_count > 0) {
        drop_flying(g, g->flying_count - 1);
    }
    free(g);
}

static struct node_config config_of(const struct group *g, uint64_t id,
                                    struct node_member members[GROUP_MAX])
{
    struct node_config c = node_config_default();

    for (uint64_t i = 1; i <= g->config.members_count; i++) {
        members[i - 1] = (struct node_member){.id = i};
    }
    c.raft.id = id;
    c.raft.heartbeat_ms = HEARTBEAT_MS;
    c.raft.election_ms = ELECTION_MS;
    c.raft.append_bytes_max = 4;
    c.raft.inflight_max = 4;
    c.raft.rng_seed = g->config.seed * 16 + id;
    c.wal.first_bytes = 8 * 1024;
    c.wal.file_bytes = 32 * 1024;
    c.snapshot_count = 10;
    c.keep_count = 0;
    c.cluster_id = 1;
    c.members = members;
    c.members_count = g->config.members_count;
    return c;
}

/* The end of a sync; what it starts may be another one. */
static void end_sync(struct member *m)
{
    (void)node_persisted(m->node, mem_disk_finish(m->disk), clock_of(m));
    if (m->group->config.disk_ms > 0) {
        m->disk_due_ms = m->group->now_ms + 1 +
                         rng_below(&m->group->rng, m->group->config.disk_ms);
    }
}

static bool sync_is_due(const struct member *m)
{
    return mem_disk_busy(m->disk) && !m->disk_held &&
           m->disk_due_ms <= m->group->now_ms;
}

static void flush(struct member *m)
{
    bool was_busy = mem_disk_busy(m->disk);

    if (node_wants_flush(m->node)) {
        (void)node_flush(m->node, clock_of(m));
    }
    if (!was_busy && m->group->config.disk_ms > 0) {
        m->disk_due_ms = m->group->now_ms + 1 +
                         rng_below(&m->group->rng, m->group->config.disk_ms);
    }
    while (sync_is_due(m)) {
        end_sync(m);
    }
}

static void arrive(struct group *g, size_t at)
{
    struct flying f = g->flying[at];
    struct member *to = member(g, f.msg.to);

    f.msg.entries = f.entries;
    if (to->node != NULL && !g->cut[f.msg.from][f.msg.to]) {
        (void)node_receive(to->node, &f.msg, clock_of(to));
        flush(to);
    }
}

/* Everything that is due now, and what it causes at once. */
static void settle(struct group *g)
{
    for (size_t i = 0; i < g->flying_count;) {
        if (g->flying[i].due_ms <= g->now_ms) {
            struct flying f = g->flying[i];

            arrive(g, i);
            CHECK(g->flying[i].entries == f.entries);
            drop_flying(g, i);
            i = 0;
        } else {
            i++;
        }
    }
}

void group_start(struct group *g, uint64_t id)
{
    struct member *m = member(g, id);
    struct node_member members[GROUP_MAX];
    struct node_config c = config_of(g, id, members);
    struct node_ports ports = {.ctx = m,
                               .apply = on_apply,
                               .apply_conf = on_apply_conf,
                               .install = on_install,
                               .dropped = on_dropped,
                               .read_ready = on_read_ready,
                               .send = on_send,
                               .send_snapshot = on_send_snapshot,
                               .changed = on_changed,
                               .failed = on_failed};
    struct err err = {0};

    CHECK(m->node == NULL);
    c.applied = m->durable;
    m->applied = m->durable;
    m->told = m->durable;
    m->disk_held = false;
    if (node_new(&c, mem_disk_port(m->disk), &ports, &m->node, &err)) {
        (void)fprintf(stderr, "member %" PRIu64 ": %s\n", id, err.text);
        abort();
    }
    mem_disk_put_off(m->disk);
    CHECK(node_start(m->node, clock_of(m)) == ST_OK);
    flush(m);
    settle(g);
}

void group_crash(struct group *g, uint64_t id, uint64_t keep)
{
    struct member *m = member(g, id);
    group_line_fn on_line = g->config.on_line;

    g->config.on_line = NULL; /* It says nothing more. */
    if (mem_disk_busy(m->disk)) {
        /* The write may have reached the disk's memory; the sync has not
         * returned. What it starts is cut off right away. */
        mem_disk_fail_at(m->disk, 2, ST_IO);
        (void)node_persisted(m->node, mem_disk_finish(m->disk), clock_of(m));
    }
    node_free(m->node);
    m->node = NULL;
    mem_disk_crash(m->disk, keep, keep % (mem_disk_dirty_names(m->disk) + 1));
    g->config.on_line = on_line;
}

void group_save(struct group *g)
{
    uint64_t common = UINT64_MAX;

    for (uint64_t id = 1; id <= g->config.members_count; id++) {
        struct member *m = member(g, id);

        if (m->node != NULL) {
            m->durable = m->applied;
        }
        common = m->durable < common ? m->durable : common;
    }
    for (uint64_t id = 1; id <= g->config.members_count; id++) {
        struct member *m = member(g, id);

        if (m->node != NULL && m->told < common) {
            m->told = common;
            (void)node_durable(m->node, common);
            flush(m);
        }
    }
    settle(g);
}

bool group_is_up(const struct group *g, uint64_t id)
{
    return member(g, id)->node != NULL;
}

static void tick(struct group *g)
{
    for (uint64_t id = 1; id <= g->config.members_count; id++) {
        struct member *m = member(g, id);

        if (m->node == NULL) {
            continue;
        }
        if (clock_of(m) % (HEARTBEAT_MS / 4) == 0) {
            (void)node_tick(m->node, clock_of(m));
        }
        flush(m);
    }
    settle(g);
}

void group_pass(struct group *g, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        g->now_ms++;
        tick(g);
    }
}

void group_elect(struct group *g, uint64_t id)
{
    struct member *m = member(g, id);

    m->ahead_ms += 2 * ELECTION_MS;
    (void)node_tick(m->node, clock_of(m));
    flush(m);
    settle(g);
}

void group_cut(struct group *g, uint64_t a, uint64_t b)
{
    g->cut[a][b] = true;
}

void group_heal(struct group *g)
{
    memset(g->cut, 0, sizeof(g->cut));
}

void group_set_loss(struct group *g, unsigned loss)
{
    g->config.loss = loss;
}

void group_hold_disk(struct group *g, uint64_t id)
{
    member(g, id)->disk_held = true;
}

void group_free_disk(struct group *g, uint64_t id)
{
    member(g, id)->disk_held = false;
    flush(member(g, id));
    settle(g);
}

void group_sync_disk(struct group *g, uint64_t id)
{
    struct member *m = member(g, id);

    if (mem_disk_busy(m->disk)) {
        end_sync(m);
    }
    settle(g);
}

enum status group_propose(struct group *g, uint64_t id, uint64_t name)
{
    struct member *m = member(g, id);
    bool forwarded = false;
    enum status st =
        node_propose(m->node, RAFT_ENTRY_NORMAL, slice_of(&name, sizeof(name)),
                     name, &forwarded);

    flush(m);
    settle(g);
    return st;
}

enum status group_read(struct group *g, uint64_t id, uint64_t name)
{
    struct member *m = member(g, id);
    bool ready = false;
    enum status st;

    CHECK(name < ENTRIES_MAX);
    g->reads[name].index = g->answered_last;
    st = node_read(m->node, name, &ready);
    if (st == ST_OK && ready) {
        answer_read(m, name);
    }
    flush(m);
    settle(g);
    return st;
}
