/*
 * Linearizable reads without the log (Raft thesis, 6.4): note the commit index,
 * hear from a majority that we still lead, then answer from a state that has
 * applied that much. Each question gets a round; rounds only grow, so that one
 * answer confirms all reads asked before it, and a late answer to an earlier
 * round confirms nothing newer. A follower asks its leader for the index.
 */
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "store/raft/core.h"

/* So many of the members' questions wait at most; they ask again. */
#define READS_FORWARDED_MAX 4096

static bool peer_confirms(const struct raft_peer *p, uint64_t round)
{
    return p->read_seen >= round;
}

bool raft_knows_commit(const struct raft *r)
{
    return raft_log_term(&r->log, r->hard.commit) == r->hard.term;
}

uint64_t raft_reads_round(const struct raft *r)
{
    return r->role != RAFT_LEADER || r->waiting_count == 0
               ? 0
               : r->waiting[r->waiting_count - 1].round;
}

static void waiting_add(struct raft *r, struct raft_waiting_read read)
{
    r->waiting = row_room(r->waiting, &r->waiting_cap, r->waiting_count,
                          sizeof(r->waiting[0]));
    r->waiting[r->waiting_count++] = read;
}

static void waiting_remove(struct raft *r, size_t count)
{
    if (count == 0) {
        return;
    }
    r->waiting_count -= count;
    memmove(r->waiting, r->waiting + count,
            r->waiting_count * sizeof(r->waiting[0]));
}

static void hand_out(struct raft *r, struct raft_read read)
{
    struct raft_reads *reads = &r->reads;

    reads->list = row_room(reads->list, &reads->cap, reads->count,
                           sizeof(reads->list[0]));
    reads->list[reads->count++] = read;
}

static void answer(struct raft *r, const struct raft_waiting_read *read)
{
    struct raft_msg *m;

    if (read->peer == RAFT_NOBODY) {
        hand_out(r, (struct raft_read){read->id, read->index});
        return;
    }
    m = raft_say_now(r, RAFT_MSG_READ_REPLY, read->peer);
    m->pos.index = read->index;
    m->context = read->id;
}

/* From the oldest on, what a majority has confirmed. */
void raft_reads_confirm(struct raft *r)
{
    size_t done = 0;

    while (done < r->waiting_count && r->waiting[done].index > 0 &&
           raft_quorum(r, peer_confirms, r->waiting[done].round)) {
        answer(r, &r->waiting[done]);
        done++;
    }
    waiting_remove(r, done);
}

static void ask_members(struct raft *r)
{
    struct raft_peer *self = raft_peer(r, r->config.id);

    if (self != NULL) {
        self->read_seen = r->read_round;
    }
    raft_reads_confirm(r);
    if (r->waiting_count > 0) {
        raft_send_heartbeats(r);
    }
}

static void lead_read(struct raft *r, uint64_t id, uint64_t peer)
{
    struct raft_waiting_read read = {
        .id = id, .peer = peer, .round = ++r->read_round};

    if (raft_knows_commit(r)) {
        read.index = r->hard.commit;
    }
    waiting_add(r, read);
    if (read.index > 0) {
        ask_members(r);
    }
}

static void ask_leader(struct raft *r, uint64_t id)
{
    struct raft_msg *m = raft_say_now(r, RAFT_MSG_READ, r->leader);

    m->term = 0;
    m->context = id;
    waiting_add(r, (struct raft_waiting_read){.id = id});
}

enum status raft_read_ask(struct raft *r, uint64_t id)
{
    CHECK(id > 0);
    if (r->leader == RAFT_NOBODY) {
        return ST_NOT_LEADER;
    }
    if (r->role == RAFT_LEADER) {
        lead_read(r, id, RAFT_NOBODY);
    } else {
        ask_leader(r, id);
    }
    return ST_OK;
}

void raft_on_read(struct raft *r, const struct raft_msg *m)
{
    if (r->role == RAFT_LEADER && raft_peer(r, m->from) != NULL &&
        r->waiting_count < READS_FORWARDED_MAX) {
        lead_read(r, m->context, m->from);
    }
}

/* How many wait up to the one with this id; 0 when it is none of ours. */
static size_t waiting_up_to(const struct raft *r, uint64_t id)
{
    for (size_t i = 0; i < r->waiting_count; i++) {
        if (r->waiting[i].id == id) {
            return i + 1;
        }
    }
    return 0;
}

/* What was asked before is answered as well: the index is of a later time. An
 * answer to what we asked before we crashed is not: its index may be of a time
 * before that of our questions. */
void raft_on_read_reply(struct raft *r, const struct raft_msg *m)
{
    size_t done;

    if (r->role == RAFT_LEADER || m->from != r->leader) {
        return;
    }
    done = waiting_up_to(r, m->context);
    for (size_t i = 0; i < done; i++) {
        hand_out(r, (struct raft_read){r->waiting[i].id, m->pos.index});
    }
    waiting_remove(r, done);
}

/* A new leader learns what is committed by committing an entry of its term.
 * What was asked before has waited for that. */
void raft_reads_begin(struct raft *r)
{
    for (size_t i = 0; i < r->waiting_count; i++) {
        r->waiting[i].index = r->hard.commit;
    }
    if (r->waiting_count > 0) {
        ask_members(r);
    }
}

void raft_reads_lose(struct raft *r)
{
    for (size_t i = 0; i < r->waiting_count; i++) {
        if (r->waiting[i].peer == RAFT_NOBODY) {
            raft_ids_add(&r->lost, r->waiting[i].id);
        }
    }
    r->waiting_count = 0;
}
