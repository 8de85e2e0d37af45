/*
 * node_world.h - one member over a disk in memory, and what its ports were
 * told.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "mem_disk.h"
#include "store/node/node.h"
#include "suite.h"

#define SEEN_MAX 40000

/* What the ports were told. */
struct world {
    struct mem_disk *disk;
    struct node *node;
    uint64_t now_ms;
    bool late;
    size_t members;             /* 0: one. */
    uint64_t applied[SEEN_MAX]; /* Tags, in order; 0 for entries not ours. */
    size_t applied_count;
    uint64_t applied_index;
    uint64_t applied_bytes;
    uint64_t dropped[SEEN_MAX];
    size_t dropped_count;
    enum status dropped_why;
    uint64_t ready[64];
    size_t ready_count;
    enum status ready_why;
    size_t failures;
    char failure[512];
    enum raft_role role;
    size_t sent;
    uint64_t read_asked; /* The id of the last question to the leader. */
};

static inline void on_apply(void *ctx, const struct raft_entry *entries,
                            size_t count)
{
    struct world *w = ctx;

    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(entries[i].pos.index, w->applied_index + 1);
        ck_assert_uint_lt(w->applied_count, SEEN_MAX);
        w->applied_index = entries[i].pos.index;
        w->applied[w->applied_count++] = entries[i].tag;
        w->applied_bytes += entries[i].len;
    }
}

static inline bool on_apply_conf(void *ctx, const struct node_conf_entry *told)
{
    ck_assert(!told->refused);
    on_apply(ctx, told->entry, 1);
    return true;
}

static inline void on_dropped(void *ctx, uint64_t tag, enum status why)
{
    struct world *w = ctx;

    w->dropped[w->dropped_count++] = tag;
    w->dropped_why = why;
}

static inline void on_read_ready(void *ctx, uint64_t tag, enum status why)
{
    struct world *w = ctx;

    w->ready[w->ready_count++] = tag;
    w->ready_why = why;
}

static inline void on_send(void *ctx, const struct raft_msg *messages,
                           size_t count)
{
    struct world *w = ctx;

    for (size_t i = 0; i < count; i++) {
        if (messages[i].type == RAFT_MSG_READ) {
            w->read_asked = messages[i].context;
        }
    }
    w->sent += count;
}

static inline void on_changed(void *ctx, const struct raft_status *status)
{
    ((struct world *)ctx)->role = status->role;
}

static inline void on_failed(void *ctx, enum status why, const struct err *err)
{
    struct world *w = ctx;

    ck_assert(why != ST_OK);
    w->failures++;
    (void)snprintf(w->failure, sizeof(w->failure), "%s", err->text);
}

static inline struct node_config test_config(uint64_t applied,
                                             size_t members_count)
{
    static const struct node_member members[] = {{.id = 7}, {.id = 8}};
    struct node_config c = node_config_default();

    c.raft.id = 7;
    c.cluster_id = 77;
    c.members = members;
    c.members_count = members_count;
    c.applied = applied;
    c.raft.uncommitted_max = 64 * 1024 * 1024;
    c.wal.first_bytes = 16 * 1024;
    c.wal.file_bytes = 32 * 1024;
    c.snapshot_count = 100;
    c.keep_count = 20;
    return c;
}

static inline enum status world_try(struct world *w, uint64_t applied,
                                    struct err *err)
{
    struct node_config c =
        test_config(applied, w->members == 0 ? 1 : w->members);
    struct node_ports ports = {.ctx = w,
                               .apply = on_apply,
                               .apply_conf = on_apply_conf,
                               .dropped = on_dropped,
                               .read_ready = on_read_ready,
                               .send = on_send,
                               .changed = on_changed,
                               .failed = on_failed};

    w->applied_index = applied;
    return node_new(&c, mem_disk_port(w->disk), &ports, &w->node, err);
}

static inline void finish_disk(struct world *w)
{
    while (mem_disk_busy(w->disk)) {
        (void)node_persisted(w->node, mem_disk_finish(w->disk), w->now_ms);
    }
}

static inline void world_open(struct world *w, uint64_t applied)
{
    struct err err = {0};

    ck_assert_msg(world_try(w, applied, &err) == ST_OK, "%s", err.text);
    if (w->late) {
        mem_disk_put_off(w->disk);
    }
    ck_assert(node_start(w->node, w->now_ms) == ST_OK);
    finish_disk(w);
    ck_assert(w->role == RAFT_LEADER);
}

static inline struct world *world_new(int late)
{
    struct world *w = calloc(1, sizeof(*w));

    CHECK(w != NULL);
    w->disk = mem_disk_new();
    w->late = late == 1;
    return w;
}

static inline void world_free(struct world *w)
{
    node_free(w->node);
    mem_disk_free(w->disk);
    free(w);
}

static inline void turn(struct world *w)
{
    ck_assert(node_flush(w->node, w->now_ms) == ST_OK);
    finish_disk(w);
}

static inline enum status try_propose(struct world *w, struct slice data,
                                      uint64_t tag)
{
    bool forwarded = false;
    enum status st =
        node_propose(w->node, RAFT_ENTRY_NORMAL, data, tag, &forwarded);

    ck_assert(!forwarded);
    return st;
}

static inline void propose(struct world *w, uint64_t tag)
{
    char text[300];

    memset(text, (int)(tag % 251), sizeof(text));
    ck_assert(try_propose(w, slice_of(text, 100 + tag % 200), tag) == ST_OK);
}
