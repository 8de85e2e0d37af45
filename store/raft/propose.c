#include "base/core/check.h"
#include "store/raft/core.h"

static bool is_change(const struct raft_entry *e)
{
    return e->type != RAFT_ENTRY_NORMAL;
}

static size_t count_changes(const struct raft_proposal *p)
{
    size_t count = 0;

    for (size_t i = 0; i < p->count; i++) {
        count += is_change(&p->entries[i]);
    }
    return count;
}

static bool has_room(const struct raft *r, const struct raft_entry *entries,
                     size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        bytes += entries[i].len;
    }
    return r->uncommitted == 0 ||
           r->uncommitted + bytes <= r->config.uncommitted_max;
}

/* Sent on to the leader; positions and terms are its business. */
static void forward(struct raft *r, const struct raft_entry *entries,
                    size_t count)
{
    struct raft_msg *m = raft_say_now(r, RAFT_MSG_PROPOSE, r->leader);

    m->term = 0;
    m->entries = entries;
    m->entries_count = count;
}

bool raft_forwards(const struct raft *r)
{
    return r->role != RAFT_LEADER && r->leader != RAFT_NOBODY;
}

enum status raft_propose(struct raft *r, const struct raft_proposal *p)
{
    size_t changes = count_changes(p);

    if (raft_forwards(r)) {
        forward(r, p->entries, p->count);
        return ST_OK;
    }
    if (r->role != RAFT_LEADER) {
        return ST_NOT_LEADER;
    }
    if (r->transfer_to != RAFT_NOBODY || !has_room(r, p->entries, p->count) ||
        changes > 1 || (changes == 1 && !raft_may_change(r))) {
        return ST_BUSY;
    }
    for (size_t i = 0; i < p->count; i++) {
        raft_append_own(r, p->entries[i]);
    }
    raft_send_appends(r);
    return ST_OK;
}

/* A change that cannot be taken now leaves an empty entry, as in etcd: the
 * others were sent along with it and are good. */
static void take_forwarded(struct raft *r, const struct raft_entry *e)
{
    struct raft_entry own = {.type = RAFT_ENTRY_NORMAL};

    if (!is_change(e) || raft_may_change(r)) {
        own = raft_entry_copy(e);
    }
    raft_append_own(r, own);
}

/* What cannot be taken is lost, and the asker's clock tells him. */
void raft_on_propose(struct raft *r, const struct raft_msg *m)
{
    if (r->role != RAFT_LEADER || raft_peer(r, m->from) == NULL ||
        r->transfer_to != RAFT_NOBODY ||
        !has_room(r, m->entries, m->entries_count)) {
        return;
    }
    for (size_t i = 0; i < m->entries_count; i++) {
        take_forwarded(r, &m->entries[i]);
    }
    raft_send_appends(r);
}
