/*
 * agent_impl.h - the parts of a running agent. Private to agent*.c.
 */
#pragma once

#include "agent/core/reaper.h"
#include "agent/io/access.h"
#include "agent/io/activation.h"
#include "agent/io/agent.h"
#include "agent/io/coords.h"
#include "agent/io/datacenters.h"
#include "agent/io/dnsfeed.h"
#include "agent/io/front.h"
#include "agent/io/janitor.h"
#include "agent/io/lines.h"
#include "agent/io/link.h"
#include "agent/io/projector.h"
#include "agent/io/replica.h"
#include "agent/io/runner.h"
#include "agent/io/sentry.h"
#include "agent/io/services.h"
#include "agent/io/sessions.h"
#include "agent/io/state.h"
#include "base/io/loop.h"
#include "base/io/suspend.h"
#include "dns/io/server.h"

/* How an agent ends, one step after the other; each waits for the one before.
 * What was never started is passed over, so a failed start ends the same way.
 */
enum agent_phase {
    AGENT_RUNS,
    AGENT_ENDS_INPUT, /* Services folder, checks, HTTP. */
    AGENT_ENDS_LINK,  /* Good-bye to the store. */
    AGENT_ENDS_DISK,  /* DNS, replica, state. */
    AGENT_ENDED,
};

#define AGENT_STATUS_BYTES 128

struct agent {
    struct loop *loop;
    const struct agent_config *config;
    agent_ended_fn *on_ended;
    void *arg;

    struct local *local;
    struct state *state;
    struct replica *replica;
    struct link *link;
    struct datacenters *datacenters; /* The others. */
    struct sentry *sentry;
    struct coords_watch *coords;
    struct projector *projector;
    enum guard_mode guard_configured;
    bool replica_behind; /* It keeps what the store has lost. */
    struct janitor *janitor;
    struct sessions *sessions;
    struct reaper *reaper;
    struct members *members; /* Of the store, as the catalogue tells of them. */
    struct services *services;
    struct runner *runner;
    struct front *front;
    struct lines *lines; /* NULL: no line socket. */
    struct access *access;
    struct dns_server *dns;
    char *dns_listens; /* Where, as configured; what was said last. */
    uint8_t cookie_key[DNS_COOKIE_KEY_BYTES];
    struct dnsfeed *feed;
    struct activation handed; /* Sockets of the service manager. */
    int lock_fd;              /* Of the data folder; -1. */

    uv_timer_t relist; /* After a replica that could not be written. */

    uv_timer_t drain; /* Leaving: when services have been critical enough. */
    bool leaving;

    enum agent_phase phase;
    enum agent_stop_mode stop_mode;
    unsigned open;           /* Parts that this phase waits for. */
    struct arena view_arena; /* Of the last view's stats. */
    uint64_t reloads;
    bool strict_default; /* http_strict_default, as last read, */
    bool translate_wan;  /* like translate_wan_addrs, */
    char api_level[36];  /* and like api_level. */

    struct notify *notify; /* NULL: nobody wants to know. */
    bool said_ready;
    char said_status[AGENT_STATUS_BYTES];

    struct suspend suspend;
    uint64_t sleeps; /* Of the machine, that were noticed. */
    uv_prepare_t prepare;
    struct loop_task woken;
    uv_mutex_t awake_lock;
    uv_cond_t awake;         /* The next has grown. */
    int64_t awake_offset_ms; /* Under the lock: sleep that is seen to. */
};

/* agent.c */
struct local_time agent_time(const struct agent *a);
struct front_config agent_front_config(const struct agent *a,
                                       const struct agent_config *config);
/* What the agent was allowed at its start it perhaps is not now: err says so.
 * Returns `st`. */
enum status agent_explain_denied(const struct agent *a, enum status st,
                                 struct err *err);

/* agent_view.c */
void agent_view_set_level(struct agent *a, const char *level);
void agent_view(void *ctx, enum front_detail detail, struct api_view *out_view);
void agent_metrics(void *ctx, enum api_metrics form, struct buf *out);

/* agent_upstream.c */
struct metrics;
/* Add what is to be said of forwarding; it lies in the arena. */
void agent_upstream_metrics(struct dns_server *dns, struct arena *arena,
                            struct metrics *list);

/* agent_dns.c: listen as `config` says; nothing happens when it says "off". */
enum status agent_dns_open(struct agent *a, const struct agent_config *config,
                           struct err *err);
/* Recursors, secondaries and addresses of `wanted`: all of it or nothing. */
enum status agent_dns_reload(struct agent *a, const struct agent_config *wanted,
                             struct err *err);

/* agent_feed.c: in this order, the datacenters after the link. */
enum status agent_feed_open(struct agent *a, struct err *err);
enum status agent_datacenters_open(struct agent *a, struct err *err);

/* agent_transfer.c: secondaries, as configured; *out lies in the arena, and
 * borrows of `config`. ST_INVALID, ST_IO (the file of a secret). */
struct dns_transfer_config;
enum status agent_transfer_read(const struct agent_config *config,
                                struct arena *arena,
                                struct dns_transfer_config *out,
                                struct err *err);
/* The same errors, and those of dns_server_transfer(). `dns` may be NULL. */
enum status agent_transfer_set(struct dns_server *dns,
                               const struct agent_config *config,
                               struct err *err);
/* false: no serial was kept. */
bool agent_transfer_serial(const struct agent_config *config,
                           uint32_t *out_serial);
void agent_transfer_metrics(struct dns_server *dns, struct arena *arena,
                            struct metrics *list);

/* Something changed the local state: save, register, schedule. True: an answer
 * about it waits for state_sync(). */
bool agent_local_changed(struct agent *a);

/* agent_suspend.c: the machine may have slept. */
void agent_suspend_open(struct agent *a);
void agent_suspend_free(struct agent *a);
void agent_awake(struct agent *a);
/* On a DNS worker's thread. */
void agent_worker_woke(void *arg, int64_t offset_ms);

/* agent_duties.c: what a janitor does; after the link has started. */
void agent_duties_open(struct agent *a);
/* The store has said who its members are; one of them was asked. */
void agent_members_changed(void *ctx);
void agent_member_asked(void *ctx, const char *member, bool answered);

/* agent_notify.c: the catalogue or the contact to the store has changed; a
 * reload begins, or is over; the end begins. */
void agent_notify_look(struct agent *a);
void agent_notify_reload(struct agent *a, bool begins);
void agent_notify_stopping(struct agent *a);

/* explain.c */
void agent_explain(void *ctx, const struct api_question *question,
                   struct arena *arena, struct api_dns_answer *out_answer);

/* agent_reload.c */
void agent_dns_settings(const struct agent_config *c, struct arena *arena,
                        struct dns_settings *out_settings);
/* Those that run: they cannot change without a restart. */
void agent_dns_others(const struct agent_config *running, struct arena *arena,
                      struct dns_settings *settings);
void agent_dns_recursion(const struct agent_config *c, struct arena *arena,
                         struct dns_recursion_config *out_recursion);
enum status agent_reload_now(struct agent *a, struct err *out_err);
