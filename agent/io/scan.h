/*
 * scan.h - what has changed in a folder of definition files since last time.
 *
 * Blocking; runs on a thread of the pool. Parsing is done here too, so that the
 * loop only has to take over the result.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/core/definition.h"

/* What tells a file from an earlier version of itself. */
struct scan_mark {
    uint64_t inode;
    int64_t size;
    int64_t mtime_ns;
    int64_t ctime_ns;
};

struct scan_known {
    char *path;
    struct scan_mark mark;
};

enum scan_change {
    SCAN_LOADED, /* New or changed, and parsed: `definitions`. */
    SCAN_BAD,    /* New or changed, and not usable: `err`. */
    SCAN_GONE,
};

struct scan_item {
    enum scan_change change;
    char *path;
    struct scan_mark mark;
    struct definitions *definitions; /* One reference. */
    struct err err;
};

struct scan_result {
    struct scan_item *items; /* Gone ones first, then in order of name. */
    size_t count;
    bool absent;    /* There is no such folder. */
    enum status st; /* The folder itself could not be read. */
    struct err err; /* Why; also that there are too many files. */
};

/* Compare the folder with `known`, which is in order of path. A folder that is
 * not there is empty. */
void scan_dir(const char *dir, const struct scan_known *known,
              size_t known_count, struct scan_result *out_result);
void scan_result_release(struct scan_result *r);
