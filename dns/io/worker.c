#include "dns/io/worker.h"

#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/core/check.h"
#include "base/io/tls.h"
#include "dns/io/conn.h"
#include "dns/io/transfers.h"

enum {
    DRAIN_LOOK_MS = 500 /* How exactly the end of draining is found. */
};

/* The only way out: everything is closed, and the loop runs until it is. */
static void close_all(struct worker *w)
{
    if (w->forwarder != NULL) {
        forwarder_close(w->forwarder);
    }
    while (!LIST_EMPTY(&w->udps)) {
        udp_close(LIST_FIRST(&w->udps));
    }
    while (!LIST_EMPTY(&w->tcps)) {
        tcp_close(LIST_FIRST(&w->tcps));
    }
    conn_list_close(w->conns);
    transfer_desk_close(w->transfer_desk);
    uv_close((uv_handle_t *)&w->stop, NULL);
    uv_close((uv_handle_t *)&w->changed, NULL);
    uv_close((uv_handle_t *)&w->pulse, NULL);
    uv_close((uv_handle_t *)&w->drain, NULL);
}

static void on_stop(uv_async_t *async)
{
    close_all(async->data);
}

/* ---- Sockets that come and go -------------------------------------------- */

void encryption_unref(struct encryption *e)
{
    if (e != NULL && --e->refs == 0) {
        tls_free(e->tls);
        free(e);
    }
}

static void encrypt_with(struct worker *w, struct tls *tls)
{
    encryption_unref(w->encryption);
    w->encryption = calloc(1, sizeof(*w->encryption));
    CHECK(w->encryption != NULL);
    *w->encryption = (struct encryption){.tls = tls, .refs = 1};
}

static void on_drain(uv_timer_t *timer)
{
    if (!udp_leave_expired(timer->data)) {
        (void)uv_timer_stop(timer);
    }
}

static void change(struct worker *w, const struct worker_change *c)
{
    if (c->tls != NULL) {
        encrypt_with(w, c->tls);
    }
    for (size_t i = 0; i < c->add_count; i++) {
        if (c->add[i].stream) {
            tcp_open(w, &c->add[i]);
        } else {
            udp_open(w, &c->add[i]);
        }
    }
    uv_update_time(&w->loop);
    for (size_t i = 0; i < c->drop_count; i++) {
        udp_leave(w, c->drop[i]);
        tcp_leave(w, c->drop[i]);
    }
    if (c->drop_count > 0) {
        (void)uv_timer_start(&w->drain, on_drain, DRAIN_LOOK_MS, DRAIN_LOOK_MS);
    }
}

static void take_changes(struct worker *w)
{
    struct worker_changes changes = STAILQ_HEAD_INITIALIZER(changes);
    struct worker_change *c;

    CHECK(pthread_mutex_lock(&w->wanted_lock) == 0);
    STAILQ_CONCAT(&changes, &w->changes);
    CHECK(pthread_mutex_unlock(&w->wanted_lock) == 0);
    while ((c = STAILQ_FIRST(&changes)) != NULL) {
        STAILQ_REMOVE_HEAD(&changes, link);
        change(w, c);
        free(c);
    }
}

void dns_worker_change(struct worker *w, struct worker_change *c)
{
    CHECK(pthread_mutex_lock(&w->wanted_lock) == 0);
    STAILQ_INSERT_TAIL(&w->changes, c, link);
    CHECK(pthread_mutex_unlock(&w->wanted_lock) == 0);
    CHECK(uv_async_send(&w->changed) == 0);
}

void worker_change_free(struct worker_change *c)
{
    for (size_t i = 0; c != NULL && i < c->add_count; i++) {
        (void)close(c->add[i].fd);
    }
    if (c != NULL) {
        tls_free(c->tls);
    }
    free(c);
}

/* ---- What it is told ----------------------------------------------------- */

static void on_changed(uv_async_t *async)
{
    struct worker *w = async->data;

    CHECK(pthread_mutex_lock(&w->wanted_lock) == 0);
    guard_set(&w->responder.guard, &w->wanted);
    w->responder.udp_remote = w->wanted.udp_max_remote;
    CHECK(pthread_mutex_unlock(&w->wanted_lock) == 0);
    take_changes(w);
    if (w->encryption != NULL) {
        tls_refresh(w->encryption->tls);
    }
}

