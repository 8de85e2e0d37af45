#include "agent/core/store.h"

#include "base/core/check.h"
#include "base/core/limits.h"

void store_txn(struct store_ask *ask, struct arena *a)
{
    *ask = (struct store_ask){
        .kind = STORE_TXN,
        .guards = arena_zalloc(a, LIMIT_TXN_OPS, sizeof(*ask->guards)),
        .changes = arena_zalloc(a, LIMIT_TXN_OPS, sizeof(*ask->changes)),
        .reads = arena_zalloc(a, LIMIT_TXN_OPS, sizeof(*ask->reads)),
    };
}

void store_list(struct store_ask *ask, struct arena *a, struct slice key,
                struct slice end, bool keys_only)
{
    *ask = (struct store_ask){
        .kind = STORE_LIST,
        .reads = arena_zalloc(a, 1, sizeof(*ask->reads)),
        .reads_count = 1,
    };
    ask->reads[0] =
        (struct store_read){.key = key, .end = end, .keys_only = keys_only};
}

void store_read_range(struct store_ask *ask, struct slice key, struct slice end,
                      int64_t limit, bool keys_only)
{
    for (size_t i = 0; i < ask->reads_count; i++) {
        if (slice_eq(ask->reads[i].key, key) &&
            slice_eq(ask->reads[i].end, end)) {
            return;
        }
    }
    if (ask->reads_count == LIMIT_TXN_OPS) {
        ask->full = true;
        return;
    }
    ask->reads[ask->reads_count++] = (struct store_read){
        .key = key, .end = end, .limit = limit, .keys_only = keys_only};
}

void store_read_key(struct store_ask *ask, struct slice key)
{
    store_read_range(ask, key, (struct slice){0}, 0, false);
}

void store_guard(struct store_ask *ask, enum store_guard_kind kind,
                 struct slice key, struct slice end, int64_t revision)
{
    for (size_t i = 0; i < ask->guards_count; i++) {
        const struct store_guard *g = &ask->guards[i];

        if (g->kind == kind && slice_eq(g->key, key) && slice_eq(g->end, end)) {
            return;
        }
    }
    if (ask->guards_count == LIMIT_TXN_OPS) {
        ask->full = true;
        return;
    }
    ask->guards[ask->guards_count++] = (struct store_guard){
        .kind = kind, .key = key, .end = end, .revision = revision};
}

static void add_change(struct store_ask *ask, struct store_change change)
{
    if (ask->changes_count == LIMIT_TXN_OPS) {
        ask->full = true;
        return;
    }
    ask->changes[ask->changes_count++] = change;
}

void store_put(struct store_ask *ask, struct slice key, struct slice value,
               int64_t lease)
{
    add_change(
        ask, (struct store_change){.key = key, .value = value, .lease = lease});
}

void store_delete(struct store_ask *ask, struct slice key, struct slice end)
{
    add_change(ask,
               (struct store_change){.deletes = true, .key = key, .end = end});
}

void store_answer_release(struct store_answer *a)
{
    arena_release(&a->arena);
    *a = (struct store_answer){0};
}

static const struct store_range *find(const struct store_answer *a,
                                      struct slice key)
{
    for (size_t i = 0; i < a->ranges_count; i++) {
        if (slice_eq(a->ranges[i].key, key)) {
            return &a->ranges[i];
        }
    }
    return NULL;
}

bool store_was_read(const struct store_answer *a, struct slice key)
{
    return find(a, key) != NULL;
}

const struct store_range *store_range_of(const struct store_answer *a,
                                         struct slice key)
{
    const struct store_range *r = find(a, key);

    CHECK(r != NULL);
    return r;
}

const struct store_kv *store_found(const struct store_answer *a,
                                   struct slice key)
{
    const struct store_range *r = store_range_of(a, key);

    return r->count == 0 ? NULL : &r->items[0];
}

struct slice store_prefix_end(struct arena *a, struct slice prefix)
{
    struct slice copy = arena_copy(a, prefix);
    uint8_t *bytes = (uint8_t *)copy.data;
    size_t len = copy.len;

    /* Ours begin with a "/", which has a successor. */
    while (len > 0 && bytes[len - 1] == 0xff) {
        len--;
    }
    CHECK(len > 0);
    bytes[len - 1]++;
    return slice_of(bytes, len);
}
