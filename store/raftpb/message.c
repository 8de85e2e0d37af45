#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "base/core/row.h"
#include "base/core/wire.h"
#include "store/raftpb/raftpb.h"

/* raftpb.Message */
enum {
    MSG_TYPE = 1,
    MSG_TO = 2,
    MSG_FROM = 3,
    MSG_TERM = 4,
    MSG_LOG_TERM = 5,
    MSG_INDEX = 6,
    MSG_ENTRIES = 7,
    MSG_COMMIT = 8,
    MSG_SNAPSHOT = 9,
    MSG_REJECT = 10,
    MSG_REJECT_HINT = 11,
    MSG_CONTEXT = 12
};
/* raftpb.Entry */
enum {
    ENTRY_TYPE = 1,
    ENTRY_TERM = 2,
    ENTRY_INDEX = 3,
    ENTRY_DATA = 4
};
/* raftpb.Snapshot and SnapshotMetadata */
enum {
    SNAPSHOT_META = 2,
    META_CONF = 1,
    META_INDEX = 2,
    META_TERM = 3
};

enum {
    CONTEXT_BYTES = 8,   /* Ours, and etcd's: a number, big-endian. */
    SCALARS_BOUND = 160, /* All numbers of a message and its frame. */
    ENTRY_BOUND = 48,    /* Of an entry, besides its data. */
    CONF_BOUND = 64 * RAFT_MEMBERS_MAX,
    ENTRIES_MAX = 1 << 20 /* Of one message; ours are far below. */
};

static const char transfer_context[] = "CampaignTransfer";

/* ---- writing ---- */

/* As etcd does, zero too. */
static void put(struct buf *out, unsigned field, uint64_t value)
{
    pb_varint(out, (uint64_t)field << 3 | PB_VARINT);
    pb_varint(out, value);
}

static size_t put_len(uint64_t value)
{
    return 1 + pb_varint_len(value);
}

size_t raftpb_entry_len(const struct raft_entry *e)
{
    size_t len = put_len((uint64_t)e->type) + put_len(e->pos.term) +
                 put_len(e->pos.index);

    return e->len == 0 ? len : len + put_len(e->len) + e->len;
}

void raftpb_entry_pack(const struct raft_entry *e, struct buf *out)
{
    put(out, ENTRY_TYPE, (uint64_t)e->type);
    put(out, ENTRY_TERM, e->pos.term);
    put(out, ENTRY_INDEX, e->pos.index);
    pb_bytes(out, ENTRY_DATA, raft_entry_data(e));
}

static void pack_entries(const struct raft_msg *m, struct buf *out)
{
    for (size_t i = 0; i < m->entries_count; i++) {
        pb_message_head(out, MSG_ENTRIES, raftpb_entry_len(&m->entries[i]));
        raftpb_entry_pack(&m->entries[i], out);
    }
}

/* A read's id travels as the data of an only entry. */
static bool carries_read(enum raft_msg_type type)
{
    return type == RAFT_MSG_READ || type == RAFT_MSG_READ_REPLY;
}

static void pack_read(const struct raft_msg *m, struct buf *out)
{
    uint8_t id[CONTEXT_BYTES];
    struct raft_entry e = {.data = id, .len = sizeof(id)};

    wire_put_u64be(id, m->context);
    pb_message_head(out, MSG_ENTRIES, raftpb_entry_len(&e));
    raftpb_entry_pack(&e, out);
}

static void pack_snapshot(const struct raft_snapshot *s, struct buf *out)
{
    size_t snapshot = pb_begin(out, MSG_SNAPSHOT);
    size_t meta = pb_begin(out, SNAPSHOT_META);
    size_t conf = pb_begin(out, META_CONF);

    raftpb_conf_pack(&s->conf, out);
    pb_end(out, conf);
    put(out, META_INDEX, s->pos.index);
    put(out, META_TERM, s->pos.term);
    pb_end(out, meta);
    pb_end(out, snapshot);
}

