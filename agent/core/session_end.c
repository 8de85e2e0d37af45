#include "agent/core/session_end.h"

#include "agent/core/query_record.h"
#include "base/core/check.h"

/* Bytes put back in one transaction: below what a store takes. */
#define BATCH_BYTES (768UL * 1024)

enum end_step {
    END_BEGINS,
    END_READ,    /* The session and what it holds. */
    END_GRANTED, /* A lease for the lock-delay. */
    END_PART,    /* Written: more is left. */
    END_WHOLE,   /* Written: the session is removed. */
    END_REVOKED, /* Its lease too. */
};

struct ending {
    struct session_end *e;
    struct arena *arena;
    const char *dc;
    const struct store_answer *seen;
    struct session session;
    const struct store_range *held;
    const struct store_range *bound; /* Marks of its prepared queries. */
    struct store_ask *ask;
};

static const struct slice none;

static struct slice held_prefix(const struct ending *g)
{
    return kv_held_key(g->arena, g->dc, g->e->id, none);
}

static struct slice bound_prefix(const struct ending *g)
{
    return query_bound_key(g->arena, g->dc, g->e->id, "");
}

static struct slice user_key(const struct ending *g, const struct store_kv *kv)
{
    return slice_skip(kv->key, held_prefix(g).len);
}

static void add_reads(const struct ending *g)
{
    struct slice prefix = held_prefix(g);

    session_add_reads(g->ask, g->arena, g->dc, g->e->id);
    store_read_range(g->ask, prefix, store_prefix_end(g->arena, prefix),
                     SESSION_END_BATCH, false);
    prefix = bound_prefix(g);
    store_read_range(g->ask, prefix, store_prefix_end(g->arena, prefix),
                     SESSION_END_QUERIES, true);
    for (size_t i = 0; g->held != NULL && i < g->held->count; i++) {
        store_read_key(
            g->ask, kv_key(g->arena, g->dc, user_key(g, &g->held->items[i])));
    }
}

static enum session_end_next ask_read(struct ending *g)
{
    g->e->step = END_READ;
    store_txn(g->ask, g->arena);
    add_reads(g);
    return SESSION_END_ASK;
}

/* The entry, if it is there and the session has it locked. */
static bool find_locked(const struct ending *g, const struct store_kv *held,
                        struct kv_entry *out_entry)
{
    const struct store_kv *kv =
        store_found(g->seen, kv_key(g->arena, g->dc, user_key(g, held)));

    if (kv == NULL) {
        return false;
    }
    kv_read(g->arena, g->dc, kv, out_entry);
    return strcmp(out_entry->session, g->e->id) == 0;
}

static bool entries_were_read(const struct ending *g)
{
    for (size_t i = 0; i < g->held->count; i++) {
        if (!store_was_read(g->seen, kv_key(g->arena, g->dc,
                                            user_key(g, &g->held->items[i])))) {
            return false;
        }
    }
    return true;
}

static bool holds_any(const struct ending *g)
{
    struct kv_entry e;

    for (size_t i = 0; i < g->held->count; i++) {
        if (find_locked(g, &g->held->items[i], &e)) {
            return true;
        }
    }
    return false;
}

/* Returns the bytes that were put back. */
static size_t let_go(const struct ending *g, const struct store_kv *held)
{
    struct slice key = user_key(g, held);
    struct slice pair = kv_key(g->arena, g->dc, key);
    struct kv_entry e;
    size_t bytes = 0;

    store_guard(g->ask, STORE_MOD_IS, held->key, none, held->mod_revision);
    store_delete(g->ask, held->key, none);
    if (!find_locked(g, held, &e)) {
        return 0;
    }
    store_guard(g->ask, STORE_MOD_IS, pair, none, e.modify_index);
    if (g->session.behavior == SESSION_DELETE) {
        store_delete(g->ask, pair, none);
    } else {
        e.session = "";
        bytes = e.value.len;
        store_put(g->ask, pair, kv_write(g->arena, &e), 0);
    }
    if (g->e->lease != 0) {
        store_put(g->ask, kv_delay_key(g->arena, g->dc, key), none,
                  g->e->lease);
    }
    return bytes;
}

/* The query goes with it, if it is still bound to it. */
static void delete_query(const struct ending *g, const struct store_kv *mark)
{
    struct slice id = slice_skip(mark->key, bound_prefix(g).len);

    store_guard(g->ask, STORE_MOD_IS, mark->key, none, mark->mod_revision);
    store_delete(g->ask, mark->key, none);
    store_delete(g->ask, query_key(g->arena, g->dc, arena_strdup(g->arena, id)),
                 none);
}

