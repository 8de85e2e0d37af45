/*
 * Random commands, on the store and on the model, and every answer compared:
 * with crashes between any two of them, background work in any order, and
 * watchers that are paused and resumed.
 */
#include "model_world.h"

/* ------------------------------------------------------------- questions */

static void key_number(unsigned i, char out[24])
{
    (void)snprintf(out, 24, "k%c%s", (char)('a' + (char)(i / 2)),
                   i % 2 == 0 ? "" : "/long/name");
}

/* RangeResponse without header, made from the model. */
static void expect_range(const struct model *m, const char *from,
                         const char *to, int64_t at, int64_t limit,
                         struct buf *out)
{
    int64_t count = 0;

    for (unsigned i = 0; i < 2 * KEYS; i++) {
        const struct model_change *c;
        char key[24];

        key_number(i, key);
        c = in_range(key, from, to) ? model_at(m, key, at) : NULL;
        if (c == NULL) {
            continue;
        }
        if (limit == 0 || count < limit) {
            size_t mark = pb_begin(out, 2);

            model_row(c, out);
            pb_end(out, mark);
        }
        count++;
    }
    pb_bool(out, 3, limit > 0 && count > limit);
    pb_int(out, 4, count);
}

static void ask_range(struct world *w)
{
    char from[24];
    char to[24] = "";
    int64_t limit = (int64_t)pick(w, 5);
    int64_t revision = (int64_t)pick(w, (uint64_t)w->model.revision + 3);
    struct kv_range *range;
    struct buf expected;

    pick_key(w, from);
    if (pick(w, 3) > 0) {
        pick_key(w, to);
    }
    pb_bytes(&w->request, 1, slice_str(from));
    pb_bytes(&w->request, 2, slice_str(to));
    pb_int(&w->request, 3, limit);
    pb_int(&w->request, 4, revision);
    kv_range_start(w->kv, buf_slice(&w->request), &w->reply, &range);
    ck_assert_ptr_null(range);
    buf_clear(&w->request);
    ck_assert_int_eq(w->reply.revision, w->model.revision);
    if (revision > w->model.revision) {
        ck_assert_int_eq(w->reply.error, KV_FUTURE_REV);
        return;
    }
    if (revision > 0 && revision < w->model.compacted) {
        ck_assert_int_eq(w->reply.error, KV_COMPACTED);
        return;
    }
    ck_assert_int_eq(w->reply.error, KV_OK);
    buf_init(&expected, SIZE_MAX);
    expect_range(&w->model, from, to, revision > 0 ? revision : INT64_MAX,
                 limit, &expected);
    ck_assert(slice_eq(buf_slice(&expected), buf_slice(&w->reply.body)));
    buf_release(&expected);
}

static void ask_hash(struct world *w)
{
    int64_t revision = w->model.revision;
    struct kv_hash *h;
    struct pb_field f;
    struct slice body;

    if (w->model.compacted < revision && pick(w, 2) == 0) {
        int64_t least = w->model.compacted > 0 ? w->model.compacted : 1;

        revision = least + (int64_t)pick(w, (uint64_t)(revision - least + 1));
    }
    h = kv_hash_start(w->kv, revision, &w->reply);
    ck_assert_ptr_nonnull(h);
    while (!kv_hash_step(h)) {
        (void)kv_work(w->kv);
        memory_table_commit(&w->table, w->kv);
    }
    kv_hash_free(h);
    ck_assert_int_eq(w->reply.error, KV_OK);
    body = buf_slice(&w->reply.body);
    ck_assert(pb_next(&body, &f));
    ck_assert_uint_eq(f.value, model_hash(&w->model, revision));
}

/* --------------------------------------------------------------- changes */

static void do_put(struct world *w)
{
    char key[24];
    char value[24];

    pick_key(w, key);
    (void)snprintf(value, sizeof(value), "v%llu",
                   (unsigned long long)pick(w, 1000));
    pb_bytes(&w->request, 1, slice_str(key));
    pb_bytes(&w->request, 2, slice_str(value));
    propose(w, KV_PUT);
    ck_assert_int_eq(w->reply.error, KV_OK);
    model_put(&w->model, key, value, 0);
    model_end(&w->model);
}

static void model_delete_range(struct model *m, const char *from,
                               const char *to)
{
    for (unsigned i = 0; i < 2 * KEYS; i++) {
        char key[24];

        key_number(i, key);
        if (in_range(key, from, to)) {
            (void)model_delete(m, key);
        }
    }
}

