/*
 * local_model.h - what the local state is made of (private to local*.c).
 *
 * All maps are pmaps, used only for their order; nothing of this is shared with
 * other threads. An entry's map holds the one reference, runs hold another.
 */
#pragma once

#include "agent/core/local.h"
#include "agent/core/pmap.h"

#define NEVER UINT64_MAX

/* Checks that we make ourselves carry these ids, besides the reserved ones. */
#define CHECK_ID_DRAIN "_service_drain:"

struct svc {
    struct shared shared;
    const struct service_def *def;
    struct definitions *defs;
    char *file;         /* NULL: from the API. */
    struct pmap checks; /* id -> chk, all that are bound to it. */
    uint64_t drain_until_ms;
    /* The record for the store, made when asked for. */
    struct slice key;
    struct buf record;
    uint64_t record_hash;
    bool record_ready;
    bool urgent;
    bool too_big; /* Cannot be stored; see local_each_record(). */
};

struct chk {
    struct shared shared;
    const struct check_def *def;
    struct definitions *defs; /* NULL: our own, see `made`. */
    char *file;               /* NULL: from the API. */
    bool in_service;          /* Part of its service's definition. */
    struct health health;
    struct buf output;
    struct buf said;     /* While held: what `output` is without that. */
    char *told;          /* What it said when it turned ill; NULL: not. */
    uint64_t due_ms;     /* NEVER: passive. */
    uint64_t run;        /* 0: not running. */
    uint64_t expires_ms; /* TTL; NEVER: expired or none. */
    uint64_t critical_since_ms; /* NEVER: not critical. */
    uint64_t wake_ms;           /* Its place in `timers`; NEVER: none. */
    uint64_t saved_ms;          /* When its status was last marked for disk. */
    struct arena arena;         /* Of `made`. */
    struct check_def made;      /* Maintenance and drain. */
    /* Node checks: the record for the store. */
    struct slice key;
    struct buf record;
    uint64_t record_hash;
    bool record_ready;
};

struct file_entry {
    struct shared shared;
    struct definitions *defs; /* NULL: never loaded. */
    char *fault;              /* NULL: fine. */
    char path[];
};

/* An item that waits to be written, or one that was read back. */
struct mark {
    struct shared shared;
    bool urgent;
};

struct stash {
    struct shared shared;
    struct arena arena;
    struct definitions *defs;
    const char *reason;
    enum check_status status;
    const char *output;
    const char *told;       /* As in struct chk; "": NULL. */
    int64_t saved_ms;       /* Wall time. */
    int64_t expires_ms;     /* Wall time; 0: not a TTL check. */
    const char *definition; /* Hash of what the status belongs to. */
};

/* One change of a check's status. */
struct transition {
    struct arena arena;
    uint64_t at_ms;
    const char *check_id;
    const char *service_id;
    enum check_status status;
    const char *output; /* At most TRANSITION_OUTPUT bytes. */
};

/* Of a check's output, what is kept of a change of status, and told to all. */
#define TRANSITION_OUTPUT 256

struct local {
    struct arena arena;
    struct local_host host;
    struct hash_key key;
    struct pmap services; /* id -> svc */
    struct pmap checks;   /* id -> chk */
    struct pmap of_node;  /* The same, those of no service. */
    struct pmap aliases;  /* The same, CHECK_TYPE_ALIAS. */
    struct pmap files;    /* path -> file_entry */
    struct pmap timers;   /* big-endian time, 'c' or 's', id -> chk or svc */
    struct pmap runs;     /* big-endian number -> chk */
    struct pmap dirty;    /* item key -> mark */
    struct pmap restored; /* item key -> stash */
    struct pmap waiting;  /* check id -> stash: its service is not here yet */
    struct pmap outdated; /* item key -> mark: read back, to be dropped */
    const struct catalog *catalog; /* What aliases of other nodes look at. */
    bool unsettled;                /* Aliases have to be looked at again. */
    uint64_t generation;
    uint64_t last_run;
    struct transition *history; /* A ring of LIMIT_TRANSITIONS. */
    uint64_t transitions;       /* That there were. */
    uint64_t missed;            /* Runs that did not take place in time. */
    struct slice node_key;
    struct buf node_record;
    uint64_t node_hash;
};

