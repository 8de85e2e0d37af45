#include "base/io/grpc_client.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/io/grpc_channel.h"

#define CONNECT_TIMEOUT_MS   5000
#define KEEPALIVE_MS         2000
#define KEEPALIVE_TIMEOUT_MS 3000
#define MESSAGE_BYTES_MAX    ((size_t)64 * 1024 * 1024)

/* After GOAWAY, for calls that wait for their reply. */
#define GOING_MS 2000

/* grpc-go servers close a connection for the third PING that comes too soon,
 * within five seconds, unless they have sent data of a call in between. */
#define PINGS_FREE      2
#define PING_PATIENT_MS 5500

/* ---- the end ---- */

static void channel_free(struct grpc_channel *ch)
{
    CHECK(TAILQ_EMPTY(&ch->streams));
    CHECK(TAILQ_EMPTY(&ch->ended));
    loop_undefer(ch->loop, LOOP_WORK, &ch->work);
    if (ch->resolved != NULL) {
        uv_freeaddrinfo(ch->resolved);
    }
    arena_release(&ch->strings);
    free(ch);
}

static void channel_end_streams(struct grpc_channel *ch, enum grpc_code code,
                                const char *text)
{
    struct grpc_stream *s;

    while ((s = TAILQ_FIRST(&ch->streams)) != NULL) {
        stream_end(s, code, text);
    }
}

