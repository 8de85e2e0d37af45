/*
 * methods.c - every method that is answered. gRPC's own answer to all others is
 * UNIMPLEMENTED with their name.
 */
#include "store/api/core.h"

#define UNARY(path_, handler)                                  \
    {                                                          \
        .path = (path_), .requests = GRPC_ONE_REQUEST,         \
        .on_message = (handler), .on_closed = api_unary_closed \
    }

#define CHANGE(path_, handler)                                  \
    {                                                           \
        .path = (path_), .requests = GRPC_ONE_REQUEST,          \
        .on_message = (handler), .on_closed = api_change_closed \
    }

const struct grpc_method api_methods[] = {
    UNARY("/etcdserverpb.KV/Range", api_range),
    UNARY("/etcdserverpb.KV/Put", api_put),
    UNARY("/etcdserverpb.KV/DeleteRange", api_delete_range),
    UNARY("/etcdserverpb.KV/Txn", api_txn),
    {.path = "/etcdserverpb.KV/Compact",
     .requests = GRPC_ONE_REQUEST,
     .on_message = api_compact,
     .on_closed = api_compact_closed},

    {.path = "/etcdserverpb.Watch/Watch",
     .requests = GRPC_MANY_REQUESTS,
     .on_open = api_watch_open,
     .on_message = api_watch_message,
     .on_drained = api_watch_drained,
     .on_closed = api_watch_closed},

    UNARY("/etcdserverpb.Lease/LeaseGrant", api_lease_grant),
    UNARY("/etcdserverpb.Lease/LeaseRevoke", api_lease_revoke),
    {.path = "/etcdserverpb.Lease/LeaseTimeToLive",
     .requests = GRPC_ONE_REQUEST,
     .on_message = api_lease_time_to_live,
     .on_closed = api_time_to_live_closed},
    UNARY("/etcdserverpb.Lease/LeaseLeases", api_lease_leases),
    {.path = "/etcdserverpb.Lease/LeaseKeepAlive",
     .requests = GRPC_MANY_REQUESTS,
     .on_open = api_keep_alive_open,
     .on_message = api_keep_alive_message,
     .on_half_closed = api_keep_alive_half_closed,
     .on_closed = api_keep_alive_closed},

    UNARY("/etcdserverpb.Cluster/MemberList", api_member_list),
    CHANGE("/etcdserverpb.Cluster/MemberAdd", api_member_add),
    CHANGE("/etcdserverpb.Cluster/MemberRemove", api_member_remove),
    CHANGE("/etcdserverpb.Cluster/MemberUpdate", api_member_update),
    CHANGE("/etcdserverpb.Cluster/MemberPromote", api_member_promote),

    UNARY("/etcdserverpb.Maintenance/Status", api_status),
    UNARY("/etcdserverpb.Maintenance/HashKV", api_hash_kv),
    UNARY("/etcdserverpb.Maintenance/Alarm", api_alarm),
    {.path = "/etcdserverpb.Maintenance/Snapshot",
     .requests = GRPC_ONE_REQUEST,
     .on_message = api_snapshot,
     .on_drained = api_snapshot_drained,
     .on_closed = api_snapshot_closed},
    {.path = "/etcdserverpb.Maintenance/MoveLeader",
     .requests = GRPC_ONE_REQUEST,
     .on_message = api_move_leader,
     .on_closed = api_transfer_closed},

    UNARY("/grpc.health.v1.Health/Check", api_health_check),
    UNARY("/grpc.health.v1.Health/Watch", api_health_watch),
};

const size_t api_methods_count = sizeof(api_methods) / sizeof(api_methods[0]);