/* Nothing was added since it was read. */
static void guard_prefix(const struct ending *g, struct slice prefix)
{
    store_guard(g->ask, STORE_MOD_BELOW, prefix,
                store_prefix_end(g->arena, prefix), g->seen->revision + 1);
}

static enum session_end_next ask_write(struct ending *g)
{
    struct slice own = session_key(g->arena, g->dc, g->e->id);
    size_t bytes = 0;
    size_t i = 0;

    store_txn(g->ask, g->arena);
    store_guard(g->ask, STORE_MOD_IS, own, none, g->session.modify_index);
    for (; i < g->held->count && bytes < BATCH_BYTES; i++) {
        bytes += let_go(g, &g->held->items[i]);
    }
    for (size_t k = 0; k < g->bound->count; k++) {
        delete_query(g, &g->bound->items[k]);
    }
    if (i == g->held->count && !g->held->more && !g->bound->more) {
        guard_prefix(g, held_prefix(g));
        guard_prefix(g, bound_prefix(g));
        store_delete(g->ask, own, none);
        store_delete(g->ask, session_alive_key(g->arena, g->dc, g->e->id),
                     none);
        g->e->step = END_WHOLE;
    } else {
        g->session.ending = true;
        store_put(g->ask, own, session_write(g->arena, &g->session), 0);
        g->e->step = END_PART;
    }
    add_reads(g);
    return SESSION_END_ASK;
}

static enum session_end_next ask_grant(struct ending *g)
{
    g->e->step = END_GRANTED;
    *g->ask = (struct store_ask){
        .kind = STORE_GRANT,
        .ttl_s = (int64_t)((g->session.lock_delay_ms + 999) / 1000)};
    return SESSION_END_ASK;
}

static enum session_end_next ask_revoke(struct ending *g)
{
    g->e->step = END_REVOKED;
    *g->ask =
        (struct store_ask){.kind = STORE_REVOKE, .lease = g->session.lease};
    return SESSION_END_ASK;
}

/* What was read is there: the next write, or what it needs. */
static enum session_end_next decide(struct ending *g)
{
    if (!entries_were_read(g)) {
        return ask_read(g);
    }
    if (g->e->lease == 0 && g->session.lock_delay_ms > 0 && holds_any(g)) {
        return ask_grant(g);
    }
    return ask_write(g);
}

/* False: there is none, or it cannot be read, which is for its removal only. */
static bool find_session(struct ending *g)
{
    const struct store_kv *kv =
        store_found(g->seen, session_key(g->arena, g->dc, g->e->id));
    struct err err;

    if (kv == NULL) {
        return false;
    }
    if (session_read(g->arena, g->dc, kv, &g->session, &err)) {
        g->session = (struct session){.id = g->e->id,
                                      .name = "",
                                      .node = "",
                                      .ending = true,
                                      .modify_index = kv->mod_revision};
    }
    g->held = store_range_of(g->seen, held_prefix(g));
    g->bound = store_range_of(g->seen, bound_prefix(g));
    return true;
}

enum session_end_next session_end_step(struct session_end *e, struct arena *a,
                                       const char *dc,
                                       const struct catalog *catalog,
                                       const struct store_answer *seen,
                                       const struct store_answer *done,
                                       struct store_ask *ask)
{
    struct ending g = {.e = e, .arena = a, .dc = dc, .seen = seen, .ask = ask};
    struct session living;

    if (e->step == END_BEGINS || seen == NULL) {
        return ask_read(&g);
    }
    if (e->step == END_REVOKED || !find_session(&g)) {
        return SESSION_END_GONE;
    }
    if (e->why == SESSION_END_IF_OVER && e->step == END_READ &&
        !g.session.ending &&
        session_trouble(a, dc, catalog, e->id, seen, &living) == NULL) {
        return SESSION_END_LIVES;
    }
    if (e->step == END_GRANTED && done != NULL) {
        e->lease = done->lease;
        return ask_write(&g);
    }
    if (e->step == END_PART && done != NULL) {
        e->lease = 0; /* Each delay is whole. */
        g.held = NULL;
        return ask_read(&g);
    }
    if (e->step == END_WHOLE && done != NULL) {
        return g.session.lease != 0 ? ask_revoke(&g) : SESSION_END_GONE;
    }
    return decide(&g);
}