static void do_delete(struct world *w)
{
    char from[24];
    char to[24] = "";

    pick_key(w, from);
    if (pick(w, 4) == 0) {
        pick_key(w, to);
    }
    pb_bytes(&w->request, 1, slice_str(from));
    pb_bytes(&w->request, 2, slice_str(to));
    propose(w, KV_DELETE_RANGE);
    ck_assert_int_eq(w->reply.error, KV_OK);
    model_delete_range(&w->model, from, to);
    model_end(&w->model);
}

/* A compare of the key's version; whether it holds. */
static bool txn_compare(struct world *w)
{
    const struct model_change *c;
    int64_t version;
    char key[24];
    size_t mark = pb_begin(&w->request, 1);

    pick_key(w, key);
    version = (int64_t)pick(w, 3);
    pb_bytes(&w->request, 3, slice_str(key));
    pb_int(&w->request, 4, version);
    pb_end(&w->request, mark);
    c = model_at(&w->model, key, INT64_MAX);
    return (c == NULL ? 0 : c->version) == version;
}

/* A range in the txn must see the writes before it. */
static void txn_op_range(struct world *w, struct buf *expected,
                         const char *from, const char *to)
{
    size_t mark = pb_begin(expected, 3);
    size_t inner = pb_begin(expected, 1);
    size_t header = pb_begin(expected, 1);

    pb_int(expected, 3, w->model.revision + (w->model.changes > 0));
    pb_end(expected, header);
    expect_range(&w->model, from, to, INT64_MAX, 0, expected);
    pb_end(expected, inner);
    pb_end(expected, mark);
}

static void expect_op_header(struct world *w, struct buf *expected)
{
    size_t header = pb_begin(expected, 1);

    pb_int(expected, 3, w->model.revision + (w->model.changes > 0));
    pb_end(expected, header);
}

/* One op of the branch that runs, in request and answer. Different `number`s
 * put different keys, since a txn must not put one twice. */
static void txn_op(struct world *w, unsigned number, struct buf *expected)
{
    char from[24];
    char to[24];
    size_t mark = pb_begin(&w->request, 2);

    pick_key(w, from);
    pick_key(w, to);
    if (pick(w, 2) == 0) {
        size_t op = pb_begin(&w->request, 1);

        pb_bytes(&w->request, 1, slice_str(from));
        pb_bytes(&w->request, 2, slice_str(to));
        pb_end(&w->request, op);
        txn_op_range(w, expected, from, to);
    } else {
        size_t op = pb_begin(&w->request, 2);
        size_t answer;
        size_t inner;

        key_number((unsigned)(pick(w, KEYS / 2) * 4 + number) % (2 * KEYS),
                   from);
        pb_bytes(&w->request, 1, slice_str(from));
        pb_bytes(&w->request, 2, slice_str("txn"));
        pb_end(&w->request, op);
        model_put(&w->model, from, "txn", 0);
        answer = pb_begin(expected, 3);
        inner = pb_begin(expected, 2);
        expect_op_header(w, expected);
        pb_end(expected, inner);
        pb_end(expected, answer);
    }
    pb_end(&w->request, mark);
}

static void do_txn(struct world *w)
{
    struct buf expected;
    bool holds = true;

    buf_init(&expected, SIZE_MAX);
    for (uint64_t i = pick(w, 3); i > 0; i--) {
        holds &= txn_compare(w);
    }
    if (holds) {
        pb_bool(&expected, 2, true);
        for (unsigned i = 0; i < 4; i++) {
            txn_op(w, i, &expected);
        }
    } else {
        size_t mark = pb_begin(&w->request, 2);
        size_t op = pb_begin(&w->request, 2);

        pb_bytes(&w->request, 1, slice_str("never"));
        pb_end(&w->request, op);
        pb_end(&w->request, mark);
    }
    if (kv_txn_facts(buf_slice(&w->request)).read_only) {
        kv_txn_read(w->kv, buf_slice(&w->request), &w->reply);
        buf_clear(&w->request);
    } else {
        propose(w, KV_TXN);
    }
    ck_assert_int_eq(w->reply.error, KV_OK);
    ck_assert(slice_eq(buf_slice(&expected), buf_slice(&w->reply.body)));
    buf_release(&expected);
    model_end(&w->model);
}

