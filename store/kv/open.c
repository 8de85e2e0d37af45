/* Opening: the tables are read, and index, leases and the rest built. */
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "base/core/wire.h"
#include "store/kv/compact.h"
#include "store/kv/state.h"

#define QUOTA_DEFAULT (2LL * 1024 * 1024 * 1024)

/* A pass over one table. */
struct opening {
    struct kv *kv;
    enum table_id table;
    bool damaged;
    struct kv_rev row;    /* Of table `key`: the last one seen. */
    struct slice bad_key; /* Borrowed for the message only. */
    uint8_t bad_bytes[64];
};

static bool row_bad(struct opening *o, struct slice key)
{
    size_t len =
        key.len < sizeof(o->bad_bytes) ? key.len : sizeof(o->bad_bytes);

    memcpy(o->bad_bytes, key.data, len);
    o->bad_key = slice_of(o->bad_bytes, len);
    o->damaged = true;
    return false;
}

static bool on_meta(void *ctx, struct slice key, struct slice value)
{
    struct opening *o = ctx;

    if (slice_eq(key, slice_str("consistent_index"))) {
        if (value.len != 8) {
            return row_bad(o, key);
        }
        o->kv->applied_index = wire_get_u64be(value.data);
    } else if (slice_eq(key, slice_str("term"))) {
        if (value.len != 8) {
            return row_bad(o, key);
        }
        o->kv->applied_term = wire_get_u64be(value.data);
    } else if (slice_eq(key, slice_str("confState"))) {
        cluster_restore_conf_state(&o->kv->cluster, value);
    }
    return true;
}

static bool on_lease(void *ctx, struct slice key, struct slice value)
{
    struct opening *o = ctx;
    struct pb_field field;
    int64_t id = 0;
    int64_t ttl_s = 0;
    int64_t remaining_s = 0;

    while (pb_next(&value, &field)) {
        if (field.number == 1) {
            id = (int64_t)field.value;
        } else if (field.number == 2) {
            ttl_s = (int64_t)field.value;
        } else if (field.number == 3) {
            remaining_s = (int64_t)field.value;
        }
    }
    if (value.len > 0 || id == 0 || lease_find(&o->kv->lessor, id) != NULL) {
        return row_bad(o, key);
    }
    if (ttl_s < o->kv->config.lease_ttl_min_s) {
        ttl_s = o->kv->config.lease_ttl_min_s;
    }
    (void)lease_add(&o->kv->lessor, id, ttl_s, remaining_s, 0);
    return true;
}

static bool on_alarm(void *ctx, struct slice key, struct slice value)
{
    struct opening *o = ctx;

    (void)value;
    return alarms_restore(&o->kv->alarms, key) || row_bad(o, key);
}

static bool on_member(void *ctx, struct slice key, struct slice value)
{
    struct opening *o = ctx;

    return cluster_restore_member(&o->kv->cluster, key, value) ||
           row_bad(o, key);
}

static bool on_removed(void *ctx, struct slice key, struct slice value)
{
    struct opening *o = ctx;

    (void)value;
    return cluster_restore_removed(&o->kv->cluster, key) || row_bad(o, key);
}

static bool on_cluster(void *ctx, struct slice key, struct slice value)
{
    struct opening *o = ctx;

    if (slice_eq(key, slice_str("clusterVersion"))) {
        cluster_restore_version(&o->kv->cluster, value);
    }
    return true;
}

/* One change of history: the index learns of it, and the key's lease is what
 * the newest put says. */
static void index_row(struct kv *kv, struct index_rev rev,
                      const struct kv_fields *fields)
{
    struct index_key *k = index_find_or_add(&kv->index, fields->key);

    if (rev.tombstone) {
        lease_attach(k, NULL);
        index_push(&kv->index, k, rev, 0, 0);
        return;
    }
    index_push(&kv->index, k, rev, fields->create, fields->version);
    lease_attach(
        k, fields->lease == 0 ? NULL : lease_find(&kv->lessor, fields->lease));
}

static bool on_key(void *ctx, struct slice key, struct slice value)
{
    struct opening *o = ctx;
    struct kv_fields fields;
    struct kv_rev rev;
    bool tombstone;

    if (!rev_key_parse(key, &rev, &tombstone) ||
        !kv_fields_parse(value, &fields) || kv_rev_cmp(o->row, rev) >= 0 ||
        (!tombstone && (fields.version <= 0 || fields.create <= 0 ||
                        fields.mod != rev.main))) {
        return row_bad(o, key);
    }
    o->row = rev;
    index_row(o->kv,
              (struct index_rev){.main = rev.main,
                                 .sub = (int32_t)rev.sub,
                                 .tombstone = tombstone},
              &fields);
    return true;
}

static enum status open_failed(const struct opening *o, enum status st,
                               struct err *err)
{
    char hex[2 * sizeof(o->bad_bytes) + 1] = "";

    if (st) {
        return err_set(err, st,
                       "cannot read table %s: %s; restore the member from a "
                       "snapshot or from its peers",
                       table_name(o->table), status_text(st));
    }
    for (size_t i = 0; i < o->bad_key.len; i++) {
        static const char digits[] = "0123456789abcdef";

        hex[2 * i] = digits[o->bad_key.data[i] >> 4];
        hex[2 * i + 1] = digits[o->bad_key.data[i] & 15];
    }
    return err_set(err, ST_CORRUPT,
                   "table %s: row %s is damaged; restore the member from a "
                   "snapshot or from its peers",
                   table_name(o->table), hex);
}

