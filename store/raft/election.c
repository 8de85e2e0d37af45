#include "base/core/check.h"
#include "store/raft/core.h"

static bool peer_said(const struct raft_peer *p, uint64_t answer)
{
    return p->answer == (enum raft_answer)answer;
}

static void raft_ask_for_votes(struct raft *r, enum raft_msg_type type,
                               uint64_t term, bool transfer)
{
    for (size_t i = 0; i < r->peers_count; i++) {
        const struct raft_peer *p = &r->peers[i];
        struct raft_msg *m;

        if (!raft_has_vote(p) || p->id == r->config.id) {
            continue;
        }
        m = raft_say(r, type, p->id);
        m->term = term;
        m->pos = raft_log_end(&r->log);
        m->transfer = transfer;
    }
}

/* Our own vote counts when it is on disk: see raft_own_vote_durable(). */
static void raft_stand(struct raft *r, bool transfer)
{
    raft_become_candidate(r);
    raft_ask_for_votes(r, RAFT_MSG_VOTE, r->hard.term, transfer);
}

static bool raft_may_campaign(const struct raft *r)
{
    return raft_is_voter(r, r->config.id) && !raft_change_is_committed(r);
}

/* First ask whether an election could be won (Raft thesis, 9.6): a member that
 * was cut off must not raise the term of a healthy group when it returns. */
void raft_campaign(struct raft *r)
{
    if (!raft_may_campaign(r)) {
        raft_defer_election(r);
        return;
    }
    raft_become_pre_candidate(r);
    raft_peer(r, r->config.id)->answer = RAFT_YES;
    if (raft_quorum(r, peer_said, RAFT_YES)) {
        raft_stand(r, false);
        return;
    }
    raft_ask_for_votes(r, RAFT_MSG_PRE_VOTE, r->hard.term + 1, false);
}

/* The group is well and its leader wants it: there is nothing to ask first. */
void raft_campaign_at_once(struct raft *r)
{
    if (r->role == RAFT_FOLLOWER && raft_may_campaign(r)) {
        raft_stand(r, true);
    }
}

/* A leader that is gone is not waited for. Should only the link be broken, then
 * a majority still hears the leader and refuses, or it is heard again first. */
void raft_on_peer_lost(struct raft *r, uint64_t id)
{
    struct raft_peer *p = raft_peer(r, id);
    uint64_t soon = r->now_ms + rng_below(&r->rng, r->config.heartbeat_ms);

    if (p == NULL || id == r->config.id) {
        return;
    }
    if (r->role == RAFT_LEADER && p->pace == RAFT_REPLICATE) {
        raft_probe_from(p, p->match); /* What was flying has crashed. */
    }
    if (r->role == RAFT_FOLLOWER && r->leader == id) {
        r->leader_lost = true;
        r->deadline_ms = soon < r->deadline_ms ? soon : r->deadline_ms;
    }
}

void raft_own_vote_durable(struct raft *r)
{
    struct raft_peer *self = raft_peer(r, r->config.id);

    CHECK(r->role == RAFT_CANDIDATE);
    CHECK(r->hard.vote == r->config.id);
    if (self == NULL) {
        return; /* Removed while it stood. */
    }
    self->answer = RAFT_YES;
    if (raft_quorum(r, peer_said, RAFT_YES)) {
        raft_become_leader(r);
    }
}

/* While a leader is heard, nobody else is helped to depose it, and our own term
 * is not raised by asking (Raft thesis, 4.2.3). */
bool raft_refuses_to_move(const struct raft *r, const struct raft_msg *m)
{
    if ((m->type != RAFT_MSG_VOTE && m->type != RAFT_MSG_PRE_VOTE) ||
        m->transfer) {
        return false;
    }
    return r->leader != RAFT_NOBODY && !r->leader_lost &&
           (r->role == RAFT_LEADER ||
            r->now_ms - r->heard_ms < r->config.election_ms);
}

