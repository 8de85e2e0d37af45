/*
 * row.h - arrays that grow, in one place.
 *
 *     struct tags { uint64_t *list; size_t count; size_t cap; };
 *
 *     t->list = row_room(t->list, &t->cap, t->count, sizeof(t->list[0]));
 *     t->list[t->count++] = tag;
 */
#pragma once

#include <stddef.h>

/* Room for one element more than `count`: the array itself, or a larger one in
 * its place. Aborts when memory is gone. */
void *row_room(void *list, size_t *cap, size_t count, size_t element_bytes);
