/* Ranges that requests wait for: one stream of watches beside the catalogue's.
 *
 * Who waits for a range from a revision on joins a group whose watch began no
 * later; of what has happened since then the group knows the last. Watches
 * survive their channel: on the next one they go on behind what was heard last.
 * If the store cannot tell any more (compacted), all are told that something
 * may have changed, and look. */

#include <stdlib.h>

#include "agent/io/link_impl.h"
#include "base/core/check.h"

static void stream_open(struct link *l);

/* ---- Groups ------------------------------------------------------------ */

static void group_free(struct follow_group *g)
{
    free((void *)g->range.key.data);
    free((void *)g->range.end.data);
    free(g);
}

static struct slice slice_copy(struct slice s)
{
    uint8_t *copy = malloc(s.len + 1);

    CHECK(copy != NULL);
    if (s.len > 0) {
        memcpy(copy, s.data, s.len);
    }
    return slice_of(copy, s.len);
}

static struct follow_group *group_new(struct link *l,
                                      const struct store_read *range,
                                      int64_t from)
{
    struct follow_group *g = calloc(1, sizeof(*g));

    CHECK(g != NULL);
    g->range.key = slice_copy(range->key);
    g->range.end = slice_copy(range->end);
    g->from = from;
    g->resume = from;
    g->watch_id = ++l->follows.next_id;
    LIST_INIT(&g->members);
    LIST_INSERT_HEAD(&l->follows.groups, g, next);
    l->follows.count++;
    return g;
}

static struct follow_group *group_find(struct link *l,
                                       const struct store_read *range,
                                       int64_t from)
{
    struct follow_group *g;

    LIST_FOREACH(g, &l->follows.groups, next)
    {
        if (g->from <= from && slice_eq(g->range.key, range->key) &&
            slice_eq(g->range.end, range->end)) {
            return g;
        }
    }
    return NULL;
}

static void group_ask(struct link *l, struct follow_group *g)
{
    if (l->follows.stream && !g->asked) {
        etcd_follow(&l->request, &g->range, g->resume, g->watch_id);
        grpc_stream_send(l->follows.stream, buf_slice(&l->request));
        g->asked = true;
    }
}

static void group_drop_if_empty(struct link *l, struct follow_group *g)
{
    if (!LIST_EMPTY(&g->members)) {
        return;
    }
    if (g->asked && l->follows.stream) {
        etcd_unfollow(&l->request, g->watch_id);
        grpc_stream_send(l->follows.stream, buf_slice(&l->request));
    }
    LIST_REMOVE(g, next);
    l->follows.count--;
    group_free(g);
}

/* ---- Telling ----------------------------------------------------------- */

static void on_hear(struct loop_task *task)
{
    struct link *l =
        (struct link *)(void *)((char *)task - offsetof(struct link, follows) -
                                offsetof(struct link_follows, hear));
    struct link_follow *f;

    while ((f = LIST_FIRST(&l->follows.ready)) != NULL) {
        LIST_REMOVE(f, next);
        f->group = NULL;
        f->from = -1; /* In no list. */
        f->on_change(f->arg);
    }
}

static void member_ready(struct link *l, struct link_follow *f)
{
    if (f->group) {
        LIST_REMOVE(f, next);
        f->group = NULL;
    }
    LIST_INSERT_HEAD(&l->follows.ready, f, next);
    loop_defer(l->loop, LOOP_WORK, &l->follows.hear);
}

/* Something has changed at `revision`; INT64_MAX: nobody can tell. */
static void group_changed(struct link *l, struct follow_group *g,
                          int64_t revision)
{
    struct link_follow *f = LIST_FIRST(&g->members);

    while (f) {
        struct link_follow *after = LIST_NEXT(f, next);

        if (revision >= f->from) {
            member_ready(l, f);
        }
        f = after;
    }
    group_drop_if_empty(l, g);
}

/* ---- The stream -------------------------------------------------------- */

static struct follow_group *group_of(struct link *l, int64_t watch_id)
{
    struct follow_group *g;

