/*
 * core.h - what the files of the simulator share.
 *
 * main.c       the command line, one process a seed
 * sim.c        the clock, the queue of events, a run from begin to end
 * profiles.c   what kind of trouble
 * faults.c     the trouble
 * network.c    messages under way, links that are cut or slow
 * member.c     one member: raft, log, state machine, their disks
 * snapshots.c  snapshots on their way and their installation
 * checks.c     what must hold after every event
 * model.c      what the store must hold, by the entries in order
 * clients.c    those who read and write, and those who watch
 *
 * Nothing here reads a clock, a file or an address: a seed and a profile are
 * the whole story.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/rng.h"
#include "history/request.h"
#include "mem_disk.h"
#include "store/kv/watch.h"
#include "store/node/node.h"
#include "unit/store_kv/memory_table.h"

enum {
    MEMBERS_MAX = 14, /* That ever were; ids are 1 and up. */
    CLIENTS = 5,
    WATCHERS = 3,
    KEYS = 4, /* 1 and up. */
    OPS_MAX = 20000,
};

/* ---- profiles.c ---- */

enum fault {
    FAULT_CUT,        /* The network falls into two parts. */
    FAULT_ONE_WAY,    /* One direction of one link is cut. */
    FAULT_CUT_LEADER, /* The leader is alone, or with one other. */
    FAULT_HEAL,       /* No link is cut. */
    FAULT_STORM,      /* For a while, many messages get lost. */
    FAULT_KILL,       /* kill -9; the system lives on. */
    FAULT_KILL_LEADER,
    FAULT_POWER,     /* One machine loses power. */
    FAULT_POWER_ALL, /* All do. */
    FAULT_PAUSE,
    FAULT_SLOW_DISK,
    FAULT_SYNC_FAILS,
    FAULT_DISK_FULL,
    FAULT_ROT, /* A bit of what is on disk changes. */
    FAULT_TRANSFER,
    FAULT_ADD,
    FAULT_ADD_LEARNER,
    FAULT_PROMOTE,
    FAULT_REMOVE,
    FAULT_TWO_CHANGES, /* At once, and soon after it the network is cut. */
    FAULT_COMPACT,
    FAULT_INSTALL_CRASH, /* The next installation of a snapshot is cut short. */
    FAULTS_COUNT
};

struct profile {
    const char *name;
    const char *what;
    size_t members;
    uint64_t chaos_ms;
    uint64_t delay_us; /* Of a message: up to this. */
    unsigned loss;     /* Of 1000 messages. */
    unsigned twice;    /* Of 1000. */
    bool reorder;
    uint64_t sync_us;        /* Of a sync: up to this. */
    bool quick_restart;      /* Within milliseconds, not a second. */
    uint64_t fault_ms;       /* Between two faults: up to this. */
    uint64_t snapshot_count; /* As node_config's. */
    uint64_t keep_count;
    unsigned weights[FAULTS_COUNT];
};

extern const struct profile profiles[];
extern const size_t profiles_count;
const struct profile *profile_by_name(const char *name); /* NULL: none */

/* ---- sim.c ---- */

struct sim;
struct member;

enum event_type {
    EVENT_TICK,
    EVENT_MESSAGE,
    EVENT_TURN,
    EVENT_SYNCED,
    EVENT_BATCH,
    EVENT_BATCH_DONE,
    EVENT_IMPORTED,
    EVENT_SNAPSHOT_ENDED,
    EVENT_PEER_LOST,
    EVENT_START,
    EVENT_CLIENT,
    EVENT_FAULT,
    EVENT_CUT,
    EVENT_LOOK /* Once healed: is it over? */
};

struct parcel;

struct event {
    uint64_t due_us;
    uint64_t number; /* The order of those due together. */
    enum event_type type;
    uint64_t member;       /* 0: of nobody. */
    uint64_t life;         /* Of the member; 0: any. */
    uint64_t value;        /* A client's or a peer's number. */
    uint64_t index;        /* SNAPSHOT_ENDED */
    bool ok;               /* SNAPSHOT_ENDED */
    struct parcel *parcel; /* MESSAGE; the event's. */
};

