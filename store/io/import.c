/*
 * import.c - a snapshot file into a new folder of the backend.
 */
#include <errno.h>
#include <lmdb.h>

#include "base/core/check.h"
#include "base/core/crc32c.h"
#include "base/core/wire.h"
#include "store/io/folder.h"
#include "store/io/snapshot.h"
#include "store/io/snapshot_file.h"
#include "store/raftpb/raftpb.h"
#include "store/snap/reader.h"

enum {
    CHECKSUM_BYTES = 4,
    ROWS_A_TXN = 20000, /* Dirty pages of one transaction are in memory, */
    BYTES_A_TXN = 16 * 1024 * 1024, /* and rows may be large. */
    KEY_MAX = 511                   /* LMDB's. */
};

#define MAP_BYTES (UINT64_C(256) << 30)

struct import {
    const char *folder;
    enum snapshot_use use;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi tables[TABLES_COUNT];
    enum table_id table;
    size_t rows_in_txn;
    size_t bytes_in_txn;
    struct snapshot_facts facts;
    struct err *err;
};

static enum status import_failed(struct import *i, int code)
{
    enum status st = code == ENOSPC || code == EDQUOT || code == EFBIG ||
                             code == MDB_MAP_FULL
                         ? ST_NO_SPACE
                         : ST_IO;

    return err_set(i->err, st, "cannot write %s: %s", i->folder,
                   mdb_strerror(code));
}

static int txn_begin(struct import *i)
{
    i->rows_in_txn = 0;
    i->bytes_in_txn = 0;
    return mdb_txn_begin(i->env, NULL, 0, &i->txn);
}

static int txn_commit(struct import *i)
{
    MDB_txn *txn = i->txn;

    i->txn = NULL;
    return mdb_txn_commit(txn);
}

/* Tables that speak of the cluster that was, not of its data. */
static bool is_left_out(const struct import *i, enum table_id id)
{
    return i->use == SNAPSHOT_NEW_CLUSTER &&
           (id == TABLE_MEMBERS || id == TABLE_MEMBERS_REMOVED ||
            id == TABLE_CLUSTER);
}

/* And such rows. */
static bool is_position(struct slice key)
{
    return slice_eq(key, slice_str("consistent_index")) ||
           slice_eq(key, slice_str("term")) ||
           slice_eq(key, slice_str("confState"));
}

static bool on_bucket(void *ctx, struct slice name)
{
    struct import *i = ctx;

    for (int id = 0; id < TABLES_COUNT; id++) {
        if (slice_eq(name, slice_str(table_name((enum table_id)id)))) {
            i->table = (enum table_id)id;
            return !is_left_out(i, i->table);
        }
    }
    return false; /* Of a later version. */
}

static enum status note_meta(struct import *i, struct slice key,
                             struct slice value)
{
    if (slice_eq(key, slice_str("consistent_index")) && value.len == 8) {
        i->facts.pos.index = wire_get_u64be(value.data);
    } else if (slice_eq(key, slice_str("term")) && value.len == 8) {
        i->facts.pos.term = wire_get_u64be(value.data);
    } else if (slice_eq(key, slice_str("confState")) &&
               raftpb_conf_from_json(value, &i->facts.conf)) {
        return err_set(i->err, ST_CORRUPT,
                       "table \"meta\", row confState: not a configuration");
    }
    return ST_OK;
}

static int put_row(struct import *i, struct slice key, struct slice value)
{
    MDB_val k = {.mv_size = key.len, .mv_data = (void *)(uintptr_t)key.data};
    MDB_val v = {.mv_size = CHECKSUM_BYTES + value.len};
    int code =
        mdb_put(i->txn, i->tables[i->table], &k, &v, MDB_RESERVE | MDB_APPEND);

    if (code == 0) {
        uint8_t *at = v.mv_data;

        wire_put_u32(at, crc32c(crc32c(0, key), value));
        if (value.len > 0) {
            memcpy(at + CHECKSUM_BYTES, value.data, value.len);
        }
    }
    return code;
}

static enum status on_row(void *ctx, struct slice key, struct slice value)
{
    struct import *i = ctx;
    enum status st = ST_OK;
    int code = 0;

    if (key.len == 0 || key.len > KEY_MAX) {
        return err_set(i->err, ST_CORRUPT,
                       "table \"%s\": a key of %zu bytes; 1 to %d can be kept",
                       table_name(i->table), key.len, KEY_MAX);
    }
    if (i->table == TABLE_META && i->use == SNAPSHOT_NEW_CLUSTER &&
        is_position(key)) {
        return ST_OK;
    }
    if (i->table == TABLE_META) {
        st = note_meta(i, key, value);
    }
    if (st) {
        return st;
    }
    if (i->rows_in_txn >= ROWS_A_TXN || i->bytes_in_txn >= BYTES_A_TXN) {
        code = txn_commit(i);
        code = code == 0 ? txn_begin(i) : code;
    }
    if (code == 0) {
        code = put_row(i, key, value);
    }
    i->rows_in_txn++;
    i->bytes_in_txn += key.len + value.len;
    i->facts.rows++;
    return code == 0 ? ST_OK : import_failed(i, code);
}

/* --- The environment --- */

static int open_env(struct import *i)
{
    int code = mdb_env_create(&i->env);

    if (code == 0) {
        code = mdb_env_set_maxdbs(i->env, TABLES_COUNT);
    }
    if (code == 0) {
        code = mdb_env_set_mapsize(i->env, MAP_BYTES);
    }
    if (code == 0) { /* Synced at the end, once. */
        code = mdb_env_open(i->env, i->folder, MDB_NOSYNC, 0600);
    }
    if (code == 0) {
        code = txn_begin(i);
    }
    for (int id = 0; code == 0 && id < TABLES_COUNT; id++) {
        code = mdb_dbi_open(i->txn, table_name((enum table_id)id), MDB_CREATE,
                            &i->tables[id]);
    }
    return code;
}

static enum status import_rows(struct import *i, struct slice file)
{
    struct snap_hooks hooks = {
        .ctx = i, .on_bucket = on_bucket, .on_row = on_row};
    enum status st;
    int code = open_env(i);

    if (code != 0) {
        return import_failed(i, code);
    }
    st = snap_read(file, &hooks, i->err);
    if (st) {
        return st;
    }
    code = txn_commit(i);
    if (code == 0) {
        code = mdb_env_sync(i->env, 1);
    }
    return code == 0 ? ST_OK : import_failed(i, code);
}

static enum status import_file(struct import *i, struct slice file)
{
    enum status st = folder_remove(i->folder, i->err);

    if (st == ST_OK) {
        st = folder_make(i->folder, i->err);
    }
    if (st == ST_OK) {
        st = import_rows(i, file);
    }
    if (i->txn != NULL) {
        mdb_txn_abort(i->txn);
    }
    if (i->env != NULL) {
        mdb_env_close(i->env);
    }
    return st == ST_OK ? folder_sync(i->folder, i->err) : st;
}

enum status snapshot_import(const char *file, const char *folder,
                            enum snapshot_use use,
                            struct snapshot_facts *out_facts, struct err *err)
{
    struct import i = {.folder = folder, .use = use, .err = err};
    struct snapshot_file f = {0};
    enum status st = snapshot_file_open(file, &f, err);

    if (st) {
        return st;
    }
    st = import_file(&i, f.bytes);
    snapshot_file_close(&f);
    *out_facts = i.facts;
    return st == ST_CORRUPT ? err_prefix(err, st, "%s", file) : st;
}
