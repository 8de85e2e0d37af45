#include "base/io/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/io/address.h"

static void stream_write_now(struct stream *s);

/* ---- closing: the only way out ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct stream *s = handle->data;

    CHECK(s->open_handles > 0);
    if (--s->open_handles > 0) {
        return;
    }
    tls_session_free(s->tls);
    s->tls = NULL;
    buf_release(&s->out);
    buf_release(&s->cipher);
    buf_release(&s->writing);
    s->hooks->on_closed(s);
}

void stream_close(struct stream *s, const char *why)
{
    if (s->state == STREAM_CLOSING) {
        return;
    }
    if (why != NULL && s->why[0] == '\0') {
        (void)snprintf(s->why, sizeof(s->why), "%s", why);
    }
    s->state = STREAM_CLOSING;
    loop_undefer(s->loop, LOOP_FLUSH, &s->flush);
    uv_close(&s->uv.handle, on_handle_closed);
    uv_close((uv_handle_t *)&s->timer, on_handle_closed);
}

static void stream_fail(struct stream *s, int error)
{
    if (s->error == 0 && s->state != STREAM_CLOSING) {
        s->error = error;
    }
    stream_close(s, uv_strerror(error));
}

bool stream_usable(const struct stream *s)
{
    return s->state != STREAM_CLOSING && s->state != STREAM_FINISHING;
}

/* ---- the deadline ---- */

static void on_timer(uv_timer_t *timer);

static void stream_arm_timer(struct stream *s, uint64_t at_ms)
{
    uint64_t now_ms = loop_now_ms(s->loop);

    s->timer_ms = at_ms;
    CHECK(uv_timer_start(&s->timer, on_timer,
                         at_ms > now_ms ? at_ms - now_ms : 0, 0) == 0);
}

static void stream_linger(struct stream *s, uint64_t ms)
{
    s->deadline_ms = loop_now_ms(s->loop) + ms;
    if (s->deadline_ms < s->timer_ms) {
        stream_arm_timer(s, s->deadline_ms);
    }
}

/* A finishing stream: give it up unless the other side has read on. */
static void stream_linger_over(struct stream *s)
{
    size_t left = stream_out_bytes(s);

    if (s->shutdown_begun || left >= s->left_before) {
        stream_close(s, NULL);
        return;
    }
    s->left_before = left;
    stream_linger(s, STREAM_UNREAD_MS);
}

static void on_timer(uv_timer_t *timer)
{
    struct stream *s = timer->data;

    s->timer_ms = UINT64_MAX;
    if (s->deadline_ms == UINT64_MAX) {
        return;
    }
    if (loop_now_ms(s->loop) < s->deadline_ms) {
        stream_arm_timer(s, s->deadline_ms); /* It was moved meanwhile. */
        return;
    }
    s->deadline_ms = UINT64_MAX;
    if (s->state == STREAM_FINISHING) {
        stream_linger_over(s);
    } else if (s->state != STREAM_CLOSING) {
        s->hooks->on_deadline(s);
    }
}

void stream_set_deadline(struct stream *s, uint64_t at_ms)
{
    if (s->state == STREAM_FINISHING || s->state == STREAM_CLOSING) {
        return; /* Then the deadline is ours. */
    }
    s->deadline_ms = at_ms;
    if (at_ms < s->timer_ms) {
        stream_arm_timer(s, at_ms);
    }
}

/* ---- writing ---- */

struct buf *stream_out(struct stream *s)
{
    if (s->out.cap == 0) {
        loop_lend(s->loop, &s->out, LIMIT_CONN_OUT_BYTES);
    }
    return &s->out;
}

size_t stream_out_bytes(const struct stream *s)
{
    return s->out.len + s->cipher.len +
           uv_stream_get_write_queue_size(&s->uv.stream);
}

void stream_flush_later(struct stream *s)
{
    if (s->state != STREAM_CLOSING) {
        loop_defer(s->loop, LOOP_FLUSH, &s->flush);
    }
}

