#include "dns/io/conn.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/core/check.h"
#include "dns/io/transfers.h"

/* ---- out ---- */

/* Its bytes wait for the kernel. */
static void wait_for_reader(struct tcp_conn *c, struct slice bytes)
{
    if (buf_add(&c->out, bytes)) {
        count(&c->list->worker->counts.tcp_slow_readers);
        conn_close(c);
    }
}

/* Bytes as they go over the wire. */
static void send_raw(struct tcp_conn *c, struct slice bytes)
{
    if (c->out.len == 0) {
        ssize_t n = send(c->fd, bytes.data, bytes.len, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            conn_close(c);
            return;
        }
        bytes = slice_skip(bytes, n < 0 ? 0 : (size_t)n);
    }
    if (bytes.len > 0) {
        wait_for_reader(c, bytes);
    }
}

/* What TLS has put there, an alert perhaps. */
static void send_cipher(struct tcp_conn *c)
{
    struct buf *cipher = &c->list->cipher;

    if (cipher->len > 0 && !c->closing) {
        send_raw(c, buf_slice(cipher));
    }
    buf_clear(cipher);
}

static void send_framed(struct tcp_conn *c, struct slice framed)
{
    if (framed.len == 0 || c->closing) {
        return;
    }
    if (c->tls == NULL) {
        send_raw(c, framed);
        return;
    }
    if (tls_session_write(c->tls, framed) != TLS_DONE) {
        buf_clear(&c->list->cipher);
        conn_close(c);
        return;
    }
    send_cipher(c);
}

void conn_flush(struct tcp_conn *c)
{
    send_framed(c, buf_slice(&c->late_out));
    buf_release(&c->late_out);
    buf_init(&c->late_out, CONN_OUT_BYTES_MAX);
    conn_settle(c);
}

void tcp_send_late(struct tcp_conn *c, struct slice packet)
{
    uint8_t head[2] = {(uint8_t)(packet.len >> 8), (uint8_t)packet.len};

    if (c->closing) {
        return;
    }
    if (buf_add(&c->late_out, slice_of(head, 2)) ||
        buf_add(&c->late_out, packet)) {
        count(&c->list->worker->counts.tcp_slow_readers);
        conn_close(c);
        return;
    }
    conn_flush_later(c);
}

static void on_writable(struct tcp_conn *c)
{
    ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            conn_close(c);
        }
        return;
    }
    c->progress += (size_t)n;
    buf_drop(&c->out, (size_t)n);
}

/* ---- queries ---- */

struct query tcp_query(const struct tcp_conn *c, struct slice packet)
{
    return (struct query){.packet = packet,
                          .client = &c->client,
                          .tcp = true,
                          .encrypted = c->tls != NULL,
                          .idle_ms =
                              worker_limits(c->list->worker)->tcp_idle_ms};
}

/* One query; the length of its framed response at `out`, 0 when there is none
 * (yet). */
static size_t take(struct tcp_conn *c, const struct dns_zone *zone,
                   struct slice packet, uint8_t *out)
{
    struct worker *w = c->list->worker;
    struct query query = tcp_query(c, packet);
    struct origin origin = {.conn = c, .client = c->client};
    struct taken taken;
    enum response kind;

    count(c->tls != NULL ? &w->counts.queries_tls : &w->counts.queries_tcp);
    kind = responder_take(&w->responder, zone, &query, out + 2, &taken);
    if (kind == RESPONSE_NONE) {
        return 0;
    }
    if (kind == RESPONSE_TRANSFER) {
        c->transfer = taken.job;
        transfer_job_open(taken.job, w->transfer_desk, c);
        return 0;
    }
    if (kind != RESPONSE_SEND) {
        if (forwarder_ask(w->forwarder, kind, &taken, packet, &origin)) {
            return 0;
        }
        taken.len = responder_fail(&w->responder, &query, &taken.question,
                                   DNS_SERVFAIL, out + 2);
    }
    out[0] = (uint8_t)(taken.len >> 8);
    out[1] = (uint8_t)taken.len;
    return taken.len + 2;
}

