/*
 * founding.h - the members that a cluster is founded with, and their ids.
 *
 * Ids follow etcd's rule, so that the same flags give the same ids: a member's
 * is the beginning of SHA-1 over its sorted peer URLs and the cluster token,
 * the cluster's that of SHA-1 over the sorted member ids.
 */
#pragma once

#include "base/core/arena.h"
#include "base/core/err.h"

struct founder {
    uint64_t id;
    const char *name;
    const char **peer_urls; /* Sorted. */
    size_t peer_urls_count;
};

struct founding {
    uint64_t cluster_id;
    struct founder *founders; /* By id, ascending. */
    size_t founders_count;
    size_t self; /* Which of them we are. */
};

/* What the log says of a member that is added: as etcd, {"id":1,"peerURLs":
 * ["http://h:2380"],"name":"a"}. From `arena`. */
struct slice founder_json(struct arena *arena, const struct founder *founder);

/* Read --initial-cluster ("a=http://h:2380,b=http://...", a name again for each
 * further URL) and find ourselves in it.
 * ST_INVALID: `err` says what is wrong: its form, a name twice with the same
 * URL, our name missing or with other URLs than we advertise (`peer_urls`, a
 * list with commas). */
enum status founding_parse(struct arena *arena, const char *initial_cluster,
                           const char *token, const char *name,
                           const char *peer_urls, struct founding *out_founding,
                           struct err *err);