static bool raft_is_as_new(const struct raft *r, struct raft_pos theirs)
{
    struct raft_pos ours = raft_log_end(&r->log);

    if (theirs.term != ours.term) {
        return theirs.term > ours.term;
    }
    return theirs.index >= ours.index;
}

static bool raft_may_vote(const struct raft *r, const struct raft_msg *m)
{
    if (m->type == RAFT_MSG_PRE_VOTE && m->term > r->hard.term) {
        return true; /* A pre-vote binds nobody. */
    }
    if (r->hard.vote == m->from) {
        return true;
    }
    return r->hard.vote == RAFT_NOBODY && r->leader == RAFT_NOBODY;
}

/* The vote is written before it is sent. Were it the other way round:
 *   1. we vote for A in term 7 and crash before the write
 *   2. after restart we have no vote in term 7 and give it to B
 *   3. A and B both lead term 7. */
void raft_on_vote(struct raft *r, const struct raft_msg *m)
{
    bool real = m->type == RAFT_MSG_VOTE;
    bool grant = raft_may_vote(r, m) && raft_is_as_new(r, m->pos);
    struct raft_msg *reply = raft_say(
        r, real ? RAFT_MSG_VOTE_REPLY : RAFT_MSG_PRE_VOTE_REPLY, m->from);

    if (!grant) {
        raft_refuse_vote(r, reply);
        return; /* And the own time-out runs on: we may be the better one. */
    }
    reply->term = m->term; /* A pre-vote is about a term to come. */
    if (real) {
        r->hard.vote = m->from;
        raft_defer_election(r);
    }
}

/* A pre-vote is given for the term to come. One that comes late is of a term
 * that has come since, and says nothing about the next. */
static bool raft_pre_vote_is_late(const struct raft *r,
                                  const struct raft_msg *m)
{
    return m->type == RAFT_MSG_PRE_VOTE_REPLY && !m->reject &&
           m->term != r->hard.term + 1;
}

/* A refusal says what is committed where it comes from. The story (how two
 * become one):
 *   1. the leader of two is removed; that is committed as both have it, and it
 *      steps aside
 *   2. what it said last got lost, so the other one does not know
 *   3. the other one stands, needs two votes, and is refused for ever if the
 * old leader's log goes on behind the removal. */
static void raft_learn_commit(struct raft *r, const struct raft_msg *m)
{
    if (m->reject && r->role != RAFT_LEADER && m->hint.term > 0 &&
        m->hint.index <= raft_log_last(&r->log) &&
        raft_log_term(&r->log, m->hint.index) == m->hint.term) {
        raft_set_commit(r, m->hint.index);
    }
}

void raft_refuse_vote(const struct raft *r, struct raft_msg *reply)
{
    reply->reject = true;
    reply->hint.index = r->hard.commit;
    reply->hint.term = raft_log_term(&r->log, r->hard.commit);
}

void raft_on_vote_reply(struct raft *r, const struct raft_msg *m)
{
    bool wanted = m->type == RAFT_MSG_VOTE_REPLY
                      ? r->role == RAFT_CANDIDATE
                      : r->role == RAFT_PRE_CANDIDATE;
    struct raft_peer *p = raft_peer(r, m->from);

    raft_learn_commit(r, m);
    if (!wanted || p == NULL || raft_pre_vote_is_late(r, m)) {
        return;
    }
    if (p->answer == RAFT_NO_ANSWER) {
        p->answer = m->reject ? RAFT_NO : RAFT_YES;
    }
    if (raft_quorum(r, peer_said, RAFT_YES)) {
        if (r->role == RAFT_CANDIDATE) {
            raft_become_leader(r);
        } else {
            raft_stand(r, false);
        }
    } else if (raft_quorum(r, peer_said, RAFT_NO)) {
        raft_become_follower(r, r->hard.term, RAFT_NOBODY);
    }
}
