#include "base/io/grpc_session.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/io/grpc_call.h"
#include "base/io/grpc_h2.h"

/* Windows for what clients send. Messages are taken at once, so these are about
 * throughput; memory is bounded by LIMIT_GRPC_PARTIAL. They are not opened
 * again for a client that asks on and does not read the answers. */
#define STREAM_WINDOW (1024 * 1024)
#define CONN_WINDOW   (4 * 1024 * 1024)

/* Cancelled calls: so many at once, then so many a second. More is an attack
 * (CVE-2023-44487); honest clients cancel what they have waited for. */
#define RESETS_BURST         2000
#define RESETS_RATE          200

#define KEEPALIVE_MS         7200000
#define KEEPALIVE_TIMEOUT_MS 20000

#define NV(name_text, value_text)                                             \
    {                                                                         \
        .name = (uint8_t *)(name_text), .namelen = sizeof(name_text) - 1,     \
        .value = (uint8_t *)(value_text), .valuelen = sizeof(value_text) - 1, \
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE \
    }

static nghttp2_nv nv_borrowed(const char *name, const void *value, size_t len)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .namelen = strlen(name),
                        .value = (uint8_t *)value,
                        .valuelen = len,
                        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

static void session_fail(struct grpc_session *gs, int error)
{
    char why[100];

    (void)snprintf(why, sizeof(why), "HTTP/2: %s", nghttp2_strerror(error));
    stream_close(gs->stream, why);
}

/* Only running out of memory can make our submissions fail, or a session that
 * is ending anyway. */
static void session_check(struct grpc_session *gs, int error)
{
    if (error != 0) {
        session_fail(gs, error);
    }
}

/* ---- answering ---- */

/* grpc-status and, if there is one, grpc-message. */
static size_t status_headers(struct grpc_call *call, nghttp2_nv nv[2])
{
    static const char *const numbers[] = {"0",  "1",  "2",  "3",  "4",  "5",
                                          "6",  "7",  "8",  "9",  "10", "11",
                                          "12", "13", "14", "15", "16"};
    const char *number = numbers[call->code];

    nv[0] = nv_borrowed("grpc-status", number, strlen(number));
    if (call->text_len == 0) {
        return 1;
    }
    nv[1] = nv_borrowed("grpc-message", call->text, call->text_len);
    return 2;
}

/* HTTP/2 asks for the next piece of a call's answer. With NO_COPY it only
 * learns the length here; on_send_data copies it into the stream. */
static ssize_t on_source(nghttp2_session *h2, int32_t stream_id, uint8_t *space,
                         size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *user_data)
{
    struct grpc_call *call = source->ptr;
    size_t ready = grpc_queue_ready(&call->queue);
    nghttp2_nv nv[2];

    (void)space;
    (void)user_data;
    if (ready == 0 && !call->finished) {
        call->parked = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags = NGHTTP2_DATA_FLAG_NO_COPY;
    if (ready > room) {
        return (ssize_t)room;
    }
    if (call->finished) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(h2, stream_id, nv,
                                   status_headers(call, nv))) {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)ready;
}

