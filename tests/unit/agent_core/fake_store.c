#include "fake_store.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "suite.h"

#define LIVE_KEY "/muster/v1/dc1/live/edge"

void fake_start(struct fake *f)
{
    static const struct pair meta[] = {{"zone", "b"}};
    static const struct pair tagged[] = {{"lan", "10.0.0.7"}};
    struct local_host host = {
        .datacenter = "dc1",
        .node =
            {
                .name = "edge",
                .id = "7a1f0c5e-9a54-4d0a-8a7e-3c1b5a2f9d10",
                .address = "10.0.0.7",
                .tagged = {tagged, 1},
                .meta = {meta, 1},
                .reap_ms = 259200000,
                .owner = {"edge", "inc-1"},
            },
        .exec_from_files = true,
    };

    *f = (struct fake){.now = {1000000, 1700000000000}};
    f->local = local_new(&host, (struct hash_key){1, 2});
    f->sync = sync_new(42);
    f->catalog = catalog_new("dc1");
    f->revision = 1;
    fake_put(f, LIVE_KEY, "{\"node_id\":\"7a1f\",\"incarnation\":\"inc-1\"}");
    sync_attached(f->sync, f->revision, f->now.now_ms);
}

void fake_stop(struct fake *f)
{
    for (size_t i = 0; i < FAKE_ROWS; i++) {
        free(f->rows[i].key);
        free(f->rows[i].value);
    }
    local_free(f->local);
    sync_free(f->sync);
    catalog_unref(f->catalog);
    catalog_unref(f->elsewhere);
    arena_release(&f->arena);
    store_answer_release(&f->seen);
    store_answer_release(&f->done);
}

void fake_elsewhere(struct fake *f, const char *datacenter)
{
    f->elsewhere = catalog_new(datacenter);
}

static struct fake_row *find_row(struct fake *f, struct slice key)
{
    for (size_t i = 0; i < FAKE_ROWS; i++) {
        struct fake_row *r = &f->rows[i];

        if (r->key == NULL) {
            r->key = strndup((const char *)key.data, key.len);
            CHECK(r->key != NULL);
            return r;
        }
        if (slice_eq(slice_str(r->key), key)) {
            return r;
        }
    }
    CHECK(!"the fake store is full");
    UNREACHABLE();
}

const struct fake_row *fake_get(const struct fake *f, const char *key)
{
    for (size_t i = 0; i < FAKE_ROWS && f->rows[i].key != NULL; i++) {
        if (strcmp(f->rows[i].key, key) == 0 && f->rows[i].exists) {
            return &f->rows[i];
        }
    }
    return NULL;
}

static void write_row(struct fake *f, struct fake_row *r, struct slice value,
                      bool deleted)
{
    free(r->value);
    r->value = malloc(value.len + 1);
    CHECK(r->value != NULL);
    memcpy(r->value, value.len == 0 ? "" : (const char *)value.data, value.len);
    r->value[value.len] = '\0';
    r->value_len = value.len;
    r->create = r->exists ? r->create : f->revision;
    r->mod = f->revision;
    r->exists = !deleted;
}

static struct catalog_event event_of(const struct fake *f,
                                     const struct fake_row *r)
{
    return (struct catalog_event){
        .key = slice_str(r->key),
        .value = slice_of(r->value, r->value_len),
        .deleted = !r->exists,
        .create_revision = r->create,
        .mod_revision = f->revision,
    };
}

static void apply(struct fake *f, struct catalog **catalog,
                  const struct catalog_event *events, size_t count)
{
    struct arena a = {0};
    struct catalog_changes changes;
    struct catalog *next =
        catalog_apply(*catalog, events, count, f->revision, &a, &changes);

    CHECK(f->unreadable || changes.problems_count == 0);
    catalog_unref(*catalog);
    *catalog = next;
    arena_release(&a);
}

static void publish(struct fake *f, const struct catalog_event *events,
                    size_t count)
{
    apply(f, &f->catalog, events, count);
    if (f->elsewhere != NULL) {
        apply(f, &f->elsewhere, events, count);
    }
    if (f->acl != NULL) {
        acl_apply(f->acl, events, count, false);
    }
}

void fake_put(struct fake *f, const char *key, const char *value)
{
    struct fake_row *r = find_row(f, slice_str(key));
    struct catalog_event e;

    f->revision++;
    write_row(f, r, slice_str(value == NULL ? "" : value), value == NULL);
    e = event_of(f, r);
    publish(f, &e, 1);
}

