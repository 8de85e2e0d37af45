/*
 * data_dir.h - what lies where in a member's data directory.
 *
 *     DIR/lock              held as long as the member runs
 *     DIR/member/format     which program and format: ours, version 1
 *     DIR/member/wal/       the log
 *     DIR/member/backend/   LMDB
 *     DIR/member/backend.new/, backend.old/   while a snapshot takes its place
 *     DIR/member/incoming/  snapshots of other members, while they arrive
 */
#pragma once

#include <stdbool.h>

#include "base/core/arena.h"
#include "base/core/err.h"

struct data_dir {
    int lock; /* Descriptor; -1: none. */
    const char *wal;
    const char *backend;
    const char *backend_new;
    const char *backend_old;
    const char *incoming;
    const char *member; /* The folder that holds them. */
};

/* Make or recognise a data directory and lock it. Paths are from `arena`.
 * ST_BUSY: another process has it. ST_INVALID: it belongs to another program or
 * to a later version. */
enum status data_dir_open(struct arena *arena, const char *path,
                          struct data_dir *out_dir, struct err *err);

/* Remove a directory that data_dir_open() has made, all of it; it may be open,
 * and is not locked any more then. ST_IO: something that is not ours is in it.
 * One that is not there is fine. */
enum status data_dir_remove(const char *path, struct err *err);

/* Whether a member has run with this directory before. */
bool data_dir_has_log(const char *path);
void data_dir_close(struct data_dir *dir);
