#include "dns/io/transfers.h"

#include <signal.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/log.h"
#include "dns/io/notify.h"
#include "dns/io/serial_file.h"

/* Changes that come one after the other are one step of the journal. */
#define PACE_MS 200

struct transfers {
    struct reader reader; /* First: has its own cache line. */
    const struct publisher *publisher;
    pthread_mutex_t lock;
    /* Under the lock: */
    struct transfer_rules *rules;
    struct transfer_jobs inbox;
    bool rules_changed;
    union address *own_wanted; /* NULL: as they are. */
    size_t own_wanted_count;
    bool ending;
    bool running;
    size_t records;
    size_t bytes;
    /* Of anybody: */
    atomic_bool active; /* There are rules. */
    atomic_uint jobs;
    struct notify_counts notify_counts;
    /* Of the thread: */
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t pace;
    struct transfer_rules *now;
    uint32_t kept; /* The serial in the file, */
    bool has_kept; /* if there is one of ours. */
    bool untold;   /* Who is to be told has not been told of the zones as they
                      are: the rules are new. */
    struct dns_transfer_set *sets[TRANSFER_ZONES_MAX];
    struct notifier *notifier;
    union address *own; /* Lent to the notifier. */
    uint64_t updated_ms;
};

static void lock(struct transfers *t)
{
    CHECK(pthread_mutex_lock(&t->lock) == 0);
}

static void unlock(struct transfers *t)
{
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
}

struct transfers *transfers_new(const struct publisher *publisher)
{
    struct transfers *t = aligned_alloc(64, (sizeof(*t) + 63) & ~(size_t)63);

    CHECK(t != NULL);
    memset(t, 0, sizeof(*t));
    atomic_store(&t->reader.seen, READER_IDLE);
    t->publisher = publisher;
    CHECK(pthread_mutex_init(&t->lock, NULL) == 0);
    STAILQ_INIT(&t->inbox);
    return t;
}

struct reader *transfers_reader(struct transfers *t)
{
    return &t->reader;
}

void transfers_listen(struct transfers *t, const union address *own,
                      size_t count)
{
    union address *copy = calloc(count + 1, sizeof(copy[0]));

    CHECK(copy != NULL);
    if (count > 0) {
        memcpy(copy, own, count * sizeof(copy[0]));
    }
    lock(t);
    free(t->own_wanted);
    t->own_wanted = copy;
    t->own_wanted_count = count;
    if (t->running) {
        CHECK(uv_async_send(&t->wake) == 0);
    }
    unlock(t);
}

/* Under the lock, or before there is a thread. */
static void take_own(struct transfers *t)
{
    if (t->own_wanted == NULL) {
        return;
    }
    notifier_listen(t->notifier, t->own_wanted, t->own_wanted_count);
    free(t->own);
    t->own = t->own_wanted;
    t->own_wanted = NULL;
}

/* ---- Jobs, from any thread ---------------------------------------------- */

static void job_free(struct transfer_job *job)
{
    atomic_fetch_sub(&job->transfers->jobs, 1);
    transfer_rules_unref(job->rules);
    free(job);
}

struct transfer_job *transfer_job_new(struct transfers *t)
{
    struct transfer_job *job;

    if (atomic_fetch_add(&t->jobs, 1) >= LIMIT_DNS_TRANSFERS) {
        atomic_fetch_sub(&t->jobs, 1);
        return NULL;
    }
    job = calloc(1, sizeof(*job));
    CHECK(job != NULL);
    job->transfers = t;
    return job;
}

/* A thread that has ended takes nothing out; transfers_free() does. */
static void submit(struct transfer_job *job)
{
    struct transfers *t = job->transfers;

    lock(t);
    STAILQ_INSERT_TAIL(&t->inbox, job, link);
    if (t->running) {
        CHECK(uv_async_send(&t->wake) == 0);
    }
    unlock(t);
}

struct transfer_rules *transfers_rules(struct transfers *t)
{
    struct transfer_rules *rules = NULL;

    if (t == NULL || !atomic_load_explicit(&t->active, memory_order_relaxed)) {
        return NULL;
    }
    lock(t);
    if (t->rules != NULL) {
        rules = transfer_rules_ref(t->rules);
    }
    unlock(t);
    return rules;
}