static bool guards_hold(struct fake *f, const struct sync_txn *txn)
{
    for (size_t i = 0; i < txn->ops_count; i++) {
        const struct sync_op *op = &txn->ops[i];
        const struct fake_row *r = find_row(f, op->key);
        int64_t mod = r->exists ? r->mod : 0;

        if (op->expect_mod_revision != SYNC_ANY &&
            op->expect_mod_revision != mod) {
            return false;
        }
    }
    if (txn->live_key.len > 0) {
        const struct fake_row *r = find_row(f, txn->live_key);

        return r->exists && r->create == txn->live_create_revision;
    }
    return true;
}

enum sync_result fake_txn(struct fake *f, const struct sync_txn *txn)
{
    struct catalog_event events[LIMIT_TXN_OPS];

    f->txns++;
    f->largest_txn =
        txn->ops_count > f->largest_txn ? txn->ops_count : f->largest_txn;
    CHECK(txn->ops_count <= LIMIT_TXN_OPS);
    if (!guards_hold(f, txn)) {
        return SYNC_GUARDED;
    }
    f->revision++;
    for (size_t i = 0; i < txn->ops_count; i++) {
        struct fake_row *r = find_row(f, txn->ops[i].key);

        write_row(f, r, txn->ops[i].value, txn->ops[i].kind == SYNC_DELETE);
        events[i] = event_of(f, r);
    }
    publish(f, events, txn->ops_count);
    return SYNC_WRITTEN;
}

/* ---- What requests ask ---------------------------------------------- */

static bool in_range(const struct fake_row *r, struct slice key,
                     struct slice end)
{
    struct slice own = slice_str(r->key);

    if (end.len == 0) {
        return slice_eq(own, key);
    }
    return slice_cmp(own, key) >= 0 && slice_cmp(own, end) < 0;
}

static bool guard_holds(struct fake *f, const struct store_guard *g)
{
    const struct fake_row *r;

    switch (g->kind) {
    case STORE_MOD_IS:
        r = find_row(f, g->key);
        return (r->exists ? r->mod : 0) == g->revision;
    case STORE_CREATE_IS:
        r = find_row(f, g->key);
        return (r->exists ? r->create : 0) == g->revision;
    case STORE_MOD_BELOW:
        for (size_t i = 0; i < FAKE_ROWS && f->rows[i].key != NULL; i++) {
            r = &f->rows[i];
            if (r->exists && in_range(r, g->key, g->end) &&
                r->mod >= g->revision) {
                return false;
            }
        }
        return true;
    }
    UNREACHABLE();
}

static int compare_kvs(const void *a, const void *b)
{
    const struct store_kv *x = a;
    const struct store_kv *y = b;

    return slice_cmp(x->key, y->key);
}

static struct store_range read_range(struct fake *f, struct arena *a,
                                     const struct store_read *read)
{
    struct store_kv *items = arena_zalloc(a, FAKE_ROWS, sizeof(*items));
    struct store_range range = {.key = arena_copy(a, read->key),
                                .end = arena_copy(a, read->end)};

    for (size_t i = 0; i < FAKE_ROWS && f->rows[i].key != NULL; i++) {
        const struct fake_row *r = &f->rows[i];

        if (r->exists && in_range(r, read->key, read->end)) {
            items[range.count++] = (struct store_kv){
                .key = arena_copy(a, slice_str(r->key)),
                .value = read->keys_only
                             ? (struct slice){0}
                             : arena_copy(a, slice_of(r->value, r->value_len)),
                .create_revision = r->create,
                .mod_revision = r->mod,
                .lease = r->lease};
        }
    }
    qsort(items, range.count, sizeof(*items), compare_kvs);
    range.items = items;
    if (read->limit > 0 && range.count > (size_t)read->limit) {
        range.count = (size_t)read->limit;
        range.more = true;
    }
    return range;
}

static bool lease_is_gone(const struct fake *f, int64_t lease)
{
    for (size_t i = 0; i < f->leases_gone_count; i++) {
        if (f->leases_gone[i] == lease) {
            return true;
        }
    }
    return false;
}

/* As the store does: a key that is put must not be touched otherwise. */
static void check_overlaps(const struct store_ask *ask)
{
    for (size_t i = 0; i < ask->changes_count; i++) {
        struct fake_row put = {
            .key = strndup((const char *)ask->changes[i].key.data,
                           ask->changes[i].key.len)};

        for (size_t k = 0; !ask->changes[i].deletes && k < ask->changes_count;
             k++) {
            CHECK(k == i ||
                  !in_range(&put, ask->changes[k].key, ask->changes[k].end));
        }
        free(put.key);
    }
}

