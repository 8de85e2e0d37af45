/*
 * suggest.h - the known word nearest to a mistyped one.
 */
#pragma once

#include <stddef.h>

#define SUGGEST_WORD_MAX 64 /* Longer words get no suggestion. */

/* How many letters must be inserted, removed, replaced or swapped with their
 * neighbour to make `b` of `a`. Both at most SUGGEST_WORD_MAX long. */
size_t suggest_distance(const char *a, const char *b);

struct suggestion {
    const char *word; /* The best so far; NULL: none is near. */
    size_t distance;
};

/* Look at one more known word. Starts from a zeroed struct. */
void suggest_consider(struct suggestion *s, const char *typed,
                      const char *known);
