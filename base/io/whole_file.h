/*
 * whole_file.h - a small file that is there whole or not at all.
 *
 * Blocks on the disk: for the start, or a thread of its own.
 */
#pragma once

#include <sys/types.h>

#include "base/core/bytes.h"
#include "base/core/err.h"

/* Make it, or put it in the place of the one that is there. Durable when this
 * returns, its name too. ST_IO: `err` says of which path; what was there before
 * still is, or, if only the folder could not be synced, may come back. */
enum status whole_file_write(const char *path, mode_t mode, struct slice bytes,
                             struct err *err);
