/*
 * scratch.h - a folder that lives as long as a test.
 */
#pragma once

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline int scratch_remove_one(const char *path, const struct stat *info,
                                     int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

/* Sets `path` (of 64 bytes) to a new folder below $TMPDIR or /tmp. */
static inline void scratch_make(char *path)
{
    const char *parent = getenv("TMPDIR");

    (void)snprintf(path, 64, "%.40s/muster.XXXXXX",
                   parent == NULL ? "/tmp" : parent);
    ck_assert_ptr_nonnull(mkdtemp(path));
}

static inline void scratch_remove(const char *path)
{
    ck_assert_int_eq(nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS),
                     0);
}