void channel_handle_gone(struct grpc_channel *ch)
{
    void (*on_closed)(void *) = ch->on_closed;
    void *ctx = ch->closed_ctx;

    CHECK(ch->open_handles > 0);
    if (--ch->open_handles > 0) {
        return;
    }
    CHECK(ch->closing);
    channel_end_streams(ch, GRPC_CANCELLED, "the channel is closed");
    channel_tell_ended(ch);
    channel_free(ch);
    if (on_closed != NULL) {
        on_closed(ctx);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    channel_handle_gone(handle->data);
}

void channel_fail(struct grpc_channel *ch, const char *doing,
                  const char *reason)
{
    if (ch->state == CHANNEL_FAILED) {
        return;
    }
    (void)err_set(&ch->why, ST_IO, "%s %s: %s", doing, ch->config.target,
                  reason);
    ch->state = CHANNEL_FAILED;
    if (ch->stream_open) {
        stream_close(&ch->stream, NULL);
    }
    (void)uv_timer_stop(&ch->timer); /* Cannot fail. */
    channel_end_streams(ch, GRPC_UNAVAILABLE, ch->why.text);
    loop_defer(ch->loop, LOOP_WORK, &ch->work);
}

static void on_work(struct loop_task *task)
{
    struct grpc_channel *ch =
        (struct grpc_channel *)((char *)task -
                                offsetof(struct grpc_channel, work));

    channel_tell_ended(ch);
    if (ch->state == CHANNEL_FAILED && !ch->failure_told && !ch->closing) {
        ch->failure_told = true;
        if (ch->hooks.on_failed != NULL) {
            ch->hooks.on_failed(ch->hooks.ctx, &ch->why);
        }
    }
}

void grpc_channel_close(struct grpc_channel *ch, void (*on_closed)(void *ctx),
                        void *ctx)
{
    CHECK(!ch->closing);
    ch->closing = true;
    ch->on_closed = on_closed;
    ch->closed_ctx = ctx;
    if (ch->stream_open) {
        stream_close(&ch->stream, NULL);
    } else if (ch->state == CHANNEL_RESOLVING) {
        (void)uv_cancel((uv_req_t *)&ch->resolver); /* Or it comes later. */
    }
    uv_close((uv_handle_t *)&ch->timer, on_timer_closed);
}

/* ---- time ---- */

static uint64_t channel_ping_at(const struct grpc_channel *ch)
{
    uint64_t quiet = ch->config.keepalive_ms;
    uint64_t at_ms = ch->read_ms + quiet;

    if (ch->ping_waits) {
        return ch->ping_ms + ch->config.keepalive_timeout_ms;
    }
    if (ch->pings_barren < PINGS_FREE) {
        return at_ms;
    }
    if (TAILQ_EMPTY(&ch->streams)) {
        return UINT64_MAX; /* TCP's own keepalive watches an idle one. */
    }
    quiet = quiet > PING_PATIENT_MS ? quiet : PING_PATIENT_MS;
    return at_ms > ch->ping_ms + quiet ? at_ms : ch->ping_ms + quiet;
}

static uint64_t channel_due_ms(const struct grpc_channel *ch)
{
    uint64_t due_ms = ch->connect_by_ms;
    const struct grpc_stream *s;

    if (ch->state == CHANNEL_CONNECTING && ch->address_by_ms < due_ms) {
        due_ms = ch->address_by_ms;
    } else if (ch->state == CHANNEL_READY) {
        due_ms = channel_ping_at(ch);
        if (ch->going && ch->going_by_ms < due_ms) {
            due_ms = ch->going_by_ms;
        }
    }
    TAILQ_FOREACH(s, &ch->streams, link)
    {
        if (s->deadline_ms < due_ms) {
            due_ms = s->deadline_ms;
        }
    }
    return due_ms;
}

static void channel_expire_streams(struct grpc_channel *ch)
{
    uint64_t now_ms = loop_now_ms(ch->loop);
    struct grpc_stream *s = TAILQ_FIRST(&ch->streams);

    while (s != NULL) {
        struct grpc_stream *next = TAILQ_NEXT(s, link);

        if (s->deadline_ms <= now_ms) {
            stream_end(s, GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
        }
        s = next;
    }
}

static void channel_keep_alive(struct grpc_channel *ch)
{
    uint64_t now_ms = loop_now_ms(ch->loop);

    if (now_ms < channel_ping_at(ch)) {
        return;
    }
    if (ch->ping_waits) {
        channel_fail(ch, "connection to", "no answer to a ping");
        return;
    }
    if (nghttp2_submit_ping(ch->h2, NGHTTP2_FLAG_NONE, NULL)) {
        channel_fail(ch, "connection to", "cannot send a ping");
        return;
    }
    ch->ping_waits = true;
    ch->ping_ms = now_ms;
    ch->pings_barren++;
    stream_flush_later(&ch->stream);
}

void channel_server_goes(struct grpc_channel *ch)
{
    if (!ch->going) {
        ch->going = true;
        ch->going_by_ms = loop_now_ms(ch->loop) + GOING_MS;
    }
}

/* The server wants us to go: calls that wait for a reply get a moment. */
static void channel_maybe_gone(struct grpc_channel *ch)
{
    const struct grpc_stream *s;

    if (!ch->going || ch->state != CHANNEL_READY) {
        return;
    }
    TAILQ_FOREACH(s, &ch->streams, link)
    {
        if (s->half_closed && loop_now_ms(ch->loop) < ch->going_by_ms) {
            return;
        }
    }
    channel_fail(ch, "connection to", "the server is stopping");
}

static void on_timer(uv_timer_t *timer)
{
    struct grpc_channel *ch = timer->data;

    channel_expire_streams(ch);
    if (ch->state == CHANNEL_READY) {
        channel_keep_alive(ch);
        channel_maybe_gone(ch);
    } else if (ch->state != CHANNEL_FAILED &&
               loop_now_ms(ch->loop) >= ch->connect_by_ms) {
        channel_fail(ch, "connect to", "timed out");
    } else if (ch->state == CHANNEL_CONNECTING) {
        channel_dial_on_time(ch);
    }
    channel_set_timer(ch);
}

void channel_set_timer(struct grpc_channel *ch)
{
    uint64_t due_ms;
    uint64_t now_ms = loop_now_ms(ch->loop);

    if (ch->closing || ch->state == CHANNEL_FAILED) {
        return;
    }
    due_ms = channel_due_ms(ch);
    if (due_ms == UINT64_MAX) {
        (void)uv_timer_stop(&ch->timer); /* Cannot fail. */
        return;
    }
    CHECK(uv_timer_start(&ch->timer, on_timer,
                         due_ms > now_ms ? due_ms - now_ms : 0, 0) == 0);
}

/* ---- the connection ---- */

void channel_becomes_ready(struct grpc_channel *ch)
{
    struct grpc_stream *s = TAILQ_FIRST(&ch->streams);

    ch->state = CHANNEL_READY;
    while (s != NULL) {
        struct grpc_stream *next = TAILQ_NEXT(s, link);

        channel_submit(ch, s);
        s = next;
    }
    if (ch->hooks.on_ready != NULL && !ch->closing) {
        ch->hooks.on_ready(ch->hooks.ctx);
    }
}

static struct grpc_channel *channel_of(struct stream *stream)
{
    return (struct grpc_channel *)((char *)stream -
                                   offsetof(struct grpc_channel, stream));
}

static void channel_on_open(struct stream *stream)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 4 * 1024 * 1024},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, LIMIT_HEADER_BYTES},
    };
    struct grpc_channel *ch = channel_of(stream);
    struct slice alpn = stream_alpn(stream);

    if (alpn.len > 0 && !slice_eq(alpn, slice_str("h2"))) {
        channel_fail(ch, "connect to", "the server does not speak HTTP/2");
        return;
    }
    stream_watch_silence(stream, ch->config.keepalive_ms,
                         ch->config.keepalive_timeout_ms);
    ch->h2 = channel_h2_new(ch);
    ch->read_ms = loop_now_ms(ch->loop);
    if (nghttp2_submit_settings(ch->h2, NGHTTP2_FLAG_NONE, settings,
                                sizeof(settings) / sizeof(settings[0])) ||
        nghttp2_session_set_local_window_size(ch->h2, NGHTTP2_FLAG_NONE, 0,
                                              16 * 1024 * 1024)) {
        channel_fail(ch, "connect to", "out of memory");
        return;
    }
    stream_flush_later(stream);
}

