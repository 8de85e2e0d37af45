#include "agent/core/shared.h"

#include <stddef.h>

#include "base/core/check.h"

void shared_init(struct shared *s, void (*on_free)(struct shared *s))
{
    atomic_init(&s->refs, 1);
    s->free = on_free;
}

struct shared *shared_ref(struct shared *s)
{
    unsigned before =
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);

    CHECK(before > 0);
    return s;
}

void shared_unref(struct shared *s)
{
    unsigned before;

    if (s == NULL) {
        return;
    }
    before = atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before == 1) {
        s->free(s);
    }
}

bool shared_is_sole(const struct shared *s)
{
    return atomic_load_explicit(&s->refs, memory_order_acquire) == 1;
}
