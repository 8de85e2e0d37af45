#include "dns/io/worker.h"

#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/core/check.h"
#include "base/io/tls.h"
#include "dns/io/conn.h"
#include "dns/io/transfers.h"

/* The only way out: everything is closed, and the loop runs until it is. */
static void close_all(struct worker *w)
{
    if (w->forwarder != NULL) {
        forwarder_close(w->forwarder);
    }
    for (size_t i = 0; i < w->udps_count; i++) {
        udp_close(w->udps[i]);
    }
    for (size_t i = 0; i < w->tcps_count; i++) {
        if (w->tcps[i] != NULL) {
            tcp_close(w->tcps[i]);
        }
    }
    conn_list_close(w->conns);
    transfer_desk_close(w->transfer_desk);
    uv_close((uv_handle_t *)&w->stop, NULL);
    uv_close((uv_handle_t *)&w->changed, NULL);
    uv_close((uv_handle_t *)&w->pulse, NULL);
}

static void on_stop(uv_async_t *async)
{
    close_all(async->data);
}

static void on_changed(uv_async_t *async)
{
    struct worker *w = async->data;

    CHECK(pthread_mutex_lock(&w->wanted_lock) == 0);
    guard_set(&w->responder.guard, &w->wanted);
    w->responder.udp_remote = w->wanted.udp_max_remote;
    CHECK(pthread_mutex_unlock(&w->wanted_lock) == 0);
    if (w->tls != NULL) {
        tls_refresh(w->tls);
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

static enum status open_sockets(struct worker *w, struct sockets sockets,
                                struct err *err)
{
    size_t plain = sockets.tcp_count - sockets.tls_count;
    enum status st = ST_OK;

    if (w->config->tls != NULL) {
        st =
            tls_server_new(w->config->tls,
                           w->config->tls_clients_verified ? TLS_CLIENT_REQUIRED
                                                           : TLS_CLIENT_ANY,
                           &w->tls, err);
    }
    for (size_t i = 0; i < w->udps_count; i++) {
        w->udps[i] = udp_new(w, sockets.udp_fds[i]);
    }
    for (size_t i = 0; i < w->tcps_count; i++) {
        w->tcps[i] =
            tcp_new(w, sockets.tcp_fds[i], i < plain ? NULL : w->tls, err);
        if (w->tcps[i] == NULL) {
            st = ST_IO;
        }
    }
    return st;
}

enum status dns_worker_new(const struct worker_config *config,
                           const struct publisher *publisher,
                           struct sockets sockets, struct worker **out_worker,
                           struct err *err)
{
    struct worker *w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);
    enum status st;

    CHECK(w != NULL);
    memset(w, 0, sizeof(*w));
    atomic_store(&w->reader.seen, READER_IDLE);
    w->config = config;
    suspend_init(&w->suspend);
    w->publisher = publisher;
    w->udps_count = sockets.udp_count;
    w->tcps_count = sockets.tcp_count;
    w->udps = calloc(sockets.udp_count + 1, sizeof(w->udps[0]));
    w->tcps = calloc(sockets.tcp_count + 1, sizeof(w->tcps[0]));
    CHECK(w->udps != NULL);
    CHECK(w->tcps != NULL);
    CHECK(uv_loop_init(&w->loop) == 0);
    CHECK(uv_async_init(&w->loop, &w->stop, on_stop) == 0);
    w->stop.data = w;
    CHECK(uv_async_init(&w->loop, &w->changed, on_changed) == 0);
    w->changed.data = w;
    CHECK(uv_async_init(&w->loop, &w->pulse, on_pulse) == 0);
    w->pulse.data = w;
    atomic_store(&w->turned, true);
    CHECK(pthread_mutex_init(&w->wanted_lock, NULL) == 0);
    w->conns = conn_list_new(w);
    responder_start(w);
    w->transfer_desk =
        transfer_desk_new(config->transfers, &w->loop, conn_transfer_ready);
    w->forwarder = forwarder_new(w, config->upstream, config->recursion);
    st = open_sockets(w, sockets, err);
    if (st) {
        dns_worker_free(w);
        return st;
    }
    *out_worker = w;
    return ST_OK;
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
    tls_free(w->tls);
    free(w->udps);
    free(w->tcps);
    free(w);
}
