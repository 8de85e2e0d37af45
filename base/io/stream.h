/*
 * stream.h - bytes to and from another program: TCP or Unix, plain or TLS.
 *
 * For base/io only. A stream is embedded in its owner. What is to be written is
 * appended to stream_out() and written once at the end of the loop's turn
 * (LOOP_FLUSH), after on_flush has had the chance to append more.
 *
 *     stream_accept / stream_connect -> on_open -> on_read ... on_eof
 *     stream_finish (write the rest first) or stream_close (at once)
 *     -> on_closed, exactly once, the last; never from inside a call
 *
 * Whatever goes wrong closes the stream: on_closed tells the reason.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/err.h"
#include "base/core/limits.h"
#include "base/io/loop_impl.h"
#include "base/io/tls_impl.h"

struct stream;

struct stream_hooks {
    void (*on_open)(struct stream *s); /* Connected, TLS agreed. */
    void (*on_read)(struct stream *s, struct slice bytes);
    void (*on_eof)(struct stream *s);   /* The other side will send no more. */
    void (*on_flush)(struct stream *s); /* Append what is ready; NULL: none. */
    void (*on_drained)(struct stream *s); /* All is written; NULL: who cares. */
    void (*on_deadline)(struct stream *s);
    void (*on_closed)(struct stream *s); /* Memory is the owner's again. */
};

enum stream_state {
    STREAM_CONNECTING, /* TCP or Unix connect under way. */
    STREAM_HANDSHAKE,  /* TLS. */
    STREAM_OPEN,
    STREAM_FINISHING, /* Writing the rest; what comes in is dropped. */
    STREAM_CLOSING
};

/* Fields are the module's; owners may read `loop`, `peer`, `why`. */
struct stream {
    struct loop *loop;
    const struct stream_hooks *hooks;
    enum stream_state state;
    bool read_paused;
    bool shutdown_begun;
    bool peer_ended;
    unsigned open_handles;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    uv_timer_t timer;
    uint64_t deadline_ms; /* UINT64_MAX: none. */
    uint64_t timer_ms;    /* When the timer fires; it may be early. */

    struct buf out;     /* To be written; plain text. */
    struct buf cipher;  /* To be written; what TLS made of it. */
    struct buf writing; /* The kernel would not take it at once. */
    size_t left_before; /* Bytes, when we last looked: finishing. */
    union {
        uv_write_t write;
        uv_connect_t connect;
    } request;
    uv_shutdown_t shutdown;
    struct loop_task flush;

    struct tls_session *tls; /* NULL: plain. */
    char peer[64];           /* "127.0.0.1:4711", "unix" */
    char why[160];           /* Why it closed; empty: we wanted it. */
    int error;               /* libuv's, if that was why; 0: none. */
};

/* Take the next connection of a listener. `tls` may be NULL; then on_open comes
 * from inside. If none can be taken, on_closed comes alone. */
void stream_accept(struct stream *s, struct loop *loop,
                   const struct stream_hooks *hooks, uv_stream_t *listener,
                   struct tls *tls);

/* Connect to an address (TCP), or to a Unix socket if `unix_path` is given. */
struct stream_target {
    const struct sockaddr *address;
    const char *unix_path;
    struct tls *tls;
    const char *server_name; /* For TLS. */
};
void stream_connect(struct stream *s, struct loop *loop,
                    const struct stream_hooks *hooks,
                    const struct stream_target *target);

/* What will be written; append to it, then ask for the flush. Its limit is
 * LIMIT_CONN_OUT_BYTES; a stream closes when that much waits for a slow reader,
 * too. */
struct buf *stream_out(struct stream *s);
void stream_flush_later(struct stream *s);

/* Bytes that the kernel has not taken yet. */
size_t stream_out_bytes(const struct stream *s);

/* No bytes are read while paused; an end is noticed afterwards. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

/* on_deadline once loop_now_ms() has passed at_ms (UINT64_MAX: never). Moving
 * it later, as with each request, costs nothing. */
void stream_set_deadline(struct stream *s, uint64_t at_ms);

/* Let TCP find out that the other host is gone: probes after quiet_ms, and the
 * end when nothing is acknowledged for patience_ms. Unix sockets need it not.
 */
void stream_watch_silence(struct stream *s, uint64_t quiet_ms,
                          uint64_t patience_ms);

/* What ALPN agreed on; empty without TLS. */
struct slice stream_alpn(const struct stream *s);

/* Write the rest, as long as the other side reads on (some of it in
 * STREAM_UNREAD_MS), say goodbye, wait for the other side's end for at most
 * STREAM_LINGER_MS, close. Only on_closed comes from now on. */
#define STREAM_UNREAD_MS 30000
#define STREAM_LINGER_MS 3000
void stream_finish(struct stream *s);

/* Close now. `why` is kept for on_closed if it is the first; NULL: none. */
void stream_close(struct stream *s, const char *why);

/* True until stream_finish, stream_close or trouble. */
bool stream_usable(const struct stream *s);
