/* Entry on disk:
 *   key    table u8 | first 16 bytes of SHA-256 of the owner's key
 *   value  crc u32 (of all that follows) | key length u32 | key | value
 * LMDB limits keys to 511 bytes; catalogue keys may be longer. */

#include "agent/io/kvfile.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <malloc.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "base/core/check.h"
#include "base/core/crc32c.h"
#include "base/core/wire.h"
#include "base/io/lmdb_file.h"

#define DISK_KEY_LEN 17
#define HEAD_LEN     8

/* After so large a batch LMDB's memory is given back; and the allocator's after
 * it, or after so many bytes of smaller ones. */
#define LARGE_BYTES (1U << 18)
#define TRIM_BYTES  (1U << 20)

/* A file up to so many pages may stay resident: reading its pages anew would
 * make each acknowledgement wait. */
#define RESIDENT_PAGES 256

/* Of a larger one no more becomes resident than so many operations touch. */
#define RESIDENT_OPS 32

enum op_kind {
    OP_PUT,
    OP_DELETE,
    OP_CLEAR,
};

struct op {
    STAILQ_ENTRY(op) link;
    enum op_kind kind;
    uint8_t key[DISK_KEY_LEN];
    size_t len;
    uint8_t bytes[]; /* The value on disk. */
};

STAILQ_HEAD(ops, op);

/* What one transaction writes, and who wants to hear of it. */
struct batch {
    STAILQ_ENTRY(batch) link;
    struct ops ops;
    size_t bytes;
    uint64_t took_ms;
    kvfile_written_fn *on_written;
    void *arg;
    enum status st;
    struct err err;
};

struct kvfile {
    uv_loop_t *loop;
    char *path;
    size_t bytes_max;
    EVP_MD_CTX *digest;
    MDB_env *env; /* NULL: could not be opened again. */
    MDB_dbi dbi;
    struct lmdb_map map;
    struct stat identity;         /* Of the file that was opened first. */
    size_t pending;               /* Bytes of all batches. */
    size_t untrimmed;             /* Bytes written since the last trim. */
    uint64_t took_ms;             /* By the last transaction. */
    struct batch *filling;        /* Not flushed yet; NULL: empty. */
    STAILQ_HEAD(, batch) flushed; /* In order; the first is being written. */
    uv_work_t work;
    bool working;
    kvfile_closed_fn *on_closed; /* Set by kvfile_close(). */
    void *arg;
};

static enum status mdb_fail(struct err *err, int error, const char *what)
{
    enum status st = ST_IO;

    if (error == MDB_CORRUPTED || error == MDB_INVALID ||
        error == MDB_PAGE_NOTFOUND || error == MDB_PANIC ||
        error == MDB_VERSION_MISMATCH) {
        st = ST_CORRUPT;
    } else if (error == MDB_MAP_FULL || error == ENOSPC) {
        st = ST_NO_SPACE;
    }
    return err_set(err, st, "%s: %s", what, mdb_strerror(error));
}

/* Fetching the algorithm costs more than the digest of a key. */
static void digest_init(struct kvfile *f)
{
    EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);

    f->digest = EVP_MD_CTX_new();
    CHECK(sha256 != NULL && f->digest != NULL &&
          EVP_DigestInit_ex(f->digest, sha256, NULL) == 1);
    EVP_MD_free(sha256);
}

static void disk_key(struct kvfile *f, uint8_t out[DISK_KEY_LEN], char table,
                     struct slice key)
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    CHECK(EVP_DigestInit_ex(f->digest, NULL, NULL) == 1 &&
          EVP_DigestUpdate(f->digest, key.data, key.len) == 1 &&
          EVP_DigestFinal_ex(f->digest, digest, NULL) == 1);
    out[0] = (uint8_t)table;
    memcpy(out + 1, digest, DISK_KEY_LEN - 1);
}

/* ---- Opening ----------------------------------------------------------- */

/* LMDB maps the file and would die of SIGBUS if pages that its root speaks of
 * were not there. */
static enum status size_verify(MDB_env *env, const char *path, struct err *err)
{
    MDB_envinfo info;
    MDB_stat stat_of_env;
    struct stat file;

    if (mdb_env_info(env, &info) || mdb_env_stat(env, &stat_of_env) ||
        stat(path, &file)) {
        return err_set(err, ST_IO, "%s: cannot be examined", path);
    }
    if ((uint64_t)file.st_size <
        ((uint64_t)info.me_last_pgno + 1) * stat_of_env.ms_psize) {
        return err_set(err, ST_CORRUPT, "%s: cut to %lld bytes", path,
                       (long long)file.st_size);
    }
    return ST_OK;
}

