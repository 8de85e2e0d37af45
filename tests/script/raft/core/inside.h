/*
 * inside.h - what the files of the driver share.
 *
 * cores.c  members, time and wishes; takes a step's work apart
 * disk.c   what is written and what a crash leaves
 * net.c    what is under way
 * apply.c  state machines, reads, and what must hold
 */
#pragma once

#include "cores.h"
#include "group_trace.h"
#include "store/raft/log.h"

/* A message with all that it borrows. */
struct letter {
    struct raft_msg msg;
    struct raft_entry *entries;
    struct raft_snapshot snapshot;
};

struct letters {
    struct letter *list;
    size_t count;
    size_t cap;
};

/* What a crash leaves. The log begins behind the mark. */
struct platter {
    struct raft_hard hard;
    struct raft_log log;
    struct raft_snapshot mark;
};

/* A snapshot that has arrived and is not on disk yet. */
struct install {
    bool due;
    struct raft_snapshot snapshot;
    uint64_t from;
};

struct core {
    struct cores *cores;
    uint64_t id;
    struct raft *raft; /* NULL: down. */
    uint64_t ahead_ms; /* Of the common clock. */
    struct raft_status told;

    struct platter disk;
    bool held;
    bool dirty;
    uint64_t write_from; /* The first entry that is not on disk. */
    struct raft_persist persist;
    struct install install;
    struct raft_msg *outbox; /* Waits for the disk. */
    size_t outbox_count;
    size_t outbox_cap;

    bool still;
    bool applying;
    struct raft_entry *queue; /* Committed, to be applied. Copies. */
    size_t queue_count;
    size_t queue_cap;
    uint64_t applied;
    struct raft_conf conf; /* As of `applied`. */
    struct raft_read *reads;
    size_t reads_count;
    size_t reads_cap;
};

struct cores {
    struct raft_config limits;
    struct script *script;
    struct group_config trace;
    uint64_t now_ms;
    struct core list[CORES_MAX + 1]; /* By id. */
    bool cut[CORES_MAX + 1][CORES_MAX + 1];
    bool delayed[CORES_MAX + 1][CORES_MAX + 1];
    struct letters flying;
    struct letters bags[CORES_MAX + 1][CORES_MAX + 1];

    struct {
        uint64_t term;
        uint32_t sum;
        struct raft_conf conf;  /* From there on. */
    } applied[CORES_INDEX_MAX]; /* By index. */
    uint64_t applied_last;
    uint64_t leaders[CORES_INDEX_MAX]; /* By term. */
    uint64_t answered_last;            /* The highest index answered. */
    uint64_t floors[CORES_NAME_MAX];   /* By a read's name: what had been
                                          answered when it was asked. */
};

/* cores.c */
struct core *core_at(const struct cores *c, uint64_t id);
/* Tell the core, and carry out what that causes. */
enum status core_step(struct core *m, struct raft_event event);

/* disk.c */
void core_note_writes(struct core *m, const struct raft_work *w);
void core_hold_messages(struct core *m, const struct raft_work *w);
void core_write(struct core *m); /* Unless its disk is held. */
void core_forget_writes(struct core *m);

/* net.c */
void core_send(struct core *m, const struct raft_msg *messages, size_t count);
void core_tell_snapshot_end(struct core *to, uint64_t from, uint64_t index,
                            bool ok);
void cores_settle(struct cores *c); /* Whatever flies arrives. */
void cores_net_release(struct cores *c);

/* apply.c */
void core_queue(struct core *m, const struct raft_work *w);
void core_apply(struct core *m);
void core_install(struct core *m, const struct raft_snapshot *s);
void core_forget_queue(struct core *m);