struct heap {
    struct event *list;
    size_t count;
    size_t cap;
};

struct model;
struct checks;

/* A client does one thing at a time. */
struct client {
    struct op *op;   /* NULL: it thinks. */
    uint64_t member; /* Whom it asks; 0: nobody yet. */
    uint64_t life;
    uint64_t wake_us; /* It thinks or waits until then. */
    uint64_t floor;   /* Entries acknowledged before it asked. */
    uint64_t mods[KEYS + 1];
};

struct watching {
    uint64_t member; /* 0: between two. */
    uint64_t life;
    struct watcher *watcher;
    int64_t next;  /* The revision to be seen next, at least. */
    size_t cursor; /* In the model's changes. */
};

/* What happened in a run, to see that it did. */
struct sim_totals {
    uint64_t events;
    uint64_t elections;
    uint64_t crashes;
    uint64_t installs;
    uint64_t operations; /* Answered. */
};

struct sim {
    const struct profile *profile;
    uint64_t seed;
    bool trace;
    struct rng rng;
    uint64_t now_us;
    uint64_t numbers;
    struct heap heap;
    bool healed;
    bool over;
    uint64_t healed_us;
    size_t healed_ops; /* Answered since. */

    struct member *members; /* By id; 0 is unused. */
    size_t members_count;   /* The highest id that was ever added. */
    size_t founders;
    struct raft_conf conf; /* As of the newest membership entry applied. */

    bool cut[MEMBERS_MAX + 1][MEMBERS_MAX + 1];
    uint64_t link_us[MEMBERS_MAX + 1][MEMBERS_MAX + 1]; /* Last arrival. */
    unsigned loss;
    uint64_t storm_ends_us;
    uint64_t admin_names;

    struct client clients[CLIENTS];
    struct watching watching[WATCHERS];
    struct history history;
    struct model *model;
    struct checks *checks;

    struct sim_totals totals;
    uint64_t acknowledged; /* The highest entry a client knows the effect of. */
};

/* 0: all held. If not, it says so on stderr and exits with 1. */
int sim_run(const struct profile *profile, uint64_t seed, bool trace,
            struct sim_totals *out_totals);

struct event *sim_at(struct sim *s, uint64_t delay_us, enum event_type type);
struct event *sim_at_member(struct sim *s, uint64_t delay_us,
                            enum event_type type, const struct member *m);
