/* The way in: a paged read at one revision, then a watch from the next.
 *
 *   resume   the catalogue is at revision r of the same store: watch from r+1.
 *            "compacted" or a store that is behind r means: list.
 *   list     pages at the first page's revision, collected aside, replace the
 *            catalogue at once; then watch from that revision + 1.
 *
 * Watch responses are collected during a turn and applied together, so a burst
 * costs one snapshot. */

#include <stdlib.h>

#include "agent/io/link_impl.h"
#include "base/core/check.h"
#include "base/core/log.h"

/* ---- Collecting events ----------------------------------------------------
 */

static void events_release(struct link_events *e)
{
    arena_release(&e->arena);
    free(e->items);
    *e = (struct link_events){0};
}

static void events_add(struct link_events *e, const struct catalog_event *event)
{
    struct catalog_event *copy;

    if (e->count == e->cap) {
        e->cap = e->cap ? e->cap * 2 : 64;
        e->items = realloc(e->items, e->cap * sizeof(*e->items));
        CHECK(e->items != NULL);
    }
    copy = &e->items[e->count++];
    *copy = *event;
    copy->key = arena_copy(&e->arena, event->key);
    copy->value = arena_copy(&e->arena, event->value);
}

static struct catalog_event event_of(const Mvccpb__KeyValue *kv, bool deleted)
{
    return (struct catalog_event){
        .key = slice_of(kv->key.data, kv->key.len),
        .value = slice_of(kv->value.data, kv->value.len),
        .deleted = deleted,
        .create_revision = kv->create_revision,
        .mod_revision = kv->mod_revision,
    };
}

/* ---- Applying ---------------------------------------------------------------
 */

/* How many keys the store has more after these events. A creation is a put
 * whose key was made by it. */
static long keys_gained(const struct link_events *e)
{
    long gained = 0;

    for (size_t i = 0; i < e->count; i++) {
        const struct catalog_event *event = &e->items[i];

        if (event->deleted) {
            gained--;
        } else if (event->create_revision == event->mod_revision) {
            gained++;
        }
    }
    return gained;
}

static void apply_fresh(struct link *l)
{
    struct link_events *e = &l->watch.fresh;
    struct arena arena = {0};
    struct catalog_changes changes = {0};
    struct link_update update = {.events = e->items,
                                 .events_count = e->count,
                                 .revision = l->watch.fresh_revision,
                                 .cluster_id = l->cluster_id,
                                 .changes = &changes};
    struct catalog *next;

    if (l->watch.fresh_revision == 0) {
        return;
    }
    next = catalog_apply(l->catalog, e->items, e->count,
                         l->watch.fresh_revision, &arena, &changes);
    l->keys_count = (size_t)((long)l->keys_count + keys_gained(e));
    l->stats.events += e->count;
    l->watch.fresh_revision = 0;
    link_adopt_catalog(l, next, &update);
    events_release(e);
    arena_release(&arena);
}

static void on_apply(struct loop_task *task)
{
    struct link *l =
        (struct link *)(void *)((char *)task - offsetof(struct link, watch) -
                                offsetof(struct link_watch, apply));

    apply_fresh(l);
}

static void apply_list(struct link *l)
{
    struct link_events *e = &l->watch.page_events;
    struct arena arena = {0};
    struct catalog_changes changes = {0};
    struct link_update update = {
        .full = true,
        .replaced = l->watch.list_replaced ||
                    (catalog_revision(l->catalog) > l->watch.list_revision),
        .events = e->items,
        .events_count = e->count,
        .revision = l->watch.list_revision,
        .cluster_id = l->cluster_id,
        .changes = &changes};
    struct catalog *next =
        catalog_replace(l->catalog, e->items, e->count, l->watch.list_revision,
                        &arena, &changes);

    l->keys_count = e->count;
    l->watch.relist = false;
    l->watch.list_revision = 0;
    link_adopt_catalog(l, next, &update);
    events_release(e);
    arena_release(&arena);
}

/* ---- Watching ---------------------------------------------------------- */

static void list_begin(struct link *l);
static void watch_open(struct link *l);

/* The store cannot give what comes after our revision: read all again. */
static void watch_restart(struct link *l, const char *why)
{
    log_info("agent", "%s: %s, reading the whole catalogue again", l->title,
             why);
    l->watch.relist = true;
    if (l->watch.stream) {
        grpc_stream_cancel(l->watch.stream); /* Goes on in its on_closed. */
    } else {
        list_begin(l);
    }
}

