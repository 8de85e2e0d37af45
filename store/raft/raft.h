/*
 * raft.h - the consensus core: a function from events to work.
 *
 * The core never opens a file, sends a byte or reads a clock. Its driver
 * (store/node, or a simulator) calls raft_step() for everything that happens
 * and then carries out the returned work, in this order:
 *
 *   1. send `appends` to followers         (at once: they do not wait for 2)
 *   2. make `hard`, `snapshot` and `entries` durable (one sync), then give
 *      `persist` back in a RAFT_PERSISTED event
 *   3. send `messages`: votes and acknowledgements     (never before 2; but the
 *      answer to a heartbeat speaks of nothing but its term)
 *   4. once the mark of `snapshot` is durable, replace the state machine by it;
 *      what was handed out to be applied before and is not yet, never will be
 *   5. apply `committed`                   (only entries already durable here)
 *   6. tell the askers of `reads`; they may be answered once everything up to
 *      their index is applied
 *
 * Several works may be made durable by one sync: the driver keeps the latest
 * `persist` and the lowest entry not written yet, and reads the entries again
 * with raft_entry_at(). Everything in struct raft_work is borrowed and dies at
 * the next raft_step().
 *
 * A lone voter is the smallest case of the general rules: it campaigns at once
 * when started, its own durable vote is a majority, and so is its own durable
 * copy of an entry.
 *
 * Entries own their bytes. The core keeps them from the first one after the
 * last raft_compact() to the newest.
 *
 * Configuration entries are opaque here. When one is applied the driver says
 * what it means by RAFT_CONF_APPLIED; until then no other one is taken (Raft
 * thesis, 4.1), and none before the leader has committed an entry of its own
 * term (Ongaro's correction of 2015).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/status.h"
#include "store/raft/conf.h"
#include "store/raft/entry.h"

/* The numbers are those of raftpb.MessageType. */
enum raft_msg_type {
    RAFT_MSG_PROPOSE = 2, /* To the leader: entries of a follower. */
    RAFT_MSG_APPEND = 3,
    RAFT_MSG_APPEND_REPLY = 4,
    RAFT_MSG_VOTE = 5,
    RAFT_MSG_VOTE_REPLY = 6,
    RAFT_MSG_SNAPSHOT = 7,
    RAFT_MSG_HEARTBEAT = 8,
    RAFT_MSG_HEARTBEAT_REPLY = 9,
    RAFT_MSG_TRANSFER = 13,    /* To the leader: hand over to `from`. */
    RAFT_MSG_TIMEOUT_NOW = 14, /* From the leader: campaign at once. */
    RAFT_MSG_READ = 15,        /* To the leader: confirm a follower's read. */
    RAFT_MSG_READ_REPLY = 16,
    RAFT_MSG_PRE_VOTE = 17,
    RAFT_MSG_PRE_VOTE_REPLY = 18,
};

/* A state of the state machine, by its position, and who belonged to the group
 * then. Its content is the driver's business. */
struct raft_snapshot {
    struct raft_pos pos;
    struct raft_conf conf;
};

struct raft_msg {
    enum raft_msg_type type;
    uint64_t from;
    uint64_t to;
    uint64_t term; /* 0 in PROPOSE and READ, which are of no term. */
    /* APPEND: the entry before `entries`. VOTE, PRE_VOTE: the candidate's
     * last. APPEND_REPLY: index is the last one that matches or, with
     * `reject`, the one that was refused. READ_REPLY: index may be read. */
    struct raft_pos pos;
    /* Refused APPEND: where the logs may still agree. Refused VOTE, PRE_VOTE:
     * what is committed; etcd says nothing there. */
    struct raft_pos hint;
    uint64_t commit;
    uint64_t
        context; /* HEARTBEAT, READ and their replies: a read's id, or 0. */
    bool reject;
    bool transfer; /* VOTE: the leader has asked for it (CampaignTransfer). */
    const struct raft_entry *entries; /* Borrowed from the log. */
    size_t entries_count;
    /* SNAPSHOT: borrowed. NULL in what raft_step() says: the driver takes a
     * snapshot of its durable state and sends that. */
    const struct raft_snapshot *snapshot;
};

enum raft_role {
    RAFT_FOLLOWER,
    RAFT_PRE_CANDIDATE,
    RAFT_CANDIDATE,
    RAFT_LEADER,
};

/* Which write is durable: as of `term`, everything up to `last`. The term
 * keeps a late report from speaking for entries that were replaced since. */
struct raft_persist {
    uint64_t term;
    struct raft_pos last;
};

struct raft_proposal {
    struct raft_entry *entries; /* `pos` is filled in by the core. */
    size_t count;
};

/* How the sending of a snapshot to `peer` has ended. ok: it is installed there,
 * up to `index`. */
struct raft_snapshot_end {
    uint64_t peer;
    uint64_t index;
    bool ok;
};

enum raft_event_type {
    RAFT_STARTED,        /* The first event, once, after the restoring calls. */
    RAFT_TICK,           /* Time has passed. Call at least once a heartbeat. */
    RAFT_RECEIVED,       /* A peer's message arrived. */
    RAFT_PROPOSED,       /* Clients want entries appended. */
    RAFT_PERSISTED,      /* What `persisted` names is on disk. */
    RAFT_READ_ASKED,     /* A client wants a linearizable read. */
    RAFT_CONF_APPLIED,   /* A configuration entry was applied. */
    RAFT_TRANSFER_ASKED, /* Hand leadership to `peer`. */
    RAFT_SNAPSHOT_ENDED, /* The driver has sent one, or has given up. */
    RAFT_PEER_LOST,      /* `peer` does not answer: it has closed, or refuses,
                            its connections. Messages to it were lost. */
};

