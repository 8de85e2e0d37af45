/*
 * group_impl.h - what a group consists of. Private to group*.c.
 */
#pragma once

#include "base/core/check.h"
#include "group.h"

#define HEARTBEAT_MS 100
#define ELECTION_MS  1000
#define ENTRIES_MAX  20000
#define TERMS_MAX    5000
#define FLYING_MAX   20000

struct flying {
    struct raft_msg msg;
    struct raft_entry *entries; /* Copies. */
    uint64_t due_ms;
};

struct member {
    struct group *group;
    uint64_t id;
    struct mem_disk *disk;
    struct node *node; /* NULL: down. */
    uint64_t ahead_ms; /* Of the group's clock. */
    uint64_t applied;
    uint64_t durable; /* As much of that is on the state machine's disk. */
    uint64_t told;    /* The node knows of so much. */
    bool disk_held;
    uint64_t disk_due_ms;
    enum raft_role role;
};

struct applied {
    uint64_t term;
    uint32_t sum;
};

struct asked {
    uint64_t name;
    uint64_t index; /* A read: what had been answered when it was asked. */
};

struct group {
    struct group_config config;
    struct rng rng;
    uint64_t now_ms;
    struct member members[GROUP_MAX + 1]; /* By id. */
    bool cut[GROUP_MAX + 1][GROUP_MAX + 1];
    struct flying flying[FLYING_MAX];
    size_t flying_count;
    struct applied applied[ENTRIES_MAX]; /* By index. */
    uint64_t applied_last;
    uint64_t leaders[TERMS_MAX]; /* By term. */
    uint64_t answered_last;      /* The highest index answered. */
    size_t answered;
    struct asked reads[ENTRIES_MAX]; /* By name. */
    size_t reads_answered;
};

static inline struct member *member(const struct group *g, uint64_t id)
{
    CHECK(id >= 1);
    CHECK(id <= g->config.members_count);
    return (struct member *)&g->members[id];
}
