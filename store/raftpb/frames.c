#include "store/raftpb/frames.h"

#include "base/core/check.h"
#include "base/core/wire.h"

/* msgappv2's first byte. */
enum {
    APPEND_ALIVE = 0,
    APPEND_MORE = 1,
    APPEND_WHOLE = 2
};

enum {
    NUMBER_BYTES = 8
};

/* ---- writing ---- */

static void put_number(struct buf *out, uint64_t value)
{
    uint8_t *at;

    CHECK(buf_reserve(out, NUMBER_BYTES, &at) == ST_OK);
    wire_put_u64be(at, value);
    out->len += NUMBER_BYTES;
}

static void put_whole(const struct raft_msg *m, struct buf *out)
{
    size_t mark = out->len;

    put_number(out, 0);
    raftpb_message_pack(m, out);
    wire_put_u64be(out->data + mark, out->len - mark - NUMBER_BYTES);
}

size_t frames_bound(const struct raft_msg *m)
{
    return raftpb_message_bound(m) + 1 + NUMBER_BYTES * (3 + m->entries_count);
}

static bool goes_on(const struct frames_place *p, const struct raft_msg *m)
{
    return m->term == m->pos.term && m->term == p->term &&
           m->pos.index == p->index;
}

static void put_more(const struct raft_msg *m, struct buf *out)
{
    put_number(out, m->entries_count);
    for (size_t i = 0; i < m->entries_count; i++) {
        put_number(out, raftpb_entry_len(&m->entries[i]));
        raftpb_entry_pack(&m->entries[i], out);
    }
    put_number(out, m->commit);
}

void frames_put(struct frames_writer *w, const struct raft_msg *m,
                struct buf *out)
{
    if (w->kind == FRAMES_MESSAGES) {
        put_whole(m, out);
        return;
    }
    CHECK(m->type == RAFT_MSG_APPEND);
    if (goes_on(&w->place, m)) {
        CHECK(buf_add_u8(out, APPEND_MORE) == ST_OK);
        put_more(m, out);
    } else {
        CHECK(buf_add_u8(out, APPEND_WHOLE) == ST_OK);
        put_whole(m, out);
    }
    w->place = (struct frames_place){.term = m->term,
                                     .index = m->pos.index + m->entries_count};
}

void frames_put_alive(const struct frames_writer *w, struct buf *out)
{
    static const struct raft_msg alive = {.type = RAFT_MSG_HEARTBEAT};

    if (w->kind == FRAMES_MESSAGES) {
        put_whole(&alive, out);
    } else {
        CHECK(buf_add_u8(out, APPEND_ALIVE) == ST_OK);
    }
}

/* ---- reading ---- */

void frames_reader_init(struct frames_reader *r, enum frames_kind kind,
                        uint64_t from, uint64_t to)
{
    *r = (struct frames_reader){.kind = kind, .from = from, .to = to};
    buf_init(&r->rest, 2 * FRAME_BYTES_MAX);
}

void frames_reader_release(struct frames_reader *r)
{
    raftpb_space_release(&r->space);
    buf_release(&r->rest);
}

/* ST_TRUNCATED: more bytes are needed. */
static enum status get_number(struct slice *bytes, uint64_t *out_value)
{
    if (bytes->len < NUMBER_BYTES) {
        return ST_TRUNCATED;
    }
    *out_value = wire_get_u64be(bytes->data);
    *bytes = slice_skip(*bytes, NUMBER_BYTES);
    return ST_OK;
}

static enum status get_counted(struct slice *bytes, struct slice *out_part)
{
    uint64_t len;
    enum status st = get_number(bytes, &len);

    if (st) {
        return st;
    }
    if (len > FRAME_BYTES_MAX) {
        return ST_TOO_BIG;
    }
    if (bytes->len < len) {
        return ST_TRUNCATED;
    }
    *out_part = slice_of(bytes->data, (size_t)len);
    *bytes = slice_skip(*bytes, (size_t)len);
    return ST_OK;
}