static bool all_guards_hold(struct fake *f, const struct store_ask *ask)
{
    for (size_t i = 0; i < ask->guards_count; i++) {
        if (!guard_holds(f, &ask->guards[i])) {
            return false;
        }
    }
    return true;
}

static void change(struct fake *f, const struct store_change *c)
{
    struct catalog_event e;
    struct fake_row *r;

    if (!c->deletes) {
        r = find_row(f, c->key);
        write_row(f, r, c->value, false);
        r->lease = c->lease;
        e = event_of(f, r);
        publish(f, &e, 1);
        return;
    }
    for (size_t i = 0; i < FAKE_ROWS && f->rows[i].key != NULL; i++) {
        r = &f->rows[i];
        if (r->exists && in_range(r, c->key, c->end)) {
            write_row(f, r, (struct slice){0}, true);
            e = event_of(f, r);
            publish(f, &e, 1);
        }
    }
}

static void store_txn_of(struct fake *f, const struct store_ask *ask,
                         struct store_answer *out)
{
    bool holds = all_guards_hold(f, ask);
    struct store_range *ranges;

    for (size_t i = 0; i < ask->changes_count; i++) {
        if (ask->changes[i].lease != 0 &&
            (ask->changes[i].lease > f->leases ||
             lease_is_gone(f, ask->changes[i].lease))) {
            out->result = STORE_REFUSED;
            out->text = "requested lease not found";
            return;
        }
    }
    if (holds && ask->changes_count > 0) {
        check_overlaps(ask);
        f->revision++;
        for (size_t i = 0; i < ask->changes_count; i++) {
            change(f, &ask->changes[i]);
        }
        return;
    }
    out->result = ask->changes_count > 0 ? STORE_GUARDED : STORE_DONE;
    ranges = arena_zalloc(&out->arena, ask->reads_count, sizeof(*ranges));
    for (size_t i = 0; i < ask->reads_count; i++) {
        ranges[i] = read_range(f, &out->arena, &ask->reads[i]);
    }
    out->ranges = ranges;
    out->ranges_count = ask->reads_count;
}

void fake_lease_end(struct fake *f, int64_t lease)
{
    CHECK(f->leases_gone_count < 64);
    f->leases_gone[f->leases_gone_count++] = lease;
    for (size_t i = 0; i < FAKE_ROWS && f->rows[i].key != NULL; i++) {
        if (f->rows[i].exists && f->rows[i].lease == lease) {
            fake_put(f, f->rows[i].key, NULL);
        }
    }
}

void fake_store(struct fake *f, const struct store_ask *ask,
                struct store_answer *out_answer)
{
    struct store_answer out = {.result = STORE_DONE};

    CHECK(!ask->full);
    if (f->before_ask) {
        f->before_ask(f, ask);
    }
    f->asks++;
    if (f->store_down) {
        out.result = STORE_FAILED;
    } else if (ask->kind == STORE_TXN || ask->kind == STORE_LIST) {
        store_txn_of(f, ask, &out);
    } else if (ask->kind == STORE_GRANT) {
        out.lease = ++f->leases;
        out.ttl_s = ask->ttl_s;
    } else if (ask->kind == STORE_RENEW) {
        out.lease = ask->lease;
        out.ttl_s = lease_is_gone(f, ask->lease) ? 0 : 10;
    } else if (!lease_is_gone(f, ask->lease)) {
        fake_lease_end(f, ask->lease);
    }
    out.revision = f->revision;
    *out_answer = out;
}

uint64_t fake_settle(struct fake *f)
{
    for (;;) {
        struct arena a = {0};
        struct sync_txn txn;
        uint64_t wake_ms;
        enum sync_next next = sync_next(f->sync, f->local, f->catalog,
                                        f->now.now_ms, &a, &txn, &wake_ms);
        enum sync_result result;

        if (next == SYNC_WAIT) {
            arena_release(&a);
            return wake_ms;
        }
        result = fake_txn(f, &txn);
        sync_done(f->sync, result, f->revision, f->now.now_ms);
        arena_release(&a);
    }
}

static struct api_request request_of(const struct fake *f, const char *line,
                                     const char *body)
{
    const char *blank = strchr(line, ' ');
    const char *path = blank + 1;
    const char *query = strchr(path, '?');
    size_t path_len = query == NULL ? strlen(path) : (size_t)(query - path);

    struct api_request r = f->from;

    r.method = slice_of(line, (size_t)(blank - line));
    r.path = slice_of(path, path_len);
    r.query = slice_str(query == NULL ? "" : query + 1);
    r.body = slice_str(body);
    r.arrived_ms = f->now.now_ms;
    return r;
}

