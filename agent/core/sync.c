#include "agent/core/sync.h"

#include <stdlib.h>

#include "agent/core/pace.h"
#include "agent/core/rename.h"
#include "agent/core/sync_held.h"
#include "base/core/check.h"

/* One place among etcd's 128 comparisons goes to the live key's guard. */
#define OPS_MAX (LIMIT_TXN_OPS - 1)

enum {
    BATCH_BYTES_MAX = 1024 * 1024,
    FULL_PASS_MS = 60000,
    NODES_PER_STEP = 128,
    RETRY_MS_MIN = 1000,
    RETRY_MS_MAX = 15000,
    GUARDED_MS = 100,
    SETTLE_MS_MAX = 5000,
    TOKENS_MAX = 200,
    TOKEN_MS = 50,
    RECORD_BURST = 20, /* Changes of one record, and then one in */
    RECORD_MS = 1000,
    REFUSED_MAX = 1024,
    UNEXPLAINED_MAX = 2,
};

struct sync {
    struct rng rng;
    bool attached;
    bool in_flight;
    bool settling;   /* Until the replica shows our last transaction. */
    bool one_by_one; /* A batch was refused: find out which record. */
    int64_t live_create_revision;
    int64_t settle_revision;
    uint64_t settle_until_ms;
    uint64_t retry_at_ms;
    unsigned failures_in_row;
    int64_t
        guarded_revision;  /* The store's when a guard failed; 0: none has. */
    bool flight_explained; /* Since then the replica had more to show. */
    unsigned unexplained;  /* Guards that failed although it had not. */
    uint64_t next_full_ms;
    uint64_t seen_generation;
    uint64_t seen_index;
    unsigned tokens;
    uint64_t tokens_at_ms;
    struct paces paces;
    size_t flight_ops;
    uint64_t flight_hash; /* Of a batch of one: what is refused, */
    char *flight_key;     /* and its key. */
    char *refused_key;
    uint64_t refused[REFUSED_MAX]; /* Since the last full pass. */
    size_t refused_count;
    uint64_t told[REFUSED_MAX]; /* Since nothing was refused. */
    size_t told_count;
    bool look_back; /* There may be records of an earlier name. */
    int64_t looked_revision;
    char *earlier; /* One that was found. */
    struct sync_stats stats;
};

struct sync *sync_new(uint64_t seed)
{
    struct sync *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    rng_init(&s->rng, seed);
    s->tokens = TOKENS_MAX;
    s->paces = (struct paces){.burst = RECORD_BURST, .refill_ms = RECORD_MS};
    return s;
}

void sync_free(struct sync *s)
{
    if (s != NULL) {
        free(s->earlier);
        free(s->flight_key);
        free(s->refused_key);
    }
    free(s);
}

void sync_attached(struct sync *s, int64_t live_create_revision,
                   uint64_t now_ms)
{
    s->attached = true;
    s->in_flight = false;
    s->settling = false;
    s->live_create_revision = live_create_revision;
    s->retry_at_ms = 0;
    s->failures_in_row = 0;
    s->guarded_revision = 0;
    s->unexplained = 0;
    s->next_full_ms = now_ms; /* Compare everything at once. */
    s->looked_revision = 0;
}

void sync_detached(struct sync *s)
{
    s->attached = false;
    s->in_flight = false;
    s->settling = false;
}

struct sync_stats sync_stats(const struct sync *s)
{
    return s->stats;
}

/* ---- Comparing ---------------------------------------------------- */

struct comparison {
    struct sync *sync;
    struct local *local;
    struct arena *arena;
    struct sync_held_list held;
    bool *wanted; /* For each of `held`. */
    struct sync_op *ops;
    size_t ops_count;
    size_t ops_max;
    size_t bytes;
    bool full;             /* More is to be done than fits. */
    uint64_t throttled_ms; /* When an update that has to wait may go; 0: none */
    uint64_t now_ms;
};

static uint64_t op_hash(struct slice key, uint64_t value_hash)
{
    return catalog_hash(key) * 31 + value_hash;
}

static bool is_among(const uint64_t *list, size_t count, uint64_t hash)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == hash) {
            return true;
        }
    }
    return false;
}

static bool is_refused(const struct sync *s, uint64_t hash)
{
    return is_among(s->refused, s->refused_count, hash);
}