void dns_worker_protect(struct worker *w,
                        const struct dns_protection *protection)
{
    CHECK(pthread_mutex_lock(&w->wanted_lock) == 0);
    w->wanted = *protection;
    CHECK(pthread_mutex_unlock(&w->wanted_lock) == 0);
    CHECK(uv_async_send(&w->changed) == 0);
}

static void on_pulse(uv_async_t *async)
{
    struct worker *w = async->data;

    atomic_store(&w->turned, true);
}

bool dns_worker_pulse(struct worker *w)
{
    bool turned = atomic_exchange(&w->turned, false);

    CHECK(uv_async_send(&w->pulse) == 0);
    return turned;
}

static void *run(void *arg)
{
    struct worker *w = arg;

    (void)pthread_setname_np(pthread_self(), "muster-dns");
    if (w->config->gate != NULL) {
        uv_sem_wait(w->config->gate);
    }
    take_changes(w);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void responder_start(struct worker *w)
{
    uint64_t seed;

    CHECK(RAND_bytes((unsigned char *)&seed, sizeof(seed)) == 1);
    rng_init(&w->responder.rng, seed);
    w->responder.udp_remote = w->config->protection.udp_max_remote;
    w->responder.counts = &w->counts;
    w->responder.transfers = w->config->transfers;
    guard_init(&w->responder.guard, &w->config->protection);
}

struct worker *dns_worker_new(const struct worker_config *config,
                              const struct publisher *publisher)
{
    struct worker *w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);

    CHECK(w != NULL);
    memset(w, 0, sizeof(*w));
    atomic_store(&w->reader.seen, READER_IDLE);
    w->config = config;
    suspend_init(&w->suspend);
    w->publisher = publisher;
    LIST_INIT(&w->udps);
    LIST_INIT(&w->tcps);
    STAILQ_INIT(&w->changes);
    w->wanted = config->protection;
    CHECK(uv_loop_init(&w->loop) == 0);
    CHECK(uv_async_init(&w->loop, &w->stop, on_stop) == 0);
    w->stop.data = w;
    CHECK(uv_async_init(&w->loop, &w->changed, on_changed) == 0);
    w->changed.data = w;
    CHECK(uv_async_init(&w->loop, &w->pulse, on_pulse) == 0);
    w->pulse.data = w;
    CHECK(uv_timer_init(&w->loop, &w->drain) == 0);
    w->drain.data = w;
    atomic_store(&w->turned, true);
    CHECK(pthread_mutex_init(&w->wanted_lock, NULL) == 0);
    w->conns = conn_list_new(w);
    responder_start(w);
    w->transfer_desk =
        transfer_desk_new(config->transfers, &w->loop, conn_transfer_ready);
    w->forwarder = forwarder_new(w, config->upstream, config->recursion);
    return w;
}

/* Signals are for the main thread. */
enum status dns_worker_start(struct worker *w, struct err *err)
{
    sigset_t all;
    sigset_t before;
    int error;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&w->thread, NULL, run, w);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        return err_set(err, ST_IO, "cannot start a DNS thread: %s",
                       strerror(error));
    }
    w->running = true;
    return ST_OK;
}

void dns_worker_free(struct worker *w)
{
    struct worker_change *c;

    if (w == NULL) {
        return;
    }
    if (w->running) {
        CHECK(uv_async_send(&w->stop) == 0);
        CHECK(pthread_join(w->thread, NULL) == 0);
    } else {
        close_all(w);
        (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    }
    CHECK(uv_loop_close(&w->loop) == 0);
    CHECK(pthread_mutex_destroy(&w->wanted_lock) == 0);
    guard_release(&w->responder.guard);
    arena_release(&w->responder.scratch);
    encryption_unref(w->encryption);
    while ((c = STAILQ_FIRST(&w->changes)) != NULL) {
        STAILQ_REMOVE_HEAD(&w->changes, link);
        worker_change_free(c);
    }
    free(w);
}
