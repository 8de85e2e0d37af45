#include "base/core/check.h"
#include "store/raft/core.h"

/* Whoever lags behind in terms is told, so that a leader of old steps down and
 * a pre-candidate with an old term learns the new one. */
static void raft_on_old_term(struct raft *r, const struct raft_msg *m)
{
    if (m->type == RAFT_MSG_APPEND || m->type == RAFT_MSG_HEARTBEAT) {
        (void)raft_say(r, RAFT_MSG_APPEND_REPLY, m->from);
    } else if (m->type == RAFT_MSG_PRE_VOTE) {
        raft_refuse_vote(r, raft_say(r, RAFT_MSG_PRE_VOTE_REPLY, m->from));
    }
}

static bool raft_from_leader(const struct raft_msg *m)
{
    return m->type == RAFT_MSG_APPEND || m->type == RAFT_MSG_HEARTBEAT ||
           m->type == RAFT_MSG_SNAPSHOT;
}

static void raft_hear_leader(struct raft *r, uint64_t leader)
{
    if (r->role != RAFT_FOLLOWER) {
        raft_become_follower(r, r->hard.term, leader);
    }
    r->leader = leader;
    r->leader_lost = false;
    r->heard_ms = r->now_ms;
    raft_defer_election(r);
}

static void raft_dispatch_reply(struct raft *r, const struct raft_msg *m)
{
    if (r->role != RAFT_LEADER) {
        return; /* It has come too late. */
    }
    if (m->type == RAFT_MSG_APPEND_REPLY) {
        raft_on_append_reply(r, m);
    } else {
        raft_on_heartbeat_reply(r, m);
    }
}

/* Messages of our term. Known to be of a type that exists. */
static void raft_dispatch(struct raft *r, const struct raft_msg *m)
{
    if (raft_from_leader(m)) {
        raft_hear_leader(r, m->from);
    }
    switch (m->type) {
    case RAFT_MSG_APPEND:
        raft_on_append(r, m);
        return;
    case RAFT_MSG_HEARTBEAT:
        raft_on_heartbeat(r, m);
        return;
    case RAFT_MSG_SNAPSHOT:
        raft_on_snapshot(r, m);
        return;
    case RAFT_MSG_VOTE:
    case RAFT_MSG_PRE_VOTE:
        raft_on_vote(r, m);
        return;
    case RAFT_MSG_VOTE_REPLY:
    case RAFT_MSG_PRE_VOTE_REPLY:
        raft_on_vote_reply(r, m);
        return;
    case RAFT_MSG_TIMEOUT_NOW:
        raft_campaign_at_once(r);
        return;
    case RAFT_MSG_READ_REPLY:
        raft_on_read_reply(r, m);
        return;
    case RAFT_MSG_TRANSFER:
        raft_on_transfer(r, m);
        return;
    case RAFT_MSG_APPEND_REPLY:
    case RAFT_MSG_HEARTBEAT_REPLY:
        raft_dispatch_reply(r, m);
        return;
    case RAFT_MSG_PROPOSE:
    case RAFT_MSG_READ:
        break; /* Of no term: raft_receive(). */
    }
    UNREACHABLE();
}

static bool raft_type_exists(const struct raft_msg *m)
{
    return (m->type >= RAFT_MSG_PROPOSE &&
            m->type <= RAFT_MSG_HEARTBEAT_REPLY) ||
           (m->type >= RAFT_MSG_TRANSFER && m->type <= RAFT_MSG_PRE_VOTE_REPLY);
}

/* Is the message for us, and does it not contradict what we know for sure? */
static bool raft_believes(const struct raft *r, const struct raft_msg *m)
{
    if (m->to != r->config.id || m->from == RAFT_NOBODY ||
        (m->from == r->config.id && m->type != RAFT_MSG_TRANSFER) ||
        !raft_type_exists(m) || m->term > RAFT_NUMBER_MAX) {
        return false;
    }
    if (!raft_from_leader(m) || m->term < r->hard.term) {
        return true;
    }
    if (m->term == r->hard.term && r->leader != RAFT_NOBODY &&
        r->leader != m->from) {
        return false; /* Two leaders in one term. */
    }
    if (m->type == RAFT_MSG_APPEND) {
        return raft_entries_fit(m);
    }
    if (m->type == RAFT_MSG_SNAPSHOT) {
        return raft_snapshot_fits(r, m);
    }
    /* A leader tells no more than what we have acknowledged. If that is
     * beyond our end, we have lost what was on our disk. */
    return m->commit <= raft_log_last(&r->log);
}

enum status raft_receive(struct raft *r, const struct raft_msg *m)
{
    bool promise = m->type == RAFT_MSG_PRE_VOTE ||
                   (m->type == RAFT_MSG_PRE_VOTE_REPLY && !m->reject);

    if (!raft_believes(r, m)) {
        return ST_INVALID;
    }
    if (m->type == RAFT_MSG_PROPOSE) {
        raft_on_propose(r, m);
        return ST_OK;
    }
    if (m->type == RAFT_MSG_READ) {
        raft_on_read(r, m);
        return ST_OK;
    }
    if (m->term < r->hard.term) {
        raft_on_old_term(r, m);
        return ST_OK;
    }
    if (m->term > r->hard.term) {
        if (raft_refuses_to_move(r, m)) {
            return ST_OK;
        }
        if (!promise) {
            raft_become_follower(r, m->term, RAFT_NOBODY);
        }
    }
    raft_dispatch(r, m);
    return ST_OK;
}