void transfers_published(struct transfers *t)
{
    if (!atomic_load_explicit(&t->active, memory_order_relaxed)) {
        return;
    }
    lock(t);
    if (t->running) {
        CHECK(uv_async_send(&t->wake) == 0);
    }
    unlock(t);
}

void transfers_stats(struct transfers *t, struct dns_transfer_stats *out)
{
    lock(t);
    *out = (struct dns_transfer_stats){
        .running = atomic_load(&t->jobs),
        .records = t->records,
        .bytes = t->bytes,
        .notify_sent = atomic_load(&t->notify_counts.sent),
        .notify_answered = atomic_load(&t->notify_counts.answered),
        .notify_failed = atomic_load(&t->notify_counts.failed),
    };
    unlock(t);
}

/* ---- The zones, by the thread ------------------------------------------- */

static void count_sets(struct transfers *t)
{
    size_t records = 0;
    size_t bytes = 0;

    for (unsigned d = 0; d < TRANSFER_ZONES_MAX; d++) {
        if (t->sets[d] != NULL) {
            records += dns_transfer_set_records(t->sets[d]);
            bytes += dns_transfer_set_bytes(t->sets[d]);
        }
    }
    lock(t);
    t->records = records;
    t->bytes = bytes;
    unlock(t);
}

/* A zone is kept from the first time that somebody wants it. */
static bool is_wanted(const struct transfers *t, const struct dns_zone *zone,
                      unsigned domain)
{
    return (t->sets[domain] != NULL || t->now->targets_count > 0) &&
           transfer_rules_zone(t->now, dns_zone_domain_name(zone, domain));
}

static bool update_one(struct transfers *t, const struct dns_zone *zone,
                       unsigned domain)
{
    if (t->sets[domain] == NULL) {
        t->sets[domain] = dns_transfer_set_new(domain);
    }
    return dns_transfer_set_update(t->sets[domain], zone);
}

/* A serial that is not the store's has to be known after a restart, and so it
 * is on disk before anybody can have it. */
static void keep_serial(struct transfers *t, const struct dns_zone *zone)
{
    uint32_t serial = dns_zone_serial(zone);
    struct err err = {0};

    if (!dns_zone_serial_is_ahead(zone) || t->now->serial_path[0] == '\0' ||
        (t->has_kept && t->kept == serial)) {
        return;
    }
    t->has_kept = serial_file_write(t->now->serial_path, serial, &err) == ST_OK;
    t->kept = serial;
    if (!t->has_kept) {
        log_warn("dns",
                 "%s; after a restart secondaries may wait for the serial of "
                 "the zone",
                 err.text);
    }
}

/* `wanted`: a domain that is asked for now, or -1. false: no zone can be
 * transferred at present. */
static bool update(struct transfers *t, int wanted)
{
    const struct dns_zone *zone = reader_enter(&t->reader, t->publisher);
    bool good = zone != NULL && dns_zone_may_transfer(zone) && t->now != NULL;

    t->updated_ms = uv_now(&t->loop);
    if (good) {
        keep_serial(t, zone);
    }
    for (unsigned d = 0; good && d < dns_zone_domains(zone); d++) {
        if (((int)d == wanted || is_wanted(t, zone, d)) &&
            (update_one(t, zone, d) || t->untold)) {
            notifier_changed(t->notifier, zone, d);
        }
    }
    t->untold = t->untold && !good;
    good = good && (wanted < 0 || wanted < (int)dns_zone_domains(zone));
    reader_leave(&t->reader);
    count_sets(t);
    return good;
}

static void on_pace(uv_timer_t *timer)
{
    (void)update(timer->data, -1);
}

static void update_soon(struct transfers *t)
{
    uint64_t age_ms = uv_now(&t->loop) - t->updated_ms;

    if (uv_is_active((uv_handle_t *)&t->pace)) {
        return;
    }
    CHECK(uv_timer_start(&t->pace, on_pace,
                         age_ms < PACE_MS ? PACE_MS - age_ms : 0, 0) == 0);
}