static void watch_take(struct link *l, const Etcdserverpb__WatchResponse *r)
{
    for (size_t i = 0; i < r->n_events; i++) {
        const Mvccpb__Event *event = r->events[i];
        struct catalog_event copy;

        if (!event->kv) {
            continue;
        }
        copy = event_of(event->kv,
                        event->type == MVCCPB__EVENT__EVENT_TYPE__DELETE);
        events_add(&l->watch.fresh, &copy);
        /* Not the header's: in a catch-up response that is the store's, which
         * may be ahead of events still to come. */
        l->watch.fresh_revision = copy.mod_revision;
    }
    if (r->n_events == 0 && r->header &&
        r->header->revision > l->watch.fresh_revision &&
        r->header->revision > catalog_revision(l->catalog)) {
        l->watch.fresh_revision = r->header->revision; /* Progress. */
    }
    loop_defer(l->loop, LOOP_WORK, &l->watch.apply);
}

static void watch_is_current(struct link *l)
{
    link_set_current(l, true);
    link_maybe_healthy(l);
    link_poke(l);
}

static void on_store_revision(void *ctx, enum grpc_code code, const char *text,
                              struct slice reply)
{
    struct link *l = ctx;
    struct arena arena = {0};
    const Etcdserverpb__RangeResponse *r = NULL;

    l->watch.list = NULL;
    if (!link_ready(l)) {
        return;
    }
    if (l->watch.relist) { /* It has come to that meanwhile. */
        if (!l->watch.stream) {
            list_begin(l);
        }
        return;
    }
    if (code == GRPC_OK) {
        r = pb_decode(&arena, &etcdserverpb__range_response__descriptor, reply);
    }
    if (!r || !r->header) {
        link_drop(l, "revision: %s (%s)", text, grpc_code_name(code));
    } else if (r->header->revision < l->watch.asked_revision) {
        watch_restart(l, "it is behind what we have seen");
    } else {
        watch_is_current(l);
    }
    arena_release(&arena);
}

/* A member that is behind what we have seen is only slow, or the store was
 * restored from a copy. A linearizable read knows: the store as a whole is
 * where the majority is. The watch itself begins behind our revision and can
 * wait for it. */
static void watch_created(struct link *l, const Etcdserverpb__WatchResponse *r)
{
    l->watch.created = true;
    if (!r->header || r->header->revision >= catalog_revision(l->catalog)) {
        watch_is_current(l);
        return;
    }
    l->watch.asked_revision = catalog_revision(l->catalog);
    etcd_newest(&l->request, l->range);
    l->watch.list = grpc_unary(l->channel, ETCD_RANGE, buf_slice(&l->request),
                               LINK_CALL_MS, on_store_revision, l);
}

static void on_watch_message(void *ctx, struct slice message)
{
    struct link *l = ctx;
    struct arena arena = {0};
    Etcdserverpb__WatchResponse *r =
        pb_decode(&arena, &etcdserverpb__watch_response__descriptor, message);

    if (!r) {
        link_drop(l, "a watch response that cannot be read");
    } else if (r->header && l->cluster_id != 0 &&
               r->header->cluster_id != l->cluster_id) {
        watch_restart(l, "it is another cluster");
    } else if (r->canceled && r->compact_revision > 0) {
        watch_restart(l, "our revision has been compacted");
    } else if (r->canceled) {
        link_drop(l, "watch refused: %s", r->cancel_reason);
    } else if (r->created) {
        watch_created(l, r);
    } else if (l->watch.created && !l->watch.relist) {
        watch_take(l, r);
    }
    arena_release(&arena);
}

static void on_watch_closed(void *ctx, enum grpc_code code, const char *text)
{
    struct link *l = ctx;

    l->watch.stream = NULL;
    l->watch.created = false;
    link_set_current(l, false);
    if (!link_ready(l)) {
        return;
    }
    if (l->watch.relist && l->watch.list) {
        grpc_stream_cancel(l->watch.list); /* Goes on in its end. */
    } else if (l->watch.relist) {
        list_begin(l);
    } else {
        link_drop(l, "watch ended: %s (%s)", text, grpc_code_name(code));
    }
}

