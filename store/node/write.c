#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "store/node/core.h"

/* Past this much in memory the log is cut without regard to slow followers. */
#define LOG_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* Messages in a row go out together; a snapshot goes a way of its own. */
void node_send_appends(struct node *n, const struct raft_work *work)
{
    size_t from = 0;

    for (size_t i = 0; i <= work->appends_count; i++) {
        bool end = i == work->appends_count;

        if (!end && work->appends[i].type != RAFT_MSG_SNAPSHOT) {
            continue;
        }
        if (i > from) {
            n->ports.send(n->ports.ctx, &work->appends[from], i - from);
        }
        if (!end) {
            n->ports.send_snapshot(n->ports.ctx, &work->appends[i]);
        }
        from = i + 1;
    }
}

void node_note_writes(struct node *n, const struct raft_work *work)
{
    if (!work->must_sync) {
        return;
    }
    n->dirty = true;
    n->persist = work->persist;
    if (work->hard != NULL) {
        n->hard_dirty = true;
    }
    if (work->entries_count > 0 && work->entries[0].pos.index < n->write_from) {
        n->write_from = work->entries[0].pos.index;
    }
}

/* The log begins anew behind a snapshot. A cut that was due is of the past. */
void node_note_snapshot(struct node *n, const struct raft_work *work)
{
    if (work->snapshot == NULL) {
        return;
    }
    n->restart = *work->snapshot;
    n->restart_written = false;
    n->write_from = n->restart.pos.index + 1;
    n->dirty = true;
    if (!n->cut_written) {
        n->cut = (struct raft_pos){0};
    }
}

/* ---- messages that speak of what is being written ---- */

static void outbox_add(struct node_outbox *o, struct node_held held)
{
    o->list = row_room(o->list, &o->cap, o->count, sizeof(o->list[0]));
    o->list[o->count++] = held;
}

/* The answer to a heartbeat speaks of the term only. Were it to wait for
 * entries, so would all reads that the leader has it confirm. */
static bool speaks_of_durable(const struct node *n, const struct raft_msg *m)
{
    return m->type == RAFT_MSG_HEARTBEAT_REPLY && m->term == n->durable_term;
}

/* A message may speak of a term, a vote or an entry that a crash would undo. It
 * waits for the write that holds everything up to now. */
void node_hold(struct node *n, const struct raft_work *work)
{
    uint64_t after = n->write_number + (n->dirty ? 1 : 0);

    if (!n->dirty && !n->writing) {
        if (work->messages_count > 0) {
            n->ports.send(n->ports.ctx, work->messages, work->messages_count);
        }
        return;
    }
    for (size_t i = 0; i < work->messages_count; i++) {
        const struct raft_msg *m = &work->messages[i];

        CHECK(m->entries_count == 0);
        if (speaks_of_durable(n, m)) {
            n->ports.send(n->ports.ctx, m, 1);
        } else {
            outbox_add(&n->outbox, (struct node_held){*m, after});
        }
    }
}

static void node_release_held(struct node *n)
{
    size_t free_to_go = 0;

    while (free_to_go < n->outbox.count &&
           n->outbox.list[free_to_go].after <= n->write_number) {
        n->ports.send(n->ports.ctx, &n->outbox.list[free_to_go].message, 1);
        free_to_go++;
    }
    n->outbox.count -= free_to_go;
    if (n->outbox.count > 0) {
        memmove(n->outbox.list, n->outbox.list + free_to_go,
                n->outbox.count * sizeof(n->outbox.list[0]));
    }
}

/* The write begun last does not hold everything: what waits for it waits for
 * one more. */
static void node_put_off_held(struct node *n)
{
    for (size_t i = 0; i < n->outbox.count; i++) {
        if (n->outbox.list[i].after == n->write_number) {
            n->outbox.list[i].after++;
        }
    }
}

/* ---- writing ---- */

/* As many entries as one record may hold, from write_from on. */
static size_t node_portion(const struct node *n)
{
    const struct raft_entry *e = raft_entry_at(n->raft, n->write_from);
    size_t count = (size_t)(n->persist.last.index + 1 - n->write_from);
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        bytes += wal_entry_bytes(&e[i]);
        if (bytes > WAL_APPEND_BYTES_MAX && i > 0) {
            return i;
        }
    }
    return count;
}

/* The commit hint must not name an entry that is not on disk yet. */
static struct raft_hard node_hard(const struct node *n)
{
    struct raft_hard hard = raft_status(n->raft).hard;

    if (hard.commit > n->covered.last.index) {
        hard.commit = n->covered.last.index;
    }
    return hard;
}

static void node_cover(struct node *n, size_t count)
{
    uint64_t last = n->write_from + count - 1;

    n->covered.term = n->persist.term;
    n->covered.last.index = last;
    n->covered.last.term = raft_term_at(n->raft, last);
    n->write_from = last + 1;
    n->write_number++;
    n->dirty = last < n->persist.last.index;
    n->hard_dirty = false;
    if (n->dirty) {
        node_put_off_held(n);
    }
}

