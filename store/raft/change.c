/*
 * Membership changes. An entry that holds one takes effect when it is applied,
 * as in etcd. Two majorities, one before and one after a change of one vote,
 * always share a member; over two such changes they need not. So the next one
 * is not taken before the last is applied (Raft thesis, 4.1), nor before an
 * entry of our own term is committed: a change of an earlier leader might still
 * be lost or won.
 */
#include "base/core/check.h"
#include "store/raft/core.h"

static bool is_change(const struct raft_entry *e)
{
    return e->type != RAFT_ENTRY_NORMAL;
}

static uint64_t first_change(const struct raft *r, uint64_t end)
{
    uint64_t at = r->conf_index;

    if (at < r->log.compacted.index) {
        at = r->log.compacted.index;
    }
    while (++at <= end) {
        if (is_change(raft_log_at(&r->log, at))) {
            return at;
        }
    }
    return 0;
}

void raft_find_last_conf(struct raft *r)
{
    uint64_t at = raft_log_last(&r->log);

    while (at > r->conf_index && at > r->log.compacted.index &&
           !is_change(raft_log_at(&r->log, at))) {
        at--;
    }
    r->last_conf = at > r->conf_index ? at : r->conf_index;
}

bool raft_may_change(const struct raft *r)
{
    return r->last_conf <= r->conf_index && raft_knows_commit(r);
}

/* Whoever knows of a change that it has not applied yet does not campaign: it
 * would count votes by the old members. */
bool raft_change_is_committed(const struct raft *r)
{
    return r->last_conf > r->conf_index && first_change(r, r->hard.commit) > 0;
}

/* The empty change ends a joint configuration. Only a leader that knows of no
 * other change may write it. */
void raft_leave_joint(struct raft *r)
{
    if (r->role == RAFT_LEADER && r->conf.auto_leave && raft_may_change(r)) {
        raft_append_own(r, (struct raft_entry){.type = RAFT_ENTRY_CONF_V2});
        raft_send_appends(r);
    }
}

static void lead_on(struct raft *r)
{
    struct raft_peer *target = raft_peer(r, r->transfer_to);

    if (target == NULL || !raft_has_vote(target)) {
        r->transfer_to = RAFT_NOBODY;
    }
    (void)raft_try_commit(r); /* A smaller majority may have it already. */
    raft_reads_confirm(r);
    raft_send_appends(r);
    raft_leave_joint(r);
}

void raft_on_conf_applied(struct raft *r, const struct raft_changes *changes)
{
    uint64_t index = first_change(r, r->applied);

    CHECK(index > 0);
    CHECK(changes == NULL || raft_conf_apply(&r->conf, changes) == ST_OK);
    r->conf_index = index;
    raft_peers_follow_conf(r);
    if (r->role == RAFT_FOLLOWER) {
        if (raft_is_alone(r)) {
            raft_campaign(r); /* Whom should it wait for? */
        }
        return;
    }
    if (!raft_is_voter(r, r->config.id)) {
        raft_step_aside(r);
    } else if (r->role == RAFT_LEADER) {
        lead_on(r);
    }
}
