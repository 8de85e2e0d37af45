/*
 * entry.h - what a log is made of: positions, entries, promises.
 *
 * Shared by the algorithm (raft.h), the log in memory (log.h) and the files
 * (store/wal).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"

/* Passing the pair keeps a term from being mistaken for an index. */
struct raft_pos {
    uint64_t term;
    uint64_t index;
};

/* The numbers are those of raftpb.EntryType. */
enum raft_entry_type {
    RAFT_ENTRY_NORMAL = 0,
    RAFT_ENTRY_CONF = 1,
    RAFT_ENTRY_CONF_V2 = 2,
};

struct raft_entry {
    struct raft_pos pos;
    enum raft_entry_type type;
    uint8_t *data; /* From malloc; NULL when empty. */
    size_t len;
    uint64_t tag; /* The proposer's mark, kept in memory only; 0: not ours. */
};

static inline struct slice raft_entry_data(const struct raft_entry *e)
{
    return slice_of(e->data, e->len);
}

/* What must survive a crash besides the entries. `commit` is a hint that saves
 * time at start: it is written along, but is never a reason to write. */
struct raft_hard {
    uint64_t term;
    uint64_t vote;
    uint64_t commit;
};
