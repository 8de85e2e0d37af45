/*
 * raftpb.h - etcd's raftpb: the bytes of what the log and the peers carry.
 *
 * Membership as log entries and snapshots hold it, and whole messages. A
 * message's reading hands out entries that point into the bytes read. The
 * layouts are etcd's raft.proto; scalars of a message are written when zero,
 * too, as etcd writes them.
 */
#pragma once

#include "base/core/bytes.h"
#include "store/raft/raft.h"

/* ---- membership (conf.c) ---- */

/* ConfState. ST_CORRUPT: no such message, or it cannot be. */
void raftpb_conf_pack(const struct raft_conf *c, struct buf *out_bytes);
enum status raftpb_conf_unpack(struct slice bytes, struct raft_conf *out_conf);

/* The same as etcd's backend keeps it: {"voters":[1,2],"auto_leave":false}. */
void raftpb_conf_to_json(const struct raft_conf *c, struct buf *out);
enum status raftpb_conf_from_json(struct slice json,
                                  struct raft_conf *out_conf);

/* ConfChange {id, type, node_id, context}. */
void raftpb_change_pack(const struct raft_change *change, uint64_t id,
                        struct slice context, struct buf *out_bytes);

/* What the entry (ConfChange, ConfChangeV2) asks for; nothing, for a NORMAL
 * one. ST_CORRUPT: it cannot be read. */
enum status raftpb_changes_of(const struct raft_entry *e,
                              struct raft_changes *out_changes);

/* The parts of a ConfChange that are not for raft: the request that it came
 * from and the member's JSON (borrowed). 0 and empty when it cannot be read. */
struct raftpb_change_note {
    uint64_t id;
    struct slice context;
};
struct raftpb_change_note raftpb_change_note(const struct raft_entry *e);

/* ---- messages (message.c) ---- */

/* Bytes that writing will take at most. */
size_t raftpb_message_bound(const struct raft_msg *m);

/* Append it; the buffer needs room for raftpb_message_bound(). */
void raftpb_message_pack(const struct raft_msg *m, struct buf *out);

/* Append one Entry, with tag 0 and no header of its own. */
size_t raftpb_entry_len(const struct raft_entry *e);
void raftpb_entry_pack(const struct raft_entry *e, struct buf *out);

/* What a message's pointers point to; kept and used again by its reader. */
struct raftpb_space {
    struct raft_entry *entries;
    size_t cap;
    struct raft_snapshot snapshot;
};
void raftpb_space_release(struct raftpb_space *space);

/* ST_CORRUPT: no such message; ST_UNSUPPORTED: of a type that peers do not
 * send. `out` borrows from `bytes` and `space`; its entries have no tag. */
enum status raftpb_message_unpack(struct slice bytes,
                                  struct raftpb_space *space,
                                  struct raft_msg *out);

/* One Entry into space->entries[at]. ST_CORRUPT */
enum status raftpb_entry_unpack(struct slice bytes, struct raftpb_space *space,
                                size_t at);
