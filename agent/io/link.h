/*
 * link.h - the agent's one connection to the store, and all that goes over it.
 *
 *   in    the whole catalogue: a paged read at one revision, then a watch from
 *         the next one. After a break the watch resumes; when the store has
 *         compacted that past or was replaced, the read is repeated and the
 *         difference applied in one step. Readers never see half a catalogue.
 *   out   this host's records, as agent/core/sync decides; the lease that says
 *         the host is alive, and its live key.
 *
 * The store speaks etcd's v3 API and is given by the URLs of its members. One
 * endpoint is used at a time. Refused: the next one at once; silent, or without
 * a leader: the next one within 5 s; all failed: pauses that grow to 2 s, with
 * jitter. The lease outlives all this: it is the store's, not the member's, and
 * is renewed through whichever member is in use.
 *
 * The link owns the current catalogue snapshot. It never becomes emptier by
 * losing the store.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/core/catalog.h"
#include "agent/core/local.h"
#include "agent/core/members.h"
#include "agent/core/store.h"
#include "agent/core/sync.h"
#include "base/core/err.h"

struct link;
struct loop;
struct tls;

struct link_config {
    const char *const *urls; /* "http://host:port", "https://...", "host:port",
                                "unix:/path". */
    size_t urls_count;
    const char *cacert; /* NULL: the system's. */
    const char *cert;   /* NULL: none. */
    const char *key;
    const char *datacenter;
    bool follows_only; /* It is not our datacenter: nothing of this host is
                          written, and what follows, `local` included, is not
                          given. */
    const char *node;
    const char *node_id;
    const char *incarnation;
    uint32_t lease_ttl_s;
    uint32_t restart_grace_s; /* TTL of the lease that a stop leaves behind. */
    uint64_t seed;
};

/* Something of the catalogue has changed; link_catalog() is the new one. */
struct link_update {
    bool full;     /* `events` are all there is. */
    bool replaced; /* Full, and the store is another one or has gone back. */
    bool aside;    /* By link_show(): the store has not changed. */
    const struct catalog *before; /* The snapshot until now. */
    const struct catalog_event *events;
    size_t events_count;
    int64_t revision;
    uint64_t cluster_id;
    const struct catalog_changes *changes;
};

struct link_hooks {
    void *ctx;
    void (*on_update)(void *ctx, const struct link_update *update);
    /* The link became current or lost contact. */
    void (*on_contact)(void *ctx);
    /* The live key has moved to `lease`, which is left behind: what else is to
     * be put there? 0: we leave; what else is to be deleted? Asked until it is
     * false; NULL: nothing. */
    bool (*on_farewell)(void *ctx, int64_t lease, struct arena *a,
                        struct sync_txn *out_txn);
    /* The store has said who its members are; NULL: nobody wants to know. */
    void (*on_members)(void *ctx);
};

/* Begin. `catalog`, from the replica, is adopted; `cluster_id` is the store's
 * it came from (0: none). `keys_count`: keys in it. ST_INVALID: a URL or a TLS
 * file. */
enum status link_start(struct loop *loop, const struct link_config *config,
                       struct local *local, struct catalog *catalog,
                       uint64_t cluster_id, size_t keys_count,
                       struct link_hooks hooks, struct link **out_link,
                       struct err *out_err);

/* Valid until the next on_update; take a reference to keep it. */
const struct catalog *link_catalog(const struct link *l);

/* From now on link_catalog() is `next`, made of the present snapshot by
 * catalog_hold() or catalog_refill(); the reference is taken over. on_update
 * comes within the call, which may be the last thing that on_update does. */
void link_show(struct link *l, struct catalog *next,
               const struct catalog_changes *changes);

/* The local state has changed: compare and write, at the end of this turn. */
void link_poke(struct link *l);

/* Whether the replica follows the store now, and since when it does not. */
bool link_current(const struct link *l);
uint64_t link_stale_ms(const struct link *l); /* 0 while current. */

/* The store's leader and members as "ip:port"; "" and none when unknown. */
const char *link_leader(const struct link *l);
struct texts link_peers(const struct link *l);
/* Those that have started, as others may know them: at most
 * LIMIT_STORE_MEMBERS. Valid until the next on_members. */
