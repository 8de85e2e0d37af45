#include "store/raft/raft.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "store/raft/core.h"

struct raft *raft_new(const struct raft_config *config)
{
    struct raft *r = calloc(1, sizeof(*r));

    CHECK(r != NULL);
    CHECK(config->id != RAFT_NOBODY);
    CHECK(config->heartbeat_ms > 0);
    CHECK(config->election_ms > config->heartbeat_ms);
    CHECK(config->inflight_max > 0);
    r->config = *config;
    r->unissued = 1;
    rng_init(&r->rng, config->rng_seed);
    return r;
}

void raft_free(struct raft *r)
{
    if (r == NULL) {
        return;
    }
    raft_log_release(&r->log);
    raft_peers_release(r);
    free(r->waiting);
    free(r->appends.list);
    free(r->messages.list);
    free(r->dropped.list);
    free(r->lost.list);
    free(r->reads.list);
    free(r);
}

/* ---- restoring ---- */

void raft_restore_log(struct raft *r, struct raft_log *log)
{
    CHECK(!r->started);
    raft_log_release(&r->log);
    r->log = *log;
    *log = (struct raft_log){0};
    r->stable = raft_log_last(&r->log);
    r->unissued = r->stable + 1;
    r->applied = r->log.compacted.index;
    r->hard.commit = r->log.compacted.index;
}

enum status raft_restore_hard(struct raft *r, struct raft_hard hard)
{
    CHECK(!r->started);
    if (hard.term < raft_log_end(&r->log).term ||
        hard.commit > raft_log_last(&r->log)) {
        return ST_CORRUPT;
    }
    if (hard.commit < r->hard.commit) {
        hard.commit = r->hard.commit; /* What was compacted was committed. */
    }
    r->hard = hard;
    return ST_OK;
}

enum status raft_restore_applied(struct raft *r, uint64_t applied)
{
    CHECK(!r->started);
    if (applied < r->log.compacted.index || applied > raft_log_last(&r->log)) {
        return ST_CORRUPT;
    }
    r->applied = applied;
    if (r->hard.commit < applied) {
        r->hard.commit = applied; /* Only what is committed is applied. */
    }
    return ST_OK;
}

void raft_restore_conf(struct raft *r, const struct raft_conf *conf)
{
    CHECK(!r->started);
    r->conf = *conf;
    r->conf_index = r->applied;
}

/* ---- events ---- */

static void raft_start(struct raft *r)
{
    CHECK(!r->started);
    r->started = true;
    r->issued = r->hard;
    raft_find_last_conf(r);
    raft_peers_follow_conf(r);
    raft_defer_election(r);
    if (raft_is_alone(r)) {
        raft_campaign(r); /* Whom should it wait for? */
    }
}

static void raft_tick(struct raft *r)
{
    if (r->role == RAFT_LEADER) {
        raft_lead_tick(r);
    } else if (r->now_ms >= r->deadline_ms) {
        raft_campaign(r);
    }
}

/* A report of an earlier term says nothing: what it names may have been
 * replaced, and the change of term has caused another write. */
static void raft_persisted(struct raft *r, struct raft_persist done)
{
    if (done.term != r->hard.term) {
        return;
    }
    if (done.last.index > r->stable &&
        raft_log_term(&r->log, done.last.index) == done.last.term) {
        r->stable = done.last.index;
    }
    if (r->role == RAFT_CANDIDATE) {
        raft_own_vote_durable(r);
    } else if (r->role == RAFT_LEADER) {
        struct raft_peer *self = raft_peer(r, r->config.id);

        if (self != NULL) {
            self->match = r->stable;
        }
        if (raft_try_commit(r)) {
            raft_send_appends(r);
        }
    }
}

/* ---- the step ---- */

static void raft_verify(const struct raft *r)
{
    uint64_t last = raft_log_last(&r->log);

    CHECK(r->log.compacted.index <= r->applied);
    CHECK(r->applied <= r->hard.commit);
    CHECK(r->hard.commit <= last);
    CHECK(r->stable <= last);
    CHECK(r->stable < r->unissued);
    CHECK(r->unissued <= last + 1);
    CHECK(r->hard.term >= raft_log_term(&r->log, last));
    CHECK(r->conf_index <= r->hard.commit);
    CHECK(r->last_conf <= last);
    CHECK(r->peers_count == r->conf.count);
    CHECK_IF(r->role == RAFT_LEADER, r->leader == r->config.id);
    CHECK_IF(r->role == RAFT_LEADER, r->hard.vote == r->config.id);
    CHECK_IF(r->role == RAFT_CANDIDATE, r->hard.vote == r->config.id);
    CHECK_IF(r->role != RAFT_LEADER, r->leader != r->config.id);
    CHECK_IF(r->role == RAFT_LEADER, raft_is_voter(r, r->config.id));
    CHECK_IF(r->role != RAFT_LEADER, r->transfer_to == RAFT_NOBODY);
    CHECK_IF(r->leader == RAFT_NOBODY, r->waiting_count == 0);
    for (size_t i = 0; r->role == RAFT_LEADER && i < r->peers_count; i++) {
        CHECK(r->peers[i].match <= last);
        CHECK(r->peers[i].next > r->peers[i].match ||
              r->peers[i].id == r->config.id);
        CHECK(r->peers[i].next <= last + 1);
    }
}

/* The log may have moved while messages were queued, so their entries are
 * looked up when nothing moves any more. */
