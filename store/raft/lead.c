#include "base/core/check.h"
#include "store/raft/core.h"

static bool peer_was_active(const struct raft_peer *p, uint64_t unused)
{
    (void)unused;
    return p->active;
}

/* A leader that hears no majority for an election time-out steps down: it could
 * not commit anything, and clients are better served elsewhere. */
static void raft_check_quorum(struct raft *r)
{
    if (!raft_quorum(r, peer_was_active, 0)) {
        raft_become_follower(r, r->hard.term, RAFT_NOBODY);
        return;
    }
    for (size_t i = 0; i < r->peers_count; i++) {
        r->peers[i].active = r->peers[i].id == r->config.id;
    }
    r->quorum_ms = r->now_ms + r->config.election_ms;
}

void raft_lead_tick(struct raft *r)
{
    if (r->transfer_to != RAFT_NOBODY && r->now_ms >= r->transfer_ms) {
        r->transfer_to = RAFT_NOBODY;
    }
    if (r->now_ms >= r->quorum_ms) {
        raft_check_quorum(r);
    }
    if (r->role == RAFT_LEADER && r->now_ms >= r->beat_ms) {
        raft_send_heartbeats(r);
        r->beat_ms = r->now_ms + r->config.heartbeat_ms;
    }
}

void raft_send_heartbeats(struct raft *r)
{
    uint64_t commit = r->hard.commit;

    for (size_t i = 0; i < r->peers_count; i++) {
        const struct raft_peer *p = &r->peers[i];
        struct raft_msg *m;

        if (p->id == r->config.id) {
            continue;
        }
        m = raft_say_now(r, RAFT_MSG_HEARTBEAT, p->id);
        m->commit = p->match < commit ? p->match : commit;
        m->context = raft_reads_round(r);
    }
}

/* Only an entry of the own term commits by counting copies; older ones are
 * committed by what follows them (Raft thesis, 3.6.2). */
bool raft_try_commit(struct raft *r)
{
    uint64_t index = raft_quorum_match(r);
    bool first_of_term;

    if (index <= r->hard.commit ||
        raft_log_term(&r->log, index) != r->hard.term) {
        return false;
    }
    first_of_term = !raft_knows_commit(r);
    raft_set_commit(r, index);
    if (first_of_term) {
        raft_reads_begin(r);
        raft_leave_joint(r);
    }
    return true;
}

/* Where the logs may still agree. Our own may rule out more than the hint does:
 * the entry that agrees cannot have a higher term than the follower's there. */
static uint64_t raft_next_guess(const struct raft *r, const struct raft_peer *p,
                                const struct raft_msg *m)
{
    uint64_t guess = m->hint.index;

    if (m->hint.term > 0) {
        guess = raft_log_agree(&r->log, m->hint.index, m->hint.term).index;
    }
    if (guess >= m->pos.index) {
        guess = m->pos.index - 1;
    }
    return guess > p->match ? guess : p->match;
}

static void raft_step_back(struct raft *r, struct raft_peer *p,
                           const struct raft_msg *m)
{
    if (m->pos.index <= p->match || p->pace == RAFT_SNAPSHOT) {
        return; /* Late: it has been accepted since. (0 always agrees.) */
    }
    if (p->pace == RAFT_PROBE && m->pos.index != p->next - 1) {
        return; /* The answer to an older probe. */
    }
    if (p->pace == RAFT_PROBE && m->pos.index == r->log.compacted.index) {
        raft_send_snapshot(r, p); /* Not even the beginning of what is kept. */
        return;
    }
    raft_probe_from(p, raft_next_guess(r, p, m));
    (void)raft_send_append(r, p, SEND_IF_EMPTY);
}

static void raft_peer_has(struct raft *r, struct raft_peer *p, uint64_t index)
{
    bool waited = raft_must_wait(r, p);
    bool news = index > p->match;

    if (news) {
        p->match = index;
    }
    if (p->next <= p->match) {
        p->next = p->match + 1;
    }
    raft_flight_landed(r, p, index);
    if (p->pace != RAFT_REPLICATE && p->match >= r->log.compacted.index) {
        raft_replicate_from(p, p->match);
    }
    if (news && raft_try_commit(r)) {
        raft_send_appends(r); /* With the new commit index. */
    } else if (waited) {
        (void)raft_send_append(r, p, SEND_IF_EMPTY);
    }
    while (raft_send_append(r, p, SKIP_IF_EMPTY)) {
    }
    if (p->id == r->transfer_to) {
        raft_transfer_go(r);
    }
}

void raft_on_append_reply(struct raft *r, const struct raft_msg *m)
{
    struct raft_peer *p = raft_peer(r, m->from);

    if (p == NULL || m->pos.index > raft_log_last(&r->log)) {
        return; /* Not a member; or claims what we never had. */
    }
    p->active = true;
    if (m->reject) {
        raft_step_back(r, p, m);
    } else {
        raft_peer_has(r, p, m->pos.index);
    }
}

void raft_on_heartbeat_reply(struct raft *r, const struct raft_msg *m)
{
    struct raft_peer *p = raft_peer(r, m->from);

    if (p == NULL) {
        return;
    }
    p->active = true;
    p->probe_sent = false;
    if (p->pace == RAFT_SNAPSHOT && !p->snapshot_flying) {
        raft_probe_from(p, r->log.compacted.index); /* It may have come. */
    }
    raft_flight_presumed_lost(r, p);
    if (p->match < raft_log_last(&r->log)) {
        (void)raft_send_append(r, p, SEND_IF_EMPTY);
    }
    if (m->context > p->read_seen && m->context <= raft_reads_round(r)) {
        p->read_seen = m->context;
        raft_reads_confirm(r);
    }
}