static void watch_open(struct link *l)
{
    /* A member that has lost its leader must say so, not fall silent. */
    static const struct grpc_metadata has_leader = {"hasleader", "true"};
    struct grpc_stream_hooks hooks = {
        .ctx = l, .on_message = on_watch_message, .on_closed = on_watch_closed};

    CHECK(!l->watch.stream);
    l->watch.asked_ms = loop_now_ms(l->loop);
    link_sweep_soon(l);
    l->watch.stream =
        grpc_stream_open(l->channel, ETCD_WATCH, &has_leader, 1, hooks);
    etcd_watch(&l->request, l->range, catalog_revision(l->catalog) + 1);
    grpc_stream_send(l->watch.stream, buf_slice(&l->request));
}

/* ---- Listing ----------------------------------------------------------- */

static void page_ask(struct link *l, struct slice from);

static void page_take(struct link *l, const Etcdserverpb__RangeResponse *r)
{
    struct link_events *e = &l->watch.page_events;
    struct buf after;

    if (l->watch.list_revision == 0) {
        l->watch.list_revision = r->header->revision;
        l->watch.list_replaced =
            l->cluster_id != 0 && l->cluster_id != r->header->cluster_id;
        l->cluster_id = r->header->cluster_id;
    }
    for (size_t i = 0; i < r->n_kvs; i++) {
        struct catalog_event event = event_of(r->kvs[i], false);

        events_add(e, &event);
    }
    if (!r->more || r->n_kvs == 0) {
        apply_list(l);
        watch_open(l);
        return;
    }
    /* From just behind the last key. */
    buf_init(&after, e->items[e->count - 1].key.len + 1);
    CHECK(buf_add(&after, e->items[e->count - 1].key) == ST_OK);
    CHECK(buf_add_u8(&after, 0) == ST_OK);
    page_ask(l, buf_slice(&after));
    buf_release(&after);
}

static void on_page(void *ctx, enum grpc_code code, const char *text,
                    struct slice reply)
{
    struct link *l = ctx;
    struct arena arena = {0};
    Etcdserverpb__RangeResponse *r;

    l->watch.list = NULL;
    if (!link_ready(l)) {
        return;
    }
    if (code == GRPC_OUT_OF_RANGE) {
        /* Compacted between two pages. */
        list_begin(l);
        return;
    }
    if (code != GRPC_OK) {
        link_drop(l, "read: %s (%s)", text, grpc_code_name(code));
        return;
    }
    r = pb_decode(&arena, &etcdserverpb__range_response__descriptor, reply);
    if (r && r->header) {
        page_take(l, r);
    } else {
        link_drop(l, "an answer that cannot be read");
    }
    arena_release(&arena);
}

static void page_ask(struct link *l, struct slice from)
{
    etcd_page(&l->request, from, l->range.end, LIMIT_STORE_PAGE,
              l->watch.list_revision);
    l->watch.list = grpc_unary(l->channel, ETCD_RANGE, buf_slice(&l->request),
                               LINK_CALL_MS, on_page, l);
}

static void list_begin(struct link *l)
{
    CHECK(!l->watch.list);
    events_release(&l->watch.page_events);
    l->watch.list_revision = 0;
    l->stats.lists++;
    page_ask(l, l->range.begin);
}

/* ---- Of a channel ------------------------------------------------------ */

/* A member that answers PINGs but not us is of no use. */
bool link_watch_sweep(struct link *l, uint64_t now_ms)
{
    bool waits = link_ready(l) && l->watch.stream && !l->watch.created;

    if (waits && now_ms - l->watch.asked_ms >= LINK_CALL_MS) {
        link_drop(l, "no answer to a watch");
        return false;
    }
    return waits;
}

void link_watch_init(struct link *l)
{
    l->watch.apply.run = on_apply;
}

void link_watch_begin(struct link *l)
{
    if (catalog_revision(l->catalog) == 0 || l->watch.relist) {
        list_begin(l);
    } else {
        watch_open(l);
    }
}

void link_watch_end(struct link *l)
{
    /* What has arrived is good; the watch resumes behind it. */
    loop_undefer(l->loop, LOOP_WORK, &l->watch.apply);
    apply_fresh(l);
    link_set_current(l, false);
}

void link_watch_release(struct link *l)
{
    events_release(&l->watch.fresh);
    events_release(&l->watch.page_events);
}

void link_relist(struct link *l)
{
    if (l->watch.stream && !l->watch.relist) {
        watch_restart(l, "the replica has to be written anew");
    } else {
        l->watch.relist = true;
    }
}
