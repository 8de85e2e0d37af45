/*
 * cluster.h - who the members are: tables `members`, `members_removed`,
 * `cluster`, as etcd stores them.
 */
#pragma once

#include "store/kv/kv.h"

struct pending;

struct cluster {
    struct kv_member *list; /* By id. */
    size_t count;
    char *version; /* NULL: not decided. */
    uint64_t *removed;
    size_t removed_count;
    size_t removed_cap;
    struct buf conf_state;
};

/* A zeroed struct cluster is empty. */
void cluster_release(struct cluster *c);

/* Rows at start. false: damaged. */
bool cluster_restore_member(struct cluster *c, struct slice row_key,
                            struct slice row);
bool cluster_restore_removed(struct cluster *c, struct slice row_key);
void cluster_restore_conf_state(struct cluster *c, struct slice row);
void cluster_restore_version(struct cluster *c, struct slice row);

/* A membership entry. A context that is not a member's JSON gives a member
 * without URLs: the entry is committed and must be followed all the same. */
void cluster_change(struct cluster *c, const struct kv_membership *m,
                    struct pending *pending);
enum kv_error cluster_check(const struct cluster *c,
                            const struct kv_membership *m);
void cluster_set_conf_state(struct cluster *c, struct slice json,
                            struct pending *pending);

/* ClusterMemberAttrSetRequest; KV_MEMBER_NOT_FOUND when it has been removed. */
enum kv_error cluster_set_attributes(struct cluster *c, struct slice request,
                                     struct pending *pending);

/* ClusterVersionSetRequest. */
enum kv_error cluster_set_version(struct cluster *c, struct slice request,
                                  struct pending *pending);
