/*
 * local.h - this host's own services and checks: what the agent is the
 * authority for.
 *
 * Definitions come from files and from the API; check results, TTL updates and
 * maintenance change their state; out come the checks to run, the records the
 * store should hold (sync.h compares them) and the items to keep on disk.
 *
 * Pure: the caller brings the time. `now_ms` is monotonic; `wall_ms` is used
 * only inside stored items, because monotonic time means nothing after a boot.
 *
 * A file wins over the API on the same service id, and its removal
 * deregisters. Pointers handed out are good until the next call that changes
 * the local state.
 */
#pragma once

#include "agent/core/health.h"
#include "agent/core/record.h"
#include "base/core/arena.h"
#include "base/core/hash.h"

struct catalog;
struct local;

/* The host, as configured. Copied by local_new(). */
struct local_host {
    const char *datacenter;
    struct node_record node; /* With owner.incarnation of this agent. */
    bool exec_from_api;      /* enable_script_checks: for API registrations. */
    bool exec_from_files;    /* enable_local_script_checks */
    bool discard_output;     /* discard_check_output: none into the store. */
};

struct local_time {
    uint64_t now_ms;
    int64_t wall_ms;
};

struct local *local_new(const struct local_host *host, struct hash_key key);
void local_free(struct local *l); /* NULL is fine. */
const struct local_host *local_host(const struct local *l);

/* ---- Definitions -------------------------------------------------- */

/* A file's content, parsed. Replaces what this file had registered before;
 * services that are no longer in it are deregistered. Takes a reference.
 * ST_EXISTS: an id is already taken by another file; err names both files and
 * nothing was changed. */
enum status local_load_file(struct local *l, const char *file,
                            struct definitions *defs, struct local_time now,
                            struct err *err);
/* The file is gone: deregister what it had. */
void local_forget_file(struct local *l, const char *file,
                       struct local_time now);

/* A file could not be read or parsed: what it had registered stays, and `text`
 * is shown by local_each_fault() until the file loads again or is forgotten.
 * Returns whether the text is another than before. */
bool local_file_fault(struct local *l, const char *file, const char *text);
typedef void (*local_fault_fn)(void *ctx, const char *file, const char *text);
void local_each_fault(const struct local *l, local_fault_fn fn, void *ctx);

enum local_checks_mode {
    LOCAL_KEEP_CHECKS,
    LOCAL_REPLACE_CHECKS
};

/* API registrations. Each takes references it needs.
 * ST_DENIED   an exec check, and exec_from_api is off
 * ST_EXISTS   the id belongs to a file
 * ST_NOT_FOUND  a check's service_id is not registered here
 * ST_TOO_BIG  over a limit */
enum status local_register_service(struct local *l, struct definitions *defs,
                                   enum local_checks_mode mode,
                                   struct local_time now, struct err *err);
enum status local_register_check(struct local *l, struct definitions *defs,
                                 struct local_time now, struct err *err);
/* ST_NOT_FOUND: unknown id. With a drain time, a service first turns critical
 * and is removed by a later local_tick(). */
enum status local_deregister_service(struct local *l, const char *id,
                                     struct local_time now);
enum status local_deregister_check(struct local *l, const char *id,
                                   struct local_time now);

/* Maintenance. `reason` NULL ends it; "" takes Consul's default text.
 * ST_NOT_FOUND: unknown service. */
enum status local_maint_node(struct local *l, const char *reason,
                             struct local_time now);
enum status local_maint_service(struct local *l, const char *id,
                                const char *reason, struct local_time now);

/* The agent is about to leave: as in node maintenance, which is not kept over a
 * restart. */
void local_leave(struct local *l, struct local_time now);

/* ---- Checks ------------------------------------------------------- */

/* From the application. ST_NOT_FOUND: no such check; ST_INVALID: not a TTL
 * check. */
enum status local_ttl_update(struct local *l, const char *check_id,
                             enum check_status status, struct slice output,
                             struct local_time now);

/* A check to run now. `run` identifies this run in local_result(). */
struct local_run {
    uint64_t run;
    uint64_t late_ms; /* Since it was due. */
    const struct check_def *def;
};

/* The next check that is due and not already running; it counts as running
 * until its result comes or it is deregistered. False: nothing is due. The
 * caller may hold `def` after local changes only with a reference taken by
 * local_run_hold(). */
bool local_due(struct local *l, struct local_time now,
               struct local_run *out_run);
struct definitions *local_run_hold(struct local *l, uint64_t run);

/* The result of a run. True when the status changed. A run whose check is gone
 * or was replaced meanwhile is ignored. */
