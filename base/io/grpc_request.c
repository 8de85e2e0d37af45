/*
 * grpc_request.c - what a client sends on a call: headers, messages, its end.
 */
#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/io/grpc_call.h"

static struct grpc_call *session_call(struct grpc_session *gs,
                                      int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(gs->h2, stream_id);
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame,
                            void *user_data)
{
    struct grpc_session *gs = user_data;
    struct grpc_call *call;

    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0; /* Trailers: gRPC clients do not send any. */
    }
    call = call_new(gs, frame->hd.stream_id);
    CHECK(nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, call) ==
          0);
    return 0;
}

static bool is(struct slice text, const char *literal, size_t len)
{
    return text.len == len && memcmp(text.data, literal, len) == 0;
}

#define IS(text, literal) is(text, literal, sizeof(literal) - 1)

static void call_take_timeout(struct grpc_call *call, struct slice value)
{
    struct grpc_session *gs = call->session;
    uint64_t timeout_ms;

    if (call->timed || grpc_timeout_parse(value, &timeout_ms)) {
        return; /* Malformed: as without. */
    }
    call->deadline_ms = loop_now_ms(gs->stream->loop) + timeout_ms;
    call->timed = true;
    TAILQ_INSERT_TAIL(&gs->timed, call, timed_link);
    if (call->deadline_ms < gs->stream->deadline_ms) {
        stream_set_deadline(gs->stream, call->deadline_ms);
    }
}

/* "application/grpc", alone or with a message format or a parameter behind. */
static bool is_grpc_type(struct slice value)
{
    static const char type[] = "application/grpc";
    size_t len = sizeof(type) - 1;

    return slice_starts(value, slice_of(type, len)) &&
           (value.len == len || value.data[len] == '+' ||
            value.data[len] == ';');
}

/* The few headers that mean something to us; the rest is kept for the
 * method's owner but for what every client sends with every call. */
static bool call_take_header(struct grpc_call *call, struct slice name,
                             struct slice value)
{
    if (IS(name, ":path")) {
        call->path = arena_copy(&call->arena, value);
    } else if (IS(name, ":method")) {
        call->is_post = IS(value, "POST");
    } else if (IS(name, "content-type")) {
        call->is_grpc = is_grpc_type(value);
    } else if (IS(name, "grpc-timeout")) {
        call_take_timeout(call, value);
    } else if (name.data[0] != ':' && !IS(name, "te") &&
               !IS(name, "user-agent") && !IS(name, "accept-encoding") &&
               !IS(name, "grpc-accept-encoding")) {
        return call_add_header(call, name, value);
    }
    return true;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *user_data)
{
    struct grpc_call *call;

    (void)h2;
    (void)flags;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    call = session_call(user_data, frame->hd.stream_id);
    if (call == NULL) {
        return 0;
    }
    call->headers_bytes += name_len + value_len + 32; /* RFC 9113, 6.5.2 */
    if (call->headers_bytes > LIMIT_HEADER_BYTES || name_len == 0 ||
        !call_take_header(call, slice_of(name, name_len),
                          slice_of(value, value_len))) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* Reset. */
    }
    return 0;
}

/* Nobody serves this path; say which part of it is wrong. */
static void call_refuse_path(struct grpc_call *call)
{
    struct slice path = call->path;
    const uint8_t *second = NULL;
    const struct grpc_methods *m = call->session->side->methods;
    struct slice service;

    if (path.len > 1 && path.data[0] == '/') {
        second = memrchr(path.data + 1, '/', path.len - 1);
    }
    if (second == NULL) {
        grpc_call_finish(call, GRPC_UNIMPLEMENTED,
                         arena_printf(&call->arena,
                                      "malformed method name: \"%.*s\"",
                                      (int)path.len, (const char *)path.data));
        return;
    }
    service = slice_of(path.data, (size_t)(second - path.data) + 1);
    for (size_t i = 0; i < m->count; i++) {
        if (slice_starts(slice_str(m->methods[i].path), service)) {
            grpc_call_finish(
                call, GRPC_UNIMPLEMENTED,
                arena_printf(
                    &call->arena, "unknown method %.*s for service %.*s",
                    (int)(path.len - service.len), (const char *)second + 1,
                    (int)service.len - 2, (const char *)service.data + 1));
            return;
        }
    }
    grpc_call_finish(call, GRPC_UNIMPLEMENTED,
                     arena_printf(&call->arena, "unknown service %.*s",
                                  (int)service.len - 2,
                                  (const char *)service.data + 1));
}

/* Answers are cheap to ask for: who does not read them gets no more. */
static void call_refuse_unread(struct grpc_call *call)
{
    grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED,
                     "too many answers wait to be read on this connection");
}