void sim_trace(struct sim *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void sim_fail(struct sim *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
uint64_t sim_upto(struct sim *s, uint64_t most); /* 0 to this. */
bool sim_chance(struct sim *s, unsigned of_thousand);

/* ---- network.c ---- */

/* A message as bytes, and a snapshot's content. */
struct parcel {
    uint64_t from;
    uint64_t from_life;
    struct buf bytes;
    struct memory_table *content; /* NULL: no snapshot. */
};

void network_send(struct member *from, const struct raft_msg *message,
                  struct memory_table *content); /* Adopts it. */
void network_arrive(struct sim *s, struct event *e);
void network_miss(struct sim *s, const struct event *e); /* Nobody is there. */
void parcel_free(struct parcel *p);

/* ---- member.c ---- */

enum member_state {
    MEMBER_NEVER, /* Not added, or not started yet. */
    MEMBER_DOWN,
    MEMBER_UP,
    MEMBER_REMOVED, /* It knows, and has stopped for ever. */
    MEMBER_BROKEN,  /* It refuses to start from a damaged disk. */
};

struct arriving {
    bool is;
    uint64_t from;
    uint64_t from_life;
    struct raft_msg message;
    struct raft_snapshot snapshot;
    struct memory_table *content; /* Until it is imported. */
};

struct member {
    struct sim *sim;
    uint64_t id;
    enum member_state state;
    uint64_t life; /* Counts its starts; from 1. */
    uint64_t skew_ms;
    struct mem_disk *disk;
    struct memory_table tables[2];
    unsigned current;    /* tables[current] is the backend, */
    bool incoming_whole; /* and the other one a snapshot, whole. */
    struct kv *kv;
    struct node *node;
    struct kv_reply reply;
    const struct kv_batch *batch;
    bool dying;
    bool full; /* Its failure is for want of space, or the like. */
    bool sync_scheduled;
    bool turn_scheduled;
    size_t syncs;           /* Since its start. */
    uint64_t paused_us;     /* Until then. */
    uint64_t slow_us;       /* Until then its disk is slow. */
    enum status sync_fails; /* The next one. */
    bool rotten;
    unsigned install_crash; /* 0: none; 1: before, 2: after the exchange. */
    struct raft_status seen;
    struct arriving arriving;
};

struct member *sim_member(struct sim *s, uint64_t id);
bool member_is_up(const struct member *m);
void member_start(struct member *m);
/* power: what was not synced may be lost. */
void member_crash(struct member *m, bool power);
void member_turn(struct member *m); /* At the end of what concerns it. */
uint64_t member_ms(const struct member *m);
void member_tick(struct member *m);
void member_synced(struct member *m);
void member_batch(struct member *m);
void member_batch_done(struct member *m);
struct raft_status member_status(const struct member *m);
uint64_t sim_leader(struct sim *s); /* Of the newest term; 0: none. */
bool sim_is_member(const struct sim *s, uint64_t id);

/* ---- snapshots.c ---- */

void snapshot_send(struct member *m, const struct raft_msg *message);
void snapshot_arrive(struct member *m, const struct raft_msg *message,
                     struct parcel *p);
void snapshot_imported(struct member *m);
enum status snapshot_install(struct member *m, struct raft_pos pos,
                             struct err *err);
void snapshot_forget(struct member *m); /* It crashes. */
enum status snapshot_finish_install(struct member *m,
                                    const struct node_config *c,
                                    struct err *err);
uint64_t snapshot_durable(struct member *m); /* Its backend's entry. */
void snapshot_ended(struct sim *s, uint64_t to, uint64_t to_life, uint64_t peer,
                    uint64_t index, bool ok);

/* ---- checks.c ---- */

struct checks *checks_new(struct sim *s);
void checks_free(struct checks *c);
void check_member(struct member *m); /* After an event of it. */
void check_sent(struct member *m, const struct raft_msg *message);
void check_leads(struct member *m, const struct raft_status *status);
/* `sum` of the answer, `revision` after it. */
void check_applied(struct member *m, const struct raft_entry *e, uint32_t sum);
void check_conf(struct member *m, uint64_t index, const struct raft_conf *conf);
void check_started(struct member *m);
uint64_t checks_applied_last(const struct sim *s);
uint64_t checks_conf_last(const struct sim *s); /* The newest change. */

/* ---- model.c ---- */

struct change {
    int64_t revision;
    unsigned key;
    uint64_t value; /* 0: deleted */
};

struct model *model_new(void);
void model_free(struct model *m);
/* The next entry, once. NULL: it changes nothing. */
void model_apply(struct model *m, const struct op *op);
int64_t model_revision(const struct model *m);
const struct change *model_changes(const struct model *m, size_t *out_count);

/* ---- clients.c ---- */

void clients_start(struct sim *s);
void client_event(struct sim *s, uint64_t number);
void clients_applied(struct member *m, const struct raft_entry *e,
                     uint64_t name, const struct kv_reply *reply);
void clients_dropped(struct member *m, uint64_t tag, enum status why);
void clients_read_ready(struct member *m, uint64_t tag, enum status why);
void clients_crashed(struct member *m); /* Before its parts are freed. */
void watchers_turn(struct member *m);
void watchers_attach(struct sim *s);
bool watchers_are_done(const struct sim *s);
bool clients_are_done(const struct sim *s);
void clients_judge(struct sim *s);

/* ---- faults.c ---- */

void fault_event(struct sim *s);
void fault_cut(struct sim *s);
void faults_heal(struct sim *s);
void faults_admin(struct sim *s); /* Healed: what a good administrator does. */