/* The mark that goes with the record, if one is due. *state holds its bytes. */
static const struct wal_mark *node_mark(struct node *n, struct buf *state,
                                        struct wal_mark *mark)
{
    if (n->restart.pos.index > 0) {
        raftpb_conf_pack(&n->restart.conf, state);
        *mark = (struct wal_mark){.pos = n->restart.pos, .restart = true};
        n->restart_written = true;
    } else if (n->cut.index > 0) {
        raftpb_conf_pack(&n->conf, state);
        *mark = (struct wal_mark){.pos = n->cut};
        n->cut_written = true;
    } else {
        return NULL;
    }
    mark->state = buf_slice(state);
    return mark;
}

/* One record with everything that is due. */
static enum status node_begin_write(struct node *n, struct err *err)
{
    size_t count = node_portion(n);
    struct wal_batch batch = {.entries = raft_entry_at(n->raft, n->write_from),
                              .entries_count = count};
    struct buf state;
    struct wal_mark mark;
    struct raft_hard hard;
    bool later;
    enum status st;

    buf_init(&state, LIMIT_WAL_RECORD / 4);
    node_cover(n, count);
    hard = node_hard(n);
    batch.hard = &hard;
    n->written_term = hard.term;
    batch.mark = node_mark(n, &state, &mark);
    n->writing = true;
    st = wal_append(n->wal, &batch, &later, err);
    buf_release(&state);
    if (st == ST_OK && !later) {
        n->writing = false;
    }
    return st;
}

static void node_finish_cut(struct node *n)
{
    struct err err = {0};
    enum status st;

    n->cut_written = false;
    raft_compact(n->raft, n->cut.index);
    n->cut = (struct raft_pos){0};
    st = wal_release(n->wal, &err);
    if (st) {
        node_fail(n, st, &err);
    }
}

/* The snapshot's mark is durable: the state machine follows. */
static void node_finish_restart(struct node *n)
{
    struct err err = {0};
    enum status st = wal_release(n->wal, &err);

    if (st == ST_OK) {
        st = n->ports.install(n->ports.ctx, n->restart.pos, &err);
    }
    if (st) {
        node_fail(n, st, &err);
        return;
    }
    n->applied = n->restart.pos.index;
    n->durable = n->applied;
    n->conf = n->restart.conf;
    n->now = n->restart.conf;
    n->restart.pos = (struct raft_pos){0};
    n->restart_written = false;
}

/* A write is on disk. What waited for it may go; raft hears of it. */
void node_write_done(struct node *n)
{
    struct raft_event event = {
        .type = RAFT_PERSISTED, .now_ms = n->now_ms, .persisted = n->covered};

    n->durable_term = n->written_term;
    node_release_held(n);
    if (n->cut_written) {
        node_finish_cut(n);
    }
    if (n->restart_written && n->failed == ST_OK) {
        node_finish_restart(n);
    }
    if (n->failed == ST_OK) {
        (void)node_feed(n, &event);
    }
}

/* Write what is due, record after record, until there is no more or the disk
 * takes its time. */
void node_write(struct node *n)
{
    while (n->failed == ST_OK && n->dirty && !n->writing) {
        struct err err = {0};
        enum status st = node_begin_write(n, &err);

        if (st) {
            n->writing = false;
            node_fail(n, st, &err);
        } else if (!n->writing) {
            node_write_done(n);
        }
    }
}

/* ---- cutting the log ---- */

/* How far the log can be cut: never beyond what the state machine has on disk,
 * and leaving something for followers that lag, unless memory forbids. */
static uint64_t node_cut_at(const struct node *n)
{
    struct raft_status s = raft_status(n->raft);
    uint64_t before = s.first_index - 1;
    bool full = s.log_bytes > LOG_BYTES_MAX;
    uint64_t keep = full ? 0 : n->config.keep_count;
    uint64_t step = full ? 1 : n->config.snapshot_count;

    if (s.snapshot_flying && !full) {
        return 0; /* Who installs it will want what comes behind it. */
    }
    if (n->durable < keep || n->durable - keep < before + step) {
        return 0;
    }
    return n->durable - keep;
}

void node_consider_cut(struct node *n)
{
    uint64_t at = node_cut_at(n);
    uint64_t from = raft_status(n->raft).first_index;

    if (at == 0 || n->cut.index > 0 || n->restart.pos.index > 0) {
        return;
    }
    for (uint64_t i = from; i <= at; i++) {
        struct raft_changes unused;

        (void)node_conf_follow(&n->conf, raft_entry_at(n->raft, i), &unused);
    }
    n->cut = (struct raft_pos){.term = raft_term_at(n->raft, at), .index = at};
    n->dirty = true;
}