    LIST_FOREACH(g, &l->follows.groups, next)
    {
        if (g->watch_id == watch_id) {
            return g;
        }
    }
    return NULL;
}

static void take(struct link *l, const Etcdserverpb__WatchResponse *r)
{
    struct follow_group *g = group_of(l, r->watch_id);

    if (!g) {
        return; /* Nobody waits any more. */
    }
    if (r->canceled) {
        g->asked = false;
        group_changed(l, g, INT64_MAX);
        return;
    }
    for (size_t i = 0; i < r->n_events; i++) {
        if (r->events[i]->kv && r->events[i]->kv->mod_revision > g->last) {
            g->last = r->events[i]->kv->mod_revision;
        }
    }
    if (r->n_events > 0) {
        g->resume = g->last + 1;
        group_changed(l, g, g->last);
    }
}

static void on_message(void *ctx, struct slice message)
{
    struct link *l = ctx;
    struct arena arena = {0};
    Etcdserverpb__WatchResponse *r =
        pb_decode(&arena, &etcdserverpb__watch_response__descriptor, message);

    if (r) {
        take(l, r);
    } else {
        link_drop(l, "a watch response that cannot be read");
    }
    arena_release(&arena);
}

static void on_closed(void *ctx, enum grpc_code code, const char *text)
{
    struct link *l = ctx;
    struct follow_group *g;

    l->follows.stream = NULL;
    LIST_FOREACH(g, &l->follows.groups, next)
    {
        g->asked = false;
    }
    if (link_ready(l) && !l->stopping) {
        link_drop(l, "watch ended: %s (%s)", text, grpc_code_name(code));
    }
}

static void stream_open(struct link *l)
{
    static const struct grpc_metadata has_leader = {"hasleader", "true"};
    struct grpc_stream_hooks hooks = {
        .ctx = l, .on_message = on_message, .on_closed = on_closed};

    l->follows.stream =
        grpc_stream_open(l->channel, ETCD_WATCH, &has_leader, 1, hooks);
}

/* ---- Members ----------------------------------------------------------- */

struct link_follow *link_follow(struct link *l, const struct store_read *range,
                                int64_t from, link_follow_fn *on_change,
                                void *arg)
{
    struct follow_group *g = group_find(l, range, from);
    struct link_follow *f;

    if (!g && l->follows.count >= LIMIT_STORE_FOLLOWS) {
        return NULL;
    }
    f = calloc(1, sizeof(*f));
    CHECK(f != NULL);
    f->link = l;
    f->from = from;
    f->on_change = on_change;
    f->arg = arg;
    if (g && g->last >= from) {
        member_ready(l, f);
        return f;
    }
    g = g ? g : group_new(l, range, from);
    f->group = g;
    LIST_INSERT_HEAD(&g->members, f, next);
    if (link_ready(l) && !l->follows.stream) {
        stream_open(l);
    }
    group_ask(l, g);
    return f;
}

void link_unfollow(struct link_follow *f)
{
    if (f->from >= 0) {
        LIST_REMOVE(f, next);
    }
    if (f->group) {
        group_drop_if_empty(f->link, f->group);
    }
    free(f);
}

/* ---- Of a channel ------------------------------------------------------ */

void link_follows_init(struct link *l)
{
    LIST_INIT(&l->follows.groups);
    LIST_INIT(&l->follows.ready);
    l->follows.hear.run = on_hear;
}

void link_follows_begin(struct link *l)
{
    struct follow_group *g;

    if (LIST_EMPTY(&l->follows.groups)) {
        return;
    }
    stream_open(l);
    LIST_FOREACH(g, &l->follows.groups, next)
    {
        group_ask(l, g);
    }
}

void link_follows_release(struct link *l)
{
    CHECK(LIST_EMPTY(&l->follows.groups));
    CHECK(LIST_EMPTY(&l->follows.ready));
    loop_undefer(l->loop, LOOP_WORK, &l->follows.hear);
}
