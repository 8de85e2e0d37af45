/*
 * range.h - a RangeRequest at work, whole or in slices.
 *
 * Finds keys in order at one revision, filters, and appends rows to `out` as
 * they are. Only a sorted range remembers rows; it appends them in a second
 * phase.
 */
#pragma once

#include "base/core/arena.h"
#include "store/kv/kv.h"
#include "store/kv/request.h"

struct range_row;

enum range_phase {
    RANGE_FIND,
    RANGE_SORT,
    RANGE_EMIT,
    RANGE_DONE
};

struct range_scan {
    struct kv *kv;
    struct range_request request; /* Borrows the request's bytes. */
    struct key_range keys;
    int64_t at; /* The revision that is read. */
    struct buf *out;
    enum range_phase phase;
    enum kv_error error;
    struct buf resume; /* The key to go on with; empty: from the start. */
    int64_t count;     /* Keys in the interval. */
    int64_t matched;   /* Those that the filters let through. */
    bool sorted;
    bool more;
    struct range_row *rows; /* When sorted. */
    size_t rows_count;
    size_t rows_cap;
    size_t rows_done;
    struct arena values; /* When sorted by value. */
};

/* Enough work for a slice of well below a millisecond; and all of it. */
#define RANGE_SLICE 4096
#define RANGE_WHOLE INT64_MAX

/* KV_COMPACTED, KV_FUTURE_REV, as for a plain Range. */
enum kv_error range_check_revision(const struct kv *kv, int64_t revision);

/* `out` gets the fields of RangeResponse after the header. */
void range_scan_init(struct range_scan *s, struct kv *kv,
                     const struct range_request *request, struct buf *out);
void range_scan_release(struct range_scan *s);

/* true: done, or failed with s->error. */
bool range_scan_run(struct range_scan *s, int64_t budget);

/* Whether a range under way reads at a revision below `main`. */
bool ranges_below(const struct kv *kv, int64_t main);