struct raft_event {
    enum raft_event_type type;
    uint64_t now_ms; /* Monotonic. */
    union {
        const struct raft_msg *received; /* Its entries are copied. */
        struct raft_proposal proposed;   /* Data is adopted on ST_OK only. */
        struct raft_persist persisted;
        uint64_t read_id; /* Not 0; larger than any before since the start, and
                             none that was used before a crash. */
        const struct raft_changes *changes; /* NULL: it changes nothing, as it
                                               cannot be followed. */
        uint64_t peer;
        struct raft_snapshot_end snapshot_ended;
    };
};

/* A confirmed read: may be answered when `index` has been applied. */
struct raft_read {
    uint64_t id;
    uint64_t index;
};

struct raft_work {
    const struct raft_hard *hard;         /* NULL when nothing changed in it. */
    const struct raft_snapshot *snapshot; /* NULL: none. The log begins behind
                                             it now. */
    const struct raft_entry *entries;
    size_t entries_count;
    struct raft_persist persist; /* Valid when must_sync. */
    bool must_sync;
    const struct raft_msg *appends;
    size_t appends_count;
    const struct raft_msg *messages;
    size_t messages_count;
    const struct raft_entry *committed;
    size_t committed_count;
    const struct raft_read *reads;
    size_t reads_count;
    const uint64_t *reads_lost; /* Ids that will never be confirmed. */
    size_t reads_lost_count;
    const uint64_t *dropped; /* Tags of our entries that were replaced. */
    size_t dropped_count;
};

struct raft_config {
    uint64_t id; /* This member. */
    uint64_t heartbeat_ms;
    uint64_t election_ms;      /* Timeouts are drawn from 1 to 2 of these. */
    size_t append_bytes_max;   /* Entries of one message; at least one. */
    size_t inflight_max;       /* Messages to one follower, unanswered. */
    size_t inflight_bytes_max; /* Bytes of entries in them; one message may
                                  always fly. 0: no limit. */
    size_t uncommitted_max;    /* Bytes proposed and not committed. */
    uint64_t rng_seed;         /* Different on each member. */
};

struct raft;
struct raft_log;

struct raft *raft_new(const struct raft_config *config);
void raft_free(struct raft *r);

/* Restoring, between raft_new() and RAFT_STARTED, in this order: the log as the
 * files hold it (log.h; taken over and left empty), the hard state, how far the
 * state machine already is, and the configuration as of that.
 * ST_CORRUPT: these do not fit together (a term or a commit past the end). */
void raft_restore_log(struct raft *r, struct raft_log *log);
enum status raft_restore_hard(struct raft *r, struct raft_hard hard);
enum status raft_restore_applied(struct raft *r, uint64_t applied);
void raft_restore_conf(struct raft *r, const struct raft_conf *conf);

/* Take one event; describe the work it causes in *out_work.
 *
 * ST_NOT_LEADER  a proposal, read or transfer finds no leader to go to
 * ST_BUSY        the proposal would pass uncommitted_max; leadership is being
 *                handed over; or it holds a configuration change while another
 *                is not applied yet, or before an entry of this term is
 *                committed
 * ST_INVALID     the message is not for us or contradicts what is committed;
 *                the transfer is to a member that has no vote
 * In all of these nothing was changed and *out_work is empty.
 *
 * On a follower that knows a leader RAFT_PROPOSED sends the entries there
 * (work->appends) and frees nothing: data stays the caller's, so does every
 * tag. Loss is not noticed. raft_forwards() tells beforehand.
 * RAFT_READ_ASKED there asks the leader; ask again with a fresh id when no
 * answer comes. Late answers of earlier ids may still arrive. */
enum status raft_step(struct raft *r, const struct raft_event *event,
                      struct raft_work *out_work);

/* A proposal given now would be sent on to the leader. */
bool raft_forwards(const struct raft *r);

/* Forget entries up to `index`, which must be applied. */
void raft_compact(struct raft *r, uint64_t index);

/* What an observer may know. */
struct raft_status {
    uint64_t id;
    uint64_t leader; /* RAFT_NOBODY when unknown. */
    enum raft_role role;
    struct raft_hard hard;
    uint64_t first_index; /* The first one kept. */
    uint64_t last_index;
    uint64_t applied; /* Handed out as committed. */
    size_t log_bytes; /* Data of all entries kept. */
    size_t uncommitted_bytes;
    size_t voters_count;  /* Of the incoming half. */
    uint64_t transfer_to; /* Leadership is being handed to; or RAFT_NOBODY. */
    bool snapshot_flying; /* LEADER: some member is being sent one. */
};

struct raft_status raft_status(const struct raft *r);

/* The configuration as of the last applied entry. Valid until the next step. */
const struct raft_conf *raft_conf(const struct raft *r);

/* What a leader knows of a member. false: not a member, or we do not lead. */
struct raft_progress {
    uint64_t match;
    bool active; /* Heard since the last look at the quorum. */
};
bool raft_progress(const struct raft *r, uint64_t id,
                   struct raft_progress *out_progress);

/* The entry at `index`, or NULL when it is not kept. Neighbours are adjacent
 * in memory. Valid until the next step. */
const struct raft_entry *raft_entry_at(const struct raft *r, uint64_t index);

/* The term at `index`, also for the last one compacted; 0 when unknown. */
uint64_t raft_term_at(const struct raft *r, uint64_t index);

bool raft_is_voter(const struct raft *r, uint64_t id); /* Of either half. */
