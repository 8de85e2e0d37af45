#include "store/api/numbers.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/core/check.h"
#include "store/api/core.h"

enum {
    CODES_COUNT = GRPC_UNAUTHENTICATED + 1
};

/* Which metric is called what, in the order of /metrics. */
static const struct row {
    size_t offset;
    const char *name;
    enum metric_type type;
    const char *labels;
    const char *help;
} rows[] = {
#define ROW(member, name_, type_, help_)                                     \
    {                                                                        \
        offsetof(struct numbers, member), name_, METRIC_##type_, NULL, help_ \
    }
    ROW(has_leader, "etcd_server_has_leader", GAUGE,
        "Whether or not a leader exists. 1 is existence, 0 is not."),
    ROW(is_leader, "etcd_server_is_leader", GAUGE,
        "Whether or not this member is a leader. 1 if is, 0 otherwise."),
    ROW(is_learner, "etcd_server_is_learner", GAUGE,
        "Whether or not this member is a learner. 1 if is, 0 otherwise."),
    ROW(leader_changes, "etcd_server_leader_changes_seen_total", COUNTER,
        "The number of leader changes seen."),
    ROW(committed, "etcd_server_proposals_committed_total", GAUGE,
        "The total number of consensus proposals committed."),
    ROW(applied, "etcd_server_proposals_applied_total", GAUGE,
        "The total number of consensus proposals applied."),
    ROW(pending, "etcd_server_proposals_pending", GAUGE,
        "The current number of pending proposals to commit."),
    ROW(quota, "etcd_server_quota_backend_bytes", GAUGE,
        "Current backend storage quota size in bytes."),
    ROW(db_size, "etcd_mvcc_db_total_size_in_bytes", GAUGE,
        "Total size of the underlying database physically allocated in "
        "bytes."),
    ROW(db_in_use, "etcd_mvcc_db_total_size_in_use_in_bytes", GAUGE,
        "Total size of the underlying database logically in use in bytes."),
    ROW(puts, "etcd_mvcc_put_total", COUNTER,
        "Total number of puts seen by this member."),
    ROW(deletes, "etcd_mvcc_delete_total", COUNTER,
        "Total number of deletes seen by this member."),
    ROW(ranges, "etcd_mvcc_range_total", COUNTER,
        "Total number of ranges seen by this member."),
    ROW(txns, "etcd_mvcc_txn_total", COUNTER,
        "Total number of txns seen by this member."),
    ROW(keys, "etcd_debugging_mvcc_keys_total", GAUGE, "Total number of keys."),
    ROW(revision, "etcd_debugging_mvcc_current_revision", GAUGE,
        "The current revision of store."),
    ROW(compacted, "etcd_debugging_mvcc_compact_revision", GAUGE,
        "The revision of the last compaction in store."),
    ROW(streams, "etcd_debugging_mvcc_watch_stream_total", GAUGE,
        "Total number of watch streams."),
    ROW(watchers, "etcd_debugging_mvcc_watcher_total", GAUGE,
        "Total number of watchers."),
    ROW(slow_watchers, "etcd_debugging_mvcc_slow_watcher_total", GAUGE,
        "Total number of unsynced slow watchers."),
    ROW(events, "etcd_debugging_mvcc_events_total", COUNTER,
        "Total number of events sent by this member."),
    ROW(leases_granted, "etcd_debugging_lease_granted_total", COUNTER,
        "The total number of granted leases."),
    ROW(leases_revoked, "etcd_debugging_lease_revoked_total", COUNTER,
        "The total number of revoked leases."),
    ROW(leases_renewed, "etcd_debugging_lease_renewed_total", COUNTER,
        "The number of renewed leases seen by the leader."),
    ROW(leases_expired, "etcd_debugging_server_lease_expired_total", COUNTER,
        "The total number of expired leases."),
    ROW(cpu, "process_cpu_seconds_total", COUNTER,
        "Total user and system CPU time spent in seconds."),
    ROW(open_fds, "process_open_fds", GAUGE,
        "Number of open file descriptors."),
    ROW(max_fds, "process_max_fds", GAUGE,
        "Maximum number of open file descriptors."),
    ROW(resident, "process_resident_memory_bytes", GAUGE,
        "Resident memory size in bytes."),
    ROW(virtual_size, "process_virtual_memory_bytes", GAUGE,
        "Virtual memory size in bytes."),
    ROW(started, "process_start_time_seconds", GAUGE,
        "Start time of the process since unix epoch in seconds."),
#undef ROW
    {offsetof(struct numbers, version), "etcd_server_version", METRIC_GAUGE,
     "server_version=\"" API_VERSION "\"",
     "Which version is running. 1 for 'server_version' label with current "
     "version."},
    {offsetof(struct numbers, cluster_version), "etcd_cluster_version",
     METRIC_GAUGE, "cluster_version=\"3.5\"",
     "Which version is running. 1 for 'cluster_version' label with current "
     "cluster version"},
};

static struct metric *metric_at(struct numbers *n, size_t offset)
{
    return (struct metric *)((char *)n + offset);
}

/* "/etcdserverpb.KV/Range": all combinations are there from the start, so that
 * a rate over them is never a surprise. */
