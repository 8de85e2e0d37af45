#include "base/io/grpc_queue.h"

#include "base/core/check.h"
#include "base/io/grpc_frame.h"
#include "base/io/grpc_server.h"

/* gRPC lengths are 32 bits; clients take 31. */
#define OUT_BYTES_MAX ((size_t)INT32_MAX)

/* An empty queue gives more memory than this back. */
#define QUIET_BYTES 1024

void grpc_queue_init(struct grpc_queue *q)
{
    *q = (struct grpc_queue){0};
    buf_init(&q->out, OUT_BYTES_MAX);
}

void grpc_queue_release(struct grpc_queue *q)
{
    buf_release(&q->out);
}

size_t grpc_queue_ready(const struct grpc_queue *q)
{
    return (q->message_open ? q->message_at : q->out.len) - q->at;
}

struct slice grpc_queue_front(const struct grpc_queue *q, size_t len)
{
    CHECK(len <= grpc_queue_ready(q));
    return slice_of(q->out.data + q->at, len);
}

struct buf *grpc_queue_begin(struct grpc_queue *q)
{
    uint8_t *head;

    CHECK(!q->message_open);
    CHECK(buf_reserve(&q->out, GRPC_FRAME_HEAD, &head) == ST_OK);
    q->message_open = true;
    q->message_at = q->out.len;
    q->out.len += GRPC_FRAME_HEAD;
    return &q->out;
}

void grpc_queue_abandon(struct grpc_queue *q)
{
    CHECK(q->message_open);
    q->message_open = false;
    q->out.len = q->message_at;
}

size_t grpc_queue_end(struct grpc_queue *q)
{
    size_t whole = q->out.len - q->message_at;

    CHECK(q->message_open);
    CHECK(q->out.len >= q->message_at + GRPC_FRAME_HEAD);
    q->message_open = false;
    grpc_frame_head(q->out.data + q->message_at,
                    (uint32_t)(whole - GRPC_FRAME_HEAD));
    if (grpc_queue_ready(q) > GRPC_HIGH_WATER) {
        q->was_high = true;
    }
    return whole;
}

enum status grpc_queue_add(struct grpc_queue *q, const struct slice *pieces,
                           size_t count, size_t *out_len)
{
    size_t need = GRPC_FRAME_HEAD;
    struct buf *out;
    uint8_t *space;

    for (size_t i = 0; i < count; i++) {
        need += pieces[i].len;
    }
    if (buf_reserve(&q->out, need, &space)) {
        return ST_TOO_BIG;
    }
    out = grpc_queue_begin(q);
    for (size_t i = 0; i < count; i++) {
        CHECK(buf_add(out, pieces[i]) == ST_OK);
    }
    *out_len = grpc_queue_end(q);
    return ST_OK;
}

enum grpc_level grpc_queue_taken(struct grpc_queue *q, size_t len)
{
    CHECK(len <= grpc_queue_ready(q));
    q->at += len;
    if (q->at == q->out.len) {
        q->at = 0;
        buf_clear(&q->out);
        if (q->out.cap > QUIET_BYTES) {
            buf_release(&q->out);
        }
    } else if (q->at > GRPC_HIGH_WATER && q->at > q->out.len / 2 &&
               !q->message_open) {
        buf_drop(&q->out, q->at);
        q->at = 0;
    }
    if (!q->was_high || grpc_queue_ready(q) >= GRPC_LOW_WATER) {
        return GRPC_LEVEL_SAME;
    }
    q->was_high = false;
    return GRPC_LEVEL_DRAINED;
}
