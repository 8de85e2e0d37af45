#include <stdio.h>

#include "base/core/check.h"
#include "base/io/grpc_channel.h"
#include "base/io/grpc_h2.h"

static struct grpc_stream *channel_stream(struct grpc_channel *ch, int32_t id)
{
    return nghttp2_session_get_stream_user_data(ch->h2, id);
}

static ssize_t on_source(nghttp2_session *h2, int32_t id, uint8_t *space,
                         size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *user_data)
{
    struct grpc_stream *s = channel_stream(user_data, id);
    size_t ready;

    (void)h2;
    (void)space;
    (void)source;
    if (s == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* It was given up. */
    }
    ready = grpc_queue_ready(&s->queue);
    if (ready == 0 && !s->half_closed) {
        s->parked = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags = NGHTTP2_DATA_FLAG_NO_COPY;
    if (ready > room) {
        return (ssize_t)room;
    }
    if (s->half_closed) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)ready;
}

static int on_send_data(nghttp2_session *h2, nghttp2_frame *frame,
                        const uint8_t *head, size_t len,
                        nghttp2_data_source *source, void *user_data)
{
    struct grpc_channel *ch = user_data;
    struct grpc_stream *s = channel_stream(ch, frame->hd.stream_id);

    (void)h2;
    (void)source;
    if (s == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (stream_out_bytes(&ch->stream) > H2_OUT_HIGH) {
        ch->held_back = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    if (h2_write_data(&ch->stream, head, grpc_queue_front(&s->queue, len))) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (grpc_queue_taken(&s->queue, len) == GRPC_LEVEL_DRAINED) {
        s->draining = true;
    }
    return 0;
}

static ssize_t on_send(nghttp2_session *h2, const uint8_t *bytes, size_t len,
                       int flags, void *user_data)
{
    struct grpc_channel *ch = user_data;

    (void)h2;
    (void)flags;
    if (stream_out_bytes(&ch->stream) > H2_OUT_HIGH) {
        ch->held_back = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    if (buf_add(stream_out(&ch->stream), slice_of(bytes, len))) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return (ssize_t)len;
}

/* The server has sent something of a call. */
static void heard(struct grpc_channel *ch)
{
    ch->heard_ms = loop_now_ms(ch->loop);
    ch->pings_barren = 0;
}

void channel_submit(struct grpc_channel *ch, struct grpc_stream *s)
{
    nghttp2_data_provider provider = {.source.ptr = NULL,
                                      .read_callback = on_source};
    nghttp2_nv nv[8 + GRPC_METADATA_MAX];
    size_t count = 0;

    nv[count++] = h2_nv(":method", "POST");
    nv[count++] = h2_nv(":scheme", ch->config.tls != NULL ? "https" : "http");
    nv[count++] = h2_nv(":path", s->path);
    nv[count++] = h2_nv(":authority", ch->authority);
    nv[count++] = h2_nv("te", "trailers");
    nv[count++] = h2_nv("content-type", "application/grpc");
    nv[count++] = h2_nv("user-agent", ch->config.user_agent);
    if (s->timeout[0] != '\0') {
        nv[count++] = h2_nv("grpc-timeout", s->timeout);
    }
    for (size_t i = 0; i < s->metadata_count; i++) {
        nv[count++] = h2_nv(s->metadata[i].name, s->metadata[i].value);
    }
    s->id = nghttp2_submit_request(ch->h2, NULL, nv, count, &provider, s);
    if (s->id < 0) {
        const char *why = nghttp2_strerror(s->id);

        s->id = 0;
        stream_end(s, GRPC_UNAVAILABLE, why);
        return;
    }
    stream_flush_later(&ch->stream);
}

void stream_wake(struct grpc_stream *s)
{
    struct grpc_channel *ch = s->channel;

    if (s->ended || s->id == 0) {
        return; /* It goes out when the channel is ready. */
    }
    if (s->parked) {
        s->parked = false;
        (void)nghttp2_session_resume_data(ch->h2, s->id); /* It is there. */
    }
    stream_flush_later(&ch->stream);
}

static void take_header(struct grpc_stream *s, struct slice name,
                        struct slice value)
{
    char text[1024];

    if (slice_eq(name, slice_str(":status"))) {
        s->http_status = (int)h2_number(value, 999, 0);
    } else if (slice_eq(name, slice_str("grpc-status"))) {
        s->has_status = true;
        s->status = (enum grpc_code)h2_number(value, GRPC_UNAUTHENTICATED,
                                              GRPC_UNKNOWN);
    } else if (slice_eq(name, slice_str("grpc-message"))) {
        grpc_text_decode(value, text, sizeof(text));
        s->status_text = arena_strdup(&s->arena, slice_str(text));
    }
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *user_data)
{
    struct grpc_stream *s = channel_stream(user_data, frame->hd.stream_id);

    (void)h2;
    (void)flags;
    if (s != NULL) {
        take_header(s, slice_of(name, name_len), slice_of(value, value_len));
    }
    return 0;
}

static void stream_refuse(struct grpc_stream *s, enum grpc_take took)
{
    char text[100];

    if (took == GRPC_TAKE_TOO_BIG) {
        (void)snprintf(text, sizeof(text),
                       "grpc: received message larger than max (%u vs. %zu)",
                       s->reader.announced, s->reader.bytes_max);
        stream_end(s, GRPC_RESOURCE_EXHAUSTED, text);
    } else {
        stream_end(s, GRPC_INTERNAL, "the answer is not a gRPC message");
    }
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id,
                   const uint8_t *bytes, size_t len, void *user_data)
{
    struct grpc_stream *s = channel_stream(user_data, id);
    struct slice input = slice_of(bytes, len);
    struct slice message;

    (void)h2;
    (void)flags;
    if (s != NULL) {
        heard(s->channel);
    }
    while (s != NULL && !s->ended && s->http_status == 200) {
        enum grpc_take took = grpc_reader_take(&s->reader, &input, &message);

        if (took == GRPC_TAKE_MORE) {
            break;
        }
        if (took != GRPC_TAKE_MESSAGE) {
            stream_refuse(s, took);
        } else if (s->hooks.on_message != NULL) {
            s->hooks.on_message(s->hooks.ctx, message);
        }
    }
    return 0;
}

/* The server has said all it will: what does the owner hear? */
static void stream_judge(struct grpc_stream *s, uint32_t h2_error)
{
    char text[100];

    if (s->has_status) {
        stream_end(s, s->status, s->status_text);
    } else if (s->http_status != 0 && s->http_status != 200) {
        (void)snprintf(text, sizeof(text), "unexpected HTTP status %d",
                       s->http_status);
        stream_end(s, h2_code_of_http(s->http_status), text);
    } else if (h2_error != NGHTTP2_NO_ERROR) {
        (void)snprintf(text, sizeof(text), "the server reset the call: %s",
                       nghttp2_http2_strerror(h2_error));
        stream_end(s, h2_code_of_reset(h2_error), text);
    } else {
        stream_end(s, GRPC_INTERNAL,
                   "the server ended the call without a "
                   "status");
    }
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t error,
                           void *user_data)
{
    struct grpc_stream *s = channel_stream(user_data, id);

    if (s != NULL) {
        (void)nghttp2_session_set_stream_user_data(h2, id, NULL);
        s->id = 0; /* HTTP/2 has forgotten it. */
        stream_judge(s, error);
    }
    return 0;
}

static const uint8_t ping_mark[8] = "musterpi";

void grpc_channel_ping(struct grpc_channel *ch, void (*on_pong)(void *ctx))
{
    CHECK(grpc_channel_ready(ch));
    CHECK(ch->on_pong == NULL);
    ch->on_pong = on_pong;
    if (nghttp2_submit_ping(ch->h2, NGHTTP2_FLAG_NONE, ping_mark)) {
        channel_fail(ch, "connection to", "cannot send a ping");
        return;
    }
    stream_flush_later(&ch->stream);
}

static void take_pong(struct grpc_channel *ch, const nghttp2_ping *ping)
{
    void (*on_pong)(void *) = ch->on_pong;

    if (on_pong != NULL && (ping->hd.flags & NGHTTP2_FLAG_ACK) &&
        memcmp(ping->opaque_data, ping_mark, sizeof(ping_mark)) == 0 &&
        !ch->closing) {
        ch->on_pong = NULL;
        on_pong(ch->hooks.ctx);
    }
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame,
                    void *user_data)
{
    struct grpc_channel *ch = user_data;
    struct grpc_stream *s;

    switch (frame->hd.type) {
    case NGHTTP2_SETTINGS:
        if (ch->state == CHANNEL_CONNECTING) {
            channel_becomes_ready(ch);
        }
        return 0;
    case NGHTTP2_GOAWAY:
        channel_server_goes(ch);
        return 0;
    case NGHTTP2_PING:
        take_pong(ch, &frame->ping);
        return 0;
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        heard(ch);
        s = channel_stream(ch, frame->hd.stream_id);
        if (s != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
            nghttp2_session_get_stream_local_close(h2, s->id) == 0) {
            stream_judge(s, NGHTTP2_NO_ERROR); /* Before we have ended. */
        }
        return 0;
    default:
        return 0;
    }
}

nghttp2_session *channel_h2_new(struct grpc_channel *ch)
{
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;
    nghttp2_session *h2;

    CHECK(nghttp2_session_callbacks_new(&cb) == 0);
    nghttp2_session_callbacks_set_send_callback(cb, on_send);
    nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    CHECK(nghttp2_option_new(&option) == 0);
    nghttp2_option_set_no_closed_streams(option, 1); /* They pile up. */
    CHECK(nghttp2_session_client_new2(&h2, cb, ch, option) == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    return h2;
}