bool local_result(struct local *l, uint64_t run, enum check_status status,
                  struct slice output, struct local_time now);

/* The catalogue as it is now, for aliases of other nodes; kept by reference.
 * True: there are aliases, so local_tick() has something to do. */
bool local_catalog(struct local *l, const struct catalog *catalog);

/* Let time pass: TTLs and holds expire, services critical for too long or
 * drained are removed, aliases follow what they stand for. Call it when
 * local_wake_ms() has come. */
void local_tick(struct local *l, struct local_time now);

/* Time has passed that the monotonic clock has not seen: the machine was
 * suspended. TTLs are that much nearer to their end; local_tick() ends them. */
void local_slept(struct local *l, uint64_t slept_ms);

/* When local_due() or local_tick() has something to do; UINT64_MAX: never. */
uint64_t local_wake_ms(const struct local *l);

/* Runs that were left out because the one before had not ended in time. */
uint64_t local_missed(const struct local *l);

/* ---- Views -------------------------------------------------------- */

struct local_check {
    const struct check_def *def;
    const char *service_name; /* "" for node checks. */
    struct texts service_tags;
    enum check_status status;
    const char *output;
};

struct local_service {
    const struct service_def *def;
    const char *file; /* NULL: from the API. */
    bool maintenance;
    enum health_sum health; /* With the node's checks. */
};

bool local_service_get(const struct local *l, const char *id,
                       struct local_service *out_service);
bool local_check_get(const struct local *l, const char *id,
                     struct local_check *out_check);
size_t local_services_count(const struct local *l);
size_t local_checks_count(const struct local *l);

/* In order of id. */
typedef bool (*local_service_fn)(void *ctx, const struct local_service *s);
typedef bool (*local_check_fn)(void *ctx, const struct local_check *c);
void local_each_service(const struct local *l, local_service_fn fn, void *ctx);
void local_each_check(const struct local *l, local_check_fn fn, void *ctx);

/* Changes of status, the newest first: of one service's checks ("": of the
 * node's, NULL: all), at most LOCAL_HISTORY_MAX. Those of before the agent's
 * start are not known. */
#define LOCAL_HISTORY_MAX 64
struct local_transition {
    int64_t wall_ms; /* By the clock as it is now. */
    const char *check_id;
    const char *service_id;
    enum check_status status;
    const char *output;
};
typedef bool (*local_transition_fn)(void *ctx,
                                    const struct local_transition *t);
void local_each_transition(const struct local *l, const char *service_id,
                           struct local_time now, local_transition_fn fn,
                           void *ctx);

/* ---- Records for the store ---------------------------------------- */

/* Grows with each change that alters local_each_record()'s result. */
uint64_t local_generation(const struct local *l);

struct local_record {
    struct slice key;
    struct slice value;
    uint64_t hash;     /* catalog_hash(value) */
    bool urgent;       /* Its status turned critical: not to be delayed. */
    bool tag_override; /* Tags in the store win. */
    const char *id;    /* Of an instance, for local_record_retag(). */
};

/* The durable records of this node: node, instances, node checks; not live. */
typedef bool (*local_record_fn)(void *ctx, const struct local_record *r);
void local_each_record(struct local *l, local_record_fn fn, void *ctx);

/* The value of an instance with other tags than its own. */
enum status local_record_retag(const struct local *l, const char *id,
                               struct texts tags, struct buf *out);

/* ---- What is kept over a restart ---------------------------------- */

/* Registrations of the API, maintenance and check statuses, as items for a
 * small key-value table on disk. Registrations, maintenance and new statuses
 * must be durable before the API call is answered; that a status still holds,
 * and its output, may follow lazily. */
struct local_item {
    struct slice key;
    struct slice value; /* Empty: delete the key. */
    bool urgent;        /* Not just the news that a status still holds. */
};

/* The next item that differs from what was handed out before; strings from the
 * arena. False: nothing more. */
bool local_item_next(struct local *l, struct local_time now, struct arena *a,
                     struct local_item *out_item);

/* The item could not be stored: it comes again. */
void local_item_again(struct local *l, struct slice key);

/* Give back one stored item after a start: all of them before the first
 * local_load_file(), in any order; then local_restored(). Statuses wait inside
 * for the check they belong to.
 * A status too old to be of use is dropped, and deleted by the next
 * local_item_next().
 * ST_CORRUPT: err says why; the item is skipped and stays on disk. */
enum status local_restore(struct local *l, const struct local_item *item,
                          struct local_time now, struct err *err);
void local_restored(struct local *l, struct local_time now);
