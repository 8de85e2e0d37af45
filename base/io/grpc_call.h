/*
 * grpc_call.h - a call's insides, shared by grpc_call.c (what its owner does
 * with it), grpc_request.c (what the client sends on it) and grpc_session.c
 * (what the connection does with it).
 *
 *   queue    out[out_at .. out.len) holds framed messages for the client.
 * HTTP/2 takes from it as flow control allows (call_take). end      `finished`
 * is our decision, with code and text; `over` is true from then on, or from the
 * moment the client does not listen any more.
 */
#pragma once

#include <nghttp2/nghttp2.h>
#include <sys/queue.h>

#include "base/io/grpc_frame.h"
#include "base/io/grpc_queue.h"
#include "base/io/grpc_session.h"

struct call_header {
    struct slice name;
    struct slice value;
    struct call_header *next;
};

struct grpc_call {
    struct grpc_session *session;
    const struct grpc_method *method; /* NULL until the headers are whole. */
    void *data;
    int32_t stream_id;
    enum grpc_code code; /* Once finished. */
    bool head_sent;      /* The response has been begun. */
    bool parked;         /* HTTP/2 waits for call_wake(). */
    bool finished;
    bool over;
    bool half_closed; /* By the client. */
    bool got_request; /* At least one message. */
    bool is_post;
    bool is_grpc;  /* By its content type. */
    bool timed;    /* On the session's list of deadlines. */
    bool draining; /* On the session's list for on_drained. */
    unsigned headers_count;
    size_t headers_bytes;
    struct slice path;
    struct call_header *headers;
    uint64_t deadline_ms;
    struct grpc_reader reader;
    size_t partial_counted; /* Of reader.partial, in the side's sum. */
    size_t withheld;        /* Of the window, until the queue has drained. */
    struct grpc_queue queue;
    uint8_t *text; /* Of the end, encoded, in the arena. */
    size_t text_len;
    struct arena arena;
    TAILQ_ENTRY(grpc_call) link;
    TAILQ_ENTRY(grpc_call) timed_link;
    TAILQ_ENTRY(grpc_call) drain_link;
};

TAILQ_HEAD(call_list, grpc_call);

struct grpc_side {
    const struct grpc_methods *methods;
    const struct grpc_method **table; /* Open addressing by path. */
    size_t table_mask;
    struct call_list spare;
    unsigned spare_count;
    size_t partial_bytes; /* In all unfinished messages. */
};

struct grpc_session {
    struct grpc_side *side;
    struct stream *stream;
    nghttp2_session *h2;
    struct call_list calls;
    struct call_list timed;
    struct call_list drained;
    size_t queued_bytes; /* In all calls. */
    size_t withheld;     /* Of the window, while too much is queued. */
    uint64_t read_ms;    /* When the last bytes came. */
    bool ping_sent;      /* Since then. */
    bool held_back;      /* Stopped producing: the stream is full. */
    bool leaving;
    bool dead;
};

/* Calls come from and go back to the side. */
struct grpc_call *call_new(struct grpc_session *gs, int32_t stream_id);
void call_free(struct grpc_call *call);

/* Keep a request header. false: over the limits. */
bool call_add_header(struct grpc_call *call, struct slice name,
                     struct slice value);

/* The method of a path; NULL: none. */
const struct grpc_method *side_find(const struct grpc_side *side,
                                    struct slice path);

/* `len` bytes have gone out. */
void call_taken(struct grpc_call *call, size_t len);

/* Begin the response or let a parked one go on (grpc_session.c). */
void session_wake_call(struct grpc_call *call);

/* An answer of HTTP's own, for requests that are not gRPC. */
void session_refuse_http(struct grpc_call *call, const char *status);

/* The callbacks for what comes in (grpc_request.c). */
void request_hooks_set(nghttp2_session_callbacks *cb);
