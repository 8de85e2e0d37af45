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
                 .inflight_bytes_max = (size_t)16 * 1024 * 1024,
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
    n->config.conf = NULL;
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

/* A change that raft or the state machine cannot follow changes nothing. */
static void node_apply_conf(struct node *n, const struct raft_entry *e)
{
    struct raft_conf next = n->now;
    struct raft_changes changes;
    struct node_conf_entry told = {
        .entry = e, .changes = &changes, .conf = &next};
    struct raft_event event = {
        .type = RAFT_CONF_APPLIED, .now_ms = n->now_ms, .changes = &changes};

    told.refused = !node_conf_follow(&next, e, &changes);
    n->applied = e->pos.index;
    if (n->ports.apply_conf(n->ports.ctx, &told) && !told.refused) {
        n->now = next;
    } else {
        event.changes = NULL;
    }
    (void)node_feed(n, &event);
}

/* The entries from `e` on, up to `end`, that change nobody's vote. */
static size_t normal_run(const struct raft_entry *e, uint64_t end)
{
    size_t count = 0;

    while (e->pos.index + count <= end && e[count].type == RAFT_ENTRY_NORMAL) {
        count++;
    }
    return count;
}

/* A membership entry is fed back to raft, which may commit more by it: then the
 * call for that is nested in this one, and the loop here goes on with it. */
static void node_apply_committed(struct node *n)
{
    if (n->applying) {
        return;
    }
    n->applying = true;
    while (n->failed == ST_OK && n->restart.pos.index == 0 &&
           n->applied < raft_status(n->raft).applied) {
        const struct raft_entry *e = raft_entry_at(n->raft, n->applied + 1);
        size_t count;

        CHECK(e != NULL);
        count = normal_run(e, raft_status(n->raft).applied);
        if (count == 0) {
            node_apply_conf(n, e);
        } else {
            n->ports.apply(n->ports.ctx, e, count);
            n->applied += count;
        }
    }
    n->applying = false;
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
    node_note_snapshot(n, &work);
    node_hold(n, &work);
    node_note_reads(n, &work);

    node_tell_changed(n);
    node_tell_dropped(n, &work);
    node_apply_committed(n);
    node_settle_reads(n);
    return n->failed;
}

static void proposal_drop(struct node *n, struct raft_entry *e, enum status why)
{
    if (e->tag != 0) {
        n->ports.dropped(n->ports.ctx, e->tag, why);
    }
    free(e->data);
    e->data = NULL;
}

/* Whoever waits for an entry that is not applied yet is told. */
static void node_drop_all(struct node *n, enum status why)
{
    uint64_t last = raft_status(n->raft).last_index;

    for (uint64_t i = n->applied + 1; i <= last; i++) {
        const struct raft_entry *e = raft_entry_at(n->raft, i);

        if (e != NULL && e->tag != 0) {
            n->ports.dropped(n->ports.ctx, e->tag, why);
        }
    }
    for (size_t i = 0; i < n->queue.count; i++) {
        proposal_drop(n, &n->queue.list[i], why);
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
    node_reads_start(n);
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
    if (n->failed == ST_OK && node_feed(n, &event) == ST_OK) {
        node_repeat_round(n);
    }
    return n->failed;
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

static void queue_add(struct node_queue *q, enum raft_entry_type type,
                      struct slice data, uint64_t tag)
{
    struct raft_entry e = {.type = type, .len = data.len, .tag = tag};

    if (data.len > 0) {
        e.data = malloc(data.len);
        CHECK(e.data != NULL);
        memcpy(e.data, data.data, data.len);
    }
    q->list = row_room(q->list, &q->cap, q->count, sizeof(q->list[0]));
    q->list[q->count++] = e;
    q->bytes += data.len;
}

enum status node_propose(struct node *n, enum raft_entry_type type,
                         struct slice data, uint64_t tag, bool *out_forwarded)
{
    CHECK(tag != 0);
    if (n->failed) {
        return n->failed;
    }
    if (n->told.leader == RAFT_NOBODY) {
        return ST_NOT_LEADER;
    }
    if (data.len > WAL_APPEND_BYTES_MAX / 2) {
        return ST_TOO_BIG;
    }
    if (!node_has_room(n, data.len)) {
        return ST_BUSY;
    }
    *out_forwarded = n->told.role != RAFT_LEADER;
    queue_add(&n->queue, type, data, *out_forwarded ? 0 : tag);
    return ST_OK;
}

/* Proposals that raft takes or refuses together: all normal ones in a row, or
 * one membership change. */
static size_t proposals_run(const struct raft_entry *list, size_t count)
{
    size_t run = 1;

    while (list[0].type == RAFT_ENTRY_NORMAL && run < count &&
           list[run].type == RAFT_ENTRY_NORMAL) {
        run++;
    }
    return run;
}

/* A leader's raft takes the entries over. Sent on to the leader they stay ours;
 * what was asked of this member as a leader is not sent on: whoever waits for
 * it could not be told of its end. */
static void node_propose_run(struct node *n, struct raft_entry *list,
                             size_t count)
{
    struct raft_event event = {.type = RAFT_PROPOSED,
                               .now_ms = n->now_ms,
                               .proposed = {.entries = list, .count = count}};
    bool leads = raft_status(n->raft).role == RAFT_LEADER;
    enum status st = n->failed;

    if (st == ST_OK && !leads && list[0].tag != 0) {
        st = ST_NOT_LEADER;
    }
    if (st == ST_OK) {
        st = node_feed(n, &event);
        if (leads && (st == ST_OK || n->failed)) {
            return;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (st == ST_OK) {
            free(list[i].data);
        } else {
            proposal_drop(n, &list[i], st);
        }
    }
}

/* All of this turn's proposals: one record, one message a follower. */
static void node_propose_queue(struct node *n)
{
    struct node_queue q = n->queue;

    if (q.count == 0) {
        return;
    }
    n->queue = (struct node_queue){0}; /* Callbacks may propose again. */
    for (size_t at = 0; at < q.count;) {
        size_t run = proposals_run(&q.list[at], q.count - at);

        node_propose_run(n, &q.list[at], run);
        at += run;
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

static enum status node_tell_raft(struct node *n, struct raft_event event,
                                  uint64_t now_ms)
{
    n->now_ms = now_ms;
    event.now_ms = now_ms;
    return n->failed ? n->failed : node_feed(n, &event);
}

enum status node_transfer(struct node *n, uint64_t id, uint64_t now_ms)
{
    return node_tell_raft(
        n, (struct raft_event){.type = RAFT_TRANSFER_ASKED, .peer = id},
        now_ms);
}

enum status node_snapshot_ended(struct node *n, uint64_t peer, uint64_t index,
                                bool ok, uint64_t now_ms)
{
    return node_tell_raft(
        n,
        (struct raft_event){
            .type = RAFT_SNAPSHOT_ENDED,
            .snapshot_ended = {.peer = peer, .index = index, .ok = ok}},
        now_ms);
}

enum status node_peer_lost(struct node *n, uint64_t peer, uint64_t now_ms)
{
    return node_tell_raft(
        n, (struct raft_event){.type = RAFT_PEER_LOST, .peer = peer}, now_ms);
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

const struct raft_conf *node_conf(const struct node *n)
{
    return &n->now;
}

bool node_progress(const struct node *n, uint64_t id,
                   struct raft_progress *out_progress)
{
    return raft_progress(n->raft, id, out_progress);
}

struct raft_pos node_installing(const struct node *n)
{
    return n->restart.pos;
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
