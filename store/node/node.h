/*
 * node.h - one member: feeds raft, orders the effects.
 *
 *   proposals -> raft -> log record, synced -> committed -> applied -> replies
 *
 * Group commit: whatever was proposed before node_flush() becomes one record,
 * one write, one sync. The shell calls node_flush() at the end of each turn of
 * its loop in which node_wants_flush() (ticks and messages may want it too). If
 * the disk finishes inside the call, everything up to the replies happens
 * inside too; if it finishes later (disk.h, commit), the shell calls
 * node_persisted() then, and what came in meanwhile is the next record.
 *
 * Nothing is sent that speaks of an entry, a vote or a term not on disk yet,
 * except appends to followers, which may (Raft thesis, 10.2.1).
 *
 * After a failed write the node has failed for good: ports->failed is called
 * once, waiting proposals and reads are refused, and every call returns the
 * status.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "base/core/err.h"
#include "store/node/ports.h"
#include "store/wal/disk.h"
#include "store/wal/wal.h"

/* A member of the first configuration. */
struct node_member {
    uint64_t id;
    struct slice context; /* Its JSON, as ConfChange.context carries it. */
};

struct node_config {
    struct raft_config
        raft; /* `id` is replaced by the log's, if there is one. */
    struct wal_config wal;
    uint64_t cluster_id;
    const struct node_member *members; /* Used when there is no log yet. None:
                                          this member joins a cluster that has
                                          added it. */
    size_t members_count;
    uint64_t applied; /* The state machine's durable consistent index. */
    const struct raft_conf *conf; /* As of `applied`, as the state machine has
                                     it. NULL: it does not say; then it is what
                                     the log makes of it. */
    uint64_t snapshot_count;      /* Entries after which the log is cut. */
    uint64_t keep_count;          /* Entries kept for slow followers: 5 000. */
    bool force_new_cluster;       /* Of an existing log: forget what is not
                                     committed, and all members but this one. */
};

/* etcd's numbers; ids, members and applied are left to the caller. */
struct node_config node_config_default(void);

struct node;

/* Make the log of a new cluster: its first entries add `members`, in order and
 * as committed, as in etcd. node_new() does it when there is no log;
 * on its own it is for restoring a snapshot into a new data folder. */
enum status node_found(const struct node_config *config, struct disk *disk,
                       struct err *err);

/* Where the log on `disk` says it begins: the position of its last mark (index
 * 0: none). For a start that finds a snapshot whose installation was cut short:
 * it was accepted if its position is this one. */
enum status node_peek_mark(const struct node_config *config, struct disk *disk,
                           struct raft_pos *out_pos, struct err *err);

/* Open the log, or make one. Entries after `applied` come to ports->apply in
 * node_start() or later. Nothing of ports is called here.
 * ST_CORRUPT: the log is damaged, or ends before `applied`; err says what to
 * do. Other: the disk's failure. On failure *out_node is unchanged. */
enum status node_new(const struct node_config *config, struct disk *disk,
                     const struct node_ports *ports, struct node **out_node,
                     struct err *err);

/* No commit may be under way. Waiting proposals and reads are forgotten. */
void node_free(struct node *n);

/* Begin: committed entries are applied, and a lone voter campaigns at once (its
 * new term is synced before anything else). */
enum status node_start(struct node *n, uint64_t now_ms);

/* Time has passed; call once every heartbeat_ms. */
enum status node_tick(struct node *n, uint64_t now_ms);

/* A peer's message. Of a SNAPSHOT message the content must be whole on disk
 * before: ports->install may be called at any time after; whether it will be is
 * told by node_installing(). ST_INVALID: it was refused, nothing has changed.
 */
enum status node_receive(struct node *n, const struct raft_msg *message,
                         uint64_t now_ms);

/* Note a proposal for the next node_flush(); `data` is copied. Its end is
 * ports->apply, ports->apply_conf or ports->dropped with `tag` (not 0), unless
 * refused at once:
 * ST_NOT_LEADER  no leader is known
 * ST_BUSY        too many bytes wait to be committed; later is fine
 * ST_TOO_BIG     longer than a log record may be
 * or the member's failure.
 * *out_forwarded: it goes to the leader, `tag` is not heard of again, and the
 * entry comes with tag 0 if it comes: know it by its content, and give up by
 * the clock. */
enum status node_propose(struct node *n, enum raft_entry_type type,
                         struct slice data, uint64_t tag, bool *out_forwarded);

/* Ask for a linearizable read. *out_ready true: answer now, from the state as
 * it is. False: ports->read_ready(tag) comes later. A lone leader that has
 * committed an entry of its term is always ready. A follower asks its leader,
 * and again when no answer comes.
 * ST_NOT_LEADER (no leader is known) or the member's failure: refused, nothing
 * noted. */
enum status node_read(struct node *n, uint64_t tag, bool *out_ready);

/* Hand leadership to a voter. It is done when ports->changed says so; given up
 * after an election time-out. On a follower it is asked of the leader.
 * ST_NOT_LEADER: none known. ST_INVALID: no voter. Not from inside a port. */
enum status node_transfer(struct node *n, uint64_t id, uint64_t now_ms);

/* The snapshot that has been accepted and not yet installed; index 0: none. */
struct raft_pos node_installing(const struct node *n);

/* The end of ports->send_snapshot. ok: installed there up to `index`. */
enum status node_snapshot_ended(struct node *n, uint64_t peer, uint64_t index,
                                bool ok, uint64_t now_ms);

/* The peer has closed its connections or refuses new ones: its process is gone.
 * Of the leader: an election may begin early. */
enum status node_peer_lost(struct node *n, uint64_t peer, uint64_t now_ms);

/* The end of the turn: propose, write, sync, apply. */
enum status node_flush(struct node *n, uint64_t now_ms);

/* Something waits for node_flush(). */
bool node_wants_flush(const struct node *n);

/* The disk has finished a commit that it had put off. */
enum status node_persisted(struct node *n, enum status result, uint64_t now_ms);

/* The state machine is durable up to `index`. When enough has gathered, the log
 * is cut and its files are used again. */
enum status node_durable(struct node *n, uint64_t index);

struct raft_status node_status(const struct node *n);
const struct raft_conf *node_conf(const struct node *n); /* As applied. */
bool node_progress(const struct node *n, uint64_t id,
                   struct raft_progress *out_progress); /* See raft.h. */
struct wal_ids node_ids(const struct node *n);
uint64_t node_torn_bytes(const struct node *n); /* See wal.h. */

/* ST_OK, or why the member has failed. */
enum status node_failure(const struct node *n);
