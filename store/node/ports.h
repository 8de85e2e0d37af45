/*
 * ports.h - what a member's core needs from the world besides a disk.
 *
 * Implemented in store/io and, in the tests, by recorders. Calls come from
 * inside node_*() functions. They may call node_propose() and node_read(),
 * which only note what is wanted; no other node function.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/core/err.h"
#include "store/raft/raft.h"

struct node_ports {
    void *ctx;

    /* Committed and durable entries, each exactly once a start and in order:
     * all of them, empty ones (a leader's first) and membership changes too,
     * for the state machine must follow the index. `tag` is that of
     * node_propose() when the entry is one of ours, else 0. Entries are
     * borrowed. */
    void (*apply)(void *ctx, const struct raft_entry *entries, size_t count);

    /* The proposal `tag` will never be applied. ST_NOT_LEADER: another leader
     * has replaced it; ST_IO and the like: the member has failed. After this
     * the tag is not heard of again. */
    void (*dropped)(void *ctx, uint64_t tag, enum status why);

    /* The read `tag` may be answered from the state as it is now (ST_OK), or
     * must be refused (ST_NOT_LEADER; the member's failure). */
    void (*read_ready)(void *ctx, uint64_t tag, enum status why);

    /* Encode and send. Loss is allowed, waiting is not. Borrowed. */
    void (*send)(void *ctx, const struct raft_msg *messages, size_t count);

    /* Role, term or known leader have changed. */
    void (*changed)(void *ctx, const struct raft_status *status);

    /* Called once: the log cannot be written. Nothing unsynced was
     * acknowledged and nothing will be; the program must end. */
    void (*failed)(void *ctx, enum status why, const struct err *err);
};
