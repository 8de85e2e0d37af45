#include <stdlib.h>

#include "base/core/pb.h"
#include "base/core/row.h"
#include "store/node/core.h"

/* raftpb.ConfChange */
enum {
    CHANGE_ID = 1,
    CHANGE_TYPE = 2,
    CHANGE_NODE = 3,
    CHANGE_CONTEXT = 4
};
enum {
    TYPE_ADD = 0,
    TYPE_REMOVE = 1,
    TYPE_UPDATE = 2,
    TYPE_ADD_LEARNER = 3
};
/* raftpb.ConfState */
enum {
    STATE_VOTERS = 1,
    STATE_LEARNERS = 2
};

void node_conf_release(struct node_conf *c)
{
    free(c->list);
    *c = (struct node_conf){0};
}

static struct node_voter *conf_find(const struct node_conf *c, uint64_t id)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i].id == id) {
            return &c->list[i];
        }
    }
    return NULL;
}

static struct node_voter *conf_add(struct node_conf *c, uint64_t id)
{
    c->list = row_room(c->list, &c->cap, c->count, sizeof(c->list[0]));
    c->list[c->count] = (struct node_voter){.id = id};
    return &c->list[c->count++];
}

void node_conf_apply(struct node_conf *c, struct node_change change)
{
    struct node_voter *v = conf_find(c, change.id);

    if (!change.is_change) {
        return;
    }
    if (change.change == RAFT_REMOVE) {
        if (v != NULL) {
            *v = c->list[--c->count];
        }
        return;
    }
    if (v == NULL) {
        v = conf_add(c, change.id);
    }
    v->voter = v->voter || change.change == RAFT_ADD_VOTER;
}

void node_conf_pack(const struct node_conf *c, struct buf *out_bytes)
{
    for (size_t i = 0; i < c->count; i++) {
        pb_uint(out_bytes, c->list[i].voter ? STATE_VOTERS : STATE_LEARNERS,
                c->list[i].id);
    }
}

enum status node_conf_unpack(struct slice bytes, struct node_conf *out_conf)
{
    struct node_conf conf = {0};
    struct pb_field f;

    while (pb_next(&bytes, &f)) {
        struct node_change add = {.is_change = true, .id = f.value};

        if (f.type != PB_VARINT || f.value == RAFT_NOBODY ||
            (f.number != STATE_VOTERS && f.number != STATE_LEARNERS)) {
            node_conf_release(&conf);
            return ST_CORRUPT;
        }
        add.change =
            f.number == STATE_VOTERS ? RAFT_ADD_VOTER : RAFT_ADD_LEARNER;
        node_conf_apply(&conf, add);
    }
    if (bytes.len > 0) {
        node_conf_release(&conf);
        return ST_CORRUPT;
    }
    *out_conf = conf;
    return ST_OK;
}

void node_conf_change_pack(const struct node_member *m, uint64_t id,
                           struct buf *out_bytes)
{
    pb_uint(out_bytes, CHANGE_ID, id);
    pb_uint(out_bytes, CHANGE_TYPE, TYPE_ADD);
    pb_uint(out_bytes, CHANGE_NODE, m->id);
    pb_bytes(out_bytes, CHANGE_CONTEXT, m->context);
}

static enum status change_from(uint64_t type, uint64_t id,
                               struct node_change *out_change)
{
    struct node_change change = {.is_change = true, .id = id};

    switch (type) {
    case TYPE_ADD:
        change.change = RAFT_ADD_VOTER;
        break;
    case TYPE_REMOVE:
        change.change = RAFT_REMOVE;
        break;
    case TYPE_ADD_LEARNER:
        change.change = RAFT_ADD_LEARNER;
        break;
    case TYPE_UPDATE: /* New addresses, same vote. */
        change.is_change = false;
        break;
    default:
        return ST_CORRUPT;
    }
    if (id == RAFT_NOBODY) {
        change.is_change = false; /* Refused when it was proposed. */
    }
    *out_change = change;
    return ST_OK;
}

enum status node_change_of(const struct raft_entry *e,
                           struct node_change *out_change)
{
    struct slice rest = raft_entry_data(e);
    struct pb_field f;
    uint64_t type = TYPE_ADD;
    uint64_t id = RAFT_NOBODY;

    if (e->type == RAFT_ENTRY_NORMAL) {
        *out_change = (struct node_change){.is_change = false};
        return ST_OK;
    }
    if (e->type == RAFT_ENTRY_CONF_V2) {
        return ST_UNSUPPORTED;
    }
    while (pb_next(&rest, &f)) {
        if (f.number == CHANGE_TYPE) {
            type = f.value;
        } else if (f.number == CHANGE_NODE) {
            id = f.value;
        }
    }
    return rest.len > 0 ? ST_CORRUPT : change_from(type, id, out_change);
}
