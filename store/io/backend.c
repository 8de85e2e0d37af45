#include "store/io/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <time.h>

#include "base/core/check.h"
#include "base/core/crc32c.h"
#include "base/core/log.h"
#include "base/core/wire.h"
#include "base/io/lmdb_file.h"
#include "store/io/backend_impl.h"
#include "store/io/folder.h"
#include "store/io/worker.h"

enum {
    CHECKSUM_BYTES = 4,
    READERS_MAX = 64, /* Ours, and snapshots that are being sent. */
    KEY_SHOWN_MAX = 32
};

static struct backend *backend_of(struct table *port)
{
    return (struct backend *)((char *)port - offsetof(struct backend, port));
}

enum status backend_explain(const struct backend *b, const char *what, int code,
                            struct err *err)
{
    enum status st = code == ENOSPC || code == EDQUOT || code == EFBIG ||
                             code == MDB_MAP_FULL
                         ? ST_NO_SPACE
                     : code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND ||
                             code == MDB_INVALID || code == MDB_PANIC
                         ? ST_CORRUPT
                         : ST_IO;

    return err_set(
        err, st, "cannot %s %s: %s%s", what, b->path, mdb_strerror(code),
        st == ST_CORRUPT ? "; restore the data directory from a backup, or "
                           "remove it and let this member join again"
                         : "");
}

static uint32_t checksum(struct slice key, struct slice value)
{
    return crc32c(crc32c(0, key), value);
}

/* --- Reading --- */

static enum status damaged(const struct backend *b, enum table_id id,
                           struct slice key, struct err *err)
{
    char shown[KEY_SHOWN_MAX * 2 + 1] = "";

    for (size_t i = 0; i < key.len && i < KEY_SHOWN_MAX; i++) {
        (void)snprintf(shown + i * 2, 3, "%02x", key.data[i]);
    }
    return err_set(err, ST_CORRUPT,
                   "%s/data.mdb: table \"%s\", key %s: the stored row is "
                   "damaged (its check sum does not match); nothing of it was "
                   "served. Restore the data directory from a backup, or "
                   "remove it and let this member join again",
                   b->path, table_name(id), shown);
}

enum status backend_unwrap_row(const struct backend *b, enum table_id id,
                               struct slice key, MDB_val stored,
                               struct slice *out_value, struct err *err)
{
    struct wire_reader r = {.rest = slice_of_val(stored)};
    uint32_t sum = wire_u32(&r);

    if (wire_finish(&r) || checksum(key, r.rest) != sum) {
        return damaged(b, id, key, err);
    }
    *out_value = r.rest;
    return ST_OK;
}

static enum status unwrap(struct backend *b, enum table_id id, struct slice key,
                          MDB_val stored, struct slice *out_value)
{
    return backend_unwrap_row(b, id, key, stored, out_value, &b->error);
}

/* By a cursor that stays where it was: a range asks for rows that often lie on
 * one page, which is then found without a way down from the root. */
static enum status table_get(struct table *port, enum table_id id,
                             struct slice key, struct slice *out_value)
{
    struct backend *b = backend_of(port);
    MDB_val k = val_of(key);
    MDB_val v;
    int code = mdb_cursor_get(b->cursors[id], &k, &v, MDB_SET_KEY);

    if (code == MDB_NOTFOUND || code == MDB_BAD_VALSIZE) {
        return ST_NOT_FOUND; /* Keys of no length or above 511: never ours. */
    }
    if (code != 0) {
        return backend_explain(b, "read", code, &b->error);
    }
    return unwrap(b, id, key, v, out_value);
}

