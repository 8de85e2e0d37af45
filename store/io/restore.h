/*
 * restore.h - a data directory for a member of a new cluster, out of a
 * snapshot.
 *
 * Keys, history, leases and alarms are the snapshot's. Members and log are
 * new: all members of the new cluster are made from the same file with the same
 * --initial-cluster and --initial-cluster-token, so that they agree. Started
 * later, such a member needs none of these flags.
 *
 * All is made in "DIR.restoring", synced, and renamed as the last step: DIR is
 * there whole or not at all. What a crash has left of the former is removed by
 * the next try.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/err.h"
#include "store/io/member.h"

struct restore_facts {
    uint64_t member_id;
    uint64_t cluster_id;
    int64_t revision;
    uint64_t rows;
};

enum restore_sum {
    RESTORE_CHECK_SUM, /* A file without one is refused. */
    RESTORE_SKIP_SUM   /* A copy of a database, for instance. */
};

/* Of `config` count name, data_dir and what is said of the initial cluster.
 * Blocks. `err` says in words what is wrong:
 * ST_EXISTS     there is something at data_dir
 * ST_BUSY       somebody else is restoring there
 * ST_CORRUPT    the file is damaged or has no sum
 * ST_INVALID    flags contradict each other; the file is none
 * and failures of reading and writing. */
enum status store_restore(const char *file, const struct member_config *config,
                          enum restore_sum sum, struct restore_facts *out_facts,
                          struct err *err);