static void on_flush(struct loop_task *task)
{
    struct stream *s =
        (struct stream *)((char *)task - offsetof(struct stream, flush));

    if (s->state == STREAM_OPEN && s->hooks->on_flush != NULL) {
        s->hooks->on_flush(s);
    }
    if (s->state != STREAM_CLOSING) {
        stream_write_now(s);
    }
}

static void on_shutdown(uv_shutdown_t *request, int error)
{
    struct stream *s = request->data;

    if (error || s->peer_ended) {
        stream_close(s, NULL);
    }
}

/* All is written. Say that we are done and wait for the other side to say so
 * too: closing with unread bytes would make the kernel throw away what the
 * other side has not read yet. */
static void stream_shut_down(struct stream *s)
{
    if (s->shutdown_begun) {
        return;
    }
    s->shutdown_begun = true;
    stream_linger(s, STREAM_LINGER_MS);
    s->shutdown.data = s;
    if (uv_shutdown(&s->shutdown, &s->uv.stream, on_shutdown)) {
        stream_close(s, NULL);
    }
}

static void stream_written(struct stream *s)
{
    if (s->state == STREAM_FINISHING) {
        stream_shut_down(s);
    } else if (s->state == STREAM_OPEN && s->hooks->on_drained != NULL) {
        s->hooks->on_drained(s);
    }
}

static void on_written(uv_write_t *request, int error)
{
    struct stream *s = request->data;

    loop_return(s->loop, &s->writing);
    if (error) {
        stream_fail(s, error);
        return;
    }
    stream_flush_later(s); /* What has come together meanwhile. */
}

/* The kernel has taken `done` bytes of *from; the rest waits for it. */
static void stream_write_rest(struct stream *s, struct buf *from, size_t done)
{
    uv_buf_t rest;
    int error;

    if (from->len - done > LIMIT_CONN_OUT_BYTES) {
        stream_close(s, "the other side does not read what it asked for");
        return;
    }
    s->writing = *from;
    *from = (struct buf){.limit = from->limit};
    rest = uv_buf_init((char *)s->writing.data + done,
                       (unsigned)(s->writing.len - done));
    s->request.write.data = s;
    error = uv_write(&s->request.write, &s->uv.stream, &rest, 1, on_written);
    if (error) {
        stream_fail(s, error);
    }
}

/* Encrypt what is in `out`. Returns where the bytes for the socket are. */
static struct buf *stream_prepare(struct stream *s)
{
    if (s->tls == NULL) {
        return &s->out;
    }
    if (s->out.len > 0 && s->state != STREAM_HANDSHAKE) {
        if (tls_session_write(s->tls, buf_slice(&s->out)) != TLS_DONE) {
            stream_close(s, tls_session_why(s->tls));
            return NULL;
        }
        loop_return(s->loop, &s->out);
    }
    if (s->state == STREAM_FINISHING && !s->shutdown_begun) {
        tls_session_goodbye(s->tls);
    }
    return &s->cipher;
}

static void stream_write_now(struct stream *s)
{
    struct buf *from;
    uv_buf_t all;
    int count;

    if (s->state == STREAM_CONNECTING || s->writing.len > 0) {
        if (stream_out_bytes(s) > LIMIT_CONN_OUT_BYTES) {
            stream_close(s, "the other side does not read what it asked for");
        }
        return;
    }
    from = stream_prepare(s);
    if (from == NULL) {
        return;
    }
    if (from->len == 0) {
        stream_written(s);
        return;
    }
    all = uv_buf_init((char *)from->data, (unsigned)from->len);
    count = uv_try_write(&s->uv.stream, &all, 1);
    if (count < 0 && count != UV_EAGAIN) {
        stream_fail(s, count);
    } else if (count == (int)from->len) {
        loop_return(s->loop, from);
        stream_written(s);
    } else {
        stream_write_rest(s, from, count > 0 ? (size_t)count : 0);
    }
}

/* ---- reading ---- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
    struct stream *s = handle->data;

    (void)suggested;
    *room = uv_buf_init((char *)loop_read_space(s->loop), LOOP_READ_BYTES);
}

static void stream_ended(struct stream *s, const char *why)
{
    s->peer_ended = true;
    if (s->state == STREAM_OPEN) {
        (void)uv_read_stop(&s->uv.stream); /* Cannot fail. */
        s->hooks->on_eof(s);
    } else if (s->state == STREAM_HANDSHAKE || s->shutdown_begun) {
        stream_close(s, why);
    }
}