/* LMDB leaves its file open in children; an exec check must not get at it. */
static int keep_from_children(MDB_env *env)
{
    int fd;
    int error = mdb_env_get_fd(env, &fd);

    if (error == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        error = errno;
    }
    return error;
}

static enum status env_open(MDB_env **out_env, const char *path,
                            size_t bytes_max, struct err *err)
{
    MDB_env *env = NULL;
    struct stat file;
    bool existed = stat(path, &file) == 0 && file.st_size > 0;
    enum status st = ST_OK;
    int error = mdb_env_create(&env);

    CHECK(error == 0);
    CHECK(mdb_env_set_mapsize(env, bytes_max) == 0);
    error = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600);
    if (error == 0) {
        error = keep_from_children(env);
    }
    if (error) {
        st = mdb_fail(err, error, path);
    } else if (existed) {
        st = size_verify(env, path, err);
    }
    if (st) {
        mdb_env_close(env);
        return st;
    }
    *out_env = env;
    return ST_OK;
}

/* Whether the path still leads to the file that was opened first. If somebody
 * has removed it, a new one in its place would get only what changes from now
 * on, and pass for the whole. */
static bool is_same_file(const struct kvfile *f)
{
    struct stat now;

    return stat(f->path, &now) == 0 && now.st_dev == f->identity.st_dev &&
           now.st_ino == f->identity.st_ino;
}

/* Open f->path. */
static enum status file_map(struct kvfile *f, struct err *err)
{
    MDB_env *env;
    MDB_txn *txn;
    enum status st = env_open(&env, f->path, f->bytes_max, err);
    int error;

    if (st) {
        return st;
    }
    error = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (!error) {
        error = mdb_dbi_open(txn, NULL, 0, &f->dbi);
        mdb_txn_abort(txn); /* The handle of the main table stays valid. */
    }
    if (error) {
        mdb_env_close(env);
        return mdb_fail(err, error, f->path);
    }
    f->env = env;
    lmdb_file_map(env, &f->map);
    return ST_OK;
}

static void file_free(struct kvfile *f)
{
    if (f->env) {
        mdb_env_close(f->env);
    }
    EVP_MD_CTX_free(f->digest);
    free(f->path);
    free(f);
}

enum status kvfile_open(uv_loop_t *loop, const char *path, size_t bytes_max,
                        struct kvfile **out_file, struct err *out_err)
{
    struct kvfile *f = calloc(1, sizeof(*f));
    enum status st;

    CHECK(f != NULL);
    f->path = strdup(path);
    CHECK(f->path != NULL);
    f->bytes_max = bytes_max;
    f->loop = loop;
    f->work.data = f;
    digest_init(f);
    STAILQ_INIT(&f->flushed);
    st = file_map(f, out_err);
    if (st) {
        file_free(f);
        return st;
    }
    if (stat(path, &f->identity)) {
        file_free(f);
        return err_set(out_err, ST_IO, "%s: cannot be examined", path);
    }
    *out_file = f;
    return ST_OK;
}

/* ---- Reading ----------------------------------------------------------- */

static enum status entry_read(MDB_val stored, struct slice *out_key,
                              struct slice *out_value)
{
    struct wire_reader r = {.rest = slice_of(stored.mv_data, stored.mv_size)};
    uint32_t crc = wire_u32(&r);
    struct slice covered = r.rest;
    uint32_t key_len = wire_u32(&r);
    struct slice key = wire_bytes(&r, key_len);

    if (wire_finish(&r) || crc32c(0, covered) != crc) {
        return ST_CORRUPT;
    }
    *out_key = key;
    *out_value = r.rest;
    return ST_OK;
}

static enum status each_in(MDB_cursor *cursor, char table, kvfile_entry_fn *fn,
                           void *ctx)
{
    MDB_val at = {.mv_size = 1, .mv_data = &table};
    MDB_val stored;
    int error = mdb_cursor_get(cursor, &at, &stored, MDB_SET_RANGE);

    while (!error && at.mv_size == DISK_KEY_LEN &&
           *(const char *)at.mv_data == table) {
        struct slice key;
        struct slice value;

        if (entry_read(stored, &key, &value)) {
            return ST_CORRUPT;
        }
        if (!fn(ctx, key, value)) {
            return ST_OK;
        }
        error = mdb_cursor_get(cursor, &at, &stored, MDB_NEXT);
    }
    return error && error != MDB_NOTFOUND ? ST_CORRUPT : ST_OK;
}