const struct member *link_members(const struct link *l, size_t *out_count);
/* Ask for them every few seconds, not only twice a minute. */
void link_members_often(struct link *l, bool often);
/* With which the member at that place is to be called; NULL: plain. */
struct tls *link_peer_tls(const struct link *l, size_t at);
const char *link_endpoint(const struct link *l); /* In use or being tried. */
/* Of a question to the member in use, smoothed; 0: not known yet. */
uint32_t link_round_trip_us(const struct link *l);

/* Carry out a transaction of the API. on_done comes once, later. */
typedef void link_txn_fn(void *arg, enum sync_result result, int64_t revision);
void link_txn(struct link *l, const struct sync_txn *txn, link_txn_fn *on_done,
              void *arg);

/* Have a lock: put `key` under our lease if nobody has put it. */
enum link_lock_result {
    LINK_LOCK_OURS,
    LINK_LOCK_OTHERS,
    LINK_LOCK_FAILED, /* No answer, or a refusal. */
};

struct link_lock_holder {
    int64_t lease_id;
    int64_t create_revision; /* Of the key; a guard for transactions. */
    struct slice value;      /* LINK_LOCK_OTHERS; valid during the call. */
};

typedef void link_lock_fn(void *arg, enum link_lock_result result,
                          const struct link_lock_holder *holder);

/* False: there is no lease at present, and on_done will not come. Otherwise it
 * comes later, once. */
bool link_lock(struct link *l, struct slice key, struct slice value,
               link_lock_fn *on_done, void *arg);

/* Carry out what a request asks of the store. The ask is encoded at once.
 * on_done comes once, later; the answer is the callee's to release or to move
 * away. */
typedef void link_store_fn(void *arg, struct store_answer *answer);
void link_store(struct link *l, const struct store_ask *ask,
                link_store_fn *on_done, void *arg);

/* Hear when a key of [key, end) changes at revision `from` or later, or when
 * that cannot be told any more; once, not from inside the call. Equal ranges
 * share one watch. NULL: too many different ones. */
struct link_follow;
typedef void link_follow_fn(void *arg);
struct link_follow *link_follow(struct link *l, const struct store_read *range,
                                int64_t from, link_follow_fn *on_change,
                                void *arg);
/* Before or after it has been heard; it is gone then. */
void link_unfollow(struct link_follow *f);

/* Ask the store (linearizable) how far it is, and wait until the replica is
 * there too. ST_OK, or ST_TIMEOUT after timeout_ms. Once, later. */
typedef void link_confirm_fn(void *arg, enum status st);
void link_confirm(struct link *l, uint64_t timeout_ms, link_confirm_fn *on_done,
                  void *arg);

/* The machine has slept: what is known is that much older, and the store may
 * have forgotten us. */
void link_slept(struct link *l, uint64_t slept_ms);

/* Read everything again (the replica on disk could not be written). */
void link_relist(struct link *l);

struct link_stats {
    struct sync_stats sync;
    uint64_t connects; /* Attempts. */
    uint64_t failures; /* Endpoints given up. */
    uint64_t lists;
    uint64_t events;
    uint64_t lease_grants;
    uint64_t lease_losses;
    int64_t lease_id;             /* 0: none. */
    bool attached;                /* The live key stands, */
    int64_t live_create_revision; /* and is the one that was created here. */
    bool name_in_use; /* Another agent has our node name, or had it last; */
    const char *name_owner; /* its node id. */
    uint64_t follows;       /* Ranges that requests wait for. */
};

struct link_stats link_stats(const struct link *l);

enum link_stop_mode {
    LINK_STOP_KEEP,  /* Leave the live key behind for restart_grace_s. */
    LINK_STOP_LEAVE, /* Delete own records, revoke the lease. */
};

/* What the mode asks for is tried for at most two seconds. on_stopped comes
 * once; the link, its catalogue reference included, is freed by then. */
typedef void link_stopped_fn(void *arg);
void link_stop(struct link *l, enum link_stop_mode mode,
               link_stopped_fn *on_stopped, void *arg);
