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
    arena_release(&f->arena);
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
    ck_abort_msg("the fake store is full");
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
    r->value = value.len == 0 ? strdup("")
                              : strndup((const char *)value.data, value.len);
    CHECK(r->value != NULL);
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

static void publish(struct fake *f, const struct catalog_event *events,
                    size_t count)
{
    struct arena a = {0};
    struct catalog_changes changes;
    struct catalog *next =
        catalog_apply(f->catalog, events, count, f->revision, &a, &changes);

    ck_assert_uint_eq(changes.problems_count, 0);
    catalog_unref(f->catalog);
    f->catalog = next;
    arena_release(&a);
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
    ck_assert_uint_le(txn->ops_count, LIMIT_TXN_OPS);
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

struct api_view fake_view(const struct fake *f)
{
    static const char *const peers[] = {"127.0.0.1:2380"};

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
        .acl = f->acl,
        .hosts = f->hosts,
        .writers = f->writers,
        .writers_count = f->writers_count,
    };
}

void fake_ask(struct fake *f, const char *line, const char *body,
              struct api_outcome *out_outcome)
{
    struct api_request request = request_of(f, line, body);
    struct api_view view = fake_view(f);

    arena_reset(&f->arena);
    api_handle(&request, &view, &f->arena, out_outcome);
    if (out_outcome->kind == API_TXN) {
        enum sync_result result = fake_txn(f, &out_outcome->txn);

        api_txn_done(result, &view, &f->arena, out_outcome);
    }
}

void fake_ask_again(struct fake *f, const char *line,
                    struct api_outcome *waiting)
{
    struct api_request request = request_of(f, line, "");
    struct api_view view = fake_view(f);

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
