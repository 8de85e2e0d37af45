/*
 * Leadership handed over (Raft thesis, 3.10): nothing new is taken, the target
 * is brought up to date and told to campaign at once. It asks for votes with a
 * mark that says so, for otherwise nobody would leave a leader that is heard.
 */
#include "base/core/check.h"
#include "store/raft/core.h"

static void send_timeout_now(struct raft *r, uint64_t to)
{
    (void)raft_say_now(r, RAFT_MSG_TIMEOUT_NOW, to);
}

void raft_transfer_go(struct raft *r)
{
    const struct raft_peer *p = raft_peer(r, r->transfer_to);

    if (r->role == RAFT_LEADER && p != NULL &&
        p->match == raft_log_last(&r->log)) {
        send_timeout_now(r, p->id);
    }
}

static void transfer_begin(struct raft *r, struct raft_peer *p)
{
    if (p->id == r->config.id || p->id == r->transfer_to) {
        return;
    }
    r->transfer_to = p->id;
    r->transfer_ms = r->now_ms + r->config.election_ms;
    if (p->match == raft_log_last(&r->log)) {
        send_timeout_now(r, p->id);
    } else {
        p->probe_sent = false; /* Do not wait for a heartbeat. */
        (void)raft_send_append(r, p, SEND_IF_EMPTY);
    }
}

enum status raft_transfer(struct raft *r, uint64_t to)
{
    if (r->leader == RAFT_NOBODY) {
        return ST_NOT_LEADER;
    }
    if (!raft_is_voter(r, to)) {
        return ST_INVALID;
    }
    if (r->role == RAFT_LEADER) {
        transfer_begin(r, raft_peer(r, to));
    } else {
        raft_say(r, RAFT_MSG_TRANSFER, r->leader)->from = to;
    }
    return ST_OK;
}

void raft_on_transfer(struct raft *r, const struct raft_msg *m)
{
    if (r->role == RAFT_LEADER && raft_is_voter(r, m->from)) {
        transfer_begin(r, raft_peer(r, m->from));
    }
}

/* A leader that is removed has brought that about itself, so the others are
 * well: the one that has most takes over without waiting for a time-out. */
void raft_step_aside(struct raft *r)
{
    const struct raft_peer *best = NULL;

    for (size_t i = 0; i < r->peers_count; i++) {
        const struct raft_peer *p = &r->peers[i];

        if (raft_has_vote(p) && (best == NULL || p->match > best->match)) {
            best = p;
        }
    }
    if (r->role == RAFT_LEADER && best != NULL) {
        raft_send_appends(r); /* That the change is committed. */
        send_timeout_now(r, best->id);
    }
    raft_become_follower(r, r->hard.term, RAFT_NOBODY);
}
