#include "store/io/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#include "base/core/check.h"
#include "base/core/wire.h"
#include "base/io/loop.h"
#include "store/raftpb/raftpb.h"
#include "store/snap/page.h"
#include "store/snap/writer.h"

/* etcd's buckets in the file's order, which is that of their names. */
static const enum table_id order[] = {
    TABLE_ALARM,           TABLE_AUTH, TABLE_AUTH_ROLES, TABLE_AUTH_USERS,
    TABLE_CLUSTER,         TABLE_KEY,  TABLE_LEASE,      TABLE_MEMBERS,
    TABLE_MEMBERS_REMOVED, TABLE_META,
};

enum {
    ORDER_COUNT = sizeof(order) / sizeof(order[0]),
    PIECE_BYTES = 64 * 1024
};

struct snapshot_source {
    struct backend_view *view;
    snapshot_ready_fn *on_ready;
    void *ctx;
    uv_work_t work;
    struct raft_snapshot state;
    uint64_t pages;
    enum status st;
    struct err err;

    /* The second walk. */
    struct snap_writer writer;
    struct buf piece;
    bool begun;
    size_t at; /* In `order`. */
};

/* --- Preparing, on a thread --- */

static uint64_t meta_number(struct backend_view *v, const char *name)
{
    struct slice value;

    if (backend_view_get(v, TABLE_META, slice_str(name), &value) ||
        value.len != 8) {
        return 0;
    }
    return wire_get_u64be(value.data);
}

static enum status read_state(struct snapshot_source *s)
{
    struct slice json;
    enum status st =
        backend_view_get(s->view, TABLE_META, slice_str("confState"), &json);

    s->state.pos.index = meta_number(s->view, "consistent_index");
    s->state.pos.term = meta_number(s->view, "term");
    if (st == ST_NOT_FOUND) {
        return ST_OK;
    }
    if (st == ST_OK && raftpb_conf_from_json(json, &s->state.conf)) {
        return err_set(&s->err, ST_CORRUPT,
                       "table \"meta\", row confState: not a configuration");
    }
    return st;
}

static enum status measure_table(struct snapshot_source *s,
                                 struct snap_writer *w, enum table_id id)
{
    struct slice key;
    struct slice value;
    enum status st;

    snap_bucket(w, slice_str(table_name(id)));
    backend_view_begin(s->view, id);
    while ((st = backend_view_next(s->view, &key, &value)) == ST_OK) {
        snap_row(w, key, value);
    }
    return st == ST_NOT_FOUND ? ST_OK : st;
}

static void on_work(uv_work_t *work)
{
    struct snapshot_source *s = work->data;
    struct snap_writer w;

    snap_writer_init(&w, SNAP_MEASURE, 0, NULL);
    s->st = read_state(s);
    for (size_t i = 0; s->st == ST_OK && i < ORDER_COUNT; i++) {
        s->st = measure_table(s, &w, order[i]);
    }
    if (s->st == ST_OK) {
        snap_end(&w);
        s->pages = snap_writer_pages(&w);
    } else if (s->err.text[0] == '\0') {
        s->err = *backend_view_error(s->view);
    }
    snap_writer_release(&w);
}

static void on_worked(uv_work_t *work, int error)
{
    struct snapshot_source *s = work->data;

    CHECK(error == 0); /* Nobody cancels it. */
    s->on_ready(s->ctx, s, s->st, &s->err);
}

enum status snapshot_source_open(struct loop *loop, struct backend *backend,
                                 snapshot_ready_fn *on_ready, void *ctx,
                                 struct snapshot_source **out_source,
                                 struct err *err)
{
    struct snapshot_source *s = calloc(1, sizeof(*s));
    enum status st;

    CHECK(s != NULL);
    s->on_ready = on_ready;
    s->ctx = ctx;
    s->work.data = s;
    buf_init(&s->piece, SIZE_MAX);
    st = backend_view_open(backend, &s->view, err);
    if (st) {
        free(s);
        return st;
    }
    CHECK(uv_queue_work(loop_uv(loop), &s->work, on_work, on_worked) == 0);
    *out_source = s;
    return ST_OK;
}

void snapshot_source_free(struct snapshot_source *s)
{
    if (s == NULL) {
        return;
    }
    snap_writer_release(&s->writer);
    buf_release(&s->piece);
    backend_view_close(s->view);
    free(s);
}

struct raft_snapshot snapshot_source_state(const struct snapshot_source *s)
{
    return s->state;
}

uint64_t snapshot_source_bytes(const struct snapshot_source *s)
{
    return s->pages * SNAP_PAGE_BYTES;
}

/* --- Giving the bytes --- */

static void enter_table(struct snapshot_source *s)
{
    if (s->at < ORDER_COUNT) {
        snap_bucket(&s->writer, slice_str(table_name(order[s->at])));
        backend_view_begin(s->view, order[s->at]);
    } else {
        snap_end(&s->writer);
    }
}

static enum status give_rows(struct snapshot_source *s)
{
    while (s->at < ORDER_COUNT && s->piece.len < PIECE_BYTES) {
        struct slice key;
        struct slice value;
        enum status st = backend_view_next(s->view, &key, &value);

        if (st == ST_OK) {
            snap_row(&s->writer, key, value);
        } else if (st == ST_NOT_FOUND) {
            s->at++;
            enter_table(s);
        } else {
            return st;
        }
    }
    return ST_OK;
}

enum status snapshot_source_next(struct snapshot_source *s, struct buf *out,
                                 bool *out_end, struct err *err)
{
    enum status st;

    buf_clear(&s->piece);
    if (!s->begun) {
        s->begun = true;
        snap_writer_init(&s->writer, SNAP_WRITE, s->pages, &s->piece);
        enter_table(s);
    }
    st = give_rows(s);
    if (st) {
        *err = *backend_view_error(s->view);
        return st;
    }
    *out_end = s->at == ORDER_COUNT;
    return buf_add(out, buf_slice(&s->piece));
}