static enum status get_whole(struct frames_reader *r, struct slice *bytes,
                             struct raft_msg *out)
{
    struct slice part;
    enum status st = get_counted(bytes, &part);

    if (st == ST_OK) {
        st = raftpb_message_unpack(part, &r->space, out);
    }
    if (st == ST_OK && r->kind == FRAMES_APPENDS) {
        if (out->type != RAFT_MSG_APPEND) {
            return ST_CORRUPT;
        }
        r->place.term = out->term;
        r->place.index = out->pos.index + out->entries_count;
    }
    return st;
}

static enum status get_more(struct frames_reader *r, struct slice *bytes,
                            struct raft_msg *out)
{
    struct raft_msg m = {.type = RAFT_MSG_APPEND,
                         .from = r->from,
                         .to = r->to,
                         .term = r->place.term,
                         .pos = {r->place.term, r->place.index}};
    struct slice begin = *bytes;
    uint64_t count;
    enum status st = get_number(bytes, &count);

    for (uint64_t i = 0; st == ST_OK && i < count; i++) {
        struct slice part;

        st = get_counted(bytes, &part);
        if (st == ST_OK) {
            st = raftpb_entry_unpack(part, &r->space, (size_t)i);
        }
    }
    if (st == ST_OK) {
        st = get_number(bytes, &m.commit);
    }
    if (st) {
        return st == ST_TRUNCATED && begin.len > FRAME_BYTES_MAX ? ST_TOO_BIG
                                                                 : st;
    }
    m.entries_count = (size_t)count;
    m.entries = count == 0 ? NULL : r->space.entries;
    r->place.index += count;
    *out = m;
    return ST_OK;
}

/* One frame. *out->type 0: it only says that the link is alive. */
static enum status get_frame(struct frames_reader *r, struct slice *bytes,
                             struct raft_msg *out)
{
    uint8_t kind;

    if (r->kind == FRAMES_MESSAGES) {
        return get_whole(r, bytes, out);
    }
    if (bytes->len == 0) {
        return ST_TRUNCATED;
    }
    kind = bytes->data[0];
    *bytes = slice_skip(*bytes, 1);
    switch (kind) {
    case APPEND_ALIVE:
        *out = (struct raft_msg){0};
        return ST_OK;
    case APPEND_MORE:
        return get_more(r, bytes, out);
    case APPEND_WHOLE:
        return get_whole(r, bytes, out);
    default:
        return ST_CORRUPT;
    }
}

static bool says_something(const struct raft_msg *m)
{
    return m->type != 0 && (m->from != RAFT_NOBODY || m->to != RAFT_NOBODY);
}

/* Whole frames off the front of *bytes. */
static enum status take_frames(struct frames_reader *r, struct slice *bytes,
                               frames_message_fn *on_message, void *ctx)
{
    while (bytes->len > 0) {
        struct slice rest = *bytes;
        struct raft_msg m;
        enum status st = get_frame(r, &rest, &m);

        if (st == ST_TRUNCATED) {
            return ST_OK;
        }
        if (st && st != ST_UNSUPPORTED) {
            return st;
        }
        *bytes = rest;
        if (st == ST_OK && says_something(&m)) {
            on_message(ctx, &m);
        }
    }
    return ST_OK;
}

enum status frames_feed(struct frames_reader *r, struct slice bytes,
                        frames_message_fn *on_message, void *ctx)
{
    struct slice begun;
    enum status st;

    if (r->rest.len == 0) {
        st = take_frames(r, &bytes, on_message, ctx);
        return st ? st : buf_add(&r->rest, bytes);
    }
    if (buf_add(&r->rest, bytes)) {
        return ST_TOO_BIG;
    }
    begun = buf_slice(&r->rest);
    st = take_frames(r, &begun, on_message, ctx);
    if (st == ST_OK) {
        buf_drop(&r->rest, r->rest.len - begun.len);
    }
    return st;
}
