#include "agent/core/follow.h"

#include <stdlib.h>

#include "agent/core/api_model.h"
#include "base/core/check.h"

struct follow {
    struct arena arena; /* Of what is wanted. */
    struct api_follow wanted;
    struct catalog *told;   /* What the client knows. */
    struct catalog *target; /* What it is being told; NULL: nothing new. */
    struct arena pass;      /* Of the names. */
    struct texts names;     /* Services that differ, in order. */
    size_t next;            /* The first of them that is not told. */
    bool began;
    bool full;      /* Nothing was known to the client before. */
    bool sync_owed; /* At the end of this pass. */
    bool stale;     /* The client was told so. */
};

struct follow *follow_new(const struct api_follow *wanted)
{
    struct follow *f = calloc(1, sizeof(*f));
    const char **services;

    CHECK(f != NULL);
    services =
        arena_zalloc(&f->arena, wanted->services.count + 1, sizeof(*services));
    for (size_t i = 0; i < wanted->services.count; i++) {
        services[i] =
            arena_strdup(&f->arena, slice_str(wanted->services.items[i]));
    }
    f->wanted = (struct api_follow){
        .services = {services, wanted->services.count},
        .prefix = wanted->prefix == NULL
                      ? NULL
                      : arena_strdup(&f->arena, slice_str(wanted->prefix)),
        .index = wanted->index,
    };
    return f;
}

void follow_free(struct follow *f)
{
    if (f == NULL) {
        return;
    }
    catalog_unref(f->told);
    catalog_unref(f->target);
    arena_release(&f->pass);
    arena_release(&f->arena);
    free(f);
}

void follow_behind(struct follow *f)
{
    f->sync_owed = true;
}

/* ---- Which services differ ------------------------------------------ */

static bool is_wanted(const struct follow *f, const char *name)
{
    if (f->wanted.prefix != NULL &&
        strncmp(name, f->wanted.prefix, strlen(f->wanted.prefix)) == 0) {
        return true;
    }
    for (size_t i = 0; i < f->wanted.services.count; i++) {
        if (strcmp(f->wanted.services.items[i], name) == 0) {
            return true;
        }
    }
    return f->wanted.prefix == NULL && f->wanted.services.count == 0;
}

static uint64_t index_of(const struct catalog *c, const char *name)
{
    return catalog_index(
        c, (struct catalog_scope){.kind = SCOPE_SERVICE, .name = name});
}

struct names {
    struct follow *f;
    const struct catalog *other; /* Names that it has too are not taken. */
    const char **items;
    size_t count;
};

static bool differs(const struct follow *f, const char *name)
{
    bool before = catalog_service(f->told, name) != NULL;
    bool after = catalog_service(f->target, name) != NULL;

    return before != after ||
           index_of(f->told, name) != index_of(f->target, name);
}

static bool take_name(void *ctx, const struct catalog_service *s)
{
    struct names *n = ctx;
    const char *name = catalog_service_name(s);

    if ((n->other == NULL || catalog_service(n->other, name) == NULL) &&
        is_wanted(n->f, name) && differs(n->f, name)) {
        n->items[n->count++] = arena_strdup(&n->f->pass, slice_str(name));
    }
    return true;
}

/* Both snapshots' names: what is gone is in the old one only. */
static void gather_names(struct follow *f)
{
    struct names n = {.f = f};
    size_t most =
        catalog_services_count(f->told) + catalog_services_count(f->target);

    n.items = arena_zalloc(&f->pass, most + 1, sizeof(*n.items));
    catalog_each_service(f->target, take_name, &n);
    n.other = f->target;
    catalog_each_service(f->told, take_name, &n);
    f->names = (struct texts){n.items, n.count};
    f->next = 0;
}

/* ---- Lines ----------------------------------------------------------- */

struct line {
    struct api_call call; /* Writes through `json`. */
    struct api_outcome outcome;
    struct api_view view;
};

