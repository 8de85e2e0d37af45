#include <openssl/rand.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/core/check.h"
#include "dns/io/conn.h"
#include "dns/io/transfers.h"

enum {
    TICK_MS = 500 /* How exactly idle connections are found. */
};

static void list_unref(struct conn_list *l)
{
    CHECK(l->open_handles > 0);
    if (--l->open_handles == 0) {
        buf_release(&l->cipher);
        free(l);
    }
}

/* ---- one connection's end ---- */

static void conn_free(struct tcp_conn *c)
{
    tls_session_free(c->tls);
    encryption_unref(c->encryption);
    buf_release(&c->in);
    buf_release(&c->out);
    buf_release(&c->late_out);
    free(c);
}

static void on_conn_closed(uv_handle_t *handle)
{
    struct tcp_conn *c = handle->data;

    (void)close(c->fd);
    c->closed = true;
    list_unref(c->list);
    if (c->holds == 0) {
        conn_free(c);
    }
}

void conn_close(struct tcp_conn *c)
{
    struct conn_list *l = c->list;

    if (c->closing) {
        return;
    }
    c->closing = true;
    TAILQ_REMOVE(&l->conns, c, link);
    if (c->late) {
        TAILQ_REMOVE(&l->late, c, flush_link);
        c->late = false;
    }
    if (c->shaking) {
        TAILQ_REMOVE(&l->shaking, c, shake_link);
        c->shaking = false;
    }
    if (c->transfer != NULL) {
        count(&l->worker->counts.transfers_broken);
        transfer_job_close(c->transfer);
        c->transfer = NULL;
        c->transferring = false;
    }
    l->prefixes[c->prefix]--;
    l->leaving -= c->left_ms != 0;
    count_add(&l->worker->counts.tcp_conns, -1);
    if (--l->count == 0 && !l->closing) {
        (void)uv_timer_stop(&l->tick);
    }
    uv_close((uv_handle_t *)&c->poll, on_conn_closed);
}

void tcp_hold(struct tcp_conn *c)
{
    c->holds++;
}

void tcp_drop(struct tcp_conn *c)
{
    CHECK(c->holds > 0);
    if (--c->holds > 0) {
        return;
    }
    if (c->closed) {
        conn_free(c);
    } else if (!c->closing && (c->ended || c->left_ms != 0)) {
        conn_flush_later(c); /* Perhaps the last. */
    }
}

/* ---- idleness ---- */

void conn_touch(struct tcp_conn *c)
{
    c->active_ms = uv_now(&c->list->worker->loop);
    c->progress = 0;
    TAILQ_REMOVE(&c->list->conns, c, link);
    TAILQ_INSERT_TAIL(&c->list->conns, c, link);
}

/* It has been quiet for long enough. Does it have a reason? */
static void conn_expire(struct tcp_conn *c)
{
    struct counts *counts = &c->list->worker->counts;

    if (c->holds > 0 || (c->transfer != NULL && !c->transferring) ||
        (c->out.len > 0 && c->progress >= CONN_PROGRESS_BYTES)) {
        conn_touch(c);
        return;
    }
    count(c->out.len > 0  ? &counts->tcp_slow_readers
          : c->in.len > 0 ? &counts->tcp_slow_senders
                          : &counts->tcp_idle);
    conn_close(c);
}

/* ---- whose listener is gone ---- */

static void close_left(struct conn_list *l, uint64_t now_ms)
{
    struct tcp_conn *next;

    for (struct tcp_conn *c = TAILQ_FIRST(&l->conns); c != NULL; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->left_ms != 0 && now_ms - c->left_ms >= WORKER_DRAIN_MS) {
            conn_close(c);
        }
    }
}

void conn_list_leave(struct conn_list *l, unsigned listener)
{
    struct tcp_conn *next;

    for (struct tcp_conn *c = TAILQ_FIRST(&l->conns); c != NULL; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->listener == listener && c->left_ms == 0) {
            c->left_ms = uv_now(&l->worker->loop);
            l->leaving++;
            conn_settle(c);
        }
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct conn_list *l = timer->data;
    uint64_t now_ms = uv_now(&l->worker->loop);
    struct tcp_conn *c;

    if (l->leaving > 0) {
        close_left(l, now_ms);
    }
    while ((c = TAILQ_FIRST(&l->conns)) != NULL &&
           now_ms - c->active_ms >= worker_limits(l->worker)->tcp_idle_ms) {
        conn_expire(c);
    }
}

bool conn_list_close_idlest(struct conn_list *l)
{
    if (TAILQ_EMPTY(&l->conns)) {
        return false;
    }
    count(&l->worker->counts.tcp_evicted);
    conn_close(TAILQ_FIRST(&l->conns));
    return true;
}

/* ---- late responses ---- */

static void on_flush(uv_prepare_t *prepare)
{
    struct conn_list *l = prepare->data;
    struct tcp_conn *c;

    while ((c = TAILQ_FIRST(&l->late)) != NULL) {
        TAILQ_REMOVE(&l->late, c, flush_link);
        c->late = false;
        conn_flush(c);
    }
    (void)uv_prepare_stop(prepare);
}