static enum status scan_rows(struct backend *b, enum table_id id,
                             MDB_cursor *cursor, struct slice from, void *ctx,
                             table_row_fn *on_row)
{
    MDB_val k = val_of(from);
    MDB_val v;
    int code = mdb_cursor_get(cursor, &k, &v,
                              from.len > 0 ? MDB_SET_RANGE : MDB_FIRST);

    while (code == 0) {
        struct slice value;
        enum status st = unwrap(b, id, slice_of_val(k), v, &value);

        if (st) {
            return st;
        }
        if (!on_row(ctx, slice_of_val(k), value)) {
            return ST_OK;
        }
        code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    return code == MDB_NOTFOUND ? ST_OK
                                : backend_explain(b, "read", code, &b->error);
}

static enum status table_scan(struct table *port, enum table_id id,
                              struct slice from, void *ctx,
                              table_row_fn *on_row)
{
    struct backend *b = backend_of(port);
    MDB_cursor *cursor;
    enum status st;
    int code = mdb_cursor_open(b->reader, b->files->tables[id], &cursor);

    if (code != 0) {
        return backend_explain(b, "read", code, &b->error);
    }
    st = scan_rows(b, id, cursor, from, ctx, on_row);
    mdb_cursor_close(cursor);
    return st;
}

static uint64_t table_size(struct table *port)
{
    return backend_of(port)->size;
}

static uint64_t table_size_in_use(struct table *port)
{
    return backend_of(port)->size_in_use;
}

/* As of the reader's state; asked for with every put, so looked at once. */
static void measure(struct backend *b)
{
    MDB_envinfo info;
    MDB_stat stat;
    uint64_t pages = 2; /* The meta pages. */

    CHECK(mdb_env_info(b->files->env, &info) == 0);
    CHECK(mdb_env_stat(b->files->env, &stat) == 0);
    b->size = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
    for (int i = 0; i < TABLES_COUNT; i++) {
        CHECK(mdb_stat(b->reader, b->files->tables[i], &stat) == 0);
        pages +=
            stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    }
    b->size_in_use = pages * stat.ms_psize;
}

/* --- Writing --- */

static int write_row(struct backend *b, MDB_txn *txn,
                     const struct table_write *w)
{
    MDB_val k = val_of(w->key);
    MDB_val v = {.mv_size = CHECKSUM_BYTES + w->value.len};
    int code;

    if (w->remove) {
        code = mdb_del(txn, b->files->tables[w->table], &k, NULL);
        return code == MDB_NOTFOUND ? 0 : code;
    }
    code = mdb_put(txn, b->files->tables[w->table], &k, &v, MDB_RESERVE);
    if (code == 0) {
        uint8_t *at = v.mv_data;

        wire_put_u32(at, checksum(w->key, w->value));
        if (w->value.len > 0) {
            memcpy(at + CHECKSUM_BYTES, w->value.data, w->value.len);
        }
    }
    return code;
}

static double now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Touches only env, tables, batch and write_*: runs on either thread. */
static enum status write_batch(struct backend *b, const struct kv_batch *batch)
{
    MDB_txn *txn;
    double begin;
    int code = mdb_txn_begin(b->files->env, NULL, 0, &txn);

    if (code != 0) {
        return backend_explain(b, "write", code, &b->write_error);
    }
    for (size_t i = 0; i < batch->writes_count; i++) {
        code = write_row(b, txn, &batch->writes[i]);
        if (code != 0) {
            mdb_txn_abort(txn);
            return backend_explain(b, "write", code, &b->write_error);
        }
    }
    begin = now_s();
    code = mdb_txn_commit(txn); /* Frees the transaction in every case. */
    b->write_seconds = now_s() - begin;
    return code == 0 ? ST_OK
                     : backend_explain(b, "commit", code, &b->write_error);
}

/* The reader goes on to what was committed last. */
static enum status refresh(struct backend *b)
{
    int code;

    mdb_txn_reset(b->reader);
    code = mdb_txn_renew(b->reader);
    for (int i = 0; i < TABLES_COUNT && code == 0; i++) {
        code = mdb_cursor_renew(b->reader, b->cursors[i]);
    }
    if (code == 0) {
        measure(b);
    }
    return code == 0 ? ST_OK : backend_explain(b, "read", code, &b->error);
}

static enum status finish_write(struct backend *b, enum status st)
{
    metric_observe(&b->commit_metric, b->write_seconds);
    if (st) {
        b->error = b->write_error;
        return st;
    }
    return refresh(b);
}

static void on_job_run(struct worker_job *job)
{
    struct backend *b =
        (struct backend *)((char *)job - offsetof(struct backend, job));

    b->written = write_batch(b, b->batch);
}

static void on_job_done(struct worker_job *job)
{
    struct backend *b =
        (struct backend *)((char *)job - offsetof(struct backend, job));

    b->batch = NULL;
    if (b->waited) {
        b->waited = false; /* It was told. */
    } else {
        b->config.on_written(b->config.ctx, finish_write(b, b->written));
    }
}

void backend_write(struct backend *b, const struct kv_batch *batch)
{
    CHECK(b->batch == NULL);
    b->batch = batch;
    b->job.run = on_job_run;
    b->job.done = on_job_done;
    worker_submit(b->worker, &b->job);
}

enum status backend_wait(struct backend *b)
{
    CHECK(b->batch != NULL);
    CHECK(!b->waited);
    worker_wait(b->worker);
    b->waited = true;
    return finish_write(b, b->written);
}

bool backend_is_writing(const struct backend *b)
{
    return b->batch != NULL;
}

enum status backend_write_now(struct backend *b, const struct kv_batch *batch)
{
    CHECK(b->batch == NULL);
    return finish_write(b, write_batch(b, batch));
}

/* --- The environment --- */

static int open_tables(struct backend *b)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(b->files->env, NULL, 0, &txn);

    if (code != 0) {
        return code;
    }
    for (int i = 0; i < TABLES_COUNT; i++) {
        code = mdb_dbi_open(txn, table_name((enum table_id)i), MDB_CREATE,
                            &b->files->tables[i]);
        if (code != 0) {
            mdb_txn_abort(txn);
            return code;
        }
    }
    return mdb_txn_commit(txn);
}

