/*
 * endpoints.h - which of the store's endpoints to use next, and when.
 *
 * One is in use at a time. When it fails, the one comes next whose own failure
 * is the longest ago; those that have never failed come first, in random order,
 * so that agents that lose one member spread over the others and none of them
 * goes back to the dead one before it has tried all others. A round in which
 * all have failed is followed by a pause, which grows from round to round, and
 * by more patience with each.
 *
 * Pure: no sockets, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/limits.h"
#include "base/core/rng.h"

struct endpoint_state {
    uint64_t failed; /* Number of its last failure; 0: none since it served. */
    unsigned failures; /* Since it served last. */
    bool busy;         /* Its last connection is not closed yet. */
};

struct endpoints {
    struct endpoint_state items[LIMIT_STORE_ENDPOINTS];
    size_t count;
    size_t current;
    uint64_t failed_last; /* Numbers failures of all. */
    unsigned failures_in_row;
    bool told;        /* That all have failed, */
    uint64_t told_ms; /* and when last. */
    struct rng rng;
};

/* One to begin with is chosen. count: 1 to LIMIT_STORE_ENDPOINTS. */
void endpoints_init(struct endpoints *e, size_t count, uint64_t seed);

/* The current one is of no use. endpoints_next() chooses another one. */
void endpoints_failed(struct endpoints *e);

/* The current one serves: what was before is forgotten. */
void endpoints_serves(struct endpoints *e);

/* Choose the next one; those that are busy are passed over. False: all are. */
bool endpoints_next(struct endpoints *e);

/* How long to wait before the next one; 0: not at all. */
#define ENDPOINTS_PAUSE_MS_MIN 100
#define ENDPOINTS_PAUSE_MS_MAX 2000
uint64_t endpoints_pause_ms(struct endpoints *e);

/* How long it may take to connect to the current one: short as long as there
 * may be a better one, and more when all have failed. */
#define ENDPOINTS_CONNECT_MS_MIN 1000
#define ENDPOINTS_CONNECT_MS_MAX 5000
uint64_t endpoints_connect_ms(const struct endpoints *e);

/* All have failed since the last success. */
bool endpoints_all_failed(const struct endpoints *e);

/* How much people want to know of the failure that was just reported: one of
 * each endpoint, then one every five minutes. */
#define ENDPOINTS_TELL_MS 300000
enum endpoints_news {
    ENDPOINTS_FIRST, /* Of this endpoint since the last success. */
    ENDPOINTS_AGAIN,
    ENDPOINTS_STILL, /* Again, but it has not been said for long. */
};
enum endpoints_news endpoints_tell(struct endpoints *e, uint64_t now_ms);