static void sets_free(struct transfers *t)
{
    for (unsigned d = 0; d < TRANSFER_ZONES_MAX; d++) {
        dns_transfer_set_free(t->sets[d]);
        t->sets[d] = NULL;
    }
}

/* ---- Jobs, by the thread ------------------------------------------------- */

struct transfer_desk {
    struct transfers *transfers;
    transfer_ready_fn *ready;
    uv_async_t wake;
    pthread_mutex_t lock;
    struct transfer_jobs inbox; /* Under it. */
    bool closed;                /* Under it. */
};

static void job_return(struct transfer_job *job)
{
    struct transfer_desk *desk = job->desk;

    CHECK(pthread_mutex_lock(&desk->lock) == 0);
    STAILQ_INSERT_TAIL(&desk->inbox, job, link);
    CHECK(uv_async_send(&desk->wake) == 0);
    CHECK(pthread_mutex_unlock(&desk->lock) == 0);
}

static void serve(struct transfers *t, struct transfer_job *job)
{
    if (job->over) {
        dns_transfer_close(job->stream);
        job_free(job);
        return;
    }
    if (update(t, (int)job->domain)) {
        job->stream = dns_transfer_open(t->sets[job->domain], &job->request);
    }
    job_return(job);
}

static void serve_all(struct transfers *t, struct transfer_jobs *jobs)
{
    struct transfer_job *job;

    while ((job = STAILQ_FIRST(jobs)) != NULL) {
        STAILQ_REMOVE_HEAD(jobs, link);
        serve(t, job);
    }
}

static void take_rules(struct transfers *t, struct transfer_rules *rules)
{
    transfer_rules_unref(t->now);
    t->now = rules;
    t->untold = true;
    notifier_set(t->notifier, rules);
    if (rules == NULL) {
        sets_free(t);
        count_sets(t);
    }
}

static void close_all(struct transfers *t)
{
    notifier_close(t->notifier);
    t->notifier = NULL;
    uv_close((uv_handle_t *)&t->wake, NULL);
    uv_close((uv_handle_t *)&t->pace, NULL);
}

static void on_wake(uv_async_t *async)
{
    struct transfers *t = async->data;
    struct transfer_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
    struct transfer_rules *rules = NULL;
    bool changed;
    bool ending;

    lock(t);
    ending = t->ending;
    changed = t->rules_changed;
    t->rules_changed = false;
    if (changed && t->rules != NULL) {
        rules = transfer_rules_ref(t->rules);
    }
    if (!ending) {
        STAILQ_CONCAT(&jobs, &t->inbox);
        take_own(t);
    }
    unlock(t);
    if (changed) {
        take_rules(t, rules);
    }
    if (ending) {
        close_all(t);
        return;
    }
    serve_all(t, &jobs);
    update_soon(t);
}

/* ---- Start, stop --------------------------------------------------------- */

static void *run(void *arg)
{
    struct transfers *t = arg;

    (void)uv_run(&t->loop, UV_RUN_DEFAULT);
    return NULL;
}

static enum status start(struct transfers *t, struct err *err)
{
    sigset_t all;
    sigset_t before;
    int error;

    CHECK(uv_loop_init(&t->loop) == 0);
    CHECK(uv_async_init(&t->loop, &t->wake, on_wake) == 0);
    CHECK(uv_timer_init(&t->loop, &t->pace) == 0);
    t->wake.data = t;
    t->pace.data = t;
    t->notifier = notifier_new(&t->loop, &t->notify_counts);
    take_own(t);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&t->thread, NULL, run, t);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        close_all(t);
        (void)uv_run(&t->loop, UV_RUN_DEFAULT);
        CHECK(uv_loop_close(&t->loop) == 0);
        return err_set(err, ST_IO, "cannot start the thread for transfers: %s",
                       strerror(error));
    }
    lock(t);
    t->running = true;
    unlock(t);
    return ST_OK;
}

enum status transfers_set(struct transfers *t, struct transfer_rules *rules,
                          struct err *err)
{
    enum status st = ST_OK;

