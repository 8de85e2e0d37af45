#include "base/core/check.h"
#include "store/raft/core.h"

/* Entries must continue `pos` without a gap, in terms that never fall and are
 * not beyond the sender's. */
bool raft_entries_fit(const struct raft_msg *m)
{
    struct raft_pos before = m->pos;

    for (size_t i = 0; i < m->entries_count; i++) {
        struct raft_pos at = m->entries[i].pos;

        if (at.index != before.index + 1 || at.term < before.term ||
            at.term > m->term || at.term == 0) {
            return false;
        }
        before = at;
    }
    return true;
}

/* Refuse, and say where the logs may still agree, so that the leader need not
 * go back entry by entry but skips a whole term at a time. What is committed
 * agrees for certain, so it never need go back further. */
static void raft_refuse(struct raft *r, const struct raft_msg *m)
{
    uint64_t last = raft_log_last(&r->log);
    uint64_t from = m->pos.index < last ? m->pos.index : last;
    struct raft_msg *reply = raft_say(r, RAFT_MSG_APPEND_REPLY, m->from);

    reply->reject = true;
    reply->pos.index = m->pos.index;
    reply->hint = raft_log_agree(&r->log, from, m->pos.term);
    if (reply->hint.index < r->hard.commit) {
        reply->hint.index = r->hard.commit;
        reply->hint.term = raft_log_term(&r->log, r->hard.commit);
    }
}

/* Entries that are here already are skipped; the first that differs takes all
 * behind it away. */
static void raft_take_entries(struct raft *r, const struct raft_msg *m)
{
    size_t i = 0;

    while (i < m->entries_count &&
           raft_log_term(&r->log, m->entries[i].pos.index) ==
               m->entries[i].pos.term) {
        i++;
    }
    if (i < m->entries_count &&
        m->entries[i].pos.index <= raft_log_last(&r->log)) {
        raft_cut_log(r, m->entries[i].pos.index);
    }
    for (; i < m->entries_count; i++) {
        raft_append(r, raft_entry_copy(&m->entries[i]));
    }
}

void raft_on_append(struct raft *r, const struct raft_msg *m)
{
    uint64_t last_new = m->pos.index + m->entries_count;

    if (m->pos.index < r->hard.commit) {
        /* Late: we are further. Nothing below the commit can differ. */
        raft_say(r, RAFT_MSG_APPEND_REPLY, m->from)->pos.index = r->hard.commit;
        return;
    }
    if (m->pos.index > raft_log_last(&r->log) ||
        raft_log_term(&r->log, m->pos.index) != m->pos.term) {
        raft_refuse(r, m);
        return;
    }
    raft_take_entries(r, m);
    raft_set_commit(r, m->commit < last_new ? m->commit : last_new);
    raft_say(r, RAFT_MSG_APPEND_REPLY, m->from)->pos.index = last_new;
}

void raft_on_heartbeat(struct raft *r, const struct raft_msg *m)
{
    raft_set_commit(r, m->commit);
    raft_say(r, RAFT_MSG_HEARTBEAT_REPLY, m->from)->context = m->context;
}

/* ---- snapshots ---- */

/* One that does not know us is not for us; one that is further than we are
 * cannot be of an older term. */
bool raft_snapshot_fits(const struct raft *r, const struct raft_msg *m)
{
    const struct raft_snapshot *s = m->snapshot;

    if (s == NULL || s->pos.index == 0 || s->pos.term == 0 ||
        s->pos.term > m->term || s->pos.index > RAFT_NUMBER_MAX) {
        return false;
    }
    if (s->pos.index > r->hard.commit &&
        s->pos.term < raft_log_term(&r->log, r->hard.commit)) {
        return false;
    }
    return raft_conf_is_sound(&s->conf) &&
           raft_conf_roles(&s->conf, r->config.id) != 0;
}

/* The log goes on behind the snapshot, which the driver makes durable before
 * our answer leaves. */
static void raft_restart_behind(struct raft *r, const struct raft_snapshot *s)
{
    raft_drop_tags(r, r->applied + 1);
    raft_log_release(&r->log);
    raft_log_start(&r->log, s->pos);
    r->snapshot = *s;
    r->snapshot_new = true;
    r->stable = s->pos.index;
    r->unissued = s->pos.index + 1;
    r->applied = s->pos.index;
    r->hard.commit = s->pos.index;
    r->conf = s->conf;
    r->conf_index = s->pos.index;
    r->last_conf = s->pos.index;
    raft_peers_follow_conf(r);
}

void raft_on_snapshot(struct raft *r, const struct raft_msg *m)
{
    struct raft_pos pos = m->snapshot->pos;

    if (pos.index > r->hard.commit) {
        if (raft_log_term(&r->log, pos.index) == pos.term) {
            raft_set_commit(r, pos.index); /* The log reaches; keep it. */
        } else {
            raft_restart_behind(r, m->snapshot);
        }
    }
    raft_say(r, RAFT_MSG_APPEND_REPLY, m->from)->pos.index = r->hard.commit;
}
