/*
 * Any bytes may come as a request or stand in a log entry. The store must not
 * crash, and what it has applied must be the same after a restart.
 *
 * The input is a row of steps: what to do (1 byte), length (2 bytes,
 * big-endian), bytes.
 */
#include "fuzz.h"

#include "base/core/check.h"
#include "base/core/pb.h"
#include "base/core/wire.h"
#include "store/kv/watch.h"
#include "unit/store_kv/memory_table.h"

enum step {
    STEP_ENTRY, /* As they are, as a log entry. */
    STEP_PUT,
    STEP_DELETE,
    STEP_TXN,
    STEP_COMPACT,
    STEP_GRANT,
    STEP_REVOKE,
    STEP_CHECKPOINT,
    STEP_ALARM,
    STEP_ATTRIBUTES,
    STEP_VERSION,
    STEP_MEMBER,
    STEP_RANGE,
    STEP_TIME_TO_LIVE,
    STEP_WATCH,
    STEP_COMMIT,
    STEPS_COUNT
};

struct fuzzed {
    struct memory_table table;
    struct kv *kv;
    struct kv_reply reply;
    uint64_t index;
};

static void store_open(struct fuzzed *f, struct kv **out_kv)
{
    struct kv_config config = kv_config_default();

    CHECK(kv_open(&config, &f->table.port, out_kv, NULL) == ST_OK);
}

static void entry(struct fuzzed *f, struct slice data)
{
    struct kv_entry e = {.index = ++f->index, .term = 1, .data = data};

    kv_apply(f->kv, &e, 0, &f->reply);
}

static void request(struct fuzzed *f, enum kv_kind kind, struct slice bytes)
{
    struct buf data;

    buf_init(&data, SIZE_MAX);
    kv_entry_pack(&data, 1, kind, bytes);
    entry(f, buf_slice(&data));
    /* What the door lets in may fail only for what the state says. */
    CHECK_IF(kv_check(f->kv, kind, bytes) == KV_OK,
             f->reply.error != KV_EMPTY_KEY);
    if (kind == KV_TXN && kv_check(f->kv, kind, bytes) == KV_OK &&
        kv_txn_facts(bytes).read_only) {
        kv_txn_read(f->kv, bytes, &f->reply);
    }
    (void)kv_over_quota(f->kv, kind, bytes);
    buf_release(&data);
}

static void range(struct fuzzed *f, struct slice bytes)
{
    struct kv_range *more;

    if (kv_check(f->kv, KV_RANGE, bytes)) {
        return;
    }
    kv_range_start(f->kv, bytes, &f->reply, &more);
    while (more != NULL && !kv_range_step(more)) {
        ;
    }
    kv_range_free(more);
}

/* The first byte is where it starts, the rest the key. */
static void watch(struct fuzzed *f, struct slice bytes)
{
    struct watch_spec spec = {.range_end = slice_of("", 1)};
    struct watch_notice notice;
    struct watcher *w;

    if (bytes.len < 2) {
        return;
    }
    spec.start_revision = bytes.data[0];
    spec.prev_kv = (bytes.data[0] & 1) != 0;
    spec.key = slice_skip(bytes, 1);
    w = watch_add(f->kv, &spec);
    while (watch_ready(f->kv) != NULL) {
        watch_next(w, &notice);
        if (notice.type == WATCH_COMPACTED) {
            break;
        }
    }
    watch_free(w);
}

static void member(struct fuzzed *f, struct slice bytes)
{
    struct kv_entry e = {.index = ++f->index, .term = 1, .data = bytes};
    struct kv_membership m = {
        .change = (enum kv_member_change)(bytes.len & 3),
        .id = bytes.len / 4,
        .context = bytes,
    };

    if (kv_check_member(f->kv, &m)) {
        m.change = KV_MEMBER_UPDATE; /* Must not crash either. */
    }
    kv_apply_member(f->kv, &e, &m, bytes);
}

static void step(struct fuzzed *f, enum step what, struct slice bytes)
{
    switch (what) {
    case STEP_ENTRY:
        entry(f, bytes);
        break;
    case STEP_PUT:
        request(f, KV_PUT, bytes);
        break;
    case STEP_DELETE:
        request(f, KV_DELETE_RANGE, bytes);
        break;
    case STEP_TXN:
        request(f, KV_TXN, bytes);
        break;
    case STEP_COMPACT:
        request(f, KV_COMPACTION, bytes);
        break;
    case STEP_GRANT:
        request(f, KV_LEASE_GRANT, bytes);
        break;
    case STEP_REVOKE:
        request(f, KV_LEASE_REVOKE, bytes);
        break;
    case STEP_CHECKPOINT:
        request(f, KV_LEASE_CHECKPOINT, bytes);
        break;
    case STEP_ALARM:
        request(f, KV_ALARM, bytes);
        break;
    case STEP_ATTRIBUTES:
        request(f, KV_CLUSTER_MEMBER_ATTR_SET, bytes);
        break;
    case STEP_VERSION:
        request(f, KV_CLUSTER_VERSION_SET, bytes);
        break;
    case STEP_MEMBER:
        member(f, bytes);
        break;
    case STEP_RANGE:
        range(f, bytes);
        break;
    case STEP_TIME_TO_LIVE:
        kv_lease_time_to_live(f->kv, bytes, 0, &f->reply);
        break;
    case STEP_WATCH:
        watch(f, bytes);
        break;
    case STEP_COMMIT:
        (void)kv_work(f->kv);
        memory_table_commit(&f->table, f->kv);
        break;
    case STEPS_COUNT:
        UNREACHABLE();
    }
}

static uint64_t sum_of(struct fuzzed *f, struct kv *kv)
{
    struct kv_hash *h = kv_hash_start(kv, 0, &f->reply);
    struct pb_field field;
    struct slice body;

    CHECK(h != NULL);
    while (!kv_hash_step(h)) {
        (void)kv_work(kv);
        memory_table_commit(&f->table, kv);
    }
    kv_hash_free(h);
    body = buf_slice(&f->reply.body);
    return pb_next(&body, &field) ? field.value : 0;
}

static void restart_and_compare(struct fuzzed *f)
{
    uint64_t sum = sum_of(f, f->kv);
    struct kv *again;
    size_t count;
    size_t count_again;

    memory_table_commit(&f->table, f->kv);
    store_open(f, &again);
    kv_verify(again);
    CHECK(kv_revision(again) == kv_revision(f->kv));
    CHECK(kv_compacted(again) == kv_compacted(f->kv));
    CHECK(kv_keys_count(again) == kv_keys_count(f->kv));
    CHECK(kv_leases_count(again) == kv_leases_count(f->kv));
    (void)kv_members(f->kv, &count);
    (void)kv_members(again, &count_again);
    CHECK(count == count_again);
    CHECK(sum_of(f, again) == sum);
    kv_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r = {.rest = slice_of(data, size)};
    struct fuzzed f = {0};

    memory_table_init(&f.table);
    kv_reply_init(&f.reply);
    store_open(&f, &f.kv);
    while (r.rest.len > 0 && !r.failed) {
        enum step what = (enum step)(wire_u8(&r) % STEPS_COUNT);
        uint16_t len = wire_u16be(&r);

        step(&f, what, wire_bytes(&r, len < r.rest.len ? len : r.rest.len));
    }
    kv_verify(f.kv);
    restart_and_compare(&f);
    kv_free(f.kv);
    kv_reply_release(&f.reply);
    memory_table_release(&f.table);
    return 0;
}