enum status kvfile_each(struct kvfile *f, char table, kvfile_entry_fn *fn,
                        void *ctx)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    enum status st = ST_IO;

    CHECK(!f->working);
    if (!f->env || mdb_txn_begin(f->env, NULL, MDB_RDONLY, &txn)) {
        return ST_IO;
    }
    if (!mdb_cursor_open(txn, f->dbi, &cursor)) {
        st = each_in(cursor, table, fn, ctx);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return st;
}

/* ---- Collecting -------------------------------------------------------- */

static struct op *op_add(struct kvfile *f, enum op_kind kind, size_t len)
{
    struct op *op = calloc(1, sizeof(*op) + len);

    CHECK(op != NULL);
    CHECK(!f->on_closed);
    op->kind = kind;
    op->len = len;
    if (!f->filling) {
        f->filling = calloc(1, sizeof(*f->filling));
        CHECK(f->filling != NULL);
        STAILQ_INIT(&f->filling->ops);
    }
    STAILQ_INSERT_TAIL(&f->filling->ops, op, link);
    f->filling->bytes += sizeof(*op) + len;
    f->pending += sizeof(*op) + len;
    return op;
}

uint64_t kvfile_took_ms(const struct kvfile *f)
{
    return f->took_ms;
}

size_t kvfile_pending(const struct kvfile *f)
{
    return f->pending;
}

void kvfile_put(struct kvfile *f, char table, struct slice key,
                struct slice value)
{
    struct op *op = op_add(f, OP_PUT, HEAD_LEN + key.len + value.len);
    uint8_t *at = op->bytes;

    CHECK(key.len <= UINT32_MAX);
    disk_key(f, op->key, table, key);
    wire_put_u32(at + 4, (uint32_t)key.len);
    memcpy(at + HEAD_LEN, key.data, key.len);
    if (value.len > 0) {
        memcpy(at + HEAD_LEN + key.len, value.data, value.len);
    }
    wire_put_u32(at, crc32c(0, slice_of(at + 4, op->len - 4)));
}

void kvfile_delete(struct kvfile *f, char table, struct slice key)
{
    disk_key(f, op_add(f, OP_DELETE, 0)->key, table, key);
}

void kvfile_clear(struct kvfile *f, char table)
{
    op_add(f, OP_CLEAR, 0)->key[0] = (uint8_t)table;
}

/* ---- Writing ----------------------------------------------------------- */

static int table_clear(MDB_txn *txn, MDB_dbi dbi, uint8_t table)
{
    MDB_cursor *cursor;
    MDB_val at = {.mv_size = 1, .mv_data = &table};
    MDB_val stored;
    int error = mdb_cursor_open(txn, dbi, &cursor);

    if (error) {
        return error;
    }
    error = mdb_cursor_get(cursor, &at, &stored, MDB_SET_RANGE);
    while (!error && *(const uint8_t *)at.mv_data == table) {
        error = mdb_cursor_del(cursor, 0);
        if (!error) {
            error = mdb_cursor_get(cursor, &at, &stored, MDB_GET_CURRENT);
        }
    }
    mdb_cursor_close(cursor);
    /* Behind the last entry GET_CURRENT says EINVAL or NOTFOUND. */
    return error == MDB_NOTFOUND || error == EINVAL ? 0 : error;
}

static int op_write(MDB_txn *txn, MDB_dbi dbi, struct op *op)
{
    MDB_val key = {.mv_size = DISK_KEY_LEN, .mv_data = op->key};
    MDB_val value = {.mv_size = op->len, .mv_data = op->bytes};
    int error;

    switch (op->kind) {
    case OP_PUT:
        return mdb_put(txn, dbi, &key, &value, 0);
    case OP_DELETE:
        error = mdb_del(txn, dbi, &key, NULL);
        return error == MDB_NOTFOUND ? 0 : error;
    case OP_CLEAR:
        return table_clear(txn, dbi, op->key[0]);
    }
    UNREACHABLE();
}

static bool is_small(const struct kvfile *f)
{
    MDB_envinfo info;

    return mdb_env_info(f->env, &info) == 0 &&
           info.me_last_pgno < RESIDENT_PAGES;
}

static void pages_release(const struct kvfile *f)
{
    if (!is_small(f)) {
        lmdb_map_release(&f->map);
    }
}