static bool add_op(struct comparison *c, struct sync_op op, uint64_t hash)
{
    if (is_refused(c->sync, op_hash(op.key, hash))) {
        return true;
    }
    if (c->ops_count == c->ops_max ||
        (c->ops_count > 0 && c->bytes + op.value.len > BATCH_BYTES_MAX)) {
        c->full = true;
        return false;
    }
    c->sync->flight_hash = op_hash(op.key, hash);
    c->bytes += op.key.len + op.value.len;
    c->ops[c->ops_count++] = op;
    return true;
}

/* The agent as a whole is bounded, and each record by itself: one that flaps
 * leaves something for the others. */
static bool take_token(struct comparison *c, struct slice key)
{
    struct sync *s = c->sync;
    uint64_t until_ms = s->tokens_at_ms + TOKEN_MS;

    if (s->tokens > 0) {
        until_ms = paces_take(&s->paces, catalog_hash(key), c->now_ms);
    }
    if (until_ms == 0) {
        s->tokens--;
        return true;
    }
    if (c->throttled_ms == 0 || until_ms < c->throttled_ms) {
        c->throttled_ms = until_ms;
    }
    return false;
}

/* The value with the tags that others have set in the store. */
static struct slice retagged(struct comparison *c, const struct local_record *r,
                             const struct sync_held *held)
{
    struct buf value;
    struct slice copy;

    buf_init(&value, LIMIT_RECORD_BYTES);
    copy = local_record_retag(c->local, r->id, held->tags, &value) == ST_OK
               ? arena_copy(c->arena, buf_slice(&value))
               : r->value;
    buf_release(&value);
    return copy;
}

/* What we write where the replica shows nothing. If it has seen all that the
 * store had when the guard failed, and the guard fails again, then a value is
 * there that the catalogue cannot read. It is in our place: it is replaced. */
static int64_t expected_nothing(const struct sync *s)
{
    return s->unexplained < UNEXPLAINED_MAX ? 0 : SYNC_ANY;
}

static bool compare_record(void *ctx, const struct local_record *r)
{
    struct comparison *c = ctx;
    const struct sync_held *held = sync_held_find(&c->held, r->key);
    struct sync_op op = {.kind = SYNC_PUT, .key = r->key, .value = r->value};
    uint64_t hash = r->hash;

    if (held == NULL) {
        op.expect_mod_revision = expected_nothing(c->sync);
        return add_op(c, op, hash);
    }
    c->wanted[held - c->held.items] = true;
    if (held->hash != hash && r->tag_override) {
        op.value = retagged(c, r, held);
        hash = catalog_hash(op.value);
    }
    if (held->hash == hash) {
        return true;
    }
    /* Flapping checks are slowed down; going critical never is. */
    if (!r->urgent && !take_token(c, r->key)) {
        return true;
    }
    op.expect_mod_revision = held->mod_revision;
    return add_op(c, op, hash);
}

static void add_deletions(struct comparison *c)
{
    for (size_t i = 0; i < c->held.count && !c->full; i++) {
        const struct sync_held *h = &c->held.items[i];

        if (h->ours && !c->wanted[i]) {
            (void)add_op(
                c,
                (struct sync_op){.kind = SYNC_DELETE,
                                 .key = h->key,
                                 .expect_mod_revision = h->mod_revision},
                0);
        }
    }
}

static void compare(struct comparison *c, const struct catalog *catalog)
{
    const char *node = local_host(c->local)->node.name;

    c->held = sync_held_by(catalog, node, c->arena);
    c->wanted = arena_zalloc(c->arena, c->held.count, sizeof(*c->wanted));
    c->ops = arena_zalloc(c->arena, OPS_MAX, sizeof(*c->ops));
    c->ops_max = c->sync->one_by_one ? 1 : OPS_MAX;
    local_each_record(c->local, compare_record, c);
    if (!c->full) {
        add_deletions(c); /* Only after every wanted key has been seen. */
    }
}

/* ---- Pace --------------------------------------------------------- */

