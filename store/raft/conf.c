#include "store/raft/conf.h"

#include <string.h>

static struct raft_conf_member *find(const struct raft_conf *c, uint64_t id)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i].id == id) {
            return (struct raft_conf_member *)&c->list[i];
        }
    }
    return NULL;
}

unsigned raft_conf_roles(const struct raft_conf *c, uint64_t id)
{
    const struct raft_conf_member *m = find(c, id);

    return m == NULL ? 0 : m->roles;
}

static size_t count_roles(const struct raft_conf *c, unsigned roles)
{
    size_t count = 0;

    for (size_t i = 0; i < c->count; i++) {
        count += (c->list[i].roles & roles) != 0;
    }
    return count;
}

bool raft_conf_is_joint(const struct raft_conf *c)
{
    return count_roles(c, RAFT_OUTGOING) > 0;
}

bool raft_conf_eq(const struct raft_conf *a, const struct raft_conf *b)
{
    if (a->count != b->count || a->auto_leave != b->auto_leave) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->list[i].id != b->list[i].id ||
            a->list[i].roles != b->list[i].roles) {
            return false;
        }
    }
    return true;
}

/* Either a learner, or a voter of one half or both; and only who still votes in
 * the outgoing half alone can be a learner next. */
static bool roles_go_together(unsigned roles)
{
    switch (roles) {
    case RAFT_VOTER:
    case RAFT_OUTGOING:
    case RAFT_VOTER | RAFT_OUTGOING:
    case RAFT_LEARNER:
    case RAFT_OUTGOING | RAFT_LEARNER_NEXT:
        return true;
    default:
        return false;
    }
}

bool raft_conf_is_sound(const struct raft_conf *c)
{
    uint64_t before = RAFT_NOBODY;

    if (c->count > RAFT_MEMBERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i].id <= before || !roles_go_together(c->list[i].roles)) {
            return false;
        }
        before = c->list[i].id;
    }
    return count_roles(c, RAFT_VOTER) > 0 &&
           (!c->auto_leave || raft_conf_is_joint(c));
}

/* Give `id` these roles; with none it is forgotten. */
static enum status set_roles(struct raft_conf *c, uint64_t id, unsigned roles)
{
    size_t at = 0;

    while (at < c->count && c->list[at].id < id) {
        at++;
    }
    if (at == c->count || c->list[at].id != id) {
        if (roles == 0) {
            return ST_OK;
        }
        if (c->count == RAFT_MEMBERS_MAX) {
            return ST_INVALID;
        }
        memmove(&c->list[at + 1], &c->list[at],
                (c->count - at) * sizeof(c->list[0]));
        c->count++;
    } else if (roles == 0) {
        c->count--;
        memmove(&c->list[at], &c->list[at + 1],
                (c->count - at) * sizeof(c->list[0]));
        return ST_OK;
    }
    c->list[at] = (struct raft_conf_member){.id = id, .roles = roles};
    return ST_OK;
}

/* Whoever still votes in the outgoing half can become a learner only when that
 * is over: a voter must not be counted as a learner. */
static enum status change_one(struct raft_conf *c,
                              const struct raft_change *change)
{
    unsigned outgoing = raft_conf_roles(c, change->id) & RAFT_OUTGOING;

    if (change->id == RAFT_NOBODY) {
        return ST_OK; /* As etcd takes it: a change that was taken back. */
    }
    switch (change->type) {
    case RAFT_ADD_VOTER:
        return set_roles(c, change->id, outgoing | RAFT_VOTER);
    case RAFT_ADD_LEARNER:
        return set_roles(c, change->id,
                         outgoing ? outgoing | RAFT_LEARNER_NEXT
                                  : RAFT_LEARNER);
    case RAFT_REMOVE:
        return set_roles(c, change->id, outgoing);
    case RAFT_UPDATE:
        return ST_OK;
    }
    return ST_INVALID;
}

static enum status change_all(struct raft_conf *c,
                              const struct raft_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        if (change_one(c, &changes->list[i])) {
            return ST_INVALID;
        }
    }
    return count_roles(c, RAFT_VOTER) == 0 ? ST_INVALID : ST_OK;
}

static enum status enter_joint(struct raft_conf *c,
                               const struct raft_changes *changes)
{
    if (raft_conf_is_joint(c) || count_roles(c, RAFT_VOTER) == 0) {
        return ST_INVALID;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i].roles & RAFT_VOTER) {
            c->list[i].roles |= RAFT_OUTGOING;
        }
    }
    c->auto_leave = changes->transition != RAFT_TRANSITION_EXPLICIT;
    return change_all(c, changes);
}

static enum status leave_joint(struct raft_conf *c)
{
    struct raft_conf before = *c;

    if (!raft_conf_is_joint(c)) {
        return ST_INVALID;
    }
    for (size_t i = 0; i < before.count; i++) {
        unsigned roles = before.list[i].roles;
        unsigned stays = roles & (RAFT_VOTER | RAFT_LEARNER);

        if (roles & RAFT_LEARNER_NEXT) {
            stays |= RAFT_LEARNER;
        }
        (void)set_roles(c, before.list[i].id, stays);
    }
    c->auto_leave = false;
    return ST_OK;
}

static size_t votes_changed(const struct raft_conf *a,
                            const struct raft_conf *b)
{
    size_t count = 0;

    for (size_t i = 0; i < a->count; i++) {
        count += (a->list[i].roles & RAFT_VOTER) &&
                 !(raft_conf_roles(b, a->list[i].id) & RAFT_VOTER);
    }
    for (size_t i = 0; i < b->count; i++) {
        count += (b->list[i].roles & RAFT_VOTER) &&
                 !(raft_conf_roles(a, b->list[i].id) & RAFT_VOTER);
    }
    return count;
}

/* Majorities before and after share a member only if one vote changes. */
static enum status change_simply(struct raft_conf *c,
                                 const struct raft_changes *changes)
{
    struct raft_conf before = *c;

    if (raft_conf_is_joint(c) || change_all(c, changes) ||
        votes_changed(&before, c) > 1) {
        return ST_INVALID;
    }
    return ST_OK;
}

enum status raft_conf_apply(struct raft_conf *c,
                            const struct raft_changes *changes)
{
    struct raft_conf next = *c;
    bool automatic = changes->transition == RAFT_TRANSITION_AUTO;
    enum status st;

    if (changes->v2 && automatic && changes->count == 0) {
        st = leave_joint(&next);
    } else if (changes->v2 && (!automatic || changes->count > 1)) {
        st = enter_joint(&next, changes);
    } else {
        st = change_simply(&next, changes);
    }
    if (st == ST_OK) {
        *c = next;
    }
    return st;
}
