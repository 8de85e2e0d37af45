/*
 * The last changes of status of this host's checks: each of them, also those
 * that were gone again before the store heard of them.
 */
#include <stdlib.h>

#include "agent/core/local_model.h"
#include "base/core/check.h"

void local_history_add(struct local *l, const struct chk *c, uint64_t now_ms)
{
    struct transition *t = &l->history[l->transitions % LIMIT_TRANSITIONS];
    arena_release(&t->arena);
    *t = (struct transition){.at_ms = now_ms, .status = c->health.status};
    t->check_id = arena_strdup(&t->arena, slice_str(c->def->id));
    t->service_id = arena_strdup(&t->arena, slice_str(c->def->service_id));
    t->output = arena_strdup(&t->arena, local_transition_output(c));
    l->transitions++;
}

void local_history_release(struct local *l)
{
    for (size_t i = 0; i < LIMIT_TRANSITIONS; i++) {
        arena_release(&l->history[i].arena);
    }
    free(l->history);
}

void local_each_transition(const struct local *l, const char *service_id,
                           struct local_time now, local_transition_fn fn,
                           void *ctx)
{
    size_t known =
        l->transitions < LIMIT_TRANSITIONS ? l->transitions : LIMIT_TRANSITIONS;
    size_t shown = 0;

    for (size_t i = 1; i <= known && shown < LOCAL_HISTORY_MAX; i++) {
        const struct transition *t =
            &l->history[(l->transitions - i) % LIMIT_TRANSITIONS];
        struct local_transition view = {
            .check_id = t->check_id,
            .service_id = t->service_id,
            .status = t->status,
            .output = t->output,
            .wall_ms = now.wall_ms - (int64_t)(now.now_ms - t->at_ms),
        };

        if (service_id == NULL || strcmp(service_id, t->service_id) == 0) {
            shown++;
            if (!fn(ctx, &view)) {
                return;
            }
        }
    }
}