static void refill_tokens(struct sync *s, uint64_t now_ms)
{
    uint64_t more = (now_ms - s->tokens_at_ms) / TOKEN_MS;

    if (more > 0) {
        s->tokens_at_ms += more * TOKEN_MS;
        s->tokens = more >= TOKENS_MAX - s->tokens ? TOKENS_MAX
                                                   : s->tokens + (unsigned)more;
    }
}

/* 60 s, once more for each doubling of the cluster above 128 nodes, and the
 * same again at random. */
static uint64_t full_pass_ms(struct sync *s, size_t nodes)
{
    uint64_t period = FULL_PASS_MS;

    for (size_t step = NODES_PER_STEP; step < nodes; step *= 2) {
        period += FULL_PASS_MS;
    }
    return period + rng_below(&s->rng, period);
}

static uint64_t own_index(const struct local *local,
                          const struct catalog *catalog)
{
    return catalog_index(
        catalog, (struct catalog_scope){.kind = SCOPE_NODE,
                                        .name = local_host(local)->node.name});
}

static struct slice live_key(const struct local *local, struct arena *a)
{
    struct record_key key = {.kind = RECORD_LIVE,
                             .node = local_host(local)->node.name};

    return record_key_write(a, local_host(local)->datacenter, &key);
}

/* Whether there is anything to compare now. If not, *out_wake_ms says when. */
static bool is_time(struct sync *s, const struct local *local,
                    const struct catalog *catalog, uint64_t now_ms,
                    uint64_t *out_wake_ms)
{
    *out_wake_ms = UINT64_MAX;
    if (!s->attached || s->in_flight || catalog_revision(catalog) == 0) {
        return false;
    }
    if (now_ms < s->retry_at_ms) {
        *out_wake_ms = s->retry_at_ms;
        return false;
    }
    if (s->settling && catalog_revision(catalog) < s->settle_revision &&
        now_ms < s->settle_until_ms) {
        *out_wake_ms = s->settle_until_ms;
        return false;
    }
    s->settling = false;
    if (now_ms >= s->next_full_ms) {
        s->next_full_ms =
            now_ms + full_pass_ms(s, catalog_nodes_count(catalog));
        s->refused_count = 0;
        s->look_back = true;
        s->stats.passes++;
        return true;
    }
    *out_wake_ms = s->next_full_ms;
    return !s->stats.in_sync || s->seen_generation != local_generation(local) ||
           s->seen_index != own_index(local, catalog) ||
           (s->look_back && s->looked_revision != catalog_revision(catalog));
}

static void hand_out(struct sync *s, const struct local *local, struct arena *a,
                     struct sync_txn txn, struct sync_txn *out_txn)
{
    s->in_flight = true;
    s->flight_ops = txn.ops_count;
    free(s->flight_key);
    s->flight_key =
        strndup((const char *)txn.ops[0].key.data, txn.ops[0].key.len);
    CHECK(s->flight_key != NULL);
    txn.live_key = live_key(local, a);
    txn.live_create_revision = s->live_create_revision;
    *out_txn = txn;
}

/* Everything is where it should be: what is left under an earlier name goes. */
static bool look_back(struct sync *s, const struct local *local,
                      const struct catalog *catalog, struct arena *a,
                      struct sync_txn *out_txn)
{
    const struct catalog_node *n = NULL;
    enum rename_state state;

    if (!s->look_back || s->refused_count > 0) {
        return false;
    }
    state = rename_look(catalog, &local_host(local)->node, a, &n, out_txn);
    s->looked_revision = catalog_revision(catalog);
    s->look_back = state != RENAME_NONE;
    s->stats.earlier_lives = state == RENAME_WAITS;
    s->stats.earlier = NULL;
    if (state != RENAME_NONE) {
        free(s->earlier);
        s->earlier = strdup(n->record.name);
        CHECK(s->earlier != NULL);
        s->stats.earlier = s->earlier;
    }
    return state == RENAME_OVER;
}

