/*
 * grpc_channel.h - a client's insides, shared by grpc_client.c (the
 * connection), grpc_dial.c (how it comes about), grpc_client_h2.c (what HTTP/2
 * calls back) and grpc_stream.c (what the owner does with streams).
 *
 *     RESOLVING -> CONNECTING -> READY -> FAILED        closing: any of them
 *         |         |      ^  \__ next     ^
 *         |         |      |____| address  |
 *         +---------+----------------------+
 *
 * A stream ends in one way: stream_end() takes it off HTTP/2 and puts it on the
 * channel's list of ended ones, which the loop's work of this turn tells to
 * their owners.
 */
#pragma once

#include <nghttp2/nghttp2.h>
#include <sys/queue.h>

#include "base/core/arena.h"
#include "base/io/address.h"
#include "base/io/grpc_client.h"
#include "base/io/grpc_frame.h"
#include "base/io/grpc_queue.h"
#include "base/io/stream.h"

enum channel_state {
    CHANNEL_RESOLVING,
    CHANNEL_CONNECTING,
    CHANNEL_READY,
    CHANNEL_FAILED
};

/* One request and one reply; part of a stream that grpc_unary() opened. */
struct unary {
    grpc_unary_fn *on_done; /* NULL: the stream is no such call. */
    void *ctx;
    struct buf reply;
    bool has_reply;
};

struct grpc_stream {
    struct grpc_channel *channel;
    struct grpc_stream_hooks hooks;
    struct unary unary;
    int32_t id;       /* 0: not handed to HTTP/2 yet. */
    bool parked;      /* HTTP/2 waits for more to send. */
    bool half_closed; /* Nothing more will be sent. */
    bool ended;
    bool draining;         /* on_drained is due. */
    int http_status;       /* 0: none yet. */
    bool has_status;       /* grpc-status has come. */
    enum grpc_code status; /* What the server said. */
    const char *status_text;
    enum grpc_code end_code; /* What the owner will be told. */
    const char *end_text;
    uint64_t deadline_ms; /* UINT64_MAX: none. */
    char timeout[12];     /* For grpc-timeout; empty: none. */
    const char *path;
    struct grpc_metadata metadata[GRPC_METADATA_MAX];
    size_t metadata_count;
    struct grpc_reader reader;
    struct grpc_queue queue;
    struct arena arena;
    TAILQ_ENTRY(grpc_stream) link;
};

TAILQ_HEAD(stream_list, grpc_stream);

struct grpc_channel {
    struct loop *loop;
    struct grpc_channel_hooks hooks;
    struct grpc_channel_config config; /* Strings are the channel's own. */
    struct arena strings;
    struct address address;
    const char *authority;

    enum channel_state state;
    struct err why;        /* Once failed. */
    bool failure_told;     /* on_failed was called, or never will be. */
    bool closing;          /* grpc_channel_close() was called. */
    bool going;            /* The server takes no more calls. */
    uint64_t going_by_ms;  /* Calls under way may take until then. */
    unsigned open_handles; /* Timer, resolver, stream: until all are gone. */
    void (*on_closed)(void *ctx);
    void *closed_ctx;

    uv_timer_t timer;
    uint64_t connect_by_ms;
    uv_getaddrinfo_t resolver;
    struct addrinfo *resolved;
    struct addrinfo *next_address;
    unsigned addresses_left; /* To be tried, from next_address on, in a ring. */
    uint64_t address_by_ms;  /* Then the next one's turn; UINT64_MAX: not. */
    struct sockaddr_storage literal; /* When the host is an address. */
    struct stream stream;
    bool stream_open; /* From stream_connect() until its on_closed. */

    nghttp2_session *h2;
    struct stream_list streams; /* Not ended. */
    struct stream_list ended;
    struct loop_task work;
    uint64_t read_ms;      /* When the last bytes came. */
    uint64_t heard_ms;     /* When the last bytes of a call came. */
    uint64_t ping_ms;      /* When the last PING went. */
    bool ping_waits;       /* For its answer, or any other byte. */
    unsigned pings_barren; /* PINGs since the server last sent a call's data. */
    bool held_back;
    void (*on_pong)(void *ctx); /* grpc_channel_ping(); NULL: nobody asks. */
};

/* grpc_client.c: the connection is lost or was never made. Its socket closes;
 * streams and owner are told by the work of this turn. */
void channel_fail(struct grpc_channel *ch, const char *doing,
                  const char *reason);

/* One handle less. When a closing channel has none left, it is over. */
void channel_handle_gone(struct grpc_channel *ch);

extern const struct stream_hooks channel_stream_hooks;

/* grpc_dial.c: begin; the next address, of which there must be one left; and
 * what the timer does while connecting. */
void channel_dial(struct grpc_channel *ch);
void channel_dial_next(struct grpc_channel *ch);
void channel_dial_on_time(struct grpc_channel *ch);

/* A session that talks to us by user_data. */
nghttp2_session *channel_h2_new(struct grpc_channel *ch);

/* The server's settings have come. */
void channel_becomes_ready(struct grpc_channel *ch);

/* The server takes no more calls: those under way get a moment. */
void channel_server_goes(struct grpc_channel *ch);

/* Hand a stream to HTTP/2; the channel is ready. */
void channel_submit(struct grpc_channel *ch, struct grpc_stream *s);

/* See above. `text` is copied. No effect on an ended one. */
void stream_end(struct grpc_stream *s, enum grpc_code code, const char *text);

/* There is something to send on it, or to end it with. */
void stream_wake(struct grpc_stream *s);

/* The timer fires when the next thing is due. */
void channel_set_timer(struct grpc_channel *ch);

/* Give the ended ones their on_closed, and free them. */
void channel_tell_ended(struct grpc_channel *ch);
