#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "agent/io/front_impl.h"
#include "agent/io/link.h"
#include "base/core/check.h"

#define PASS_EVERY_MS 50

/* Deadlines are rounded up to this, so that many polls share an alarm. */
#define ALARM_GRAIN_MS 100

struct park_group {
    UT_hash_handle hh;
    const struct link *link;    /* Of the datacenter. */
    struct catalog_scope scope; /* Its name is in `key`. */
    uint64_t index;             /* Of the scope at the last pass. */
    struct pending_list members;
    char key[]; /* A letter for the kind, the datacenter, '/', the name. */
};

/* ---- Groups ------------------------------------------------------------ */

static struct park_group *group_get(struct parking *g, const struct pending *p)
{
    struct catalog_scope scope = p->outcome.scope;
    const char *name = scope.name ? scope.name : "";
    const char *dc = p->outcome.datacenter ? p->outcome.datacenter : "";
    size_t size = strlen(dc) + strlen(name) + 3;
    struct park_group *group = calloc(1, sizeof(*group) + size);
    struct park_group *found;

    CHECK(group != NULL);
    (void)snprintf(group->key, size, "%c%s/%s", 'a' + (int)scope.kind, dc,
                   name);
    HASH_FIND_STR(g->groups, group->key, found);
    if (found) {
        free(group);
        return found;
    }
    group->scope.kind = scope.kind;
    group->scope.name = scope.name ? group->key + strlen(dc) + 2 : NULL;
    group->link = p->store;
    group->index = catalog_index(link_catalog(group->link), group->scope);
    LIST_INIT(&group->members);
    HASH_ADD_STR(g->groups, key, group);
    return group;
}

static void group_drop_if_empty(struct parking *g, struct park_group *group)
{
    if (LIST_EMPTY(&group->members)) {
        HASH_DEL(g->groups, group);
        free(group);
    }
}

/* ---- Deadlines --------------------------------------------------------- */

static void on_alarm(uv_timer_t *timer);

static void alarm_at(struct parking *g, uint64_t deadline_ms)
{
    uint64_t now = loop_now_ms(g->loop);
    uint64_t at =
        (deadline_ms + ALARM_GRAIN_MS - 1) / ALARM_GRAIN_MS * ALARM_GRAIN_MS;

    if (g->closing || (g->alarm_ms != 0 && g->alarm_ms <= at)) {
        return;
    }
    g->alarm_ms = at;
    CHECK(uv_timer_start(&g->alarm, on_alarm, at > now ? at - now : 0, 0) == 0);
}

/* ---- In and out -------------------------------------------------------- */

void parking_enter(struct parking *g, struct pending *p)
{
    CHECK(!p->is_parked);
    p->is_parked = true;
    g->count++;
    if (p->outcome.kind == API_HASH_WAIT) {
        p->group = NULL;
        LIST_INSERT_HEAD(&g->hashes, p, parked);
    } else {
        p->group = group_get(g, p);
        LIST_INSERT_HEAD(&p->group->members, p, parked);
    }
    alarm_at(g, p->outcome.deadline_ms);
}

static void on_followed(void *arg)
{
    struct pending *p = arg;
    struct parking *g = &p->front->parking;

    link_unfollow(p->follow);
    p->follow = NULL;
    p->flow.woken = true;
    LIST_REMOVE(p, parked);
    LIST_INSERT_HEAD(&g->woken, p, parked);
    parking_catalog_changed(g);
}

bool parking_follow(struct parking *g, struct pending *p)
{
    CHECK(!p->is_parked);
    p->follow = link_follow(p->store, &p->outcome.range,
                            (int64_t)p->outcome.index + 1, on_followed, p);
    if (!p->follow) {
        return false;
    }
    p->is_parked = true;
    g->count++;
    LIST_INSERT_HEAD(&g->followers, p, parked);
    alarm_at(g, p->outcome.deadline_ms);
    return true;
}

void parking_leave(struct parking *g, struct pending *p)
{
    if (!p->is_parked) {
        return;
    }
    p->is_parked = false;
    g->count--;
    LIST_REMOVE(p, parked);
    if (p->follow) {
        link_unfollow(p->follow);
        p->follow = NULL;
    }
    if (p->group) {
        group_drop_if_empty(g, p->group);
        p->group = NULL;
    }
}

/* ---- Waking ------------------------------------------------------------ */

static void move_to(struct parking *g, struct pending *p,
                    struct pending_list *ready)
{
    parking_leave(g, p);
    p->is_parked = true; /* So that it leaves `ready` if its client goes. */
    g->count++;
    LIST_INSERT_HEAD(ready, p, parked);
}

/* Each of them either gets its reply or is parked again. */
static void ask_all(struct parking *g, struct pending_list *ready)
{
    while (!LIST_EMPTY(ready)) {
        struct pending *p = LIST_FIRST(ready);

        parking_leave(g, p);
        pending_ask_again(p);
    }
}

