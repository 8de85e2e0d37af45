/*
 * arena.h - memory that lives and dies together.
 *
 * Whatever belongs to one request is taken from its arena and released with
 * it in one call. Sizes that come from outside are compared with limits.h
 * before they get here; the arena itself aborts when memory is gone.
 */
#pragma once

#include <stddef.h>

#include "base/core/bytes.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* Newest first. */
    size_t used;                /* Bytes of the newest block in use, */
    size_t text;                /* and at its end, where strings lie. */
};

/* A zeroed struct arena is an empty arena: `struct arena a = {0};` */
void arena_release(struct arena *a); /* Safe on a zeroed or released arena. */

/* Like release, but keeps one block for the next round. */
void arena_reset(struct arena *a);

/* Make the next block `bytes` long, so that an arena which stays small and
 * lives long holds little more than it needs: what does not fit gets a block
 * of twice that, not a whole standard one. */
void arena_reserve(struct arena *a, size_t bytes);

/* `size` bytes, aligned for any type, not cleared. Never NULL. */
void *arena_alloc(struct arena *a, size_t size);

/* The same, cleared; count * size is checked for overflow. */
void *arena_zalloc(struct arena *a, size_t count, size_t size);

/* Copies, not aligned. The string gets a NUL behind it. */
struct slice arena_copy(struct arena *a, struct slice bytes);
char *arena_strdup(struct arena *a, struct slice text);
char *arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