/* Take the whole queries at the beginning of `bytes`, as long as their
 * responses are read; their responses go out together. Returns how many bytes
 * that were. */
static size_t take_all(struct tcp_conn *c, struct slice bytes)
{
    struct worker *w = c->list->worker;
    const struct dns_zone *zone = worker_enter(w);
    uint8_t *out = c->list->batch;
    size_t out_len = 0;
    size_t at = 0;

    while (bytes.len - at >= 2 && c->out.len <= CONN_PAUSE_BYTES &&
           !c->closing && c->transfer == NULL) {
        const uint8_t *head = bytes.data + at;
        size_t len = (size_t)(head[0] << 8 | head[1]);

        if (len > CONN_QUERY_BYTES) {
            count(&w->counts.malformed_long);
            conn_close(c);
            break;
        }
        if (bytes.len - at - 2 < len) {
            break;
        }
        out_len += take(c, zone, slice_of(head + 2, len), out + out_len);
        at += 2 + len;
        if (CONN_BATCH_BYTES - out_len < 2 + RESPONSE_BYTES_MAX) {
            send_framed(c, slice_of(out, out_len));
            out_len = 0;
        }
    }
    reader_leave(&w->reader);
    send_framed(c, slice_of(out, out_len));
    if (at > 0 && !c->closing) {
        c->served = true;
        conn_touch(c);
    }
    return at;
}

/* What is left of an earlier read, or of one while the reader was slow. */
static void take_rest(struct tcp_conn *c)
{
    size_t done = take_all(c, buf_slice(&c->in));

    buf_drop(&c->in, done);
    if (c->in.len == 0) {
        size_t limit = c->in.limit;

        buf_release(&c->in);
        buf_init(&c->in, limit);
    }
}

static void take_bytes(struct tcp_conn *c, struct slice bytes)
{
    if (c->in.len > 0) {
        if (buf_add(&c->in, bytes)) {
            conn_close(c); /* We have not read that much at once. */
            return;
        }
        take_rest(c);
        return;
    }
    bytes = slice_skip(bytes, take_all(c, bytes));
    if (bytes.len > 0 && !c->closing) {
        CHECK(buf_add(&c->in, bytes) == ST_OK);
    }
}

/* ---- transfers ---- */

static void count_transfer(struct counts *counts, const struct transfer_job *j)
{
    switch (dns_transfer_kind(j->stream)) {
    case DNS_TRANSFER_WHOLE:
        count(&counts->transfers_whole);
        return;
    case DNS_TRANSFER_DIFFERENCES:
        count(&counts->transfers_differences);
        return;
    case DNS_TRANSFER_CURRENT:
        count(&counts->transfers_current);
        return;
    }
    UNREACHABLE();
}

void conn_transfer_ready(struct transfer_job *job)
{
    struct tcp_conn *c = job->conn;

    if (job->stream == NULL) { /* The zone has become too old meanwhile. */
        conn_close(c);
        return;
    }
    c->transferring = true;
    conn_touch(c);
    conn_settle(c);
}

/* The client has taken what it was sent: the next message. */
static void transfer_go_on(struct tcp_conn *c)
{
    uint8_t *out = c->list->batch;
    size_t len = transfer_job_next(c->transfer, out + 2);

    if (len == 0) {
        count_transfer(&c->list->worker->counts, c->transfer);
        transfer_job_close(c->transfer);
        c->transfer = NULL;
        c->transferring = false;
        return;
    }
    out[0] = (uint8_t)(len >> 8);
    out[1] = (uint8_t)len;
    send_framed(c, slice_of(out, len + 2));
    if (!c->closing) {
        conn_touch(c);
    }
}

/* ---- in ---- */

