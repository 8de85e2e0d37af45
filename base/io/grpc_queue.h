/*
 * grpc_queue.h - framed messages on their way out of a call or stream.
 *
 * A plain buffer, filled at its end and emptied from its beginning. Messages
 * are written in place; HTTP/2 takes as much as flow control allows.
 */
#pragma once

#include <stdbool.h>

#include "base/core/bytes.h"

struct grpc_queue {
    struct buf out;
    size_t at;         /* What is before it has gone out. */
    size_t message_at; /* Where the message being written begins. */
    bool message_open;
    bool was_high; /* Above GRPC_HIGH_WATER since it was below the low. */
};

void grpc_queue_init(struct grpc_queue *q);
void grpc_queue_release(struct grpc_queue *q);

/* Bytes that may go out: whole messages. */
size_t grpc_queue_ready(const struct grpc_queue *q);
struct slice grpc_queue_front(const struct grpc_queue *q, size_t len);

struct buf *grpc_queue_begin(struct grpc_queue *q);
void grpc_queue_abandon(struct grpc_queue *q);

/* Returns the length of the message with its frame. */
size_t grpc_queue_end(struct grpc_queue *q);

/* begin, the pieces, end. ST_TOO_BIG: gRPC cannot carry that; unchanged. */
enum status grpc_queue_add(struct grpc_queue *q, const struct slice *pieces,
                           size_t count, size_t *out_len);

enum grpc_level {
    GRPC_LEVEL_SAME,
    GRPC_LEVEL_DRAINED /* Below the low water after having been high. */
};

/* `len` bytes have gone out. */
enum grpc_level grpc_queue_taken(struct grpc_queue *q, size_t len);
