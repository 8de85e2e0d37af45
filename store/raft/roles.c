#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "store/raft/core.h"

void raft_ids_add(struct raft_ids *ids, uint64_t id)
{
    ids->list =
        row_room(ids->list, &ids->cap, ids->count, sizeof(ids->list[0]));
    ids->list[ids->count++] = id;
}

static struct raft_msg *raft_queue(struct raft *r, struct raft_msgs *queue,
                                   enum raft_msg_type type, uint64_t to)
{
    struct raft_msg *m;

    queue->list = row_room(queue->list, &queue->cap, queue->count,
                           sizeof(queue->list[0]));
    m = &queue->list[queue->count++];
    *m = (struct raft_msg){
        .type = type, .from = r->config.id, .to = to, .term = r->hard.term};
    return m;
}

struct raft_msg *raft_say_now(struct raft *r, enum raft_msg_type type,
                              uint64_t to)
{
    return raft_queue(r, &r->appends, type, to);
}

struct raft_msg *raft_say(struct raft *r, enum raft_msg_type type, uint64_t to)
{
    return raft_queue(r, &r->messages, type, to);
}

void raft_append(struct raft *r, struct raft_entry entry)
{
    raft_log_append(&r->log, entry);
    if (entry.type != RAFT_ENTRY_NORMAL) {
        r->last_conf = entry.pos.index;
    }
}

void raft_append_own(struct raft *r, struct raft_entry entry)
{
    CHECK(r->role == RAFT_LEADER);
    entry.pos.term = r->hard.term;
    entry.pos.index = raft_log_last(&r->log) + 1;
    raft_append(r, entry);
    r->uncommitted += entry.len;
}

void raft_drop_tags(struct raft *r, uint64_t from)
{
    for (uint64_t i = from; i <= raft_log_last(&r->log); i++) {
        uint64_t tag = raft_log_at(&r->log, i)->tag;

        if (tag != 0) {
            raft_ids_add(&r->dropped, tag);
        }
    }
}

void raft_cut_log(struct raft *r, uint64_t index)
{
    CHECK(r->role != RAFT_LEADER);
    CHECK(index > r->hard.commit);
    raft_drop_tags(r, index);
    raft_log_cut(&r->log, index);
    if (r->last_conf >= index) {
        raft_find_last_conf(r);
    }
    if (r->stable >= index) {
        r->stable = index - 1;
    }
    if (r->unissued > index) {
        r->unissued = index;
    }
}

void raft_set_commit(struct raft *r, uint64_t index)
{
    CHECK(index <= raft_log_last(&r->log));
    while (r->hard.commit < index) {
        r->hard.commit++;
        if (r->role == RAFT_LEADER) {
            r->uncommitted -= raft_log_at(&r->log, r->hard.commit)->len;
        }
    }
}

/* ---- roles ---- */

void raft_defer_election(struct raft *r)
{
    r->deadline_ms = r->now_ms + r->config.election_ms +
                     rng_below(&r->rng, r->config.election_ms);
}

static void raft_enter_term(struct raft *r, uint64_t term, uint64_t vote)
{
    CHECK(term > r->hard.term);
    r->hard.term = term;
    r->hard.vote = vote;
}

static void raft_enter_role(struct raft *r, enum raft_role role,
                            uint64_t leader)
{
    r->role = role;
    r->leader = leader;
    r->leader_lost = false;
    r->uncommitted = 0;
    r->transfer_to = RAFT_NOBODY;
    raft_reads_lose(r);
    raft_peers_reset(r);
    raft_defer_election(r);
}

void raft_become_follower(struct raft *r, uint64_t term, uint64_t leader)
{
    CHECK(term >= r->hard.term);
    if (term > r->hard.term) {
        raft_enter_term(r, term, RAFT_NOBODY);
    }
    raft_enter_role(r, RAFT_FOLLOWER, leader);
}

void raft_become_pre_candidate(struct raft *r)
{
    CHECK(r->role != RAFT_LEADER);
    raft_enter_role(r, RAFT_PRE_CANDIDATE, RAFT_NOBODY);
}

void raft_become_candidate(struct raft *r)
{
    CHECK(r->role != RAFT_LEADER);
    raft_enter_term(r, r->hard.term + 1, r->config.id);
    raft_enter_role(r, RAFT_CANDIDATE, RAFT_NOBODY);
}

/* The empty entry makes everything before it committable: see
 * raft_try_commit(). */
void raft_become_leader(struct raft *r)
{
    CHECK(r->role == RAFT_CANDIDATE);
    raft_enter_role(r, RAFT_LEADER, r->config.id);
    r->uncommitted = raft_log_bytes_after(&r->log, r->hard.commit);
    r->quorum_ms = r->now_ms + r->config.election_ms;
    r->beat_ms = r->now_ms + r->config.heartbeat_ms;
    raft_append_own(r, (struct raft_entry){.type = RAFT_ENTRY_NORMAL});
    raft_send_appends(r);
}