static int on_send_data(nghttp2_session *h2, nghttp2_frame *frame,
                        const uint8_t *head, size_t len,
                        nghttp2_data_source *source, void *user_data)
{
    struct grpc_session *gs = user_data;
    struct grpc_call *call = source->ptr;

    (void)h2;
    CHECK(frame->data.padlen == 0); /* We never ask for padding. */
    if (stream_out_bytes(gs->stream) > H2_OUT_HIGH) {
        gs->held_back = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    if (h2_write_data(gs->stream, head, grpc_queue_front(&call->queue, len))) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    call_taken(call, len);
    return 0;
}

static void session_submit_head(struct grpc_call *call)
{
    static const nghttp2_nv head[] = {NV(":status", "200"),
                                      NV("content-type", "application/grpc")};
    struct grpc_session *gs = call->session;
    nghttp2_data_provider provider = {.source.ptr = call,
                                      .read_callback = on_source};
    nghttp2_nv nv[4] = {head[0], head[1]};
    size_t count = 2;

    call->head_sent = true;
    if (call->finished && grpc_queue_ready(&call->queue) == 0) {
        count += status_headers(call, nv + 2); /* Trailers only. */
        session_check(gs, nghttp2_submit_response(gs->h2, call->stream_id, nv,
                                                  count, NULL));
        return;
    }
    session_check(gs, nghttp2_submit_response(gs->h2, call->stream_id, nv,
                                              count, &provider));
}

void session_wake_call(struct grpc_call *call)
{
    struct grpc_session *gs = call->session;

    if (gs->dead) {
        return;
    }
    if (!call->head_sent) {
        session_submit_head(call);
    } else if (call->parked) {
        call->parked = false;
        session_check(gs, nghttp2_session_resume_data(gs->h2, call->stream_id));
    }
    stream_flush_later(gs->stream);
}

/* End a call whose queue cannot be delivered any more. */
static void reset_call(struct grpc_call *call, uint32_t h2_error)
{
    struct grpc_session *gs = call->session;

    call->over = true;
    session_check(gs, nghttp2_submit_rst_stream(gs->h2, NGHTTP2_FLAG_NONE,
                                                call->stream_id, h2_error));
    stream_flush_later(gs->stream);
}

void session_refuse_http(struct grpc_call *call, const char *status)
{
    nghttp2_nv nv = nv_borrowed(":status", status, strlen(status));

    call->over = true;
    call->finished = true;
    call->head_sent = true;
    session_check(call->session,
                  nghttp2_submit_response(call->session->h2, call->stream_id,
                                          &nv, 1, NULL));
    stream_flush_later(call->session->stream);
}

/* ---- the deadlines ---- */

static uint64_t session_now_ms(const struct grpc_session *gs)
{
    return loop_now_ms(gs->stream->loop);
}

static uint64_t keepalive_at(const struct grpc_session *gs)
{
    const struct grpc_methods *m = gs->side->methods;
    uint64_t quiet = m->keepalive_ms != 0 ? m->keepalive_ms : KEEPALIVE_MS;
    uint64_t patience = m->keepalive_timeout_ms != 0 ? m->keepalive_timeout_ms
                                                     : KEEPALIVE_TIMEOUT_MS;

    return gs->read_ms + quiet + (gs->ping_sent ? patience : 0);
}

static void session_set_deadline(struct grpc_session *gs)
{
    uint64_t at_ms = keepalive_at(gs);
    struct grpc_call *call;

    TAILQ_FOREACH(call, &gs->timed, timed_link)
    {
        if (call->deadline_ms < at_ms) {
            at_ms = call->deadline_ms;
        }
    }
    stream_set_deadline(gs->stream, at_ms);
}

static void call_expire(struct grpc_call *call)
{
    TAILQ_REMOVE(&call->session->timed, call, timed_link);
    call->timed = false;
    if (grpc_queue_ready(&call->queue) > 0) {
        call->code = GRPC_DEADLINE_EXCEEDED;
        reset_call(call, NGHTTP2_CANCEL); /* It stopped listening. */
        return;
    }
    grpc_call_finish(call, GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
}

void grpc_session_deadline(struct grpc_session *gs)
{
    uint64_t now_ms = session_now_ms(gs);
    struct grpc_call *call = TAILQ_FIRST(&gs->timed);

    while (call != NULL) {
        struct grpc_call *next = TAILQ_NEXT(call, timed_link);

        if (call->deadline_ms <= now_ms) {
            call_expire(call);
        }
        call = next;
    }
    if (now_ms >= keepalive_at(gs)) {
        if (gs->ping_sent) {
            stream_close(gs->stream, "the client does not answer");
            return;
        }
        gs->ping_sent = true;
        session_check(gs, nghttp2_submit_ping(gs->h2, NGHTTP2_FLAG_NONE, NULL));
        stream_flush_later(gs->stream);
    }
    session_set_deadline(gs);
}

/* ---- ends ---- */

static void call_end(struct grpc_call *call)
{
    const struct grpc_methods *m = call->session->side->methods;

    call->over = true;
    if (call->queue.message_open) {
        grpc_queue_abandon(&call->queue);
    }
    if (call->method != NULL) {
        if (m->on_handled != NULL) {
            m->on_handled(call->method, m->ctx, call->code);
        }
        if (call->method->on_closed != NULL) {
            call->method->on_closed(call);
        }
    }
    call_free(call);
}

static int on_stream_close(nghttp2_session *h2, int32_t stream_id,
                           uint32_t error, void *user_data)
{
    struct grpc_call *call =
        nghttp2_session_get_stream_user_data(h2, stream_id);

    (void)user_data;
    if (call == NULL) {
        return 0;
    }
    if (!call->finished && call->code == GRPC_OK) {
        call->code = error == NGHTTP2_NO_ERROR ? GRPC_UNKNOWN : GRPC_CANCELLED;
    }
    call_end(call);
    return 0;
}

/* An answer that ends before the request does: the client need not send the
 * rest (RFC 9113, 8.1). */
static int on_frame_sent(nghttp2_session *h2, const nghttp2_frame *frame,
                         void *user_data)
{
    struct grpc_call *call;

    (void)user_data;
    if (frame->hd.type != NGHTTP2_HEADERS ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        return 0;
    }
    call = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
    if (call != NULL && !call->half_closed) {
        return nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE,
                                         frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

/* ---- the connection ---- */

static ssize_t on_send(nghttp2_session *h2, const uint8_t *bytes, size_t len,
                       int flags, void *user_data)
{
    struct grpc_session *gs = user_data;

    (void)h2;
    (void)flags;
    if (stream_out_bytes(gs->stream) > H2_OUT_HIGH) {
        gs->held_back = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    if (buf_add(stream_out(gs->stream), slice_of(bytes, len))) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return (ssize_t)len;
}

static void call_open_window(struct grpc_call *call)
{
    struct grpc_session *gs = call->session;

    if (call->withheld > 0) {
        session_check(gs, nghttp2_session_consume_stream(
                              gs->h2, call->stream_id, call->withheld));
        call->withheld = 0;
        stream_flush_later(gs->stream);
    }
}

static void session_open_window(struct grpc_session *gs)
{
    if (gs->withheld > 0 && gs->queued_bytes <= LIMIT_CONN_OUT_BYTES) {
        session_check(gs,
                      nghttp2_session_consume_connection(gs->h2, gs->withheld));
        gs->withheld = 0;
        stream_flush_later(gs->stream);
    }
}

static void session_tell_drained(struct grpc_session *gs)
{
    struct grpc_call *call;

    while ((call = TAILQ_FIRST(&gs->drained)) != NULL) {
        TAILQ_REMOVE(&gs->drained, call, drain_link);
        call->draining = false;
        call_open_window(call);
        if (!call->over && call->method->on_drained != NULL) {
            call->method->on_drained(call);
        }
    }
}

void grpc_session_flush(struct grpc_session *gs)
{
    int error;

    gs->held_back = false;
    error = nghttp2_session_send(gs->h2);
    if (error != 0) {
        session_fail(gs, error);
        return;
    }
    session_tell_drained(gs);
    session_open_window(gs);
    if (!nghttp2_session_want_read(gs->h2) &&
        !nghttp2_session_want_write(gs->h2)) {
        stream_finish(gs->stream);
    }
}

void grpc_session_drained(struct grpc_session *gs)
{
    if (gs->held_back) {
        stream_flush_later(gs->stream);
    }
}

void grpc_session_read(struct grpc_session *gs, struct slice bytes)
{
    ssize_t count;

    gs->read_ms = session_now_ms(gs);
    gs->ping_sent = false;
    count = nghttp2_session_mem_recv(gs->h2, bytes.data, bytes.len);
    if (count < 0) {
        session_fail(gs, (int)count);
        return;
    }
    stream_flush_later(gs->stream); /* Acknowledgements, windows, replies. */
}

void grpc_session_leave(struct grpc_session *gs)
{
    if (gs->leaving) {
        return;
    }
    gs->leaving = true;
    session_check(gs, nghttp2_submit_goaway(
                          gs->h2, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(gs->h2),
                          NGHTTP2_NO_ERROR, NULL, 0));
    stream_flush_later(gs->stream);
}

/* The callbacks are the same for all sessions of all threads. */
static nghttp2_session_callbacks *callbacks_new(void)
{
    nghttp2_session_callbacks *cb;

    CHECK(nghttp2_session_callbacks_new(&cb) == 0);
    request_hooks_set(cb);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
    nghttp2_session_callbacks_set_send_callback(cb, on_send);
    nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    return cb;
}

static nghttp2_session *h2_new(struct grpc_session *gs)
{
    nghttp2_session_callbacks *cb = callbacks_new();
    nghttp2_option *option;
    nghttp2_session *h2;

    CHECK(nghttp2_option_new(&option) == 0);
    nghttp2_option_set_no_closed_streams(option, 1); /* They pile up. */
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_stream_reset_rate_limit(option, RESETS_BURST,
                                               RESETS_RATE);
    /* etcdctl's `endpoint` sends its whole URL as :authority. We look at what
     * we use of the headers ourselves. */
    nghttp2_option_set_no_http_messaging(option, 1);
    CHECK(nghttp2_session_server_new2(&h2, cb, gs, option) == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    return h2;
}

struct grpc_session *grpc_session_new(struct grpc_side *side,
                                      struct stream *stream)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, LIMIT_H2_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, LIMIT_HEADER_BYTES},
    };
    struct grpc_session *gs = calloc(1, sizeof(*gs));

    CHECK(gs != NULL);
    gs->side = side;
    gs->stream = stream;
    TAILQ_INIT(&gs->calls);
    TAILQ_INIT(&gs->timed);
    TAILQ_INIT(&gs->drained);
    gs->h2 = h2_new(gs);
    gs->read_ms = session_now_ms(gs);
    session_check(
        gs, nghttp2_submit_settings(gs->h2, NGHTTP2_FLAG_NONE, settings,
                                    sizeof(settings) / sizeof(settings[0])));
    session_check(gs, nghttp2_session_set_local_window_size(
                          gs->h2, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW));
    session_set_deadline(gs);
    stream_flush_later(stream);
    return gs;
}

void grpc_session_free(struct grpc_session *gs)
{
    struct grpc_call *call;

    if (gs == NULL) {
        return;
    }
    gs->dead = true;
    TAILQ_FOREACH(call, &gs->calls, link)
    {
        call->over = true; /* None of them can be answered any more. */
    }
    while ((call = TAILQ_FIRST(&gs->calls)) != NULL) {
        if (!call->finished && call->code == GRPC_OK) {
            call->code = GRPC_CANCELLED;
        }
        call_end(call);
    }
    nghttp2_session_del(gs->h2);
    free(gs);
}