static void pack_context(const struct raft_msg *m, struct buf *out)
{
    uint8_t id[CONTEXT_BYTES];

    if (m->transfer) {
        pb_bytes(out, MSG_CONTEXT, slice_str(transfer_context));
    } else if (m->context != 0 && !carries_read(m->type)) {
        wire_put_u64be(id, m->context);
        pb_bytes(out, MSG_CONTEXT, slice_of(id, sizeof(id)));
    }
}

size_t raftpb_message_bound(const struct raft_msg *m)
{
    size_t bytes = SCALARS_BOUND;

    for (size_t i = 0; i < m->entries_count; i++) {
        bytes += ENTRY_BOUND + m->entries[i].len;
    }
    return m->snapshot == NULL ? bytes : bytes + CONF_BOUND;
}

void raftpb_message_pack(const struct raft_msg *m, struct buf *out)
{
    put(out, MSG_TYPE, (uint64_t)m->type);
    put(out, MSG_TO, m->to);
    put(out, MSG_FROM, m->from);
    put(out, MSG_TERM, m->term);
    put(out, MSG_LOG_TERM, m->reject ? m->hint.term : m->pos.term);
    put(out, MSG_INDEX, m->pos.index);
    if (carries_read(m->type)) {
        pack_read(m, out);
    } else {
        pack_entries(m, out);
    }
    put(out, MSG_COMMIT, m->commit);
    if (m->snapshot != NULL) {
        pack_snapshot(m->snapshot, out);
    }
    put(out, MSG_REJECT, m->reject ? 1 : 0);
    put(out, MSG_REJECT_HINT, m->hint.index);
    pack_context(m, out);
}

/* ---- reading ---- */

void raftpb_space_release(struct raftpb_space *space)
{
    free(space->entries);
    *space = (struct raftpb_space){0};
}

enum status raftpb_entry_unpack(struct slice bytes, struct raftpb_space *space,
                                size_t at)
{
    struct raft_entry e = {0};
    uint64_t type = RAFT_ENTRY_NORMAL;
    struct pb_field f;

    if (at >= ENTRIES_MAX) {
        return ST_CORRUPT;
    }
    while (pb_next(&bytes, &f)) {
        if (f.number == ENTRY_TYPE) {
            type = f.value;
        } else if (f.number == ENTRY_TERM) {
            e.pos.term = f.value;
        } else if (f.number == ENTRY_INDEX) {
            e.pos.index = f.value;
        } else if (f.number == ENTRY_DATA) {
            e.data = (uint8_t *)f.bytes.data;
            e.len = f.bytes.len;
        }
    }
    if (bytes.len > 0 || type > RAFT_ENTRY_CONF_V2) {
        return ST_CORRUPT;
    }
    e.type = (enum raft_entry_type)type;
    space->entries =
        row_room(space->entries, &space->cap, at, sizeof(space->entries[0]));
    space->entries[at] = e;
    return ST_OK;
}

static enum status unpack_meta(struct slice bytes, struct raft_snapshot *s)
{
    struct pb_field f;
    enum status st = ST_OK;

    while (st == ST_OK && pb_next(&bytes, &f)) {
        if (f.number == META_CONF) {
            st = raftpb_conf_unpack(f.bytes, &s->conf);
        } else if (f.number == META_INDEX) {
            s->pos.index = f.value;
        } else if (f.number == META_TERM) {
            s->pos.term = f.value;
        }
    }
    return st == ST_OK && bytes.len > 0 ? ST_CORRUPT : st;
}

static enum status unpack_snapshot(struct slice bytes, struct raft_snapshot *s)
{
    struct pb_field f;
    enum status st = ST_OK;

    *s = (struct raft_snapshot){0};
    while (st == ST_OK && pb_next(&bytes, &f)) {
        if (f.number == SNAPSHOT_META) {
            st = unpack_meta(f.bytes, s);
        }
    }
    return st == ST_OK && bytes.len > 0 ? ST_CORRUPT : st;
}

