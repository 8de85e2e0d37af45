/*
 * --force-new-cluster: a member that has lost the others for good goes on
 * alone. What was not committed is forgotten, all others are removed, and this
 * one votes; all of that as committed entries, so that its state machine
 * follows.
 */
#include <stdlib.h>

#include "base/core/check.h"
#include "store/node/core.h"

struct alone {
    struct raft_log *log;
    struct raft_hard *hard;
};

static void alone_add(struct alone *a, struct raft_change change)
{
    struct raft_entry e = {.type = RAFT_ENTRY_CONF};
    struct buf body;

    e.pos.term = a->hard->term;
    e.pos.index = raft_log_last(a->log) + 1;
    buf_init(&body, LIMIT_RECORD_BYTES);
    raftpb_change_pack(
        &change, e.pos.index,
        slice_str(change.type == RAFT_ADD_VOTER ? "{\"isPromote\":true}" : ""),
        &body);
    e.data = body.data; /* The log's from here. */
    e.len = body.len;
    raft_log_append(a->log, e);
    a->hard->commit = e.pos.index;
}

/* Of what is committed, beginning with what is known for sure. */
static enum status alone_conf(const struct node *n, const struct wal_content *c,
                              struct raft_conf *out_conf)
{
    uint64_t from = c->log.compacted.index;
    enum status st = raftpb_conf_unpack(buf_slice(&c->mark_state), out_conf);

    if (n->config.conf != NULL) {
        *out_conf = *n->config.conf;
        from = n->config.applied;
        st = ST_OK;
    }
    for (uint64_t i = from + 1; st == ST_OK && i <= c->hard.commit; i++) {
        struct raft_changes unused;

        (void)node_conf_follow(out_conf, raft_log_at(&c->log, i), &unused);
    }
    return st;
}

/* Removals one by one, after this member has a vote, so that no step is
 * without voters. */
static void alone_entries(struct alone *a, const struct raft_conf *conf,
                          uint64_t self)
{
    if (!(raft_conf_roles(conf, self) & RAFT_VOTER)) {
        alone_add(a, (struct raft_change){RAFT_ADD_VOTER, self});
    }
    for (size_t i = 0; i < conf->count; i++) {
        if (conf->list[i].id != self) {
            alone_add(a, (struct raft_change){RAFT_REMOVE, conf->list[i].id});
        }
    }
}

static enum status alone_write(struct node *n, const struct wal_content *c,
                               uint64_t from, struct err *err)
{
    uint64_t last = raft_log_last(&c->log);
    struct wal_batch batch = {.hard = &c->hard,
                              .entries = raft_log_at(&c->log, from),
                              .entries_count = (size_t)(last + 1 - from)};
    bool later;
    enum status st = wal_append(n->wal, &batch, &later, err);

    CHECK_IF(st == ST_OK, !later); /* The first one is never put off. */
    return st;
}

enum status node_stand_alone(struct node *n, struct wal_content *content,
                             struct err *err)
{
    struct alone a = {.log = &content->log, .hard = &content->hard};
    uint64_t self = wal_ids(n->wal).member;
    struct raft_conf conf;
    uint64_t from;
    enum status st;

    if (a.hard->commit < n->config.applied) {
        a.hard->commit = n->config.applied;
    }
    if (a.hard->commit < a.log->compacted.index) {
        a.hard->commit = a.log->compacted.index;
    }
    raft_log_cut(a.log, a.hard->commit + 1);
    st = alone_conf(n, content, &conf);
    if (st == ST_OK && raft_conf_is_joint(&conf)) {
        st = ST_UNSUPPORTED;
    }
    if (st) {
        return err_set(err, st,
                       "--force-new-cluster: the membership in the log cannot "
                       "be used: %s; restore this member from a snapshot",
                       status_text(st));
    }
    from = raft_log_last(a.log) + 1;
    alone_entries(&a, &conf, self);
    return alone_write(n, content, from, err);
}
