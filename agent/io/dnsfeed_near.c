/* Where nodes are, for answers in the order of nearness. */

#include "agent/io/dnsfeed_impl.h"
#include "base/core/check.h"

struct placing {
    struct dns_position *items;
    size_t count;
    size_t cap;
    struct arena arena;
};

static float us_of(double seconds)
{
    return (float)(seconds * 1e6);
}

static void place(void *ctx, const char *node, const struct coord *at)
{
    struct placing *p = ctx;
    struct dns_position *to;

    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        struct dns_position *grown =
            arena_alloc(&p->arena, cap * sizeof(*grown));

        if (p->count > 0) {
            memcpy(grown, p->items, p->count * sizeof(*grown));
        }
        p->items = grown;
        p->cap = cap;
    }
    to = &p->items[p->count++];
    *to = (struct dns_position){.node = node, .height_us = us_of(at->height)};
    for (int i = 0; i < DNS_POSITION_DIMS; i++) {
        to->at_us[i] = us_of(at->vec[i]);
    }
}

_Static_assert(DNS_POSITION_DIMS == COORD_DIMS, "coord.h and model.h agree");

void dnsfeed_coords(struct dnsfeed *f, const struct coords *coords)
{
    struct placing p = {0};

    if (f->stopped) {
        return;
    }
    coords_each(coords, place, &p);
    dns_model_set_positions(f->model, p.items, p.count);
    arena_release(&p.arena);
    loop_defer(f->loop, LOOP_WORK, &f->commit);
}