static void channel_on_read(struct stream *stream, struct slice bytes)
{
    struct grpc_channel *ch = channel_of(stream);
    ssize_t count;

    if (ch->h2 == NULL) {
        return;
    }
    ch->read_ms = loop_now_ms(ch->loop);
    ch->ping_waits = false;
    count = nghttp2_session_mem_recv(ch->h2, bytes.data, bytes.len);
    if (count < 0) {
        channel_fail(ch, "connection to", nghttp2_strerror((int)count));
        return;
    }
    stream_flush_later(stream);
}

static void channel_tell_drained(struct grpc_channel *ch)
{
    struct grpc_stream *s = TAILQ_FIRST(&ch->streams);

    while (s != NULL) {
        struct grpc_stream *next = TAILQ_NEXT(s, link);

        if (s->draining) {
            s->draining = false;
            if (s->hooks.on_drained != NULL) {
                s->hooks.on_drained(s->hooks.ctx);
            }
        }
        s = next;
    }
}

static void channel_on_flush(struct stream *stream)
{
    struct grpc_channel *ch = channel_of(stream);
    int error;

    if (ch->h2 == NULL || ch->state == CHANNEL_FAILED) {
        return;
    }
    ch->held_back = false;
    error = nghttp2_session_send(ch->h2);
    if (error != 0) {
        channel_fail(ch, "connection to", nghttp2_strerror(error));
        return;
    }
    channel_tell_drained(ch);
    if (!nghttp2_session_want_read(ch->h2) &&
        !nghttp2_session_want_write(ch->h2)) {
        channel_fail(ch, "connection to", "HTTP/2 has ended it");
        return;
    }
    channel_maybe_gone(ch);
    channel_set_timer(ch);
}

