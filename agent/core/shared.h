/*
 * shared.h - an object that is freed when the last holder lets go.
 *
 * Counting is atomic: snapshots that share objects may be held and dropped on
 * different threads. What is shared is not changed any more.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct shared {
    atomic_uint refs;
    void (*free)(struct shared *s);
};

/* One reference, the caller's. */
void shared_init(struct shared *s, void (*on_free)(struct shared *s));
struct shared *shared_ref(struct shared *s);
void shared_unref(struct shared *s); /* NULL is fine. */

/* Nobody else holds it, so the holder may still change it. */
bool shared_is_sole(const struct shared *s);
