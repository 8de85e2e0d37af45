/* What time and doubt do to the answers: instances on nodes that a guard holds
 * (somebody asks for them, the sentry knocks, and they are fed again), and
 * those that were healthy a moment ago. */

#include <stdlib.h>

#include "agent/io/dnsfeed_impl.h"
#include "base/core/check.h"

#define LOOK_MS 50

/* ---- Held -------------------------------------------------------------- */

static size_t place_of(const struct dnsfeed *f, const char *name, bool *out_is)
{
    size_t low = 0;
    size_t high = f->held_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(f->held[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *out_is = low < f->held_count && strcmp(f->held[low].name, name) == 0;
    return low;
}

static void on_look(uv_timer_t *timer)
{
    struct dnsfeed *f = timer->data;

    for (size_t i = 0; i < f->held_count; i++) {
        if (dns_model_take_asked(f->model, f->held[i].name)) {
            f->held[i].asked = true;
            f->config.asked(f->config.arg, f->held[i].name);
        }
    }
}

static void held_add(struct dnsfeed *f, size_t place, const char *name)
{
    if (f->held_count == f->held_cap) {
        f->held_cap = f->held_cap == 0 ? 16 : 2 * f->held_cap;
        f->held = realloc(f->held, f->held_cap * sizeof(*f->held));
        CHECK(f->held != NULL);
    }
    memmove(&f->held[place + 1], &f->held[place],
            (f->held_count - place) * sizeof(*f->held));
    f->held[place] = (struct held_service){.name = strdup(name)};
    CHECK(f->held[place].name != NULL);
    f->held_count++;
    if (!f->stopped && !uv_is_active((uv_handle_t *)&f->look)) {
        CHECK(uv_timer_start(&f->look, on_look, LOOK_MS, LOOK_MS) == 0);
    }
}

static void held_remove(struct dnsfeed *f, size_t place)
{
    free(f->held[place].name);
    f->held_count--;
    memmove(&f->held[place], &f->held[place + 1],
            (f->held_count - place) * sizeof(*f->held));
    if (f->held_count == 0) {
        (void)uv_timer_stop(&f->look);
    }
}

void dnsfeed_held_note(struct dnsfeed *f, const char *name, size_t held)
{
    bool is;
    size_t place = place_of(f, name, &is);

    if (held > 0 && !is) {
        held_add(f, place, name);
    } else if (held == 0 && is) {
        held_remove(f, place);
    }
}

void dnsfeed_held_feed(struct dnsfeed *f, enum held_which which)
{
    struct arena arena = {0};
    const char **names = arena_alloc(&arena, f->held_count * sizeof(*names));
    size_t count = 0;

    for (size_t i = 0; i < f->held_count; i++) {
        if (which == HELD_ALL || f->held[i].asked) {
            names[count++] = arena_strdup(&arena, slice_str(f->held[i].name));
        }
    }
    for (size_t i = 0; i < count; i++) {
        dnsfeed_service(f, names[i]);
    }
    arena_release(&arena);
}

void dnsfeed_verdict_changed(struct dnsfeed *f)
{
    dnsfeed_held_feed(f, HELD_ASKED);
}

static void mark_held(struct dnsfeed *f, const struct catalog_node *node,
                      const struct catalog_instance *i,
                      struct dns_instance *out)
{
    enum knock_verdict verdict = f->config.verdict(
        f->config.arg,
        i->record.address[0] != '\0' ? i->record.address : node->record.address,
        i->record.port);

    out->held = true;
    if (out->health == DNS_WARNING && f->config.held_is_passing) {
        out->health = DNS_PASSING;
    }
    if (verdict == KNOCK_SHUT) {
        out->health = DNS_CRITICAL;
    } else if (verdict == KNOCK_SILENT) {
        out->last_resort = true;
    }
}

/* ---- Recently healthy -------------------------------------------------- */

static void on_forget(uv_timer_t *timer);

static void forget_when_due(struct dnsfeed *f)
{
    uint64_t due_ms = recents_due_ms(f->recents);
    uint64_t now_ms = loop_now_ms(f->loop);

    if (due_ms != UINT64_MAX && !f->stopped) {
        CHECK(uv_timer_start(&f->forget, on_forget,
                             due_ms > now_ms ? due_ms - now_ms : 0, 0) == 0);
    }
}

static void on_forget(uv_timer_t *timer)
{
    struct dnsfeed *f = timer->data;
    struct arena arena = {0};
    struct texts names =
        recents_expire(f->recents, loop_now_ms(f->loop), &arena);

    for (size_t i = 0; i < names.count; i++) {
        dnsfeed_service(f, names.items[i]);
    }
    forget_when_due(f);
    arena_release(&arena);
}

void dnsfeed_recent_look(struct dnsfeed *f, const struct catalog *after,
                         const char *name)
{
    if (f->catalog != after) {
        recents_look(f->recents, f->catalog, after, name, loop_now_ms(f->loop));
        if (!uv_is_active((uv_handle_t *)&f->forget)) {
            forget_when_due(f);
        }
    }
}

void dnsfeed_held_mark(struct dnsfeed *f, const struct catalog_node *node,
                       const struct catalog_instance *i,
                       struct dns_instance *out)
{
    if (node && node->held) {
        mark_held(f, node, i, out);
    } else if (out->health == DNS_CRITICAL) {
        out->recent = recents_has(f->recents, i, loop_now_ms(f->loop));
    }
}

/* ---- Start, stop ------------------------------------------------------- */

void dnsfeed_held_init(struct dnsfeed *f)
{
    f->recents = recents_new();
    CHECK(uv_timer_init(loop_uv(f->loop), &f->look) == 0);
    CHECK(uv_timer_init(loop_uv(f->loop), &f->forget) == 0);
    f->look.data = f;
    f->forget.data = f;
}

void dnsfeed_held_stop(struct dnsfeed *f)
{
    (void)uv_timer_stop(&f->look);
    (void)uv_timer_stop(&f->forget);
}

void dnsfeed_held_release(struct dnsfeed *f)
{
    for (size_t i = 0; i < f->held_count; i++) {
        free(f->held[i].name);
    }
    free(f->held);
    recents_free(f->recents);
}
