/* Views: one state, read beside everything else. */

#include <stdlib.h>

#include "base/core/check.h"
#include "store/io/backend_impl.h"

struct backend_view {
    const struct backend *backend; /* For its path. */
    struct environment *files;
    MDB_txn *txn;
    MDB_cursor *cursor; /* Of the table being walked; NULL: none. */
    enum table_id table;
    bool begun;
    struct err error;
};

enum status backend_view_open(struct backend *b, struct backend_view **out_view,
                              struct err *err)
{
    struct backend_view *v = calloc(1, sizeof(*v));
    int code;

    CHECK(v != NULL);
    v->backend = b;
    v->files = b->files;
    code = mdb_txn_begin(v->files->env, NULL, MDB_RDONLY, &v->txn);
    if (code != 0) {
        free(v);
        return backend_explain(b, "read", code, err);
    }
    v->files->users++;
    *out_view = v;
    return ST_OK;
}

void backend_view_close(struct backend_view *v)
{
    if (v == NULL) {
        return;
    }
    if (v->cursor != NULL) {
        mdb_cursor_close(v->cursor);
    }
    mdb_txn_abort(v->txn);
    backend_files_leave(v->files);
    free(v);
}

enum status backend_view_get(struct backend_view *v, enum table_id id,
                             struct slice key, struct slice *out_value)
{
    MDB_val k = val_of(key);
    MDB_val value;
    int code = mdb_get(v->txn, v->files->tables[id], &k, &value);

    if (code == MDB_NOTFOUND) {
        return ST_NOT_FOUND;
    }
    if (code != 0) {
        return backend_explain(v->backend, "read", code, &v->error);
    }
    return backend_unwrap_row(v->backend, id, key, value, out_value, &v->error);
}

void backend_view_begin(struct backend_view *v, enum table_id id)
{
    if (v->cursor != NULL) {
        mdb_cursor_close(v->cursor);
        v->cursor = NULL;
    }
    v->table = id;
    v->begun = false;
}

enum status backend_view_next(struct backend_view *v, struct slice *out_key,
                              struct slice *out_value)
{
    const struct backend *b = v->backend;
    MDB_val k;
    MDB_val value;
    int code = 0;

    if (v->cursor == NULL) {
        code = mdb_cursor_open(v->txn, v->files->tables[v->table], &v->cursor);
    }
    if (code == 0) {
        code = mdb_cursor_get(v->cursor, &k, &value,
                              v->begun ? MDB_NEXT : MDB_FIRST);
    }
    v->begun = true;
    if (code == MDB_NOTFOUND) {
        return ST_NOT_FOUND;
    }
    if (code != 0) {
        return backend_explain(b, "read", code, &v->error);
    }
    *out_key = slice_of_val(k);
    return backend_unwrap_row(b, v->table, *out_key, value, out_value,
                              &v->error);
}

const struct err *backend_view_error(const struct backend_view *v)
{
    return &v->error;
}