static void line_init(struct line *l, const struct api_view *view,
                      const struct catalog *catalog, struct arena *arena)
{
    *l = (struct line){.view = *view};
    l->view.catalog = catalog;
    /* What may be told was asked when the stream began. */
    l->call = (struct api_call){.view = &l->view,
                                .arena = arena,
                                .outcome = &l->outcome,
                                .auth = acl_auth_all};
}

static void begin(struct jsonw *w, struct buf *out, const char *op,
                  uint64_t index)
{
    jsonw_init(w, out, JSONW_COMPACT);
    jsonw_object(w);
    jsonw_key_text(w, "op", op);
    jsonw_key_uint(w, "index", index);
}

static bool end(struct jsonw *w, struct buf *out)
{
    jsonw_object_end(w);
    return jsonw_finish(w) == ST_OK && buf_add_u8(out, '\n') == ST_OK;
}

static void name_instance(struct jsonw *w, const struct catalog_instance *i)
{
    jsonw_key_text(w, "service", i->record.service);
    jsonw_key_text(w, "node", i->record.node);
    jsonw_key_text(w, "id", i->record.id);
}

/* "status" and "entry", as of the line's snapshot. */
static void write_entry(struct line *l, const struct catalog_node *node,
                        const struct catalog_instance *i)
{
    struct jsonw *w = &l->call.json;

    jsonw_key_text(
        w, "status",
        health_sum_text(catalog_instance_health(l->view.catalog, i)));
    jsonw_key(w, "entry");
    jsonw_object(w);
    jsonw_key(w, "Node");
    api_write_node(&l->call, node);
    jsonw_key(w, "Service");
    api_write_service(&l->call, i);
    jsonw_key(w, "Checks");
    api_write_checks(&l->call, node, i);
    jsonw_object_end(w);
}

/* A whole "put" line; what comes before "status" is the same for both
 * snapshots, so two lines can be compared. */
static bool write_put(struct line *l, struct buf *out, uint64_t index,
                      const struct catalog_instance *i)
{
    const struct catalog_node *node = api_node_of(&l->call, i);

    begin(&l->call.json, out, "put", index);
    name_instance(&l->call.json, i);
    write_entry(l, node, i);
    return end(&l->call.json, out);
}

static bool write_del(struct buf *out, uint64_t index,
                      const struct catalog_instance *i)
{
    struct jsonw w;

    begin(&w, out, "del", index);
    name_instance(&w, i);
    return end(&w, out);
}

/* ---- One service ----------------------------------------------------- */

struct instances {
    struct api_call *call;
    const struct catalog_instance **items;
    size_t count;
};

/* Instances of nodes without a record are not shown anywhere. */
static bool take_instance(void *ctx, const struct catalog_instance *i)
{
    struct instances *list = ctx;

    if (api_node_of(list->call, i) != NULL) {
        list->items[list->count++] = i;
    }
    return true;
}

static struct instances instances_of(struct line *l, const char *name,
                                     struct arena *arena)
{
    const struct catalog_service *s = catalog_service(l->view.catalog, name);
    struct instances list = {.call = &l->call};

    if (s != NULL) {
        list.items =
            arena_zalloc(arena, catalog_service_size(s), sizeof(*list.items));
        catalog_each_instance(s, take_instance, &list);
    }
    return list;
}

static int compare(const struct catalog_instance *a,
                   const struct catalog_instance *b)
{
    int order = strcmp(a->record.node, b->record.node);

    return order != 0 ? order : strcmp(a->record.id, b->record.id);
}

/* Both have it: a line if it looks another way now. */
static bool tell_both(struct line *before, struct line *after, struct buf *out,
                      uint64_t index, const struct catalog_instance *old,
                      const struct catalog_instance *now)
{
    size_t start = out->len;
    struct buf was;
    bool fits;

    buf_init(&was, out->limit);
    fits = write_put(before, &was, index, old) &&
           write_put(after, out, index, now);
    if (fits && slice_eq(buf_slice(&was), slice_skip(buf_slice(out), start))) {
        out->len = start;
    }
    buf_release(&was);
    return fits;
}