static void add_method(struct numbers *n, struct metrics *list, size_t method)
{
    const char *path = api_methods[method].path + 1;
    int service_len = (int)(strchr(path, '/') - path);
    const char *kind = api_methods[method].requests == GRPC_MANY_REQUESTS
                           ? "bidi_stream"
                           : "unary";

    for (size_t code = 0; code < CODES_COUNT; code++) {
        size_t i = method * CODES_COUNT + code;
        char *labels = n->handled_labels[i];

        (void)snprintf(labels, sizeof(n->handled_labels[i]),
                       "grpc_code=\"%s\",grpc_method=\"%s\","
                       "grpc_service=\"%.*s\",grpc_type=\"%s\"",
                       grpc_code_name((enum grpc_code)code),
                       path + service_len + 1, service_len, path, kind);
        n->handled[i] = (struct metric){
            .name = "grpc_server_handled_total",
            .help = "Total number of RPCs completed on the server, regardless "
                    "of success or failure.",
            .type = METRIC_COUNTER,
            .labels = labels};
        metrics_add(list, &n->handled[i]);
    }
}

void numbers_init(struct numbers *n, struct metrics *list, uint64_t member_id)
{
    size_t handled = api_methods_count * CODES_COUNT;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct metric *m = metric_at(n, rows[i].offset);

        *m = (struct metric){.name = rows[i].name,
                             .help = rows[i].help,
                             .type = rows[i].type,
                             .labels = rows[i].labels};
        metrics_add(list, m);
    }
    (void)snprintf(n->id_label, sizeof(n->id_label),
                   "server_id=\"%" PRIx64 "\"", member_id);
    n->id = (struct metric){.name = "etcd_server_id",
                            .help = "Server or member ID in hexadecimal "
                                    "format. 1 for 'server_id' label with "
                                    "current ID.",
                            .type = METRIC_GAUGE,
                            .labels = n->id_label,
                            .value = 1};
    metrics_add(list, &n->id);
    n->handled = calloc(handled, sizeof(*n->handled));
    n->handled_labels = calloc(handled, sizeof(*n->handled_labels));
    CHECK(n->handled != NULL);
    CHECK(n->handled_labels != NULL);
    for (size_t i = 0; i < api_methods_count; i++) {
        add_method(n, list, i);
    }
    n->version.value = 1;
}

void numbers_release(struct numbers *n)
{
    free(n->handled);
    free(n->handled_labels);
}

void numbers_handled(struct numbers *n, size_t method, enum grpc_code code)
{
    size_t at = (size_t)code < CODES_COUNT ? (size_t)code : GRPC_UNKNOWN;

    n->handled[method * CODES_COUNT + at].value++;
}

static double count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double count = -3; /* ".", "..", and the one that reads. */

    if (dir == NULL) {
        return 0;
    }
    while (readdir(dir) != NULL) {
        count++;
    }
    (void)closedir(dir);
    return count;
}

/* /proc/self/stat: start time (in ticks since boot), virtual size, pages. */
static void read_stat(struct numbers *n)
{
    FILE *stat = fopen("/proc/self/stat", "re");
    FILE *uptime = fopen("/proc/uptime", "re");
    unsigned long long start = 0;
    unsigned long virtual_size = 0;
    long pages = 0;
    double up = 0;

    if (stat != NULL && uptime != NULL &&
        fscanf(stat,
               "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u "
               "%*u %*d %*d %*d %*d %*d %*d %llu %lu %ld",
               &start, &virtual_size, &pages) == 3 &&
        fscanf(uptime, "%lf", &up) == 1) {
        n->virtual_size.value = (double)virtual_size;
        n->resident.value = (double)pages * (double)sysconf(_SC_PAGESIZE);
        n->started.value = (double)loop_wall_ms() / 1000 - up +
                           (double)start / (double)sysconf(_SC_CLK_TCK);
    }
    if (stat != NULL) {
        (void)fclose(stat);
    }
    if (uptime != NULL) {
        (void)fclose(uptime);
    }
}

static void collect_process(struct numbers *n)
{
    struct rusage usage;
    struct rlimit files;

    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        n->cpu.value =
            (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        n->max_fds.value = (double)files.rlim_cur;
    }
    n->open_fds.value = count_fds();
    read_stat(n);
}

/* "3.5.0" is shown as 3.5. */
static void set_cluster_version(struct numbers *n, const char *version)
{
    const char *dot = strrchr(version, '.');

    n->cluster_version.value = dot != NULL;
    if (dot != NULL) {
        (void)snprintf(n->cluster_label, sizeof(n->cluster_label),
                       "cluster_version=\"%.*s\"",
                       (int)(dot - version < 16 ? dot - version : 16), version);
        n->cluster_version.labels = n->cluster_label;
    }
}

static void collect_store(struct api *api)
{
    struct numbers *n = &api->numbers;
    const struct kv *kv = api->config.kv;
    struct table *table = api->config.table;
    struct watch_counts watch = watch_counts(kv);

    n->db_size.value = (double)table->size(table);
    n->db_in_use.value = (double)table->size_in_use(table);
    n->keys.value = (double)kv_keys_count(kv);
    n->revision.value = (double)kv_revision(kv);
    n->compacted.value = (double)kv_compacted(kv);
    n->watchers.value = (double)watch.watchers;
    n->slow_watchers.value = (double)watch.behind;
    n->quota.value = (double)api->config.quota_bytes;
    set_cluster_version(n, kv_cluster_version(kv));
    n->streams.value = api_watch_streams(api);
}

void numbers_collect(struct api *api)
{
    struct numbers *n = &api->numbers;
    struct raft_status raft = node_status(api->node);

    n->has_leader.value = raft.leader != RAFT_NOBODY;
    n->is_leader.value = raft.role == RAFT_LEADER;
    n->committed.value = (double)raft.hard.commit;
    n->applied.value = (double)kv_index(api->config.kv);
    n->pending.value = (double)api->waits_count;
    collect_store(api);
    collect_process(n);
}
