/*
 * pace.h - bounds how often each of many things is done: a burst, then a steady
 * rate, for each by itself, so that one that flaps does not slow the others.
 *
 * Pure: no clock. Keys are hashes. Who has not been seen for long is forgotten,
 * which changes nothing; of more than PACES_MAX at a time the one is forgotten
 * that has waited longest.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PACES_MAX 256

struct pace {
    uint64_t key;
    unsigned tokens;
    uint64_t at_ms; /* Since when the next token grows. */
};

struct paces {
    unsigned burst;     /* At least 1. */
    uint64_t refill_ms; /* For one more. */
    struct pace items[PACES_MAX];
    size_t count;
};

/* 0: it may be done, and counts as done. Otherwise: when it may be. */
uint64_t paces_take(struct paces *p, uint64_t key, uint64_t now_ms);