struct svc *local_svc(const struct local *l, const char *id);
struct chk *local_chk(const struct local *l, const char *id);

/* Mark an item for disk. `kind`: "service/", "check/", "status/", "maint/". */
enum item_hurry {
    ITEM_LAZY,
    ITEM_URGENT
};
void local_mark(struct local *l, const char *kind, const char *id,
                enum item_hurry hurry);

/* Bring a check in; a known one that is defined alike keeps its state. Takes
 * references on defs; copies `file`. */
void local_put_check(struct local *l, const struct check_def *def,
                     struct definitions *defs, const char *file,
                     bool in_service, struct local_time now);
/* Whether a definition may come in. `file` NULL: from the API; `defs` (NULL is
 * fine) may define the service of a check. */
enum status local_accept_service(const struct local *l, const char *file,
                                 const struct service_def *def,
                                 enum local_checks_mode mode, struct err *err);
enum status local_accept_check(const struct local *l, const char *file,
                               const struct check_def *c,
                               const struct definitions *defs,
                               bool exec_allowed, struct err *err);
bool local_defines(const struct definitions *d, const char *service_id);
bool local_same_file(const char *a, const char *b); /* NULL: the API. */

void local_put_service(struct local *l, const struct service_def *def,
                       struct definitions *defs, const char *file,
                       enum local_checks_mode mode, struct local_time now);
void local_remove_check(struct local *l, struct chk *c);
void local_remove_service(struct local *l, struct svc *s);

/* Give an alias that comes in the status of what it stands for; bring all of
 * them up to date. */
void local_alias_start(struct local *l, struct chk *c, struct local_time now);
void local_alias_settle(struct local *l, struct local_time now);

/* The output of a TTL that is over: that, and what was said last. */
void local_expired_output(struct chk *c);

/* What a change of status is remembered with: the beginning of the output. */
struct slice local_transition_output(const struct chk *c);

/* A critical check of our own making. `notes` is copied. */
void local_make_check(struct local *l, const char *id, const char *service_id,
                      const char *name, const char *notes,
                      struct local_time now);

void local_set_status(struct local *l, struct chk *c, enum check_status status,
                      uint64_t now_ms);
void local_set_output(struct chk *c, struct slice output);

/* After a new status: bring everything that follows from it up to date. */
void local_status_changed(struct local *l, struct chk *c, uint64_t now_ms);
void local_save_status(struct local *l, struct chk *c, uint64_t now_ms,
                       enum item_hurry hurry);
void local_history_add(struct local *l, const struct chk *c, uint64_t now_ms);
void local_history_release(struct local *l);
void local_forget_run(struct local *l, struct chk *c);
/* NEVER: its service stays. */
uint64_t local_deregister_ms(const struct chk *c);

/* How times and numbers lie in keys. */
void local_put_be64(uint8_t out[8], uint64_t value);
uint64_t local_get_be64(struct slice key);

/* Timers: set a check's next time, or a service's drain. */
void local_schedule(struct local *l, struct chk *c);
struct slice local_timer_key(uint8_t out[16 + 512], uint64_t at_ms, char kind,
                             const char *id);

/* The status a check had before a restart; false: none that still counts. */
bool local_recall(struct local *l, const struct check_def *def,
                  struct local_time now, struct stash *out_stash);
/* Checks of the API that wait for this service, which a file defines. */
void local_recall_checks(struct local *l, const char *service_id,
                         struct local_time now);
/* The maintenance of a service before a restart; NULL: none. */
const char *local_recall_maint(struct local *l, const char *id);
