#include <inttypes.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/wire.h"
#include "store/peer/core.h"

/* So much is read ahead of what the kernel has taken. */
#define AHEAD_BYTES ((size_t)512 * 1024)

/* The other side installs it before it answers. */
#define INSTALL_MS      120000

#define FILE_FRAME_HEAD 8

struct departure {
    struct peers *all;
    uint64_t to;
    uint64_t index;
    struct peers_source source;
    struct peer_errand errand;
    struct buf piece;
    bool all_read;
    int status;
};

static void departure_free(struct departure *d, bool ok)
{
    struct peers *p = d->all;

    errand_over(&d->errand);
    d->source.release(d->source.ctx);
    buf_release(&d->piece);
    p->config.hooks.on_snapshot_sent(p->config.hooks.ctx, d->to, d->index, ok);
    free(d);
}

/* Keep the connection busy without reading the whole file into memory. */
static void departure_fill(struct departure *d)
{
    while (!d->all_read && http_call_waiting(d->errand.call) < AHEAD_BYTES) {
        buf_clear(&d->piece);
        if (d->source.next(d->source.ctx, &d->piece, &d->all_read) ||
            http_call_write(d->errand.call, buf_slice(&d->piece))) {
            http_call_cancel(d->errand.call);
            return;
        }
    }
    if (d->all_read) {
        http_call_write_end(d->errand.call);
    }
}

static void on_drained(void *ctx)
{
    struct departure *d = ctx;

    if (!d->all_read) {
        departure_fill(d);
    }
}

static void on_head(void *ctx, int status)
{
    ((struct departure *)ctx)->status = status;
}

static void on_body(void *ctx, struct slice bytes)
{
    (void)ctx;
    (void)bytes;
}

static void on_end(void *ctx, enum status st, const char *why)
{
    struct departure *d = ctx;
    struct peers *p = d->all;

    if (st != ST_OK) {
        log_warn("peer", "sending a snapshot to member %" PRIx64 ": %s", d->to,
                 why);
    }
    departure_free(d, st == ST_OK && d->status == 204 && d->all_read);
    peers_call_ended(p);
}

/* What goes before the file: the message in a frame of its own. */
static void put_message(const struct raft_msg *m, struct buf *out)
{
    uint8_t *at;

    CHECK(buf_reserve(out, FILE_FRAME_HEAD, &at) == ST_OK);
    out->len += FILE_FRAME_HEAD;
    raftpb_message_pack(m, out);
    wire_put_u64be(out->data, out->len - FILE_FRAME_HEAD);
}

struct hopeless {
    struct loop_task task;
    struct departure *departure;
};

static void on_hopeless(struct loop_task *task)
{
    struct hopeless *h = (struct hopeless *)task;
    struct peers *p = h->departure->all;

    departure_free(h->departure, false);
    free(h);
    peers_call_ended(p);
}

/* Nobody to send it to: told later, as every end. */
static void departure_give_up(struct departure *d)
{
    struct hopeless *h = calloc(1, sizeof(*h));

    CHECK(h != NULL);
    h->task.run = on_hopeless;
    h->departure = d;
    d->all->calls_open++;
    loop_post(d->all->config.loop, &h->task);
}

void peers_send_snapshot(struct peers *p, const struct raft_msg *message,
                         struct peers_source source)
{
    struct departure *d = calloc(1, sizeof(*d));
    struct peer *peer = peers_find(p, message->to);
    struct http_header type = {slice_str("Content-Type"),
                               slice_str("application/octet-stream")};
    struct http_call_config config = {.method = "POST",
                                      .path = "/raft/snapshot",
                                      .headers = &type,
                                      .headers_count = 1,
                                      .writes = true,
                                      .silence_ms = INSTALL_MS};

    CHECK(d != NULL);
    CHECK(message->snapshot != NULL);
    d->all = p;
    d->to = message->to;
    d->index = message->snapshot->pos.index;
    d->source = source;
    buf_init(&d->piece, SIZE_MAX);
    if (peer == NULL || peer->urls_count == 0 || p->closing) {
        departure_give_up(d);
        return;
    }
    put_message(message, &d->piece);
    errand_start(&d->errand, peer, config,
                 (struct http_call_hooks){.ctx = d,
                                          .on_head = on_head,
                                          .on_body = on_body,
                                          .on_drained = on_drained,
                                          .on_end = on_end});
    (void)http_call_write(d->errand.call, buf_slice(&d->piece));
}