static void do_lease(struct world *w)
{
    int64_t id = 1 + (int64_t)pick(w, 3);
    bool known;
    char key[24];

    if (pick(w, 2) == 0) {
        pb_int(&w->request, 1, 60);
        pb_int(&w->request, 2, id);
        propose(w, KV_LEASE_GRANT);
    }
    pick_key(w, key);
    pb_bytes(&w->request, 1, slice_str(key));
    pb_int(&w->request, 3, id);
    propose(w, KV_PUT);
    known = w->reply.error == KV_OK;
    if (known) {
        model_put(&w->model, key, "", id);
        model_end(&w->model);
    }
    if (pick(w, 4) != 0) {
        return;
    }
    pb_int(&w->request, 1, id);
    propose(w, KV_LEASE_REVOKE);
    ck_assert_int_eq(w->reply.error, known ? KV_OK : KV_LEASE_NOT_FOUND);
    for (unsigned i = 0; i < 2 * KEYS; i++) {
        const struct model_change *c;

        key_number(i, key);
        c = model_at(&w->model, key, INT64_MAX);
        if (c != NULL && c->lease == id) {
            (void)model_delete(&w->model, key);
        }
    }
    model_end(&w->model);
}

static void do_compact(struct world *w)
{
    int64_t revision = (int64_t)pick(w, (uint64_t)w->model.revision + 2);

    pb_int(&w->request, 1, revision);
    propose(w, KV_COMPACTION);
    if (revision <= w->model.compacted) {
        ck_assert_int_eq(w->reply.error, KV_COMPACTED);
    } else if (revision > w->model.revision) {
        ck_assert_int_eq(w->reply.error, KV_FUTURE_REV);
    } else {
        ck_assert_int_eq(w->reply.error, KV_OK);
        w->model.compacted = revision;
    }
}

static void do_crash(struct world *w)
{
    listeners_stop(w);
    kv_free(w->kv);
    world_open(w);
    for (size_t i = 0; i < w->log_count; i++) {
        apply_at(w, i);
    }
    ck_assert_int_eq(kv_revision(w->kv), w->model.revision);
    ck_assert_int_eq(kv_compacted(w->kv), w->model.compacted);
}

/* Once all work is done the table holds what the model says, no more and no
 * less. */
static void check_rows(struct world *w)
{
    const struct memory_rows *rows = &w->table.tables[TABLE_KEY];
    struct buf row;
    size_t at = 0;

    do {
        (void)kv_work(w->kv);
        memory_table_commit(&w->table, w->kv);
    } while (kv_compacted_to(w->kv) != w->model.compacted);
    buf_init(&row, SIZE_MAX);
    for (size_t i = 0; i < w->model.count; i++) {
        const struct model_change *c = &w->model.list[i];
        struct rev_key key = rev_key_pack(c->rev, c->tombstone);

        if (!model_is_left(&w->model, c)) {
            continue;
        }
        buf_clear(&row);
        model_row(c, &row);
        ck_assert_uint_lt(at, rows->count);
        ck_assert(slice_eq(rows->list[at].key, rev_key_slice(&key)));
        ck_assert(slice_eq(rows->list[at].value, buf_slice(&row)));
        at++;
    }
    ck_assert_uint_eq(at, rows->count);
    buf_release(&row);
}

/* ------------------------------------------------------------------ steps */

static void step(struct world *w)
{
    uint64_t choice = pick(w, 100);

    if (choice < 30) {
        do_put(w);
    } else if (choice < 42) {
        do_delete(w);
    } else if (choice < 54) {
        do_txn(w);
    } else if (choice < 60) {
        do_lease(w);
    } else if (choice < 75) {
        ask_range(w);
    } else if (choice < 78) {
        do_compact(w);
    } else if (choice < 82) {
        (void)kv_work(w->kv);
    } else if (choice < 86) {
        memory_table_commit(&w->table, w->kv);
    } else if (choice < 89) {
        do_crash(w);
    } else if (choice < 93) {
        do_watch(w);
    } else if (choice < 96) {
        do_pause(w);
    } else if (choice < 98) {
        check_rows(w);
    } else {
        ask_hash(w);
    }
    listen(w);
    kv_verify(w->kv);
}

START_TEST(the_store_answers_as_the_model)
{
    struct world *w = malloc(sizeof(*w));

    ck_assert_ptr_nonnull(w);
    world_init(w, (uint64_t)_i + 1);
    for (int i = 0; i < STEPS; i++) {
        step(w);
    }
    world_release(w);
    free(w);
}
END_TEST

UNIT_MAIN("kv_model", {
    tcase_add_loop_test(tc, the_store_answers_as_the_model, 0, SEEDS);
})