/* LMDB leaves its file open in children, and the agent's checks are children.
 */
static int keep_from_children(MDB_env *env)
{
    int fd;
    int code = mdb_env_get_fd(env, &fd);

    if (code == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        code = errno;
    }
    return code;
}

/* LMDB has met a page that cannot be. It would abort the process after this; an
 * operator who reads the message has no use for a core file. */
static void on_impossible(MDB_env *env, const char *what)
{
    const struct backend *b = mdb_env_get_userctx(env);

    log_error("store",
              "%s/data.mdb is damaged: %s. Restore the data directory from a "
              "backup, or remove it and let this member join again",
              b->path, what);
    _exit(EXIT_FAILURE);
}

static int open_env(struct backend *b)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD |
                     (b->config.no_sync ? (unsigned)MDB_NOSYNC : 0U);
    int code;

    b->files = calloc(1, sizeof(*b->files));
    CHECK(b->files != NULL);
    b->files->users = 1;
    code = mdb_env_create(&b->files->env);

    if (code == 0) {
        code = mdb_env_set_maxdbs(b->files->env, TABLES_COUNT);
    }
    if (code == 0) {
        code = mdb_env_set_maxreaders(b->files->env, READERS_MAX);
    }
    if (code == 0) {
        code = mdb_env_set_mapsize(b->files->env, b->config.map_bytes);
    }
    if (code == 0) {
        CHECK(mdb_env_set_userctx(b->files->env, b) == 0);
        CHECK(mdb_env_set_assert(b->files->env, on_impossible) == 0);
        code = mdb_env_open(b->files->env, b->path, flags, 0600);
    }
    if (code == 0) {
        code = lmdb_file_fill(b->files->env);
    }
    if (code == 0) {
        code = keep_from_children(b->files->env);
    }
    if (code == 0) {
        code = open_tables(b);
    }
    if (code == 0) {
        code = mdb_txn_begin(b->files->env, NULL, MDB_RDONLY, &b->reader);
    }
    for (int i = 0; i < TABLES_COUNT && code == 0; i++) {
        code = mdb_cursor_open(b->reader, b->files->tables[i], &b->cursors[i]);
    }
    return code;
}

static const struct table port_functions = {
    .get = table_get,
    .scan = table_scan,
    .size = table_size,
    .size_in_use = table_size_in_use,
};

static void metrics_init(struct backend *b)
{
    b->commit_buckets = (struct metric_buckets){.first = 0.001, .count = 14};
    b->commit_metric = (struct metric){
        .name = "etcd_disk_backend_commit_duration_seconds",
        .help = "The latency distributions of commit called by backend.",
        .type = METRIC_HISTOGRAM,
        .buckets = &b->commit_buckets};
}

enum status backend_open(const struct backend_config *config,
                         struct backend **out_backend, struct err *err)
{
    struct backend *b;
    enum status st = folder_make(config->path, err);
    int code;

    if (st) {
        return st;
    }
    b = calloc(1, sizeof(*b));
    CHECK(b != NULL);
    b->port = port_functions;
    b->config = *config;
    b->path = strdup(config->path);
    CHECK(b->path != NULL);
    metrics_init(b);
    code = open_env(b);
    if (code != 0) {
        st = backend_explain(b, "open", code, err);
        backend_close(b);
        return st;
    }
    measure(b);
    b->worker = worker_new(config->loop, "muster-backend");
    *out_backend = b;
    return ST_OK;
}

void backend_files_leave(struct environment *files)
{
    CHECK(files->users > 0);
    if (--files->users > 0) {
        return;
    }
    if (files->env != NULL) {
        mdb_env_close(files->env);
    }
    free(files);
}

static void close_env(struct backend *b)
{
    for (int i = 0; i < TABLES_COUNT; i++) {
        if (b->cursors[i] != NULL) {
            mdb_cursor_close(b->cursors[i]);
            b->cursors[i] = NULL;
        }
    }
    if (b->reader != NULL) {
        mdb_txn_abort(b->reader);
        b->reader = NULL;
    }
    if (b->files != NULL) {
        backend_files_leave(b->files);
        b->files = NULL;
    }
}

void backend_suspend(struct backend *b)
{
    CHECK(b->batch == NULL || b->waited);
    close_env(b);
}

enum status backend_resume(struct backend *b, struct err *err)
{
    int code = open_env(b);

    if (code != 0) {
        return backend_explain(b, "open", code, err);
    }
    measure(b);
    return ST_OK;
}

void backend_close(struct backend *b)
{
    if (b == NULL) {
        return;
    }
    CHECK(b->batch == NULL);
    worker_free(b->worker);
    close_env(b);
    free(b->path);
    free(b);
}

struct table *backend_table(struct backend *b)
{
    return &b->port;
}

const struct err *backend_error(const struct backend *b)
{
    return &b->error;
}

void backend_metrics(struct backend *b, struct metrics *list)
{
    metrics_add(list, &b->commit_metric);
}