static void channel_on_drained(struct stream *stream)
{
    if (channel_of(stream)->held_back) {
        stream_flush_later(stream);
    }
}

static void channel_on_eof(struct stream *stream)
{
    channel_fail(channel_of(stream), "connection to",
                 "closed by the other side");
}

static void channel_on_deadline(struct stream *stream)
{
    (void)stream; /* The channel has a timer of its own. */
}

static void channel_on_closed(struct stream *stream)
{
    struct grpc_channel *ch = channel_of(stream);

    ch->stream_open = false;
    if (ch->closing || ch->state == CHANNEL_FAILED) {
        /* No more of this connection. */
    } else if (ch->state == CHANNEL_CONNECTING && ch->addresses_left > 0) {
        nghttp2_session_del(ch->h2);
        ch->h2 = NULL;
        channel_dial_next(ch);
    } else {
        channel_fail(
            ch, ch->state == CHANNEL_READY ? "connection to" : "connect to",
            stream->why[0] != '\0' ? stream->why : "closed by the other side");
    }
    if (ch->closing || ch->state == CHANNEL_FAILED) {
        channel_end_streams(ch, ch->closing ? GRPC_CANCELLED : GRPC_UNAVAILABLE,
                            ch->closing ? "the channel is closed"
                                        : ch->why.text);
        nghttp2_session_del(ch->h2);
        ch->h2 = NULL;
    }
    channel_handle_gone(ch);
}

const struct stream_hooks channel_stream_hooks = {
    .on_open = channel_on_open,
    .on_read = channel_on_read,
    .on_eof = channel_on_eof,
    .on_flush = channel_on_flush,
    .on_drained = channel_on_drained,
    .on_deadline = channel_on_deadline,
    .on_closed = channel_on_closed,
};

static const char *channel_string(struct grpc_channel *ch, const char *text,
                                  const char *fallback)
{
    if (text == NULL) {
        return fallback;
    }
    return arena_strdup(&ch->strings, slice_str(text));
}

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value != 0 ? value : fallback;
}

struct grpc_channel *grpc_channel_open(struct loop *loop,
                                       const struct grpc_channel_config *config,
                                       struct grpc_channel_hooks hooks)
{
    struct grpc_channel *ch = calloc(1, sizeof(*ch));

    CHECK(ch != NULL);
    ch->loop = loop;
    ch->hooks = hooks;
    ch->config = (struct grpc_channel_config){
        .target = channel_string(ch, config->target, ""),
        .tls = config->tls,
        .server_name = channel_string(ch, config->server_name, NULL),
        .user_agent = channel_string(ch, config->user_agent, "muster"),
        .address_offset = config->address_offset,
        .connect_timeout_ms =
            or_default(config->connect_timeout_ms, CONNECT_TIMEOUT_MS),
        .keepalive_ms = or_default(config->keepalive_ms, KEEPALIVE_MS),
        .keepalive_timeout_ms =
            or_default(config->keepalive_timeout_ms, KEEPALIVE_TIMEOUT_MS),
        .message_bytes_max =
            or_default(config->message_bytes_max, MESSAGE_BYTES_MAX)};
    ch->connect_by_ms = loop_now_ms(loop) + ch->config.connect_timeout_ms;
    ch->work.run = on_work;
    ch->open_handles = 1;
    TAILQ_INIT(&ch->streams);
    TAILQ_INIT(&ch->ended);
    CHECK(uv_timer_init(loop_uv(loop), &ch->timer) == 0);
    ch->timer.data = ch;
    channel_dial(ch);
    channel_set_timer(ch);
    return ch;
}

bool grpc_channel_ready(const struct grpc_channel *ch)
{
    return ch->state == CHANNEL_READY && !ch->closing && !ch->going;
}

uint64_t grpc_channel_heard_ms(const struct grpc_channel *ch)
{
    return ch->heard_ms;
}
