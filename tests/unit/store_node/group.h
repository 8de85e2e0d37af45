/*
 * group.h - several members in one thread: disks in memory, a network that can
 * be cut and made bad, a clock that only moves when told, one seed.
 *
 * After every event it holds, or the program stops:
 *   - no term has two leaders
 *   - an index that was applied anywhere has the same entry wherever it is
 *     applied, before and after crashes
 *   - what was answered to a client stays applied
 *   - a read that is answered has seen every write answered before it was asked
 */
#pragma once

#include "base/core/rng.h"
#include "mem_disk.h"
#include "store/node/node.h"

#define GROUP_MAX 7

typedef void (*group_line_fn)(void *ctx, const char *line);

struct group_config {
    size_t members_count;
    uint64_t seed;
    unsigned loss;         /* Of 1000 messages. */
    unsigned twice;        /* Of 1000 messages. */
    uint64_t delay_ms;     /* Each message: 0 to this. */
    uint64_t disk_ms;      /* Each sync: 0 to this; 0: inside the call. */
    group_line_fn on_line; /* A trace, or NULL. */
    void *line_ctx;
};

struct group;

struct group *group_new(const struct group_config *config);
void group_free(struct group *g);

/* Members are 1 to members_count. */
void group_start(struct group *g, uint64_t id);
/* The power goes: of what was not synced, `keep` decides (mem_disk.h). */
void group_crash(struct group *g, uint64_t id, uint64_t keep);
/* State machines write what they have applied to their disks. What all have,
 * the logs may forget. (Less would need snapshots between members.) */
void group_save(struct group *g);
bool group_is_up(const struct group *g, uint64_t id);

/* Time goes on; whatever is due happens. */
void group_pass(struct group *g, uint64_t ms);
/* Only this member's clock jumps ahead, past any election time-out. */
void group_elect(struct group *g, uint64_t id);

/* Messages from a to b get lost from now on, also those under way. */
void group_cut(struct group *g, uint64_t a, uint64_t b);
void group_heal(struct group *g);
void group_set_loss(struct group *g, unsigned loss);
/* While held, syncs of this member do not end. */
void group_hold_disk(struct group *g, uint64_t id);
void group_sync_disk(struct group *g, uint64_t id); /* One of them does. */
void group_free_disk(struct group *g, uint64_t id);

/* `name` is a number, not used before, not 0. */
enum status group_propose(struct group *g, uint64_t id, uint64_t name);
enum status group_read(struct group *g, uint64_t id, uint64_t name);

uint64_t group_leader(const struct group *g); /* Of the newest term; 0: none. */
struct raft_status group_status(const struct group *g, uint64_t id);
size_t group_answered(const struct group *g); /* Proposals applied, so far. */
size_t group_reads_answered(const struct group *g);
/* Have all members that are up applied the same, and everything answered? */
bool group_agrees(const struct group *g);
