/*
 * conf.h - who belongs to the group, and with which vote.
 *
 * A configuration is a value: a short list of members and their roles, as
 * raftpb.ConfState says it. While a joint change is under way (Raft thesis,
 * 4.3) a member may have a vote in the incoming half, in the outgoing half, or
 * in both; a decision then needs a majority of each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/status.h"

#define RAFT_NOBODY      0 /* The id that no member has. */
#define RAFT_MEMBERS_MAX 64

enum raft_roles {
    RAFT_VOTER = 1,        /* Of the incoming half, or the only one. */
    RAFT_OUTGOING = 2,     /* A voter of the outgoing half. */
    RAFT_LEARNER = 4,      /* Gets everything, has no vote. */
    RAFT_LEARNER_NEXT = 8, /* OUTGOING; a learner once the change is over. */
};

struct raft_conf_member {
    uint64_t id;
    unsigned roles; /* Of enum raft_roles; not 0. */
};

/* By id, ascending. A zeroed one has no members. */
struct raft_conf {
    struct raft_conf_member list[RAFT_MEMBERS_MAX];
    size_t count;
    bool auto_leave; /* Joint; the leader ends it by itself. */
};

enum raft_change_type {
    RAFT_ADD_VOTER,   /* Also makes a learner a voter. */
    RAFT_ADD_LEARNER, /* Also makes a voter a learner (joint changes only). */
    RAFT_REMOVE,
    RAFT_UPDATE, /* New addresses, same vote: nothing changes here. */
};

struct raft_change {
    enum raft_change_type type;
    uint64_t id;
};

enum raft_transition {
    RAFT_TRANSITION_AUTO,     /* Joint if more than one vote changes; then left
                                 by itself. */
    RAFT_TRANSITION_IMPLICIT, /* Joint, left by itself. */
    RAFT_TRANSITION_EXPLICIT, /* Joint, left by an empty change. */
};

/* What one entry of type CONF or CONF_V2 asks for. A V2 change with no list and
 * AUTO ends a joint configuration. */
struct raft_changes {
    struct raft_change list[RAFT_MEMBERS_MAX];
    size_t count;
    enum raft_transition transition;
    bool v2;
};

unsigned raft_conf_roles(const struct raft_conf *c, uint64_t id); /* 0: none */
bool raft_conf_is_joint(const struct raft_conf *c);
bool raft_conf_eq(const struct raft_conf *a, const struct raft_conf *b);

/* May it come from outside? Ids ascend and are none twice, roles go together,
 * somebody votes. */
bool raft_conf_is_sound(const struct raft_conf *c);

/* The configuration that follows from `changes`. What cannot be followed (a
 * joint change inside a joint one, the last voter removed, a member too many)
 * changes nothing and is ST_INVALID: deterministic, as every member must do the
 * same. */
enum status raft_conf_apply(struct raft_conf *c,
                            const struct raft_changes *changes);
