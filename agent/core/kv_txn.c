#include "agent/core/kv_txn.h"

#include <stdlib.h>

#include "base/core/check.h"

/* An entry as the operations so far have left it. */
struct kv_slot {
    struct slice key;
    bool exists;
    bool changed;
    bool was;                /* In the store, when it was read. */
    const char *was_session; /* That held it then; "". */
    struct kv_entry entry;
};

static const struct slice none;

/* ---- Reading ------------------------------------------------------ */

static bool is_tree(const struct kv_op *op)
{
    return op->verb == KV_GET_TREE || op->verb == KV_DELETE_TREE;
}

static struct slice tree_end(const struct kv_txn *t, struct slice key)
{
    return store_prefix_end(t->arena, key);
}

static void read_op(const struct kv_txn *t, const struct kv_op *op,
                    struct store_ask *ask)
{
    struct slice key = kv_key(t->arena, t->dc, op->key);

    if (op->verb == KV_GET_TREE) {
        store_read_range(ask, key, tree_end(t, key), LIMIT_KV_TREE, false);
    } else if (op->verb != KV_DELETE_TREE && op->verb != KV_OTHER) {
        store_read_key(ask, key);
    }
    if (op->verb == KV_LOCK && session_id_fits(op->session)) {
        session_add_reads(ask, t->arena, t->dc, op->session);
    }
}

/* Many locks: all delays are read at once; there are few at any time. */
static void read_delays(const struct kv_txn *t, struct store_ask *ask)
{
    struct slice all = kv_delay_key(t->arena, t->dc, none);

    for (size_t i = 0; i < t->ops_count; i++) {
        if (t->ops[i].verb != KV_LOCK) {
            continue;
        }
        if (t->ops_count > 1) {
            store_read_range(ask, all, store_prefix_end(t->arena, all), 0,
                             true);
        } else {
            store_read_key(ask, kv_delay_key(t->arena, t->dc, t->ops[i].key));
        }
    }
}

void kv_txn_reads(const struct kv_txn *t, struct store_ask *ask)
{
    for (size_t i = 0; i < t->ops_count; i++) {
        read_op(t, &t->ops[i], ask);
    }
    read_delays(t, ask);
}

static bool is_delayed(const struct kv_txn *t, struct slice key)
{
    struct slice all = kv_delay_key(t->arena, t->dc, none);
    struct slice own = kv_delay_key(t->arena, t->dc, key);
    const struct store_range *r;

    if (t->ops_count == 1) {
        return store_found(t->seen, own) != NULL;
    }
    r = store_range_of(t->seen, all);
    for (size_t i = 0; i < r->count; i++) {
        if (slice_eq(r->items[i].key, own)) {
            return true;
        }
    }
    return false;
}

/* ---- The copy ----------------------------------------------------- */

static bool in_deleted_tree(const struct kv_txn *t, struct slice key)
{
    for (size_t i = 0; i < t->trees_count; i++) {
        if (slice_starts(key, t->ops[t->trees[i]].key)) {
            return true;
        }
    }
    return false;
}

static struct kv_slot *slot_find(const struct kv_txn *t, struct slice key)
{
    for (size_t i = 0; i < t->slots_count; i++) {
        if (slice_eq(t->slots[i].key, key)) {
            return &t->slots[i];
        }
    }
    return NULL;
}

static struct kv_slot *slot_add(struct kv_txn *t, struct slice key,
                                const struct store_kv *kv)
{
    struct kv_slot *s;

    if (t->slots_count == t->slots_cap) {
        size_t cap = t->slots_cap == 0 ? LIMIT_KV_OPS : t->slots_cap * 2;
        struct kv_slot *more = arena_zalloc(t->arena, cap, sizeof(*more));

        if (t->slots_count > 0) {
            memcpy(more, t->slots, t->slots_count * sizeof(*more));
        }
        t->slots = more;
        t->slots_cap = cap;
    }
    s = &t->slots[t->slots_count++];
    *s = (struct kv_slot){.key = key, .was_session = ""};
    s->entry = (struct kv_entry){.key = key, .session = ""};
    if (kv != NULL) {
        kv_read(t->arena, t->dc, kv, &s->entry);
        s->was = true;
        s->was_session = s->entry.session;
        s->exists = true;
    }
    if (s->exists && in_deleted_tree(t, key)) {
        s->exists = false;
        s->changed = true;
    }
    return s;
}

/* Of a key that was read by itself. Good until the next slot is added. */
static struct kv_slot *slot_get(struct kv_txn *t, struct slice key)
{
    struct kv_slot *s = slot_find(t, key);