    if (!t->running && rules != NULL) {
        st = start(t, err);
    }
    if (st) {
        transfer_rules_unref(rules);
        return st;
    }
    lock(t);
    transfer_rules_unref(t->rules);
    t->rules = rules;
    t->rules_changed = true;
    atomic_store(&t->active, rules != NULL);
    if (t->running) {
        CHECK(uv_async_send(&t->wake) == 0);
    }
    unlock(t);
    return ST_OK;
}

void transfers_stop(struct transfers *t)
{
    bool was_running;

    if (t == NULL) {
        return;
    }
    lock(t);
    was_running = t->running;
    t->running = false;
    t->ending = true;
    if (was_running) {
        CHECK(uv_async_send(&t->wake) == 0);
    }
    unlock(t);
    if (was_running) {
        CHECK(pthread_join(t->thread, NULL) == 0);
        CHECK(uv_loop_close(&t->loop) == 0);
    }
}

void transfers_free(struct transfers *t)
{
    struct transfer_job *job;

    if (t == NULL) {
        return;
    }
    while ((job = STAILQ_FIRST(&t->inbox)) != NULL) {
        STAILQ_REMOVE_HEAD(&t->inbox, link);
        dns_transfer_close(job->stream);
        job_free(job);
    }
    CHECK(atomic_load(&t->jobs) == 0);
    sets_free(t);
    transfer_rules_unref(t->now);
    transfer_rules_unref(t->rules);
    CHECK(pthread_mutex_destroy(&t->lock) == 0);
    free(t->own);
    free(t->own_wanted);
    free(t);
}

/* ---- A worker's ---------------------------------------------------------- */

static void on_desk(uv_async_t *async)
{
    struct transfer_desk *desk = async->data;
    struct transfer_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
    struct transfer_job *job;

    CHECK(pthread_mutex_lock(&desk->lock) == 0);
    STAILQ_CONCAT(&jobs, &desk->inbox);
    CHECK(pthread_mutex_unlock(&desk->lock) == 0);
    while ((job = STAILQ_FIRST(&jobs)) != NULL) {
        STAILQ_REMOVE_HEAD(&jobs, link);
        if (job->conn != NULL) {
            job->desk = NULL; /* It is here. */
            desk->ready(job);
        } else {
            job->over = true;
            submit(job);
        }
    }
}

struct transfer_desk *transfer_desk_new(struct transfers *t, uv_loop_t *loop,
                                        transfer_ready_fn *ready)
{
    struct transfer_desk *desk = calloc(1, sizeof(*desk));

    CHECK(desk != NULL);
    desk->transfers = t;
    desk->ready = ready;
    CHECK(uv_async_init(loop, &desk->wake, on_desk) == 0);
    desk->wake.data = desk;
    CHECK(pthread_mutex_init(&desk->lock, NULL) == 0);
    STAILQ_INIT(&desk->inbox);
    return desk;
}

static void on_desk_closed(uv_handle_t *handle)
{
    struct transfer_desk *desk = handle->data;

    CHECK(pthread_mutex_destroy(&desk->lock) == 0);
    free(desk);
}

/* The thread has ended: nothing comes any more. */
void transfer_desk_close(struct transfer_desk *desk)
{
    struct transfer_job *job;

    while ((job = STAILQ_FIRST(&desk->inbox)) != NULL) {
        STAILQ_REMOVE_HEAD(&desk->inbox, link);
        job->over = true;
        submit(job);
    }
    uv_close((uv_handle_t *)&desk->wake, on_desk_closed);
}

void transfer_job_open(struct transfer_job *job, struct transfer_desk *desk,
                       struct tcp_conn *conn)
{
    job->desk = desk;
    job->conn = conn;
    submit(job);
}

size_t transfer_job_next(struct transfer_job *job, uint8_t *out)
{
    size_t len = dns_transfer_next(job->stream, out, DNS_TRANSFER_MESSAGE_MIN);

    return len > 0 && job->is_signed
               ? tsig_sign(&job->tsig, out, len, (uint64_t)time(NULL))
               : len;
}

void transfer_job_close(struct transfer_job *job)
{
    job->conn = NULL;
    if (job->desk == NULL) {
        job->over = true;
        submit(job);
    }
}