static bool tell_service(struct line *before, struct line *after,
                         const char *name, struct buf *out, struct arena *arena)
{
    struct instances old = instances_of(before, name, arena);
    struct instances now = instances_of(after, name, arena);
    uint64_t index = index_of(after->view.catalog, name);
    bool fits = true;
    size_t i = 0;
    size_t k = 0;

    while (fits && (i < old.count || k < now.count)) {
        int order = i == old.count   ? 1
                    : k == now.count ? -1
                                     : compare(old.items[i], now.items[k]);

        if (order < 0) {
            fits = write_del(out, index, old.items[i++]);
        } else if (order > 0) {
            fits = write_put(after, out, index, now.items[k++]);
        } else {
            fits = tell_both(before, after, out, index, old.items[i++],
                             now.items[k++]);
        }
    }
    return fits;
}

/* ---- Passes ---------------------------------------------------------- */

/* What the client has shown to know: all services are as they were then. */
static bool knows_all(const struct follow *f, const struct catalog *catalog)
{
    struct catalog_scope all = {.kind = SCOPE_ALL};
    uint64_t index = f->wanted.index;

    if (index == 0 || index > (uint64_t)catalog_revision(catalog)) {
        return false;
    }
    if (f->wanted.services.count == 0 || f->wanted.prefix != NULL) {
        return catalog_index(catalog, all) <= index;
    }
    for (size_t i = 0; i < f->wanted.services.count; i++) {
        if (index_of(catalog, f->wanted.services.items[i]) > index) {
            return false;
        }
    }
    return true;
}

static void start(struct follow *f, const struct catalog *catalog)
{
    f->began = true;
    f->sync_owed = true;
    f->full = !knows_all(f, catalog);
    f->told = f->full ? catalog_new(catalog_datacenter(catalog))
                      : catalog_ref(catalog);
}

/* The store is back: the client is told that it is up to date again. */
static void see_contact(struct follow *f, const struct api_view *view)
{
    if (f->stale && view->known_leader) {
        f->stale = false;
        f->sync_owed = true;
    }
}

static bool tell_lost(struct follow *f, const struct api_view *view,
                      struct buf *out)
{
    struct jsonw w;

    if (f->stale || view->known_leader) {
        return true;
    }
    f->stale = true;
    begin(&w, out, "stale", (uint64_t)catalog_revision(f->told));
    return end(&w, out);
}

static bool finish(struct follow *f, struct buf *out)
{
    uint64_t revision;
    struct jsonw w;

    catalog_unref(f->told);
    f->told = f->target;
    f->target = NULL;
    arena_reset(&f->pass);
    if (!f->sync_owed) {
        return true;
    }
    f->sync_owed = false;
    revision = (uint64_t)catalog_revision(f->told);
    begin(&w, out, "sync", revision == 0 ? 1 : revision);
    jsonw_key_bool(&w, "full", f->full);
    f->full = false;
    return end(&w, out);
}

enum follow_step follow_next(struct follow *f, const struct api_view *view,
                             size_t room, struct buf *out)
{
    struct arena arena = {0};
    struct line before;
    struct line after;
    bool fits = true;

    if (!f->began) {
        start(f, view->catalog);
    }
    if (f->target == NULL) {
        f->target = catalog_ref(view->catalog);
        gather_names(f);
    }
    line_init(&before, view, f->told, &arena);
    line_init(&after, view, f->target, &arena);
    while (fits && f->next < f->names.count && out->len < room) {
        fits = tell_service(&before, &after, f->names.items[f->next++], out,
                            &arena);
        arena_reset(&arena);
    }
    arena_release(&arena);
    if (fits && f->next < f->names.count) {
        return FOLLOW_MORE;
    }
    see_contact(f, view);
    fits = fits && finish(f, out) && tell_lost(f, view, out);
    return fits ? FOLLOW_DONE : FOLLOW_FULL;
}