    return s != NULL
               ? s
               : slot_add(t, key,
                          store_found(t->seen, kv_key(t->arena, t->dc, key)));
}

/* ---- Errors and results ------------------------------------------- */

static void fail(struct kv_txn *t, size_t op, const char *text)
{
    CHECK(t->errors_count < LIMIT_KV_OPS);
    t->errors[t->errors_count++] = (struct kv_error){.op = op, .text = text};
}

static void add_result(struct kv_txn *t, size_t op, const struct kv_entry *e,
                       bool with_value)
{
    if (t->results_count == t->results_cap) {
        size_t cap = t->results_cap == 0 ? LIMIT_KV_OPS : t->results_cap * 2;
        struct kv_result *more = arena_zalloc(t->arena, cap, sizeof(*more));

        if (t->results_count > 0) {
            memcpy(more, t->results, t->results_count * sizeof(*more));
        }
        t->results = more;
        t->results_cap = cap;
    }
    t->results[t->results_count++] =
        (struct kv_result){.op = op, .entry = *e, .with_value = with_value};
}

/* "failed to set key "a", index is stale" */
static const char *about(struct kv_txn *t, const char *before,
                         const struct kv_op *op, const char *behind)
{
    return arena_printf(t->arena, "%skey \"%.*s\"%s", before, (int)op->key.len,
                        (const char *)op->key.data, behind);
}

/* ---- Operations --------------------------------------------------- */

static void put(struct kv_txn *t, size_t at, struct kv_slot *s,
                uint64_t lock_index, const char *session)
{
    const struct kv_op *op = &t->ops[at];
    struct kv_entry *e = &s->entry;
    bool same = s->exists && !s->changed && e->flags == op->flags &&
                e->lock_index == lock_index &&
                strcmp(e->session, session) == 0 &&
                slice_eq(e->value, op->value);

    if (!same) {
        e->modify_index = t->revision;
        e->create_index = s->was ? e->create_index : t->revision;
        s->changed = true;
        s->exists = true;
    }
    e->value = op->value;
    e->flags = op->flags;
    e->lock_index = lock_index;
    e->session = session;
    add_result(t, at, e, false);
}

static void set(struct kv_txn *t, size_t at, struct kv_slot *s)
{
    if (s->exists) {
        put(t, at, s, s->entry.lock_index, s->entry.session);
    } else {
        put(t, at, s, 0, "");
    }
}

static void cas(struct kv_txn *t, size_t at, struct kv_slot *s)
{
    const struct kv_op *op = &t->ops[at];
    bool fits = op->index == 0
                    ? !s->exists
                    : s->exists && (uint64_t)s->entry.modify_index == op->index;

    if (fits) {
        set(t, at, s);
    } else {
        fail(t, at, about(t, "failed to set ", op, ", index is stale"));
    }
}

static void lock(struct kv_txn *t, size_t at, struct kv_slot *s)
{
    const struct kv_op *op = &t->ops[at];
    struct session session;
    const char *trouble = "this is no session's id";

    if (*op->session == '\0') {
        t->wrong_session = true;
        fail(t, at, "missing session");
        return;
    }
    if (session_id_fits(op->session)) {
        trouble = session_trouble(t->arena, t->dc, t->catalog, op->session,
                                  t->seen, &session);
    }
    if (trouble != NULL) {
        t->wrong_session = true;
        fail(t, at,
             arena_printf(t->arena, "invalid session \"%.64s\": %s",
                          op->session, trouble));
    } else if (s->exists && strcmp(s->entry.session, op->session) == 0) {
        put(t, at, s, s->entry.lock_index, op->session);
    } else if (s->exists && *s->entry.session != '\0') {
        fail(t, at, about(t, "failed to lock ", op, ", lock is already held"));
    } else if (is_delayed(t, op->key)) {
        fail(t, at, about(t, "failed to lock ", op, ", its lock-delay lasts"));
    } else {
        put(t, at, s, s->exists ? s->entry.lock_index + 1 : 1, op->session);
    }
}

static void unlock(struct kv_txn *t, size_t at, struct kv_slot *s)
{
    const struct kv_op *op = &t->ops[at];

    if (!s->exists || *op->session == '\0' ||
        strcmp(s->entry.session, op->session) != 0) {
        fail(t, at,
             about(t, "failed to unlock ", op,
                   ", lock isn't held, or is held by another session"));
        return;
    }
    put(t, at, s, s->entry.lock_index, "");
}

