/*
 * texts.h - lists of texts, and of pairs of texts. Borrowed: who holds one says
 * whose memory it is.
 */
#pragma once

#include <stddef.h>

struct pair {
    const char *key;
    const char *value;
};

struct pairs {
    const struct pair *items;
    size_t count;
};

struct texts {
    const char *const *items;
    size_t count;
};
