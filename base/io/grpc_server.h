/*
 * grpc_server.h - the methods that a server answers over gRPC.
 *
 * A listener (server.h) is given a table of methods; this module reads frames
 * and messages, keeps flow control and limits, and calls the method's
 * functions on the loop's thread. What it answers by itself: unknown services
 * and methods, messages over the limit, compressed messages, a missing request
 * of a one-request method, and calls whose deadline has passed.
 *
 * The life of a call:
 *
 *     on_open -> on_message ... -> on_half_closed          (from the client)
 *         grpc_call_send ... -> grpc_call_finish           (from us, any time)
 *     -> on_closed                                  (exactly once, the last)
 *
 * on_closed comes when the end has been handed to the connection, or earlier
 * when the client has cancelled, is gone, or the deadline has passed. It never
 * comes from inside a grpc_call_... function. Until then the call and its
 * arena are valid, and sending on a call that is over already has no effect, so
 * a reply may come late without anybody asking first. After it the call must
 * not be touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/core/arena.h"
#include "base/core/bytes.h"
#include "base/io/grpc_code.h"

struct grpc_call;

enum grpc_requests {
    GRPC_ONE_REQUEST,  /* Unary and server streams: on_message comes once. */
    GRPC_MANY_REQUESTS /* Client and two-way streams. */
};

/* Functions may be NULL where there is nothing to do. */
struct grpc_method {
    const char *path; /* "/etcdserverpb.KV/Range" */
    enum grpc_requests requests;
    void (*on_open)(struct grpc_call *call);

    /* A whole message, borrowed during the call; copy into the arena what must
     * live longer. Not called any more once the call is finished. */
    void (*on_message)(struct grpc_call *call, struct slice message);

    /* The client will send no more; for GRPC_MANY_REQUESTS only. The call stays
     * open until grpc_call_finish(). */
    void (*on_half_closed)(struct grpc_call *call);

    /* What was queued has fallen below GRPC_LOW_WATER after it was above
     * GRPC_HIGH_WATER: a paused sender may go on. */
    void (*on_drained)(struct grpc_call *call);
    void (*on_closed)(struct grpc_call *call);
    void *tag; /* The owner's, see grpc_call_method(). */
};

/* Bytes a call may sensibly queue; a sender of streams should stop above the
 * high mark and wait for on_drained. Not enforced for a call: what a reply may
 * weigh is the method's decision. */
#define GRPC_HIGH_WATER ((size_t)256 * 1024)
#define GRPC_LOW_WATER  ((size_t)64 * 1024)

/* Borrowed by the server until it has stopped. */
struct grpc_methods {
    void *ctx; /* The owner's, see grpc_call_ctx(). */
    const struct grpc_method *methods;
    size_t count;
    size_t message_bytes_max;      /* Of one request. */
    uint64_t keepalive_ms;         /* Quiet time before a PING; 0: 2 h. */
    uint64_t keepalive_timeout_ms; /* Then closed without answer; 0: 20 s. */

    /* Each end of a call, for metrics; NULL is fine. */
    void (*on_handled)(const struct grpc_method *method, void *ctx,
                       enum grpc_code code);
};

void *grpc_call_ctx(const struct grpc_call *call); /* grpc_methods.ctx */
const struct grpc_method *grpc_call_method(const struct grpc_call *call);

/* The owner's pointer for this call; NULL at first. */
void *grpc_call_data(const struct grpc_call *call);
void grpc_call_set_data(struct grpc_call *call, void *data);

/* Lives until on_closed has returned. */
struct arena *grpc_call_arena(struct grpc_call *call);

/* The value of the header `name` (lower case), for instance "authorization",
 * "token", "hasleader"; the first if there are several. Empty slice with NULL
 * data: absent. Valid as long as the call. */
struct slice grpc_call_metadata(const struct grpc_call *call, const char *name);

/* The other side's address, "127.0.0.1:4711", "[::1]:4711" or "unix". */
const char *grpc_call_peer(const struct grpc_call *call);

/* True from grpc_call_finish(), a cancel or a lost connection on. */
bool grpc_call_over(const struct grpc_call *call);

/* Queue one message. The bytes are copied, and on their way at the end of this
 * turn of the loop as far as flow control allows. */
void grpc_call_send(struct grpc_call *call, struct slice message);

/* The same for a message in pieces that follow each other. */
void grpc_call_sendv(struct grpc_call *call, const struct slice *pieces,
                     size_t count);

/* Write a message in place, without a copy: append to the returned buffer (what
 * it holds already must stay as it is), then end, before the loop goes on.
 * Nothing else may be sent on the call in between. grpc_call_abandon_message()
 * takes back what was written.
 *
 *     struct buf *out = grpc_call_begin_message(call);
 *     pb_int(out, 1, revision);
 *     grpc_call_end_message(call);
 */
struct buf *grpc_call_begin_message(struct grpc_call *call);
void grpc_call_end_message(struct grpc_call *call);
void grpc_call_abandon_message(struct grpc_call *call);

/* No more will be sent; the trailers follow what is queued. `text` may be NULL;
 * it is copied. With GRPC_OK and nothing sent an empty stream is answered. */
void grpc_call_finish(struct grpc_call *call, enum grpc_code code,
                      const char *text);

/* What is queued and has not been handed to the connection. */
size_t grpc_call_queued_bytes(const struct grpc_call *call);