/* Give the owner what the records hold that came in. */
static void stream_read_tls(struct stream *s)
{
    while (s->state == STREAM_OPEN) {
        size_t len = 0;

        switch (tls_session_read(s->tls, loop_plain_space(s->loop),
                                 LOOP_PLAIN_BYTES, &len)) {
        case TLS_DONE:
            s->hooks->on_read(s, slice_of(loop_plain_space(s->loop), len));
            break;
        case TLS_WAITS:
            return;
        case TLS_ENDED:
            stream_ended(s, NULL);
            return;
        case TLS_FAILED:
            stream_close(s, tls_session_why(s->tls));
            return;
        }
    }
}

static void stream_shake_hands(struct stream *s)
{
    enum tls_progress progress = tls_session_handshake(s->tls);

    if (progress == TLS_DONE) {
        s->state = STREAM_OPEN;
        s->hooks->on_open(s);
    }
    if (progress == TLS_FAILED || progress == TLS_ENDED) {
        (void)snprintf(s->why, sizeof(s->why), "TLS: %s",
                       tls_session_why(s->tls));
        stream_finish(s); /* The alert tells the other side why. */
    } else if (s->cipher.len > 0) {
        stream_flush_later(s);
    }
}

static void stream_take(struct stream *s, struct slice bytes)
{
    if (s->state == STREAM_FINISHING || s->state == STREAM_CLOSING) {
        return; /* Nobody is interested any more. */
    }
    if (s->tls == NULL) {
        s->hooks->on_read(s, bytes);
        return;
    }
    tls_session_feed(s->tls, bytes);
    if (s->state == STREAM_HANDSHAKE) {
        stream_shake_hands(s);
    }
    stream_read_tls(s);
    if (s->state != STREAM_CLOSING && s->cipher.len > 0) {
        stream_flush_later(s); /* A key update, an alert. */
    }
}

static void on_bytes(uv_stream_t *stream, ssize_t count, const uv_buf_t *room)
{
    struct stream *s = stream->data;

    if (s->state == STREAM_CLOSING || count == 0) {
        return;
    }
    if (count > 0) {
        stream_take(s, slice_of(room->base, (size_t)count));
    } else if (count == UV_EOF) {
        stream_ended(s, "closed by the other side");
    } else {
        stream_fail(s, (int)count);
    }
}

static void stream_start_reading(struct stream *s)
{
    int error = uv_read_start(&s->uv.stream, on_room, on_bytes);

    if (error) {
        stream_fail(s, error);
    }
}

void stream_pause(struct stream *s)
{
    if (!s->read_paused && s->state != STREAM_CLOSING) {
        s->read_paused = true;
        (void)uv_read_stop(&s->uv.stream); /* Cannot fail. */
    }
}

void stream_resume(struct stream *s)
{
    if (s->read_paused && !s->peer_ended && s->state != STREAM_CLOSING) {
        s->read_paused = false;
        stream_start_reading(s);
    }
}

/* ---- starting ---- */

static void stream_init(struct stream *s, struct loop *loop,
                        const struct stream_hooks *hooks, bool is_pipe)
{
    *s = (struct stream){.loop = loop,
                         .hooks = hooks,
                         .state = STREAM_CONNECTING,
                         .open_handles = 2,
                         .deadline_ms = UINT64_MAX,
                         .timer_ms = UINT64_MAX,
                         .flush = {.run = on_flush}};
    if (is_pipe) {
        CHECK(uv_pipe_init(loop_uv(loop), &s->uv.pipe, 0) == 0);
    } else {
        CHECK(uv_tcp_init(loop_uv(loop), &s->uv.tcp) == 0);
    }
    CHECK(uv_timer_init(loop_uv(loop), &s->timer) == 0);
    s->uv.handle.data = s;
    s->timer.data = s;
    s->out.limit = LIMIT_CONN_OUT_BYTES;
    buf_init(&s->cipher, 2 * LIMIT_CONN_OUT_BYTES);
    buf_init(&s->writing, 2 * LIMIT_CONN_OUT_BYTES);
}

