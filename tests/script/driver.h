/*
 * driver.h - plays stories: commands, "----", and what comes out of them until
 * an empty line; '#' begins a remark.
 *
 * usage: PROGRAM [--rewrite] FILE...   compares, or fills in what comes out
 */
#pragma once

#include "base/core/bytes.h"

/* What the commands mean. */
struct script_player {
    void *(*begin)(struct buf *out);        /* A file; output goes to `out`. */
    void (*command)(void *run, char *line); /* May cut the line into words. */
    void (*end)(void *run);
};

/* For main(): the exit code. */
int script_main(int argc, char **argv, const struct script_player *player);