static void drop(struct kv_slot *s)
{
    if (s->exists) {
        s->exists = false;
        s->changed = true;
    }
}

static void delete_cas(struct kv_txn *t, size_t at, struct kv_slot *s)
{
    const struct kv_op *op = &t->ops[at];

    if (s->exists && (uint64_t)s->entry.modify_index != op->index) {
        fail(t, at, about(t, "failed to delete ", op, ", index is stale"));
        return;
    }
    drop(s);
}

static void delete_tree(struct kv_txn *t, size_t at)
{
    for (size_t i = 0; i < t->slots_count; i++) {
        if (slice_starts(t->slots[i].key, t->ops[at].key)) {
            drop(&t->slots[i]);
        }
    }
    t->trees[t->trees_count++] = at;
}

static void get(struct kv_txn *t, size_t at, struct kv_slot *s)
{
    const struct kv_op *op = &t->ops[at];

    if (s->exists) {
        add_result(t, at, &s->entry, true);
    } else if (op->verb == KV_GET_OR_EMPTY) {
        struct kv_entry empty = {.key = op->key, .session = ""};

        add_result(t, at, &empty, true);
    } else {
        fail(t, at, about(t, "", op, " doesn't exist"));
    }
}

static int compare_slots(const void *a, const void *b)
{
    const struct kv_slot *x = a;
    const struct kv_slot *y = b;

    return slice_cmp(x->key, y->key);
}

static void get_tree(struct kv_txn *t, size_t at)
{
    const struct kv_op *op = &t->ops[at];
    const struct store_range *r =
        store_range_of(t->seen, kv_key(t->arena, t->dc, op->key));

    if (r->more) {
        fail(t, at,
             arena_printf(t->arena, "more than %d keys begin with \"%.*s\"",
                          LIMIT_KV_TREE, (int)op->key.len,
                          (const char *)op->key.data));
        return;
    }
    for (size_t i = 0; i < r->count; i++) {
        struct slice key = kv_user_key(t->dc, r->items[i].key);

        if (slot_find(t, key) == NULL) {
            (void)slot_add(t, key, &r->items[i]);
        }
    }
    if (t->slots_count > 1) { /* There may be no array at all. */
        qsort(t->slots, t->slots_count, sizeof(*t->slots), compare_slots);
    }
    for (size_t i = 0; i < t->slots_count; i++) {
        if (t->slots[i].exists && slice_starts(t->slots[i].key, op->key)) {
            add_result(t, at, &t->slots[i].entry, true);
        }
    }
}

static void check(struct kv_txn *t, size_t at, struct kv_slot *s)
{
    const struct kv_op *op = &t->ops[at];

    if (op->verb == KV_CHECK_NOT_EXISTS) {
        if (s->exists) {
            fail(t, at, about(t, "", op, " exists"));
        }
        return;
    }
    if (!s->exists) {
        fail(t, at,
             about(t,
                   op->verb == KV_CHECK_INDEX ? "failed to check index, "
                                              : "failed to check session, ",
                   op, " doesn't exist"));
    } else if (op->verb == KV_CHECK_INDEX &&
               (uint64_t)s->entry.modify_index != op->index) {
        fail(t, at,
             arena_printf(t->arena,
                          "failed index check for key \"%.*s\", current modify "
                          "index %lld != %llu",
                          (int)op->key.len, (const char *)op->key.data,
                          (long long)s->entry.modify_index,
                          (unsigned long long)op->index));
    } else if (op->verb == KV_CHECK_SESSION &&
               strcmp(s->entry.session, op->session) != 0) {
        fail(t, at,
             arena_printf(t->arena,
                          "failed session check for key \"%.*s\", current "
                          "session \"%s\" != \"%.64s\"",
                          (int)op->key.len, (const char *)op->key.data,
                          s->entry.session, op->session));
    } else {
        add_result(t, at, &s->entry, false);
    }
}