static void stream_name_peer(struct stream *s)
{
    struct sockaddr_storage address;
    int len = sizeof(address);

    if (s->uv.handle.type != UV_TCP) {
        (void)snprintf(s->peer, sizeof(s->peer), "unix");
        return;
    }
    (void)uv_tcp_nodelay(&s->uv.tcp, 1); /* Slower, not wrong, without. */
    if (uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)&address, &len)) {
        (void)snprintf(s->peer, sizeof(s->peer), "gone");
    } else {
        address_print((struct sockaddr *)&address, s->peer, sizeof(s->peer));
    }
}

/* The socket is connected: begin with what comes first on it. */
static void stream_begin(struct stream *s, bool with_tls)
{
    stream_name_peer(s);
    s->state = with_tls ? STREAM_HANDSHAKE : STREAM_OPEN;
    if (with_tls && s->tls == NULL) {
        stream_close(s, "no memory for TLS");
        return;
    }
    stream_start_reading(s);
    if (s->state == STREAM_HANDSHAKE) {
        stream_shake_hands(s);
    } else if (s->state == STREAM_OPEN) {
        s->hooks->on_open(s);
    }
}

void stream_accept(struct stream *s, struct loop *loop,
                   const struct stream_hooks *hooks, uv_stream_t *listener,
                   struct tls *tls)
{
    int error;

    stream_init(s, loop, hooks, listener->type == UV_NAMED_PIPE);
    error = uv_accept(listener, &s->uv.stream);
    if (error) {
        stream_fail(s, error);
        return;
    }
    if (tls != NULL) {
        s->tls = tls_session_accept(tls, &s->cipher);
    }
    stream_begin(s, tls != NULL);
}

static void on_connected(uv_connect_t *request, int error)
{
    struct stream *s = request->data;
    bool with_tls = s->tls != NULL;

    if (error) {
        stream_fail(s, error);
    } else if (s->state == STREAM_CONNECTING) {
        stream_begin(s, with_tls);
    }
}

void stream_connect(struct stream *s, struct loop *loop,
                    const struct stream_hooks *hooks,
                    const struct stream_target *target)
{
    int error = 0;

    stream_init(s, loop, hooks, target->unix_path != NULL);
    s->request.connect.data = s;
    if (target->tls != NULL) {
        s->tls =
            tls_session_connect(target->tls, &s->cipher, target->server_name);
        if (s->tls == NULL) {
            stream_close(s, "no memory for TLS");
            return;
        }
    }
    if (target->unix_path != NULL) {
        uv_pipe_connect(&s->request.connect, &s->uv.pipe, target->unix_path,
                        on_connected);
    } else {
        error = uv_tcp_connect(&s->request.connect, &s->uv.tcp, target->address,
                               on_connected);
    }
    if (error) {
        stream_fail(s, error);
    }
}

void stream_finish(struct stream *s)
{
    if (s->state == STREAM_CONNECTING) {
        stream_close(s, NULL);
    }
    if (!stream_usable(s)) {
        return;
    }
    s->state = STREAM_FINISHING;
    s->left_before = stream_out_bytes(s);
    stream_linger(s, STREAM_UNREAD_MS);
    if (s->read_paused) {
        stream_resume(s);
    }
    stream_flush_later(s);
}

void stream_watch_silence(struct stream *s, uint64_t quiet_ms,
                          uint64_t patience_ms)
{
    int quiet_s = quiet_ms < 1000 ? 1 : (int)(quiet_ms / 1000);
    int interval_s = 1;
    unsigned patience = (unsigned)patience_ms;
    int fd;

    if (s->uv.handle.type != UV_TCP || uv_fileno(&s->uv.handle, &fd)) {
        return;
    }
    /* Without these the end is noticed later, by other means. */
    (void)uv_tcp_keepalive(&s->uv.tcp, 1, (unsigned)quiet_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s,
                     sizeof(interval_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience,
                     sizeof(patience));
}

struct slice stream_alpn(const struct stream *s)
{
    return s->tls == NULL ? slice_of(NULL, 0) : tls_session_alpn(s->tls);
}
