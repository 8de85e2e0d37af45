#include "agent/core/session.h"

#include "agent/core/fields.h"
#include "base/core/check.h"

#define ID_MAX 64

bool session_id_fits(const char *id)
{
    size_t len = strlen(id);

    for (const char *c = id; *c != '\0'; c++) {
        bool fits = (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') ||
                    (*c >= 'A' && *c <= 'Z') || *c == '-';

        if (!fits) {
            return false;
        }
    }
    return len > 0 && len <= ID_MAX;
}

/* ---- Keys --------------------------------------------------------- */

static struct slice make_key(struct arena *a, const char *dc, const char *kind,
                             const char *id)
{
    struct slice folder = record_folder(a, dc, kind);

    return slice_str(arena_printf(a, "%.*s%s", (int)folder.len,
                                  (const char *)folder.data, id));
}

struct slice session_key(struct arena *a, const char *dc, const char *id)
{
    return make_key(a, dc, "sess", id);
}

struct slice session_alive_key(struct arena *a, const char *dc, const char *id)
{
    return make_key(a, dc, "alive", id);
}

struct slice session_live_key(struct arena *a, const char *dc, const char *node)
{
    struct record_key key = {.kind = RECORD_LIVE, .node = node};

    return record_key_write(a, dc, &key);
}

/* ---- Records ------------------------------------------------------ */

static const char *const behavior_words[] = {"release", "delete", NULL};

#define AT(member) offsetof(struct session, member)

static const struct field session_items[] = {
    {.key = "name", .kind = FIELD_TEXT, .offset = AT(name), .max = 512},
    {.key = "node", .kind = FIELD_TEXT, .offset = AT(node), .max = 512},
    {.key = "behavior",
     .kind = FIELD_WORD,
     .offset = AT(behavior),
     .words = behavior_words},
    {.key = "lock_delay", .kind = FIELD_DURATION, .offset = AT(lock_delay_ms)},
    {.key = "ttl", .kind = FIELD_DURATION, .offset = AT(ttl_ms)},
    {.key = "lease", .kind = FIELD_I64, .offset = AT(lease), .max = INT64_MAX},
    {.key = "serf", .kind = FIELD_BOOL, .offset = AT(serf)},
    {.key = "node_checks",
     .kind = FIELD_TEXTS,
     .offset = AT(node_checks),
     .max = LIMIT_SESSION_CHECKS},
    {.key = "service_checks",
     .kind = FIELD_TEXTS,
     .offset = AT(service_checks),
     .max = LIMIT_SESSION_CHECKS},
    {.key = "live_create",
     .kind = FIELD_I64,
     .offset = AT(live_create),
     .max = INT64_MAX},
    {.key = "ending", .kind = FIELD_BOOL, .offset = AT(ending)},
};

static const struct fields session_fields = {
    .items = session_items,
    .count = sizeof(session_items) / sizeof(session_items[0]),
    .size = sizeof(struct session),
};

struct slice session_write(struct arena *a, const struct session *s)
{
    struct jsonw w;
    struct buf b;
    struct slice copy;

    buf_init(&b, LIMIT_RECORD_BYTES);
    jsonw_init(&w, &b, JSONW_COMPACT);
    fields_write(&session_fields, s, &w);
    CHECK(jsonw_finish(&w) == ST_OK);
    copy = arena_copy(a, buf_slice(&b));
    buf_release(&b);
    return copy;
}

enum status session_read(struct arena *a, const char *dc,
                         const struct store_kv *kv, struct session *out_session,
                         struct err *err)
{
    struct field_reader r = {.arena = a,
                             .text = kv->value,
                             .unknown = FIELD_UNKNOWN_IGNORED,
                             .err = err};
    struct session s = {0};
    struct slice prefix = session_key(a, dc, "");

    CHECK(slice_starts(kv->key, prefix));
    if (fields_parse(&r, &session_fields, LIMIT_RECORD_BYTES, &s)) {
        return ST_CORRUPT;
    }
    s.id = arena_strdup(a, slice_skip(kv->key, prefix.len));
    s.create_index = kv->create_revision;
    s.modify_index = kv->mod_revision;
    *out_session = s;
    return ST_OK;
}

/* ---- Whether it lives --------------------------------------------- */

void session_add_reads(struct store_ask *ask, struct arena *a, const char *dc,
                       const char *id)
{
    store_read_key(ask, session_key(a, dc, id));
    store_read_key(ask, session_alive_key(a, dc, id));
}

void session_add_guards(struct store_ask *ask, struct arena *a, const char *dc,
                        const struct session *s,
                        const struct store_answer *seen)
{
    struct slice none = {0};
    struct slice alive = session_alive_key(a, dc, s->id);
    struct slice live;

    store_guard(ask, STORE_MOD_IS, session_key(a, dc, s->id), none,
                s->modify_index);
    if (s->ttl_ms > 0) {
        store_guard(ask, STORE_MOD_IS, alive, none,
                    store_found(seen, alive)->mod_revision);
    }
    if (s->serf && s->live_create != 0) {
        live = session_live_key(a, dc, s->node);
        store_guard(ask, STORE_CREATE_IS, live, none, s->live_create);
        store_read_key(ask, live); /* So that a failed guard is understood. */
    }
}

struct find_check {
    const struct session *session;
    bool critical;
};

static bool is_in(struct texts texts, const char *id)
{
    for (size_t i = 0; i < texts.count; i++) {
        if (strcmp(texts.items[i], id) == 0) {
            return true;
        }
    }
    return false;
}

static bool look_at_check(void *ctx, const struct catalog_node_check *k)
{
    struct find_check *f = ctx;

    if (k->record.check.status == CHECK_CRITICAL &&
        is_in(f->session->node_checks, k->record.check.id)) {
        f->critical = true;
    }
    return !f->critical;
}

static bool look_at_instance(void *ctx, const struct catalog_instance *i)
{
    struct find_check *f = ctx;

    for (size_t k = 0; k < i->record.checks_count; k++) {
        if (i->record.checks[k].status == CHECK_CRITICAL &&
            is_in(f->session->service_checks, i->record.checks[k].id)) {
            f->critical = true;
        }
    }
    return !f->critical;
}

bool session_is_over(const struct session *s, const struct catalog *catalog)
{
    const struct catalog_node *n = catalog_node(catalog, s->node);
    struct find_check f = {.session = s};

    if (s->serf && s->live_create != 0 &&
        (n == NULL || !n->live || n->live_create_revision != s->live_create)) {
        return true;
    }
    if (s->node_checks.count > 0) {
        catalog_each_node_check(catalog, s->node, look_at_check, &f);
    }
    if (s->service_checks.count > 0) {
        catalog_each_node_instance(catalog, s->node, look_at_instance, &f);
    }
    return f.critical;
}

/* The node's live key, if a failed guard has made us read it. */
static bool node_was_lost(struct arena *a, const char *dc,
                          const struct session *s,
                          const struct store_answer *seen)
{
    struct slice key = session_live_key(a, dc, s->node);
    const struct store_kv *live;

    if (!s->serf || s->live_create == 0 || !store_was_read(seen, key)) {
        return false;
    }
    live = store_found(seen, key);
    return live == NULL || live->create_revision != s->live_create;
}

const char *session_trouble(struct arena *a, const char *dc,
                            const struct catalog *catalog, const char *id,
                            const struct store_answer *seen,
                            struct session *out_session)
{
    const struct store_kv *kv = store_found(seen, session_key(a, dc, id));
    struct session s;
    struct err err;

    if (kv == NULL) {
        return "there is no such session";
    }
    if (session_read(a, dc, kv, &s, &err)) {
        return arena_printf(a, "its record cannot be read: %s", err.text);
    }
    if (s.ending) {
        return "it has ended";
    }
    if (s.ttl_ms > 0 &&
        store_found(seen, session_alive_key(a, dc, id)) == NULL) {
        return "its TTL has passed";
    }
    if (node_was_lost(a, dc, &s, seen)) {
        return "its node was lost";
    }
    if (catalog_revision(catalog) >= s.create_index &&
        session_is_over(&s, catalog)) {
        return "its node was lost, or a check of it is critical";
    }
    *out_session = s;
    return NULL;
}
