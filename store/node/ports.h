/*
 * ports.h - what a member's core needs from the world besides a disk.
 *
 * Implemented in store/io and store/api and, in the tests, by recorders. Calls
 * come from inside node_*() functions. They may call node_propose() and
 * node_read(), which only note what is wanted; no other node function.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/core/err.h"
#include "store/raft/raft.h"

/* One membership entry, understood. */
struct node_conf_entry {
    const struct raft_entry *entry; /* Borrowed. */
    const struct raft_changes *changes;
    const struct raft_conf *conf; /* What holds from here on. */
    bool refused; /* It cannot be followed and changes nothing. */
};

struct node_ports {
    void *ctx;

    /* Committed and durable entries, each exactly once a start and in order:
     * all of them, empty ones (a leader's first) too, for the state machine
     * must follow the index; membership entries come by apply_conf, in their
     * place, and true says that the change is one that the state machine can
     * follow: it must be so on each member. `tag` is that of node_propose()
     * when the entry is one of ours, else 0. Entries are borrowed. */
    void (*apply)(void *ctx, const struct raft_entry *entries, size_t count);
    bool (*apply_conf)(void *ctx, const struct node_conf_entry *entry);

    /* Replace the state machine by the snapshot up to `pos` that was received
     * with the message (node_receive) and is whole on disk. The log's mark is
     * durable: should the program die in here, the next start must do it. Any
     * failure is final. */
    enum status (*install)(void *ctx, struct raft_pos pos, struct err *err);

    /* The proposal `tag` will never be applied. ST_NOT_LEADER: another leader
     * has replaced it; ST_BUSY; ST_IO and the like: the member has failed.
     * After this the tag is not heard of again. */
    void (*dropped)(void *ctx, uint64_t tag, enum status why);

    /* The read `tag` may be answered from the state as it is now (ST_OK), or
     * must be refused (ST_NOT_LEADER; the member's failure). */
    void (*read_ready)(void *ctx, uint64_t tag, enum status why);

    /* Encode and send. Loss is allowed, waiting is not. Borrowed. */
    void (*send)(void *ctx, const struct raft_msg *messages, size_t count);

    /* Take a snapshot of the durable state and send it as `message` (type
     * SNAPSHOT, without its content). Ends in node_snapshot_ended(), later. */
    void (*send_snapshot)(void *ctx, const struct raft_msg *message);

    /* Role, term or known leader have changed. */
    void (*changed)(void *ctx, const struct raft_status *status);

    /* Called once: the log cannot be written. Nothing unsynced was
     * acknowledged and nothing will be; the program must end. */
    void (*failed)(void *ctx, enum status why, const struct err *err);
};