static void play_op(struct kv_txn *t, size_t at)
{
    const struct kv_op *op = &t->ops[at];
    struct kv_slot *s =
        is_tree(op) || op->verb == KV_OTHER ? NULL : slot_get(t, op->key);

    switch (op->verb) {
    case KV_SET:
        set(t, at, s);
        return;
    case KV_CAS:
        cas(t, at, s);
        return;
    case KV_LOCK:
        lock(t, at, s);
        return;
    case KV_UNLOCK:
        unlock(t, at, s);
        return;
    case KV_GET:
    case KV_GET_OR_EMPTY:
        get(t, at, s);
        return;
    case KV_GET_TREE:
        get_tree(t, at);
        return;
    case KV_CHECK_INDEX:
    case KV_CHECK_SESSION:
    case KV_CHECK_NOT_EXISTS:
        check(t, at, s);
        return;
    case KV_DELETE:
        drop(s);
        return;
    case KV_DELETE_TREE:
        delete_tree(t, at);
        return;
    case KV_DELETE_CAS:
        delete_cas(t, at, s);
        return;
    case KV_OTHER:
        return;
    }
    UNREACHABLE();
}

void kv_txn_play(struct kv_txn *t, const struct store_answer *seen,
                 int64_t revision)
{
    CHECK(t->ops_count <= LIMIT_KV_OPS);
    t->seen = seen;
    t->revision = revision;
    t->errors_count = 0;
    t->results_count = 0;
    t->slots_count = 0;
    t->trees_count = 0;
    t->wrong_session = false;
    for (size_t i = 0; i < t->ops_count; i++) {
        play_op(t, i);
    }
}

/* ---- Writing ------------------------------------------------------ */

static void guard_op(struct kv_txn *t, const struct kv_op *op,
                     struct store_ask *ask)
{
    struct slice key = kv_key(t->arena, t->dc, op->key);
    const struct store_kv *kv;
    struct session s;

    if (op->verb == KV_GET_TREE) {
        store_guard(ask, STORE_MOD_BELOW, key, tree_end(t, key),
                    t->seen->revision + 1);
    }
    if (is_tree(op) || op->verb == KV_OTHER) {
        return;
    }
    kv = store_found(t->seen, key);
    store_guard(ask, STORE_MOD_IS, key, none, kv ? kv->mod_revision : 0);
    if (op->verb == KV_LOCK &&
        session_trouble(t->arena, t->dc, t->catalog, op->session, t->seen,
                        &s) == NULL) {
        session_add_guards(ask, t->arena, t->dc, &s, t->seen);
    }
}

static void write_slot(struct kv_txn *t, const struct kv_slot *s,
                       struct store_ask *ask)
{
    const char *session = s->exists ? s->entry.session : "";

    if (!s->changed) {
        return;
    }
    if (s->exists) {
        store_put(ask, kv_key(t->arena, t->dc, s->key),
                  kv_write(t->arena, &s->entry), 0);
    } else if (s->was && !in_deleted_tree(t, s->key)) {
        store_delete(ask, kv_key(t->arena, t->dc, s->key), none);
    }
    if (strcmp(s->was_session, session) == 0) {
        return;
    }
    if (*s->was_session != '\0') {
        store_delete(ask, kv_held_key(t->arena, t->dc, s->was_session, s->key),
                     none);
    }
    if (*session != '\0') {
        store_put(ask, kv_held_key(t->arena, t->dc, session, s->key), none, 0);
    }
}

/* A store takes no transaction that puts a key of a range that it deletes, so
 * the range is cut at the keys that are put. Slots are in order. */
static void write_tree(struct kv_txn *t, const struct kv_op *op,
                       struct store_ask *ask)
{
    struct slice from = kv_key(t->arena, t->dc, op->key);
    struct slice end = tree_end(t, from);

    for (size_t i = 0; i < t->slots_count; i++) {
        const struct kv_slot *s = &t->slots[i];
        struct slice key;

        if (!s->exists || !s->changed || !slice_starts(s->key, op->key)) {
            continue;
        }
        key = kv_key(t->arena, t->dc, s->key);
        if (!slice_eq(from, key)) {
            store_delete(ask, from, key);
        }
        /* Go on right behind it: its bytes and a NUL. */
        from = slice_of(arena_strdup(t->arena, key), key.len + 1);
    }
    store_delete(ask, from, end);
}

void kv_txn_changes(struct kv_txn *t, struct store_ask *ask)
{
    kv_txn_reads(t, ask);
    if (t->slots_count > 0) {
        qsort(t->slots, t->slots_count, sizeof(*t->slots), compare_slots);
    }
    for (size_t i = 0; i < t->slots_count; i++) {
        write_slot(t, &t->slots[i], ask);
    }
    for (size_t i = 0; i < t->trees_count; i++) {
        write_tree(t, &t->ops[t->trees[i]], ask);
    }
    if (ask->changes_count == 0) {
        return;
    }
    for (size_t i = 0; i < t->ops_count; i++) {
        guard_op(t, &t->ops[i], ask);
    }
}