static uint64_t read_number(struct slice bytes)
{
    return bytes.len == CONTEXT_BYTES ? wire_get_u64be(bytes.data) : 0;
}

static void unpack_context(struct slice bytes, struct raft_msg *m)
{
    m->transfer = slice_eq(bytes, slice_str(transfer_context));
    m->context = m->transfer ? 0 : read_number(bytes);
}

static enum status unpack_part(const struct pb_field *f,
                               struct raftpb_space *space, struct raft_msg *m)
{
    if (f->number == MSG_ENTRIES) {
        m->entries_count++;
        return raftpb_entry_unpack(f->bytes, space, m->entries_count - 1);
    }
    if (f->number == MSG_SNAPSHOT) {
        m->snapshot = &space->snapshot;
        return unpack_snapshot(f->bytes, &space->snapshot);
    }
    if (f->number == MSG_CONTEXT) {
        unpack_context(f->bytes, m);
    }
    return ST_OK;
}

static void unpack_number(const struct pb_field *f, struct raft_msg *m)
{
    switch (f->number) {
    case MSG_TYPE:
        m->type = f->value > RAFT_MSG_PRE_VOTE_REPLY
                      ? (enum raft_msg_type)0
                      : (enum raft_msg_type)f->value;
        return;
    case MSG_TO:
        m->to = f->value;
        return;
    case MSG_FROM:
        m->from = f->value;
        return;
    case MSG_TERM:
        m->term = f->value;
        return;
    case MSG_LOG_TERM:
        m->pos.term = f->value;
        return;
    case MSG_INDEX:
        m->pos.index = f->value;
        return;
    case MSG_COMMIT:
        m->commit = f->value;
        return;
    case MSG_REJECT:
        m->reject = f->value != 0;
        return;
    case MSG_REJECT_HINT:
        m->hint.index = f->value;
        return;
    default:
        return; /* Of a later version. */
    }
}

/* The list of those that a peer may send. */
static bool type_is_for_peers(enum raft_msg_type type)
{
    return (type >= RAFT_MSG_PROPOSE && type <= RAFT_MSG_HEARTBEAT_REPLY) ||
           (type >= RAFT_MSG_TRANSFER && type <= RAFT_MSG_PRE_VOTE_REPLY);
}

/* What is carried in the place of something else, put where we keep it. */
static enum status settle(struct raftpb_space *space, struct raft_msg *m)
{
    if (!type_is_for_peers(m->type)) {
        return ST_UNSUPPORTED;
    }
    if (m->type != RAFT_MSG_SNAPSHOT) {
        m->snapshot = NULL; /* etcd 3.4 writes an empty one everywhere. */
    } else if (m->snapshot == NULL) {
        return ST_CORRUPT;
    }
    if (m->reject) {
        m->hint.term = m->pos.term;
        m->pos.term = 0;
    }
    if (carries_read(m->type)) {
        m->context = m->entries_count == 1
                         ? read_number(raft_entry_data(&space->entries[0]))
                         : 0;
        m->entries_count = 0;
        return m->context == 0 ? ST_UNSUPPORTED : ST_OK;
    }
    m->entries = m->entries_count == 0 ? NULL : space->entries;
    return ST_OK;
}

enum status raftpb_message_unpack(struct slice bytes,
                                  struct raftpb_space *space,
                                  struct raft_msg *out)
{
    struct raft_msg m = {0};
    struct pb_field f;

    while (pb_next(&bytes, &f)) {
        enum status st = ST_OK;

        if (f.type == PB_VARINT) {
            unpack_number(&f, &m);
        } else if (f.type == PB_BYTES) {
            st = unpack_part(&f, space, &m);
        }
        if (st) {
            return st;
        }
    }
    if (bytes.len > 0) {
        return ST_CORRUPT;
    }
    *out = m;
    return settle(space, out);
}