static int batch_write(struct kvfile *f, struct batch *b)
{
    MDB_txn *txn;
    struct op *op;
    size_t ops = 0;
    int error = mdb_txn_begin(f->env, NULL, 0, &txn);

    if (error) {
        return error;
    }
    STAILQ_FOREACH(op, &b->ops, link)
    {
        error = op_write(txn, f->dbi, op);
        if (error) {
            mdb_txn_abort(txn);
            return error;
        }
        if (++ops % RESIDENT_OPS == 0) {
            pages_release(f);
        }
    }
    error = mdb_txn_commit(txn);
    /* So that a file which is too short has been cut. */
    return error ? error : lmdb_file_fill(f->env);
}

static void ops_free(struct ops *ops)
{
    while (!STAILQ_EMPTY(ops)) {
        struct op *op = STAILQ_FIRST(ops);

        STAILQ_REMOVE_HEAD(ops, link);
        free(op);
    }
}

/* LMDB keeps a page of memory for each page that its largest transaction has
 * changed. A new start leaves them behind. */
static void file_renew(struct kvfile *f)
{
    struct err ignored; /* The next batch tries again, and tells. */

    if (!is_same_file(f)) {
        return; /* What was opened is good until the restart. */
    }
    mdb_env_close(f->env);
    f->env = NULL;
    (void)file_map(f, &ignored);
}

static void memory_release(struct kvfile *f, size_t batch_bytes)
{
    bool large = batch_bytes >= LARGE_BYTES;

    if (f->env && large) {
        file_renew(f);
    } else if (f->env) {
        pages_release(f);
    }
    f->untrimmed += batch_bytes;
    if (large || f->untrimmed >= TRIM_BYTES) {
        (void)malloc_trim(0);
        f->untrimmed = 0;
    }
}

/* On a thread of the pool. Only the first batch is touched. */
static void on_work(uv_work_t *work)
{
    struct kvfile *f = work->data;
    uint64_t begin = uv_hrtime();
    struct batch *b = STAILQ_FIRST(&f->flushed);
    int error;

    if (!f->env && !is_same_file(f)) {
        b->st = err_set(&b->err, ST_IO, "%s: was removed", f->path);
    } else if (!f->env) {
        b->st = file_map(f, &b->err);
    }
    if (!b->st) {
        error = batch_write(f, b);
        if (error) {
            b->st = mdb_fail(&b->err, error, "write");
        }
    }
    ops_free(&b->ops);
    memory_release(f, b->bytes);
    b->took_ms = (uv_hrtime() - begin) / 1000000;
}

static void work_next(struct kvfile *f);

static void on_worked(uv_work_t *work, int canceled)
{
    struct kvfile *f = work->data;
    struct batch *b = STAILQ_FIRST(&f->flushed);

    CHECK(canceled == 0);
    f->working = false;
    f->pending -= b->bytes;
    f->took_ms = b->took_ms;
    STAILQ_REMOVE_HEAD(&f->flushed, link);
    if (b->on_written) {
        b->on_written(b->arg, b->st, &b->err);
    }
    free(b);
    work_next(f);
}

static void work_next(struct kvfile *f)
{
    if (f->working) {
        return;
    }
    if (!STAILQ_EMPTY(&f->flushed)) {
        f->working = true;
        CHECK(uv_queue_work(f->loop, &f->work, on_work, on_worked) == 0);
        return;
    }
    if (f->on_closed) {
        kvfile_closed_fn *on_closed = f->on_closed;
        void *arg = f->arg;

        file_free(f);
        on_closed(arg);
    }
}

void kvfile_flush(struct kvfile *f, kvfile_written_fn *on_written, void *arg)
{
    struct batch *b = f->filling;

    if (!b) {
        if (!on_written) {
            return;
        }
        /* Nothing new, but what was flushed before may still be on its way. */
        b = calloc(1, sizeof(*b));
        CHECK(b != NULL);
        STAILQ_INIT(&b->ops);
    }
    f->filling = NULL;
    b->on_written = on_written;
    b->arg = arg;
    STAILQ_INSERT_TAIL(&f->flushed, b, link);
    work_next(f);
}

static void on_last_written(void *arg, enum status st, const struct err *err)
{
    /* The owner is going; it has said what it had to say before. */
    (void)arg;
    (void)st;
    (void)err;
}

void kvfile_close(struct kvfile *f, kvfile_closed_fn *on_closed, void *arg)
{
    CHECK(!f->on_closed);
    kvfile_flush(f, on_last_written, NULL);
    f->on_closed = on_closed;
    f->arg = arg;
}
