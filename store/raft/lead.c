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
        m->context = raft_reads_newest(r);
    }
}

static void flying_add(const struct raft *r, struct raft_peer *p, uint64_t last)
{
    size_t at = (p->flying_head + p->flying_count) % r->config.inflight_max;

    CHECK(p->flying_count < r->config.inflight_max);
    p->flying[at] = last;
    p->flying_count++;
}

static void flying_land(const struct raft *r, struct raft_peer *p,
                        uint64_t index)
{
    while (p->flying_count > 0 && p->flying[p->flying_head] <= index) {
        p->flying_head = (p->flying_head + 1) % r->config.inflight_max;
        p->flying_count--;
    }
}

static bool peer_must_wait(const struct raft *r, const struct raft_peer *p)
{
    switch (p->pace) {
    case RAFT_PROBE:
        return p->probe_sent;
    case RAFT_REPLICATE:
        return p->flying_count == r->config.inflight_max;
    case RAFT_SNAPSHOT:
        return true;
    }
    UNREACHABLE();
}

/* How many entries from `next` on go into one message: at least one if there
 * is any, then as many as fit. */
static size_t raft_portion(const struct raft *r, uint64_t next)
{
    uint64_t last = raft_log_last(&r->log);
    size_t bytes = 0;
    size_t count = 0;

    while (next + count <= last) {
        bytes += raft_log_at(&r->log, next + count)->len;
        if (count > 0 && bytes > r->config.append_bytes_max) {
            break;
        }
        count++;
    }
    return count;
}

static void raft_probe_from(struct raft_peer *p, uint64_t index)
{
    p->pace = RAFT_PROBE;
    p->probe_sent = false;
    p->flying_count = 0;
    p->next = index + 1;
}

enum raft_if_empty {
    SEND_IF_EMPTY,
    SKIP_IF_EMPTY
};

/* Returns whether a message was queued. */
static bool raft_send_append(struct raft *r, struct raft_peer *p,
                             enum raft_if_empty if_empty)
{
    struct raft_pos before;
    struct raft_msg *m;
    size_t count;

    if (peer_must_wait(r, p)) {
        return false;
    }
    before.index = p->next - 1;
    if (before.index < r->log.compacted.index) {
        raft_probe_from(p, r->log.compacted.index);
        before.index = r->log.compacted.index;
    }
    count = raft_portion(r, p->next);
    if (count == 0 && if_empty == SKIP_IF_EMPTY) {
        return false;
    }
    before.term = raft_log_term(&r->log, before.index);
    m = raft_say_now(r, RAFT_MSG_APPEND, p->id);
    m->pos = before;
    m->commit = r->hard.commit;
    m->entries_count = count;
    if (p->pace == RAFT_PROBE) {
        p->probe_sent = true;
    } else if (count > 0) {
        p->next += count;
        flying_add(r, p, p->next - 1);
    }
    return true;
}

void raft_send_appends(struct raft *r)
{
    for (size_t i = 0; i < r->peers_count; i++) {
        if (r->peers[i].id != r->config.id) {
            (void)raft_send_append(r, &r->peers[i], SEND_IF_EMPTY);
        }
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
    first_of_term = raft_log_term(&r->log, r->hard.commit) != r->hard.term;
    raft_set_commit(r, index);
    if (first_of_term) {
        raft_reads_begin(r);
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
    uint64_t kept = r->log.compacted.index;

    if (m->pos.index <= p->match || p->pace == RAFT_SNAPSHOT) {
        return; /* Late: it has been accepted since. (0 always agrees.) */
    }
    if (p->pace == RAFT_PROBE && m->pos.index != p->next - 1) {
        return; /* The answer to an older probe. */
    }
    if (p->pace == RAFT_PROBE && m->pos.index == kept) {
        p->pace = RAFT_SNAPSHOT; /* Not even the beginning of what is kept. */
        return;
    }
    raft_probe_from(p, raft_next_guess(r, p, m));
    (void)raft_send_append(r, p, SEND_IF_EMPTY);
}

static void raft_peer_has(struct raft *r, struct raft_peer *p, uint64_t index)
{
    bool waited = peer_must_wait(r, p);
    bool news = index > p->match;

    if (news) {
        p->match = index;
    }
    if (p->next <= p->match) {
        p->next = p->match + 1;
    }
    flying_land(r, p, index);
    if (p->pace != RAFT_REPLICATE && p->match >= r->log.compacted.index) {
        p->pace = RAFT_REPLICATE;
        p->probe_sent = false;
        p->flying_count = 0;
        p->next = p->match + 1;
    }
    if (news && raft_try_commit(r)) {
        raft_send_appends(r); /* With the new commit index. */
    } else if (waited) {
        (void)raft_send_append(r, p, SEND_IF_EMPTY);
    }
    while (raft_send_append(r, p, SKIP_IF_EMPTY)) {
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
    if (p->pace == RAFT_SNAPSHOT) {
        raft_probe_from(p, r->log.compacted.index); /* It may have been late. */
    }
    if (p->flying_count == r->config.inflight_max) {
        /* Its answers may be lost: let one message through. */
        flying_land(r, p, p->flying[p->flying_head]);
    }
    if (p->match < raft_log_last(&r->log)) {
        (void)raft_send_append(r, p, SEND_IF_EMPTY);
    }
    if (m->context > p->read_seen && m->context <= raft_reads_newest(r)) {
        p->read_seen = m->context;
        raft_reads_confirm(r);
    }
}