struct api_view fake_view(struct fake *f)
{
    static const char *const peers[] = {"127.0.0.1:2380"};
    static const struct member members[] = {
        {.id = 0x8e9e05c5, .name = "m1", .address = "127.0.0.1:2380"},
        {.id = 2, .name = "m2", .address = "10.0.0.2:2379"},
    };
    static const char *const other_peers[] = {"10.2.0.9:2380"};

    if (f->elsewhere != NULL) {
        f->other = (struct api_datacenter){
            .name = catalog_datacenter(f->elsewhere),
            .catalog = f->elsewhere,
            .known_leader = f->elsewhere_away_ms == 0,
            .last_contact_ms = f->elsewhere_away_ms,
            .leader = other_peers[0],
            .round_trip_us = 25000,
            .coords = f->elsewhere_coords,
            .peers = {other_peers, 1},
        };
    }

    return (struct api_view){
        .local = f->local,
        .catalog = f->catalog,
        .now = f->now,
        .strict_default = f->strict,
        .known_leader = f->away_ms == 0,
        .last_contact_ms = f->away_ms,
        .version = "0.1.0",
        .api_level = "1.16.0",
        .leader = "127.0.0.1:2380",
        .peers = {peers, 1},
        .members = members,
        .members_count = 2,
        .acl = f->acl,
        .coords = f->coords,
        .hosts = f->hosts,
        .writers = f->writers,
        .writers_count = f->writers_count,
        .translate_wan = f->translate_wan,
        .datacenters = &f->other,
        .datacenters_count = f->elsewhere != NULL ? 1 : 0,
    };
}

/* A request that has been at the store waits for the replica. */
static bool shows_what_was_written(const struct fake *f,
                                   const struct api_outcome *o)
{
    return o->kind == API_CONFIRM &&
           (f->flow.seen != NULL || f->flow.done != NULL);
}

void fake_ask(struct fake *f, const char *line, const char *body,
              struct api_outcome *out_outcome)
{
    struct api_request request = request_of(f, line, body);
    struct api_view view = fake_view(f);

    arena_reset(&f->arena);
    f->body = body;
    f->flow = (struct api_flow){.woken = f->flow_woken};
    request.flow = &f->flow;
    if (request.random[0] == 0) { /* The test has not chosen. */
        memset(request.random, (int)f->revision, sizeof(request.random));
    }
    request.arrived_ms = f->arrived_ms ? f->arrived_ms : request.arrived_ms;
    api_handle(&request, &view, &f->arena, out_outcome);
    if (out_outcome->kind == API_CONFIRM && f->confirms) {
        api_outcome_release(out_outcome);
        request.confirmed = true;
        api_handle(&request, &view, &f->arena, out_outcome);
    }
    while (out_outcome->kind == API_STORE ||
           shows_what_was_written(f, out_outcome)) {
        struct store_answer answer;

        if (out_outcome->kind == API_CONFIRM) { /* The replica is always new. */
            request.confirmed = true;
            api_outcome_release(out_outcome);
            view = fake_view(f);
            api_handle(&request, &view, &f->arena, out_outcome);
            continue;
        }
        fake_store(f, &out_outcome->ask, &answer);
        if (!api_store_answered(&f->flow, &answer, &f->seen, &f->done,
                                out_outcome)) {
            return;
        }
        api_outcome_release(out_outcome);
        view = fake_view(f);
        api_handle(&request, &view, &f->arena, out_outcome);
    }
    if (out_outcome->kind == API_TXN) {
        enum sync_result result = fake_txn(f, &out_outcome->txn);

        api_txn_done(result, &view, &f->arena, out_outcome);
    }
}

void fake_ask_again(struct fake *f, const char *line,
                    struct api_outcome *waiting)
{
    struct api_request request = request_of(f, line, f->body);
    struct api_view view = fake_view(f);

    request.flow = &f->flow;
    request.arrived_ms = f->arrived_ms ? f->arrived_ms : request.arrived_ms;
    request.seen = waiting->seen;
    api_outcome_release(waiting);
    arena_reset(&f->arena);
    api_handle(&request, &view, &f->arena, waiting);
}

const char *fake_reply(struct fake *f, const char *line, const char *body,
                       int status)
{
    struct api_outcome o;
    const char *text;

    fake_ask(f, line, body, &o);
    ck_assert_msg(o.kind == API_REPLY, "%s: outcome %d", line, (int)o.kind);
    text = arena_strdup(&f->arena, buf_slice(&o.body));
    ck_assert_msg(o.status == status, "%s: %d %s", line, o.status, text);
    api_outcome_release(&o);
    return text;
}
