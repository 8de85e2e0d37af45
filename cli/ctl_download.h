/*
 * ctl_download.h - a member's snapshot into a file.
 *
 * The bytes go into PATH.part, and their SHA-256, which the member sends last,
 * is compared. The file gets its name once it is whole and synced, so PATH is
 * never a part of a snapshot. What it was before is replaced then.
 */
#pragma once

#include "base/core/err.h"
#include "cli/ctl.h"
#include "cli/exit.h"

/* Blocks, and says on stderr how far it is. CLI_USAGE: flags that make no
 * sense; CLI_UNREACHABLE: nobody answers there; CLI_FAILED: it broke off, or
 * the file cannot be written. `err` says why. */
enum cli_exit ctl_download(const struct ctl_target *target, const char *path,
                           struct err *err);
