/*
 * Linearizable reads without the log (Raft thesis, 6.4): note the commit index,
 * hear from a majority that we still lead, then answer from a state that has
 * applied that much. Ids only grow, so that one answer confirms all reads asked
 * before it, and a late answer to an earlier one confirms nothing newer.
 */
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "store/raft/core.h"

static bool peer_confirms(const struct raft_peer *p, uint64_t id)
{
    return p->read_seen >= id;
}

static bool raft_knows_commit(const struct raft *r)
{
    return raft_log_term(&r->log, r->hard.commit) == r->hard.term;
}

uint64_t raft_reads_newest(const struct raft *r)
{
    return r->waiting_count == 0 ? 0 : r->waiting[r->waiting_count - 1].id;
}

static void reads_add(struct raft_reads *reads, struct raft_read read)
{
    reads->list = row_room(reads->list, &reads->cap, reads->count,
                           sizeof(reads->list[0]));
    reads->list[reads->count++] = read;
}

/* Hand out, from the oldest on, what a majority has confirmed. */
void raft_reads_confirm(struct raft *r)
{
    size_t done = 0;

    while (done < r->waiting_count && r->waiting[done].index > 0 &&
           raft_quorum(r, peer_confirms, r->waiting[done].id)) {
        reads_add(&r->reads, (struct raft_read){r->waiting[done].id,
                                                r->waiting[done].index});
        done++;
    }
    if (done == 0) {
        return;
    }
    r->waiting_count -= done;
    memmove(r->waiting, r->waiting + done,
            r->waiting_count * sizeof(r->waiting[0]));
}

static void raft_ask_peers(struct raft *r)
{
    struct raft_peer *self = raft_peer(r, r->config.id);

    if (self != NULL) {
        self->read_seen = raft_reads_newest(r);
    }
    raft_reads_confirm(r);
    if (r->waiting_count > 0) {
        raft_send_heartbeats(r);
    }
}

void raft_read_ask(struct raft *r, uint64_t id)
{
    struct raft_waiting_read read = {.id = id};

    CHECK(id > raft_reads_newest(r));
    r->waiting = row_room(r->waiting, &r->waiting_cap, r->waiting_count,
                          sizeof(r->waiting[0]));
    if (raft_knows_commit(r)) {
        read.index = r->hard.commit;
    }
    r->waiting[r->waiting_count++] = read;
    if (read.index > 0) {
        raft_ask_peers(r);
    }
}

/* A new leader learns what is committed by committing an entry of its term.
 * What was asked before has waited for that. */
void raft_reads_begin(struct raft *r)
{
    for (size_t i = 0; i < r->waiting_count; i++) {
        r->waiting[i].index = r->hard.commit;
    }
    if (r->waiting_count > 0) {
        raft_ask_peers(r);
    }
}

void raft_reads_lose(struct raft *r)
{
    for (size_t i = 0; i < r->waiting_count; i++) {
        raft_ids_add(&r->lost, r->waiting[i].id);
    }
    r->waiting_count = 0;
}