static enum status open_table(struct kv *kv, enum table_id table,
                              table_row_fn *on_row, struct err *err)
{
    struct opening o = {.kv = kv, .table = table};
    enum status st =
        kv->table->scan(kv->table, table, slice_of(NULL, 0), &o, on_row);

    if (st || o.damaged) {
        return open_failed(&o, st, err);
    }
    if (o.row.main > kv->revision) {
        kv->revision = o.row.main;
    }
    return ST_OK;
}

/* A revision stored in `meta`; -1 when there is none. */
static enum status open_meta_rev(struct kv *kv, const char *name,
                                 int64_t *out_main, struct err *err)
{
    struct opening o = {.kv = kv, .table = TABLE_META};
    struct slice value;
    struct kv_rev rev;
    enum status st =
        kv->table->get(kv->table, TABLE_META, slice_str(name), &value);

    *out_main = -1;
    if (st == ST_NOT_FOUND) {
        return ST_OK;
    }
    if (st) {
        return open_failed(&o, st, err);
    }
    if (value.len != REV_KEY_LEN) {
        (void)row_bad(&o, slice_str(name));
        return open_failed(&o, ST_OK, err);
    }
    rev.main = (int64_t)wire_get_u64be(value.data);
    *out_main = rev.main;
    return ST_OK;
}

/* Leases before keys, which refer to them. */
static enum status open_tables(struct kv *kv, struct err *err)
{
    static const struct {
        enum table_id table;
        table_row_fn *on_row;
    } passes[] = {
        {TABLE_META, on_meta},       {TABLE_LEASE, on_lease},
        {TABLE_ALARM, on_alarm},     {TABLE_MEMBERS, on_member},
        {TABLE_CLUSTER, on_cluster}, {TABLE_MEMBERS_REMOVED, on_removed},
        {TABLE_KEY, on_key},
    };
    int64_t scheduled;
    int64_t finished;
    enum status st;

    for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
        st = open_table(kv, passes[i].table, passes[i].on_row, err);
        if (st) {
            return st;
        }
    }
    st = open_meta_rev(kv, "scheduledCompactRev", &scheduled, err);
    if (st) {
        return st;
    }
    st = open_meta_rev(kv, "finishedCompactRev", &finished, err);
    if (st) {
        return st;
    }
    compact_resume(kv, scheduled, finished);
    if (kv->revision < kv->compacted) {
        /* The newest change was a tombstone, and compacted away. */
        kv->revision = kv->compacted;
    }
    return ST_OK;
}

/* Everything but the watchers. */
static void parts_init(struct kv *kv)
{
    kv->revision = 1;
    kv->compacted = -1;
    kv->applied_index = 0;
    kv->applied_term = 0;
    kv->applied_since_take = false;
    index_init(&kv->index);
    rows_init(&kv->rows);
    buf_init(&kv->compaction.resume, SIZE_MAX);
}

static void parts_release(struct kv *kv)
{
    lessor_release(&kv->lessor);
    pending_release(&kv->pending);
    rows_release(&kv->rows);
    index_release(&kv->index);
    alarms_release(&kv->alarms);
    cluster_release(&kv->cluster);
    buf_release(&kv->compaction.resume);
    kv->lessor = (struct lessor){0};
    kv->pending = (struct pending){0};
    kv->alarms = (struct alarms){0};
    kv->compaction = (struct compaction){0};
}

enum status kv_open(const struct kv_config *config, struct table *table,
                    struct kv **out_kv, struct err *err)
{
    struct kv *kv = calloc(1, sizeof(*kv));
    enum status st;

    CHECK(kv != NULL);
    kv->config = *config;
    if (kv->config.quota_bytes == 0) {
        kv->config.quota_bytes = QUOTA_DEFAULT;
    }
    kv->table = table;
    parts_init(kv);
    watch_hub_init(&kv->hub);
    kv_reply_init(&kv->discarded);
    rng_init(&kv->rng, config->seed);
    LIST_INIT(&kv->ranges);
    st = open_tables(kv, err);
    if (st) {
        kv_free(kv);
        return st;
    }
    *out_kv = kv;
    return ST_OK;
}

enum status kv_reopen(struct kv *kv, struct table *table, struct err *err)
{
    int64_t before = kv->revision;
    enum status st;

    CHECK(LIST_EMPTY(&kv->ranges));
    CHECK(kv->hash == NULL);
    CHECK(!kv->pending.out);
    watch_hub_forget_pending(&kv->hub);
    parts_release(kv);
    parts_init(kv);
    kv->table = table;
    st = open_tables(kv, err);
    if (st) {
        kv->failure = st;
        return st;
    }
    watch_hub_jumped(kv, before);
    return ST_OK;
}

void kv_free(struct kv *kv)
{
    if (kv == NULL) {
        return;
    }
    CHECK(LIST_EMPTY(&kv->ranges));
    watch_hub_release(&kv->hub);
    parts_release(kv);
    kv_reply_release(&kv->discarded);
    arena_release(&kv->scratch);
    free(kv);
}

void kv_verify(struct kv *kv)
{
    CHECK(kv->changes == 0);
    CHECK(kv->revision >= 1);
    CHECK(kv->compacted <= kv->revision);
    CHECK(kv->compaction.finished <= kv->compaction.walked);
    CHECK(kv->compaction.walked <= kv->compacted);
    index_verify(&kv->index);
    rows_verify(&kv->rows);
    pending_verify(&kv->pending);
    lessor_verify(&kv->lessor);
    watch_hub_verify(kv);
}
