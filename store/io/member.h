/*
 * member.h - one whole member of the store on one loop.
 *
 * Assembles what the rooms below leave open: the data directory and its lock,
 * the log on disk, the LMDB backend, the node that orders them, the client
 * listeners and the timers. `muster store` runs it on the main loop, an agent
 * with an embedded store runs it on a thread of its own (member_thread.h);
 * either way clients reach it by its listeners only.
 *
 * member_start() is over when the data directory is open, the log is replayed,
 * the listeners are bound and the member campaigns. Requests that come before
 * there is a leader wait for one, so a client need not poll.
 *
 * All functions are called on the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/err.h"

struct loop;
struct member;

/* What etcd's flags say. Strings are borrowed until member_start() returns.
 * Lists are as on the command line: URLs with commas between. */
struct member_config {
    const char *name;
    const char *data_dir; /* NULL: "<name>.etcd" */

    const char *listen_client_urls;
    const char *advertise_client_urls; /* NULL: the listen URLs as bound */
    const char *listen_peer_urls;      /* NULL: none; for a lone member. */
    const char *initial_advertise_peer_urls;
    const char *initial_cluster; /* NULL: "<name>=<advertised peer URLs>" */
    const char *initial_cluster_token;
    const char *initial_cluster_state; /* "new" or "existing" */

    uint64_t snapshot_count;     /* Log entries kept back for followers. */
    int64_t quota_backend_bytes; /* 0: 2 GiB; below: none */
    uint64_t max_request_bytes;
    uint64_t max_txn_ops;
    uint64_t heartbeat_interval_ms;
    uint64_t election_timeout_ms;
    uint64_t progress_notify_interval_ms;

    const char *cert_file; /* NULL: no https URL may be listened on */
    const char *key_file;
    const char *trusted_ca_file;
    bool client_cert_auth;
    const char *peer_cert_file; /* The same for https among members. */
    const char *peer_key_file;
    const char *peer_trusted_ca_file;
    const char *peer_cert_allowed_cn; /* NULL: any that the CA has signed. */
    bool peer_client_cert_auth;

    bool force_new_cluster;     /* Of existing data: forget the others. */
    bool strict_reconfig_check; /* Members may not be changed so that those
                                   that run are no majority. */
    bool unsafe_no_fsync; /* For measuring only: a power cut loses data. */
};

/* The defaults of etcd 3.5. */
void member_config_init(struct member_config *config);

/* Something that the member cannot go on after: a failed write or sync of the
 * log, damage found in the backend. `why` names it and the remedy. From then on
 * nothing is acknowledged any more; the owner calls member_stop() (not from
 * inside this call) and ends with a failure. Called at most once. */
typedef void member_fatal_fn(void *ctx, const struct err *why);

/* The member was removed from its cluster, for ever: the owner calls
 * member_stop() (not from inside this call) and ends well. Its data directory
 * cannot be used again. At most once, and not after on_fatal. */
typedef void member_removed_fn(void *ctx);

/* Called once, when nothing of the member is left open; it is freed by then. */
typedef void member_stopped_fn(void *ctx);

struct member_hooks {
    void *ctx;
    member_fatal_fn *on_fatal;
    member_removed_fn *on_removed; /* NULL: it is fatal. */
};

/* ST_OK: it runs and *out_member is stopped with member_stop().
 * Any other status: nothing is left open (the loop may have been turned until
 * that was so) and `err` says what is wrong: flags
 * that contradict each other, a data directory in use or of another cluster, a
 * port taken, damage and where. */
enum status member_start(struct loop *loop, const struct member_config *config,
                         struct member_hooks hooks, struct member **out_member,
                         struct err *err);

/* Hand leadership over, if there is somebody; close listeners and connections,
 * commit what the backend has not yet, sync and close the log. */
void member_stop(struct member *m, member_stopped_fn *on_stopped, void *ctx);

/* "http://127.0.0.1:2379", with the port the system chose if 0 was asked for;
 * the first of the listen URLs is 0. NULL past the last. Valid until stop. */
const char *member_client_url(const struct member *m, unsigned index);

uint64_t member_id(const struct member *m);
uint64_t member_cluster_id(const struct member *m);
