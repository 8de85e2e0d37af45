/*
 * grpc_client.h - calling another program's gRPC methods.
 *
 * A channel is one connection to one endpoint. It is made, becomes ready or
 * fails, and once failed never recovers: whoever wants another try or another
 * endpoint opens another channel. So there is one place that decides about
 * retries, its owner.
 *
 *     grpc_channel_open -> on_ready -> calls -> on_failed     (at most once)
 *     grpc_channel_close -> on_closed                     (whenever you like)
 *
 * When a channel fails or is closed, every stream on it ends first, by its
 * on_closed with GRPC_UNAVAILABLE (or GRPC_CANCELLED after
 * grpc_channel_close). A name is looked up anew for each channel; each of its
 * addresses gets a share of the time to connect. A silent peer is noticed by
 * PING: keepalive_ms without a byte, then keepalive_timeout_ms without an
 * answer.
 *
 * Callbacks come on the loop's thread and never from inside a function of this
 * module, so they may call any of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "base/core/err.h"
#include "base/io/grpc_code.h"

struct grpc_channel;
struct grpc_stream;
struct loop;
struct tls;

struct grpc_channel_config {
    const char *target;      /* "host:port", "[::1]:2379", "unix:/path". */
    struct tls *tls;         /* NULL: plain. Borrowed until closed. */
    const char *server_name; /* Expected in the certificate; NULL: the host of
                                the target. */
    const char *user_agent;  /* NULL: "muster". */
    uint64_t connect_timeout_ms;   /* Name, TCP, TLS and SETTINGS; 0: 5 s */
    uint64_t keepalive_ms;         /* 0: 2 s */
    uint64_t keepalive_timeout_ms; /* 0: 3 s */
    size_t message_bytes_max;      /* Of one answer; 0: 64 MiB */
    unsigned address_offset; /* Of a name's addresses, which is tried first;
                                modulo their number. All are tried. */
};

struct grpc_channel_hooks {
    void *ctx;
    void (*on_ready)(void *ctx); /* Calls that were made before go out now. */

    /* `why`: "connect to 127.0.0.1:2379: connection refused" and the like. */
    void (*on_failed)(void *ctx, const struct err *why);
};

/* Never fails at once: trouble comes by on_failed. Strings are copied. */
struct grpc_channel *grpc_channel_open(struct loop *loop,
                                       const struct grpc_channel_config *config,
                                       struct grpc_channel_hooks hooks);

bool grpc_channel_ready(const struct grpc_channel *ch);

/* loop_now_ms() when the server last sent something of a call; answers to PINGs
 * do not count. 0: never. */
uint64_t grpc_channel_heard_ms(const struct grpc_channel *ch);

/* Ask a ready channel for a sign of life: on_pong comes when the server has
 * answered, and never if the channel fails or is closed before. One at a time.
 */
void grpc_channel_ping(struct grpc_channel *ch, void (*on_pong)(void *ctx));

/* No more hooks come. Streams end (see above), then on_closed is called, once,
 * when the channel has been freed; it may be NULL. */
void grpc_channel_close(struct grpc_channel *ch, void (*on_closed)(void *ctx),
                        void *ctx);

struct grpc_stream_hooks {
    void *ctx;
    /* A whole message, borrowed during the call. NULL: they are dropped. */
    void (*on_message)(void *ctx, struct slice message);

    /* See grpc_server.h; NULL is fine. */
    void (*on_drained)(void *ctx);

    /* The end, exactly once; the stream is gone when it returns. `text` is what
     * the server said, or why we think so; never NULL. */
    void (*on_closed)(void *ctx, enum grpc_code code, const char *text);
};

struct grpc_metadata {
    const char *name; /* Lower case. */
    const char *value;
};

/* Open a stream; at most GRPC_METADATA_MAX pairs, copied. On a channel that has
 * failed it ends by on_closed, as any other trouble. */
#define GRPC_METADATA_MAX 8
struct grpc_stream *grpc_stream_open(struct grpc_channel *ch, const char *path,
                                     const struct grpc_metadata *metadata,
                                     size_t metadata_count,
                                     struct grpc_stream_hooks hooks);

/* The message is copied. No effect once the stream is half-closed or over. */
void grpc_stream_send(struct grpc_stream *s, struct slice message);

/* No more will be sent. */
void grpc_stream_half_close(struct grpc_stream *s);

/* Give it up: on_closed comes with GRPC_CANCELLED. */
void grpc_stream_cancel(struct grpc_stream *s);

/* The answer of one call. `reply` is empty unless code is GRPC_OK; both are
 * borrowed during the call. */
typedef void grpc_unary_fn(void *ctx, enum grpc_code code, const char *text,
                           struct slice reply);

/* One request, one reply; on_done comes exactly once. After timeout_ms (0:
 * none) with GRPC_DEADLINE_EXCEEDED; the server is told by grpc-timeout. The
 * returned stream may be cancelled until on_done comes. */
struct grpc_stream *grpc_unary(struct grpc_channel *ch, const char *path,
                               struct slice request, uint64_t timeout_ms,
                               grpc_unary_fn *on_done, void *ctx);