enum sync_next sync_next(struct sync *s, struct local *local,
                         const struct catalog *catalog, uint64_t now_ms,
                         struct arena *a, struct sync_txn *out_txn,
                         uint64_t *out_wake_ms)
{
    struct comparison c = {
        .sync = s, .local = local, .arena = a, .now_ms = now_ms};
    struct sync_txn txn = {0};

    if (!is_time(s, local, catalog, now_ms, out_wake_ms)) {
        return SYNC_WAIT;
    }
    refill_tokens(s, now_ms);
    compare(&c, catalog);
    s->flight_explained = catalog_revision(catalog) < s->guarded_revision;
    if (c.ops_count > 0) {
        s->stats.in_sync = false;
        hand_out(s, local, a,
                 (struct sync_txn){.ops = c.ops, .ops_count = c.ops_count},
                 out_txn);
        return SYNC_TXN;
    }
    s->one_by_one = false;
    s->stats.in_sync = c.throttled_ms == 0;
    if (s->stats.in_sync && s->refused_count == 0) {
        s->told_count = 0;
    }
    s->seen_generation = local_generation(local);
    s->seen_index = own_index(local, catalog);
    if (s->stats.in_sync && look_back(s, local, catalog, a, &txn)) {
        s->looked_revision = 0; /* Again, whatever comes of it. */
        hand_out(s, local, a, txn, out_txn);
        return SYNC_TXN;
    }
    *out_wake_ms = s->stats.in_sync ? s->next_full_ms : c.throttled_ms;
    return SYNC_WAIT;
}

static void retry_later(struct sync *s, uint64_t now_ms)
{
    uint64_t pause = RETRY_MS_MIN;

    for (unsigned i = 0; i < s->failures_in_row && pause < RETRY_MS_MAX; i++) {
        pause *= 2;
    }
    pause = pause > RETRY_MS_MAX ? RETRY_MS_MAX : pause;
    s->failures_in_row++;
    s->retry_at_ms = now_ms + pause + rng_below(&s->rng, pause);
}

/* It is refused at each full pass, which is no news. */
static void refusal_tell(struct sync *s)
{
    if (!is_among(s->told, s->told_count, s->flight_hash) &&
        s->told_count < REFUSED_MAX) {
        s->told[s->told_count++] = s->flight_hash;
        s->stats.refused_records++;
        free(s->refused_key);
        s->refused_key = s->flight_key;
        s->flight_key = NULL;
        s->stats.refused_key = s->refused_key;
    }
}

void sync_done(struct sync *s, enum sync_result result, int64_t revision,
               uint64_t now_ms)
{
    if (!s->in_flight) {
        return; /* Detached meanwhile. */
    }
    s->in_flight = false;
    switch (result) {
    case SYNC_WRITTEN:
        s->stats.written += s->flight_ops;
        s->failures_in_row = 0;
        s->guarded_revision = 0;
        s->unexplained = 0;
        s->settling = true;
        s->settle_revision = revision;
        s->settle_until_ms = now_ms + SETTLE_MS_MAX;
        return;
    case SYNC_GUARDED:
        /* Not until `revision`: the store may be further for other reasons
         * than the change that our replica has yet to see. */
        s->stats.guarded++;
        if (s->guarded_revision != 0 && !s->flight_explained) {
            s->unexplained++;
        }
        s->guarded_revision = revision;
        s->retry_at_ms = now_ms + GUARDED_MS;
        return;
    case SYNC_REFUSED:
        s->stats.refused++;
        if (s->stats.in_sync) {
            s->look_back = false; /* Until the next full pass. */
        } else if (s->flight_ops > 1) {
            s->one_by_one = true;
        } else if (s->refused_count < REFUSED_MAX) {
            s->refused[s->refused_count++] = s->flight_hash;
            refusal_tell(s);
        }
        return;
    case SYNC_FAILED:
        s->stats.failed++;
        retry_later(s, now_ms);
        return;
    }
    UNREACHABLE();
}

bool sync_leave(const struct local *local, const struct catalog *catalog,
                struct arena *a, struct sync_txn *out_txn)
{
    struct sync_held_list held =
        sync_held_by(catalog, local_host(local)->node.name, a);
    struct sync_op *ops = arena_zalloc(a, OPS_MAX, sizeof(*ops));
    size_t count = 0;

    for (size_t i = 0; i < held.count && count < OPS_MAX; i++) {
        if (held.items[i].ours) {
            ops[count++] = (struct sync_op){.kind = SYNC_DELETE,
                                            .key = held.items[i].key,
                                            .expect_mod_revision = SYNC_ANY};
        }
    }
    *out_txn = (struct sync_txn){.ops = ops, .ops_count = count};
    return count > 0;
}