/* false: the connection is over. */
static bool shake_hands(struct tcp_conn *c)
{
    switch (tls_session_handshake(c->tls)) {
    case TLS_DONE:
        c->secured = true;
        count(&c->list->worker->counts.tls_handshakes);
        return true;
    case TLS_WAITS:
        return true;
    case TLS_ENDED:
    case TLS_FAILED:
        break;
    }
    count(&c->list->worker->counts.tls_failed);
    send_cipher(c); /* The alert tells the other side why. */
    conn_close(c);
    return false;
}

static void take_cipher(struct tcp_conn *c, struct slice bytes)
{
    enum tls_progress progress = TLS_DONE;

    tls_session_feed(c->tls, bytes);
    if (!c->secured && !shake_hands(c)) {
        return;
    }
    send_cipher(c);
    while (c->secured && progress == TLS_DONE && !c->closing) {
        uint8_t *plain = c->list->plain;
        size_t len = 0;

        progress = tls_session_read(c->tls, plain, CONN_READ_BYTES, &len);
        send_cipher(c); /* A key update. */
        if (progress == TLS_DONE) {
            take_bytes(c, slice_of(plain, len));
        }
    }
    if (progress == TLS_ENDED) {
        c->ended = true;
    } else if (progress == TLS_FAILED) {
        conn_close(c);
    }
}

static void on_readable(struct tcp_conn *c)
{
    ssize_t n = recv(c->fd, c->list->read, CONN_READ_BYTES, 0);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            conn_close(c);
        }
        return;
    }
    if (n == 0) {
        c->ended = true;
    } else if (c->tls != NULL) {
        take_cipher(c, slice_of(c->list->read, (size_t)n));
    } else {
        take_bytes(c, slice_of(c->list->read, (size_t)n));
    }
}

void conn_shake(struct tcp_conn *c)
{
    on_readable(c);
    conn_settle(c);
}

static void say_goodbye(struct tcp_conn *c)
{
    if (c->tls != NULL && c->secured) {
        tls_session_goodbye(c->tls);
        send_cipher(c);
    }
}

/* Its listener is gone: nothing of it is under way, or lies in the socket. */
static bool may_leave(const struct tcp_conn *c)
{
    uint8_t byte;

    return c->left_ms != 0 && c->served && c->in.len == 0 && c->holds == 0 &&
           c->out.len == 0 && !c->late && c->transfer == NULL &&
           recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

void conn_settle(struct tcp_conn *c)
{
    int events = 0;

    if (c->closing) {
        return;
    }
    if (c->paused && c->out.len == 0 && c->transfer == NULL) {
        c->paused = false;
        take_rest(c); /* Goes out, or waits for the next turn. */
        if (c->closing) {
            return;
        }
    }
    c->paused = c->out.len > CONN_PAUSE_BYTES || c->transfer != NULL;
    c->ended = c->ended || may_leave(c);
    if (c->ended && c->holds == 0 && c->out.len == 0 && !c->late &&
        c->transfer == NULL) {
        say_goodbye(c);
        conn_close(c);
        return;
    }
    events |= c->paused || c->ended || c->shaking ? 0 : UV_READABLE;
    events |= c->out.len > 0 || c->transferring ? UV_WRITABLE : 0;
    if (events == c->events) {
        return;
    }
    c->events = events;
    if (events == 0) {
        (void)uv_poll_stop(&c->poll);
    } else {
        CHECK(uv_poll_start(&c->poll, events, conn_on_ready) == 0);
    }
}

void conn_on_ready(uv_poll_t *poll, int error, int events)
{
    struct tcp_conn *c = poll->data;

    if (error != 0) {
        conn_close(c);
        return;
    }
    if ((events & UV_WRITABLE) && c->out.len > 0) {
        on_writable(c);
    } else if ((events & UV_WRITABLE) && c->transferring) {
        transfer_go_on(c);
    }
    if ((events & UV_READABLE) && !c->closing) {
        if (c->tls != NULL && !c->secured) {
            conn_shake_later(c);
        } else {
            on_readable(c);
        }
    }
    conn_settle(c);
}
