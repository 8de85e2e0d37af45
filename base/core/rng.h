/*
 * rng.h - xoshiro256**: quick, seeded, repeatable. Not for secrets.
 *
 * Cores take one as a parameter, so that a seed replays a whole story; shells
 * seed theirs from the kernel.
 */
#pragma once

#include <stdint.h>

struct rng {
    uint64_t state[4];
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);

/* Uniform in 0 .. bound-1; bound must not be 0. */
uint64_t rng_below(struct rng *r, uint64_t bound);
