/*
 * core.h - what the files of this room share.
 *
 * node.c     events in, effects in order
 * write.c    what goes to the log, what waits for it, cutting the log
 * reads.c    reads that wait for a confirmation
 * boot.c     the first log; starting from an older one
 * alone.c    --force-new-cluster
 * conf.c     membership as entries change it
 */
#pragma once

#include "base/core/bytes.h"
#include "store/node/node.h"
#include "store/raftpb/raftpb.h"

/* ---- conf.c ---- */

/* Change *c as the entry says. false: it cannot be followed and nothing has
 * changed; *out_changes is then a change that means nothing. */
bool node_conf_follow(struct raft_conf *c, const struct raft_entry *e,
                      struct raft_changes *out_changes);

/* ---- the node ---- */

/* A message that waits until write number `after` is on disk. */
struct node_held {
    struct raft_msg message;
    uint64_t after;
};

struct node_outbox {
    struct node_held *list; /* `after` never falls. */
    size_t count;
    size_t cap;
};

struct node_queue {
    struct raft_entry *list;
    size_t count;
    size_t cap;
    size_t bytes;
};

struct node_tags {
    uint64_t *list;
    size_t count;
    size_t cap;
};

struct node_ready {
    uint64_t tag;
    uint64_t index; /* To be applied before. */
};

struct node_readies {
    struct node_ready *list;
    size_t head;
    size_t count; /* From head on. */
    size_t cap;
};

struct node {
    struct node_config config;
    struct node_ports ports;
    struct raft *raft;
    struct wal *wal;
    enum status failed;
    uint64_t now_ms;
    uint64_t torn_bytes;
    uint64_t applied;        /* Given to ports->apply, and back from it. */
    bool applying;           /* node_apply_committed() is at work. */
    struct raft_conf now;    /* As of `applied`. */
    struct raft_status told; /* What ports->changed said last. */

    struct node_queue queue; /* Proposals of this turn. */

    /* Writing. One write at a time; what it covers, and what is next. */
    bool writing;
    bool dirty;
    bool hard_dirty;
    uint64_t write_from;         /* The first entry not given to the log. */
    struct raft_persist persist; /* What the next write will cover at most. */
    struct raft_persist covered; /* What the write under way covers. */
    uint64_t write_number;       /* Of the write begun last. */
    uint64_t written_term;       /* What it holds as the term, */
    uint64_t durable_term;       /* and what is on disk for sure. */
    struct node_outbox outbox;

    /* Reads. A round asks a majority whether we lead; reads that come while
     * one is open share the next. */
    uint64_t round;
    bool round_open;
    uint64_t round_ms;      /* When it was opened. */
    bool round_lost;        /* Raft has given up on it; to be told. */
    struct node_tags asked; /* Of the open round. */
    struct node_tags next;
    struct node_readies confirmed;

    /* Cutting the log. */
    struct raft_conf conf; /* As of the log's beginning. */
    uint64_t durable;      /* The state machine's, on disk. */
    struct raft_pos cut;   /* The mark to be written; index 0: none. */
    bool cut_written;      /* The write under way holds it. */

    /* A snapshot that has taken the place of the log. Nothing is applied until
     * its mark is durable and it is installed. */
    struct raft_snapshot restart; /* pos.index 0: none. */
    bool restart_written;
};

/* node.c */
enum status node_feed(struct node *n, const struct raft_event *event);
void node_fail(struct node *n, enum status why, const struct err *err);

/* write.c */
void node_send_appends(struct node *n, const struct raft_work *work);
void node_note_writes(struct node *n, const struct raft_work *work);
void node_note_snapshot(struct node *n, const struct raft_work *work);
void node_hold(struct node *n, const struct raft_work *work);
void node_write(struct node *n);
void node_write_done(struct node *n);
void node_consider_cut(struct node *n);

/* reads.c */
void node_reads_start(struct node *n);
void node_note_reads(struct node *n, const struct raft_work *work);
void node_settle_reads(struct node *n);
void node_repeat_round(struct node *n); /* When no answer has come. */
void node_refuse_reads(struct node *n, enum status why);
void node_reads_release(struct node *n);

/* boot.c */
enum status node_boot(struct node *n, struct disk *disk, struct err *err);

/* alone.c */
enum status node_stand_alone(struct node *n, struct wal_content *content,
                             struct err *err);