static void raft_point_at_entries(struct raft *r)
{
    for (size_t i = 0; i < r->appends.count; i++) {
        struct raft_msg *m = &r->appends.list[i];

        if (m->type == RAFT_MSG_APPEND && m->entries_count > 0) {
            m->entries = raft_log_at(&r->log, m->pos.index + 1);
        }
    }
}

static void raft_hand_out_writes(struct raft *r, struct raft_work *w)
{
    uint64_t last = raft_log_last(&r->log);
    bool promised =
        r->hard.term != r->issued.term || r->hard.vote != r->issued.vote;

    if (!promised && r->unissued > last && !r->snapshot_new) {
        return;
    }
    w->must_sync = true;
    w->persist.term = r->hard.term;
    w->persist.last = raft_log_end(&r->log);
    if (promised || r->hard.commit != r->issued.commit) {
        r->issued = r->hard;
        w->hard = &r->issued;
    }
    w->snapshot = r->snapshot_new ? &r->snapshot : NULL;
    w->entries = raft_log_at(&r->log, r->unissued);
    w->entries_count = (size_t)(last + 1 - r->unissued);
    r->unissued = last + 1;
}

static void raft_hand_out_committed(struct raft *r, struct raft_work *w)
{
    uint64_t end = r->hard.commit < r->stable ? r->hard.commit : r->stable;

    if (end <= r->applied) {
        return;
    }
    w->committed = raft_log_at(&r->log, r->applied + 1);
    w->committed_count = (size_t)(end - r->applied);
    r->applied = end;
}

static struct raft_work raft_hand_out(struct raft *r)
{
    struct raft_work w = {0};

    raft_point_at_entries(r);
    raft_hand_out_writes(r, &w);
    raft_hand_out_committed(r, &w);
    w.appends = r->appends.list;
    w.appends_count = r->appends.count;
    w.messages = r->messages.list;
    w.messages_count = r->messages.count;
    w.reads = r->reads.list;
    w.reads_count = r->reads.count;
    w.reads_lost = r->lost.list;
    w.reads_lost_count = r->lost.count;
    w.dropped = r->dropped.list;
    w.dropped_count = r->dropped.count;
    return w;
}

static enum status raft_take(struct raft *r, const struct raft_event *event)
{
    switch (event->type) {
    case RAFT_STARTED:
        raft_start(r);
        return ST_OK;
    case RAFT_TICK:
        raft_tick(r);
        return ST_OK;
    case RAFT_RECEIVED:
        return raft_receive(r, event->received);
    case RAFT_PROPOSED:
        return raft_propose(r, &event->proposed);
    case RAFT_PERSISTED:
        raft_persisted(r, event->persisted);
        return ST_OK;
    case RAFT_READ_ASKED:
        return raft_read_ask(r, event->read_id);
    case RAFT_CONF_APPLIED:
        raft_on_conf_applied(r, event->changes);
        return ST_OK;
    case RAFT_TRANSFER_ASKED:
        return raft_transfer(r, event->peer);
    case RAFT_SNAPSHOT_ENDED:
        raft_on_snapshot_ended(r, &event->snapshot_ended);
        return ST_OK;
    case RAFT_PEER_LOST:
        raft_on_peer_lost(r, event->peer);
        return ST_OK;
    }
    UNREACHABLE();
}

enum status raft_step(struct raft *r, const struct raft_event *event,
                      struct raft_work *out_work)
{
    enum status st;

    CHECK(r->started || event->type == RAFT_STARTED);
    r->appends.count = 0;
    r->messages.count = 0;
    r->dropped.count = 0;
    r->lost.count = 0;
    r->reads.count = 0;
    r->snapshot_new = false;
    if (event->now_ms > r->now_ms) {
        r->now_ms = event->now_ms;
    }
    st = raft_take(r, event);
    *out_work = raft_hand_out(r);
    raft_verify(r);
    return st;
}

void raft_compact(struct raft *r, uint64_t index)
{
    CHECK(index <= r->applied);
    if (index > r->log.compacted.index) {
        raft_log_compact(&r->log, index);
    }
}

/* ---- looking in ---- */

static bool raft_snapshot_flies(const struct raft *r)
{
    for (size_t i = 0; i < r->peers_count; i++) {
        if (r->peers[i].snapshot_flying) {
            return true;
        }
    }
    return false;
}

struct raft_status raft_status(const struct raft *r)
{
    return (struct raft_status){
        .id = r->config.id,
        .leader = r->leader,
        .role = r->role,
        .hard = r->hard,
        .first_index = r->log.compacted.index + 1,
        .last_index = raft_log_last(&r->log),
        .applied = r->applied,
        .log_bytes = r->log.bytes,
        .uncommitted_bytes = r->uncommitted,
        .voters_count = raft_voters(r),
        .transfer_to = r->transfer_to,
        .snapshot_flying = raft_snapshot_flies(r),
    };
}

const struct raft_conf *raft_conf(const struct raft *r)
{
    return &r->conf;
}

bool raft_progress(const struct raft *r, uint64_t id,
                   struct raft_progress *out_progress)
{
    const struct raft_peer *p = raft_peer(r, id);

    if (r->role != RAFT_LEADER || p == NULL) {
        return false;
    }
    *out_progress = (struct raft_progress){p->match, p->active};
    return true;
}

const struct raft_entry *raft_entry_at(const struct raft *r, uint64_t index)
{
    return raft_log_at(&r->log, index);
}

uint64_t raft_term_at(const struct raft *r, uint64_t index)
{
    return raft_log_term(&r->log, index);
}
