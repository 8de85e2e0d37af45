#include "store/node/node.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "store/node/core.h"

struct node_config node_config_default(void)
{
    return (struct node_config){
        .raft = {.heartbeat_ms = 100,
                 .election_ms = 1000,
                 .append_bytes_max = (size_t)1024 * 1024,
                 .inflight_max = 256,
                 .uncommitted_max = (size_t)256 * 1024 * 1024},
        .wal = {.first_bytes = WAL_FIRST_BYTES, .file_bytes = WAL_FILE_BYTES},
        .snapshot_count = 10000,
        .keep_count = 5000,
    };
}

enum status node_new(const struct node_config *config, struct disk *disk,
                     const struct node_ports *ports, struct node **out_node,
                     struct err *err)
{
    struct node *n = calloc(1, sizeof(*n));
    enum status st;

    CHECK(n != NULL);
    CHECK(config->snapshot_count > 0);
    n->config = *config;
    n->ports = *ports;
    st = node_boot(n, disk, err);
    n->config.members = NULL; /* Borrowed for this call only. */
    if (st) {
        node_free(n);
        return st;
    }
    *out_node = n;
    return ST_OK;
}

static void queue_release(struct node_queue *q)
{
    for (size_t i = 0; i < q->count; i++) {
        free(q->list[i].data);
    }
    free(q->list);
    *q = (struct node_queue){0};
}

void node_free(struct node *n)
{
    if (n == NULL) {
        return;
    }
    raft_free(n->raft);
    wal_free(n->wal);
    queue_release(&n->queue);
    node_reads_release(n);
    node_conf_release(&n->conf);
    free(n->outbox.list);
    free(n);
}

/* ---- effects ---- */

static void node_tell_changed(struct node *n)
{
    struct raft_status s = raft_status(n->raft);

    if (s.role != n->told.role || s.leader != n->told.leader ||
        s.hard.term != n->told.hard.term) {
        n->told = s;
        n->ports.changed(n->ports.ctx, &s);
    }
}

static void node_apply(struct node *n, const struct raft_entry *entries,
                       size_t count)
{
    uint64_t last = entries[count - 1].pos.index;
    enum status st;

    CHECK(entries[0].pos.index == n->applied + 1);
    n->ports.apply(n->ports.ctx, entries, count);
    n->applied = last;
    st = node_learn_changes(n, last);
    if (st) {
        struct err err = {0};

        (void)err_set(&err, st,
                      "a membership change in the log cannot be "
                      "followed: %s",
                      status_text(st));
        node_fail(n, st, &err);
    }
}

static void node_tell_dropped(struct node *n, const struct raft_work *work)
{
    for (size_t i = 0; i < work->dropped_count; i++) {
        n->ports.dropped(n->ports.ctx, work->dropped[i], ST_NOT_LEADER);
    }
}

/* One event in, its effects in the order that raft.h asks for. The callbacks
 * come last: they may ask for reads, which steps raft again. Such a step adds
 * neither entries nor dropped tags, so what is borrowed here stays. */
enum status node_feed(struct node *n, const struct raft_event *event)
{
    struct raft_work work;
    enum status st = raft_step(n->raft, event, &work);

    if (st) {
        return st;
    }
    node_send_appends(n, &work);
    node_note_writes(n, &work);
    node_hold(n, &work);
    node_note_reads(n, &work);

    node_tell_changed(n);
    node_tell_dropped(n, &work);
    if (work.committed_count > 0) {
        node_apply(n, work.committed, work.committed_count);
    }
    node_settle_reads(n);
    return n->failed;
}

/* Whoever waits for an entry that is not applied yet is told. */
static void node_drop_all(struct node *n, enum status why)
{
    uint64_t last = raft_status(n->raft).last_index;

    for (uint64_t i = n->applied + 1; i <= last; i++) {
        const struct raft_entry *e = raft_entry_at(n->raft, i);

        if (e->tag != 0) {
            n->ports.dropped(n->ports.ctx, e->tag, why);
        }
    }
    for (size_t i = 0; i < n->queue.count; i++) {
        n->ports.dropped(n->ports.ctx, n->queue.list[i].tag, why);
        free(n->queue.list[i].data);
    }
    n->queue.count = 0;
    n->queue.bytes = 0;
}

void node_fail(struct node *n, enum status why, const struct err *err)
{
    CHECK(why != ST_OK);
    if (n->failed) {
        return;
    }
    n->failed = why;
    n->ports.failed(n->ports.ctx, why, err);
    node_drop_all(n, why);
    node_refuse_reads(n, why);
}

/* ---- events ---- */

