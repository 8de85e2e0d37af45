/*
 * numbers.h - what this room counts, under etcd's names.
 */
#pragma once

#include "base/core/metrics.h"
#include "base/io/grpc_code.h"

struct api;

struct numbers {
    struct metric puts, deletes, txns, ranges;
    struct metric leases_granted, leases_revoked, leases_renewed;
    struct metric leases_expired;
    struct metric events, watchers, streams, slow_watchers;
    struct metric has_leader, is_leader, is_learner, leader_changes;
    struct metric committed, applied, pending, quota;
    struct metric db_size, db_in_use, keys, revision, compacted;
    struct metric version, cluster_version, id;
    char cluster_label[40];
    struct metric cpu, open_fds, max_fds, resident, virtual_size, started;
    char id_label[48];
    struct metric *handled; /* One a method and code. */
    char (*handled_labels)[160];
};

void numbers_init(struct numbers *n, struct metrics *list, uint64_t member_id);
void numbers_release(struct numbers *n);

/* A call to the method with this number has ended. */
void numbers_handled(struct numbers *n, size_t method, enum grpc_code code);

/* Read what is not counted but looked at. */
void numbers_collect(struct api *api);
