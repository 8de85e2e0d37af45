#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/io/grpc_channel.h"

static struct grpc_stream *stream_new(struct grpc_channel *ch, const char *path,
                                      struct grpc_stream_hooks hooks)
{
    struct grpc_stream *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->channel = ch;
    s->hooks = hooks;
    s->deadline_ms = UINT64_MAX;
    s->status_text = "";
    s->path = arena_strdup(&s->arena, slice_str(path));
    grpc_reader_init(&s->reader, ch->config.message_bytes_max);
    grpc_queue_init(&s->queue);
    buf_init(&s->unary.reply, ch->config.message_bytes_max);
    TAILQ_INSERT_TAIL(&ch->streams, s, link);
    return s;
}

static void stream_free(struct grpc_stream *s)
{
    grpc_reader_release(&s->reader);
    grpc_queue_release(&s->queue);
    buf_release(&s->unary.reply);
    arena_release(&s->arena);
    free(s);
}

/* Let it go out, wait until the channel is ready, or end at once. */
static void stream_start(struct grpc_stream *s)
{
    struct grpc_channel *ch = s->channel;

    if (ch->closing || ch->state == CHANNEL_FAILED) {
        stream_end(s, GRPC_UNAVAILABLE,
                   ch->closing ? "the channel is closed" : ch->why.text);
    } else if (ch->going) {
        stream_end(s, GRPC_UNAVAILABLE, "the server takes no more calls");
    } else if (ch->state == CHANNEL_READY) {
        channel_submit(ch, s);
    }
}

struct grpc_stream *grpc_stream_open(struct grpc_channel *ch, const char *path,
                                     const struct grpc_metadata *metadata,
                                     size_t metadata_count,
                                     struct grpc_stream_hooks hooks)
{
    struct grpc_stream *s = stream_new(ch, path, hooks);

    CHECK(metadata_count <= GRPC_METADATA_MAX);
    for (size_t i = 0; i < metadata_count; i++) {
        s->metadata[i] = (struct grpc_metadata){
            .name = arena_strdup(&s->arena, slice_str(metadata[i].name)),
            .value = arena_strdup(&s->arena, slice_str(metadata[i].value))};
    }
    s->metadata_count = metadata_count;
    stream_start(s);
    return s;
}

void grpc_stream_send(struct grpc_stream *s, struct slice message)
{
    size_t len;

    if (s->ended || s->half_closed) {
        return;
    }
    if (grpc_queue_add(&s->queue, &message, 1, &len)) {
        stream_end(s, GRPC_RESOURCE_EXHAUSTED,
                   "message is larger than gRPC allows");
        return;
    }
    stream_wake(s);
}

void grpc_stream_half_close(struct grpc_stream *s)
{
    if (!s->ended && !s->half_closed) {
        s->half_closed = true;
        stream_wake(s);
    }
}

void grpc_stream_cancel(struct grpc_stream *s)
{
    stream_end(s, GRPC_CANCELLED, "cancelled by the caller");
}

/* ---- one request, one reply ---- */

static void unary_on_message(void *ctx, struct slice message)
{
    struct grpc_stream *s = ctx;

    if (!s->unary.has_reply) {
        CHECK(buf_add(&s->unary.reply, message) == ST_OK);
        s->unary.has_reply = true;
    }
}

static void unary_on_closed(void *ctx, enum grpc_code code, const char *text)
{
    struct grpc_stream *s = ctx;

    if (code == GRPC_OK && !s->unary.has_reply) {
        code = GRPC_INTERNAL;
        text = "the server ended the call without a reply";
    }
    if (code != GRPC_OK) {
        buf_clear(&s->unary.reply);
    }
    s->unary.on_done(s->unary.ctx, code, text, buf_slice(&s->unary.reply));
}

struct grpc_stream *grpc_unary(struct grpc_channel *ch, const char *path,
                               struct slice request, uint64_t timeout_ms,
                               grpc_unary_fn *on_done, void *ctx)
{
    struct grpc_stream_hooks hooks = {.on_message = unary_on_message,
                                      .on_closed = unary_on_closed};
    struct grpc_stream *s = stream_new(ch, path, hooks);

    s->hooks.ctx = s;
    s->unary.on_done = on_done;
    s->unary.ctx = ctx;
    if (timeout_ms != 0) {
        CHECK(timeout_ms <= 99999999); /* Eight digits; more than a day. */
        s->deadline_ms = loop_now_ms(ch->loop) + timeout_ms;
        (void)snprintf(s->timeout, sizeof(s->timeout), "%um",
                       (unsigned)timeout_ms);
    }
    stream_start(s);
    grpc_stream_send(s, request);
    grpc_stream_half_close(s);
    if (timeout_ms != 0) {
        channel_set_timer(ch);
    }
    return s;
}

/* ---- ends ---- */

void stream_end(struct grpc_stream *s, enum grpc_code code, const char *text)
{
    struct grpc_channel *ch = s->channel;

    if (s->ended) {
        return;
    }
    s->ended = true;
    s->end_code = code;
    s->end_text = arena_strdup(&s->arena, slice_str(text));
    TAILQ_REMOVE(&ch->streams, s, link);
    TAILQ_INSERT_TAIL(&ch->ended, s, link);
    loop_defer(ch->loop, LOOP_WORK, &ch->work);
    if (s->id != 0 && ch->h2 != NULL &&
        nghttp2_session_get_stream_user_data(ch->h2, s->id) == s) {
        /* HTTP/2 forgets the stream's owner and tells the server, if it still
         * has the stream. Without memory the connection fails elsewhere. */
        (void)nghttp2_session_set_stream_user_data(ch->h2, s->id, NULL);
        (void)nghttp2_submit_rst_stream(ch->h2, NGHTTP2_FLAG_NONE, s->id,
                                        NGHTTP2_CANCEL);
        stream_flush_later(&ch->stream);
    }
}

void channel_tell_ended(struct grpc_channel *ch)
{
    struct grpc_stream *s;

    while ((s = TAILQ_FIRST(&ch->ended)) != NULL) {
        TAILQ_REMOVE(&ch->ended, s, link);
        s->hooks.on_closed(s->hooks.ctx, s->end_code, s->end_text);
        stream_free(s);
    }
}