static void group_look(struct parking *g, struct park_group *group,
                       struct pending_list *ready)
{
    const struct catalog *catalog = link_catalog(group->link);
    uint64_t index = catalog_index(catalog, group->scope);
    struct pending *p = LIST_FIRST(&group->members);

    if (index == group->index) {
        return;
    }
    group->index = index;
    while (p) {
        struct pending *after = LIST_NEXT(p, parked);

        if (api_should_wake(&p->outcome, catalog)) {
            move_to(g, p, ready); /* The group may be gone with the last. */
        }
        p = after;
    }
}

static void on_pass(struct loop_task *task)
{
    struct parking *g =
        (struct parking *)(void *)((char *)task -
                                   offsetof(struct parking, pass));
    struct pending_list ready = LIST_HEAD_INITIALIZER(ready);
    struct park_group *group;
    struct park_group *after;
    struct pending *p;

    g->passed_ms = loop_now_ms(g->loop);
    HASH_ITER(hh, g->groups, group, after)
    {
        group_look(g, group, &ready);
    }
    if (g->local_changed) {
        g->local_changed = false;
        while ((p = LIST_FIRST(&g->hashes)) != NULL) {
            move_to(g, p, &ready);
        }
    }
    while ((p = LIST_FIRST(&g->woken)) != NULL) {
        move_to(g, p, &ready);
    }
    ask_all(g, &ready);
}

static void on_pause_over(uv_timer_t *timer)
{
    struct parking *g = timer->data;

    loop_defer(g->loop, LOOP_WORK, &g->pass);
}

void parking_catalog_changed(struct parking *g)
{
    uint64_t now = loop_now_ms(g->loop);

    if (g->closing || g->count == 0 || uv_is_active((uv_handle_t *)&g->pause)) {
        return;
    }
    if (now - g->passed_ms >= PASS_EVERY_MS) {
        loop_defer(g->loop, LOOP_WORK, &g->pass);
        return;
    }
    CHECK(uv_timer_start(&g->pause, on_pause_over,
                         PASS_EVERY_MS - (now - g->passed_ms), 0) == 0);
}

void parking_local_changed(struct parking *g)
{
    if (!LIST_EMPTY(&g->hashes)) {
        g->local_changed = true;
        parking_catalog_changed(g);
    }
}

/* ---- The alarm --------------------------------------------------------- */

static void collect_due(struct parking *g, struct pending_list *from,
                        uint64_t now, struct pending_list *ready)
{
    struct pending *p = LIST_FIRST(from);

    while (p) {
        struct pending *after = LIST_NEXT(p, parked);

        if (p->outcome.deadline_ms <= now) {
            move_to(g, p, ready);
        } else {
            alarm_at(g, p->outcome.deadline_ms);
        }
        p = after;
    }
}

static void on_alarm(uv_timer_t *timer)
{
    struct parking *g = timer->data;
    uint64_t now = loop_now_ms(g->loop);
    struct pending_list ready = LIST_HEAD_INITIALIZER(ready);
    struct park_group *group;
    struct park_group *after;

    g->alarm_ms = 0;
    HASH_ITER(hh, g->groups, group, after)
    {
        collect_due(g, &group->members, now, &ready);
    }
    collect_due(g, &g->hashes, now, &ready);
    collect_due(g, &g->followers, now, &ready);
    ask_all(g, &ready);
}

/* ---- Start, end -------------------------------------------------------- */

void parking_answer_all(struct parking *g)
{
    struct pending_list ready = LIST_HEAD_INITIALIZER(ready);
    struct park_group *group;
    struct park_group *after;

    HASH_ITER(hh, g->groups, group, after)
    {
        collect_due(g, &group->members, UINT64_MAX, &ready);
    }
    collect_due(g, &g->hashes, UINT64_MAX, &ready);
    collect_due(g, &g->followers, UINT64_MAX, &ready);
    collect_due(g, &g->woken, UINT64_MAX, &ready);
    ask_all(g, &ready);
}

void parking_init(struct parking *g, struct loop *loop)
{
    *g = (struct parking){.loop = loop, .open = 2};
    LIST_INIT(&g->hashes);
    LIST_INIT(&g->followers);
    LIST_INIT(&g->woken);
    g->pass.run = on_pass;
    CHECK(uv_timer_init(loop_uv(loop), &g->pause) == 0);
    CHECK(uv_timer_init(loop_uv(loop), &g->alarm) == 0);
    g->pause.data = g;
    g->alarm.data = g;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct parking *g = handle->data;

    if (--g->open == 0) {
        g->on_closed(g->arg);
    }
}

void parking_close(struct parking *g, void (*on_closed)(void *arg), void *arg)
{
    g->closing = true;
    g->on_closed = on_closed;
    g->arg = arg;
    loop_undefer(g->loop, LOOP_WORK, &g->pass);
    uv_close((uv_handle_t *)&g->pause, on_timer_closed);
    uv_close((uv_handle_t *)&g->alarm, on_timer_closed);
}