enum status node_start(struct node *n, uint64_t now_ms)
{
    struct raft_event event = {.type = RAFT_STARTED, .now_ms = now_ms};
    enum status st;

    n->now_ms = now_ms;
    st = node_feed(n, &event);
    if (st) {
        return st;
    }
    node_write(n);
    return n->failed;
}

enum status node_tick(struct node *n, uint64_t now_ms)
{
    struct raft_event event = {.type = RAFT_TICK, .now_ms = now_ms};

    n->now_ms = now_ms;
    return n->failed ? n->failed : node_feed(n, &event);
}

enum status node_receive(struct node *n, const struct raft_msg *message,
                         uint64_t now_ms)
{
    struct raft_event event = {
        .type = RAFT_RECEIVED, .now_ms = now_ms, .received = message};

    n->now_ms = now_ms;
    return n->failed ? n->failed : node_feed(n, &event);
}

static bool node_has_room(const struct node *n, size_t len)
{
    size_t waiting = n->queue.bytes + raft_status(n->raft).uncommitted_bytes;

    return waiting == 0 || waiting + len <= n->config.raft.uncommitted_max;
}

static void queue_add(struct node_queue *q, struct slice data, uint64_t tag)
{
    struct raft_entry e = {
        .type = RAFT_ENTRY_NORMAL, .len = data.len, .tag = tag};

    if (data.len > 0) {
        e.data = malloc(data.len);
        CHECK(e.data != NULL);
        memcpy(e.data, data.data, data.len);
    }
    q->list = row_room(q->list, &q->cap, q->count, sizeof(q->list[0]));
    q->list[q->count++] = e;
    q->bytes += data.len;
}

enum status node_propose(struct node *n, struct slice data, uint64_t tag)
{
    CHECK(tag != 0);
    if (n->failed) {
        return n->failed;
    }
    if (n->told.role != RAFT_LEADER) {
        return ST_NOT_LEADER;
    }
    if (data.len > WAL_APPEND_BYTES_MAX / 2) {
        return ST_TOO_BIG;
    }
    if (!node_has_room(n, data.len)) {
        return ST_BUSY;
    }
    queue_add(&n->queue, data, tag);
    return ST_OK;
}

/* All of this turn's proposals in one step: one record, one message a follower.
 * The entries are raft's when it takes them, all or none. */
static void node_propose_queue(struct node *n)
{
    struct node_queue q = n->queue;
    struct raft_event event = {
        .type = RAFT_PROPOSED,
        .now_ms = n->now_ms,
        .proposed = {.entries = q.list, .count = q.count}};
    enum status st;

    if (q.count == 0) {
        return;
    }
    n->queue = (struct node_queue){0}; /* Callbacks may propose again. */
    st = node_feed(n, &event);
    if (st && n->failed == ST_OK) {
        for (size_t i = 0; i < q.count; i++) {
            n->ports.dropped(n->ports.ctx, q.list[i].tag, st);
            free(q.list[i].data);
        }
    }
    if (n->queue.cap == 0) { /* Use the array again. */
        n->queue.list = q.list;
        n->queue.cap = q.cap;
    } else {
        free(q.list);
    }
}

enum status node_flush(struct node *n, uint64_t now_ms)
{
    n->now_ms = now_ms;
    if (n->failed) {
        return n->failed;
    }
    node_propose_queue(n);
    node_write(n);
    return n->failed;
}

bool node_wants_flush(const struct node *n)
{
    return n->failed == ST_OK &&
           (n->queue.count > 0 || (n->dirty && !n->writing));
}

enum status node_persisted(struct node *n, enum status result, uint64_t now_ms)
{
    struct err err = {0};
    enum status st;

    CHECK(n->writing);
    n->now_ms = now_ms;
    n->writing = false;
    st = wal_committed(n->wal, result, &err);
    if (st) {
        node_fail(n, st, &err);
        return st;
    }
    node_write_done(n);
    return node_flush(n, now_ms);
}

enum status node_durable(struct node *n, uint64_t index)
{
    if (n->failed) {
        return n->failed;
    }
    CHECK(index >= n->durable);
    CHECK(index <= n->applied);
    n->durable = index;
    node_consider_cut(n);
    return ST_OK;
}

/* ---- looking in ---- */

struct raft_status node_status(const struct node *n)
{
    return raft_status(n->raft);
}

struct wal_ids node_ids(const struct node *n)
{
    return wal_ids(n->wal);
}

uint64_t node_torn_bytes(const struct node *n)
{
    return n->torn_bytes;
}

enum status node_failure(const struct node *n)
{
    return n->failed;
}