/* The headers are whole: find out what is wanted. */
static void call_route(struct grpc_call *call)
{
    struct grpc_session *gs = call->session;

    if (!call->is_post) {
        session_refuse_http(call, "405");
        return;
    }
    if (!call->is_grpc) {
        session_refuse_http(call, "415");
        return;
    }
    call->method = side_find(gs->side, call->path);
    if (call->method == NULL) {
        call_refuse_path(call);
        return;
    }
    if (gs->queued_bytes > LIMIT_CONN_OUT_BYTES) {
        call_refuse_unread(call);
        return;
    }
    if (call->method->on_open != NULL) {
        call->method->on_open(call);
    }
}

static void call_message(struct grpc_call *call, struct slice message)
{
    bool first = !call->got_request;

    if (call->session->queued_bytes > LIMIT_CONN_OUT_BYTES) {
        call_refuse_unread(call);
        return;
    }
    call->got_request = true;
    if (first || call->method->requests == GRPC_MANY_REQUESTS) {
        call->method->on_message(call, message);
    }
}

/* Add what its reader keeps to the listener's sum. */
static bool call_count_partial(struct grpc_call *call)
{
    struct grpc_side *side = call->session->side;

    side->partial_bytes -= call->partial_counted;
    call->partial_counted = call->reader.partial.cap;
    side->partial_bytes += call->partial_counted;
    return side->partial_bytes <= LIMIT_GRPC_PARTIAL;
}

static void call_refuse_message(struct grpc_call *call, enum grpc_take took)
{
    const struct grpc_reader *r = &call->reader;

    switch (took) {
    case GRPC_TAKE_TOO_BIG:
        grpc_call_finish(
            call, GRPC_RESOURCE_EXHAUSTED,
            arena_printf(&call->arena,
                         "grpc: received message larger than max (%u vs. %zu)",
                         r->announced, r->bytes_max));
        return;
    case GRPC_TAKE_COMPRESSED:
        grpc_call_finish(call, GRPC_UNIMPLEMENTED,
                         "grpc: Decompressor is not installed");
        return;
    case GRPC_TAKE_BAD:
    case GRPC_TAKE_MORE:
    case GRPC_TAKE_MESSAGE:
        grpc_call_finish(call, GRPC_INTERNAL,
                         "grpc: received unexpected payload format");
        return;
    }
}

static void call_take_data(struct grpc_call *call, struct slice bytes)
{
    struct slice message;

    while (!call->over) {
        enum grpc_take took = grpc_reader_take(&call->reader, &bytes, &message);

        if (took == GRPC_TAKE_MORE) {
            break;
        }
        if (took != GRPC_TAKE_MESSAGE) {
            call_refuse_message(call, took);
            break;
        }
        call_message(call, message);
    }
    if (!call_count_partial(call)) {
        grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED,
                         "too many bytes in unfinished requests");
    }
    if (call->over) { /* What it holds is of no use any more. */
        grpc_reader_release(&call->reader);
        (void)call_count_partial(call);
    }
}

/* Let the client send as much again, unless it leaves our answers unread: small
 * requests with larger answers (renewals, watchers) would pile those up. */
static int session_take_window(struct grpc_session *gs, struct grpc_call *call,
                               int32_t stream_id, size_t len)
{
    int error = 0;

    if (gs->queued_bytes > LIMIT_CONN_OUT_BYTES) {
        gs->withheld += len;
    } else {
        error = nghttp2_session_consume_connection(gs->h2, len);
    }
    if (error == 0 && call != NULL && !call->over && call->queue.was_high) {
        call->withheld += len;
    } else if (error == 0) {
        error = nghttp2_session_consume_stream(gs->h2, stream_id, len);
    }
    return error == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream_id,
                   const uint8_t *bytes, size_t len, void *user_data)
{
    struct grpc_call *call = session_call(user_data, stream_id);

    (void)h2;
    (void)flags;
    if (call != NULL && !call->over) {
        call_take_data(call, slice_of(bytes, len));
    }
    return session_take_window(user_data, call, stream_id, len);
}

static void call_half_close(struct grpc_call *call)
{
    call->half_closed = true;
    if (call->over) {
        return;
    }
    if (grpc_reader_is_partial(&call->reader)) {
        grpc_call_finish(call, GRPC_INTERNAL, "unexpected EOF");
    } else if (call->method->requests == GRPC_MANY_REQUESTS) {
        if (call->method->on_half_closed != NULL) {
            call->method->on_half_closed(call);
        }
    } else if (!call->got_request) {
        grpc_call_finish(call, GRPC_INTERNAL, "the request is missing");
    }
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame,
                    void *user_data)
{
    struct grpc_call *call;

    (void)h2;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    call = session_call(user_data, frame->hd.stream_id);
    if (call == NULL) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS &&
        frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        call_route(call);
    }
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        call_half_close(call);
    }
    return 0;
}

void request_hooks_set(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb,
                                                            on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
}