void conn_flush_later(struct tcp_conn *c)
{
    struct conn_list *l = c->list;

    if (c->late || c->closing) {
        return;
    }
    if (TAILQ_EMPTY(&l->late)) {
        (void)uv_prepare_start(&l->flush, on_flush);
    }
    TAILQ_INSERT_TAIL(&l->late, c, flush_link);
    c->late = true;
}

/* ---- handshakes ---- */

static void on_shake(uv_idle_t *idle)
{
    struct conn_list *l = idle->data;
    struct tcp_conn *c = TAILQ_FIRST(&l->shaking);

    if (c == NULL) {
        (void)uv_idle_stop(idle);
        return;
    }
    TAILQ_REMOVE(&l->shaking, c, shake_link);
    c->shaking = false;
    conn_shake(c);
}

void conn_shake_later(struct tcp_conn *c)
{
    struct conn_list *l = c->list;

    if (c->shaking || c->closing) {
        return;
    }
    if (TAILQ_EMPTY(&l->shaking)) {
        (void)uv_idle_start(&l->shake, on_shake);
    }
    TAILQ_INSERT_TAIL(&l->shaking, c, shake_link);
    c->shaking = true;
}

/* ---- newcomers ---- */

static uint16_t prefix_of(const struct conn_list *l, const union address *a)
{
    return (uint16_t)(hash_bytes(l->key, address_prefix(a)) % CONN_PREFIXES);
}

static bool admit(struct conn_list *l, const union address *client)
{
    const struct dns_protection *limits = worker_limits(l->worker);

    if (!address_is_loopback(client) &&
        l->prefixes[prefix_of(l, client)] >= limits->tcp_conns_per_client) {
        count(&l->worker->counts.tcp_refused);
        return false;
    }
    if (l->count >= limits->tcp_conns_max) {
        return conn_list_close_idlest(l);
    }
    return true;
}

static struct tcp_conn *conn_new(struct conn_list *l, int fd, bool tls)
{
    struct tcp_conn *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    c->list = l;
    c->fd = fd;
    c->poll.data = c;
    buf_init(&c->in, CONN_QUERY_BYTES + 2 + 2 * CONN_READ_BYTES);
    buf_init(&c->out, CONN_OUT_BYTES_MAX);
    buf_init(&c->late_out, CONN_OUT_BYTES_MAX);
    if (tls) {
        c->tls = tls_session_accept(l->worker->encryption->tls, &l->cipher);
        if (c->tls == NULL) {
            free(c);
            return NULL;
        }
        c->encryption = l->worker->encryption;
        c->encryption->refs++;
    }
    return c;
}

void conn_list_add(struct conn_list *l, int fd, const union address *client,
                   unsigned listener, bool tls)
{
    struct tcp_conn *c = admit(l, client) ? conn_new(l, fd, tls) : NULL;

    if (c == NULL) {
        (void)close(fd);
        return;
    }
    c->client = *client;
    c->listener = listener;
    c->prefix = prefix_of(l, client);
    CHECK(uv_poll_init(&l->worker->loop, &c->poll, fd) == 0);
    l->open_handles++;
    l->prefixes[c->prefix]++;
    count(&l->worker->counts.tcp_conns);
    TAILQ_INSERT_TAIL(&l->conns, c, link);
    c->active_ms = uv_now(&l->worker->loop);
    if (l->count++ == 0) {
        (void)uv_timer_start(&l->tick, on_tick, TICK_MS, TICK_MS);
    }
    conn_settle(c);
}

/* ---- the list ---- */

struct conn_list *conn_list_new(struct worker *w)
{
    struct conn_list *l = calloc(1, sizeof(*l));

    CHECK(l != NULL);
    l->worker = w;
    TAILQ_INIT(&l->conns);
    TAILQ_INIT(&l->late);
    TAILQ_INIT(&l->shaking);
    CHECK(RAND_bytes((unsigned char *)&l->key, sizeof(l->key)) == 1);
    /* A batch, and what TLS adds to it; or a handshake with a long chain. */
    buf_init(&l->cipher, 4 * CONN_BATCH_BYTES);
    CHECK(uv_timer_init(&w->loop, &l->tick) == 0);
    CHECK(uv_prepare_init(&w->loop, &l->flush) == 0);
    CHECK(uv_idle_init(&w->loop, &l->shake) == 0);
    l->open_handles = 3;
    l->tick.data = l;
    l->flush.data = l;
    l->shake.data = l;
    return l;
}

static void on_handle_closed(uv_handle_t *handle)
{
    list_unref(handle->data);
}

void conn_list_close(struct conn_list *l)
{
    l->closing = true;
    while (!TAILQ_EMPTY(&l->conns)) {
        conn_close(TAILQ_FIRST(&l->conns));
    }
    uv_close((uv_handle_t *)&l->tick, on_handle_closed);
    uv_close((uv_handle_t *)&l->flush, on_handle_closed);
    uv_close((uv_handle_t *)&l->shake, on_handle_closed);
}
