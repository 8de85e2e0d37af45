#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/wire.h"
#include "store/peer/core.h"

/* Of the message before the file. */
#define HEAD_BYTES_MAX ((size_t)1024 * 1024)

enum {
    LEN_BYTES = 8
};

struct peers_arrival {
    struct peers *all;
    uint64_t from;                  /* Who sends it. */
    struct http_exchange *exchange; /* NULL: the sender has left. */
    struct buf head; /* Length and message, until they are whole. */
    struct raftpb_space space;
    struct raft_msg message;
    bool has_message;
    bool handed_over; /* The owner is at it. */
    int fd;           /* -1: none. */
    uint64_t bytes;
    char path[4096];
};

static void arrival_free(struct peers_arrival *a)
{
    struct peers *p = a->all;

    p->arriving = false;
    if (a->fd >= 0) {
        (void)close(a->fd); /* The file is thrown away. */
        (void)unlink(a->path);
    }
    buf_release(&a->head);
    raftpb_space_release(&a->space);
    free(a);
    peers_maybe_closed(p); /* The end may have waited for it alone. */
}

static int arrival_complain(const struct peers_arrival *a, const char *what)
{
    log_error("peer", "%s: %s: %s; the snapshot is not taken", a->path, what,
              strerrordesc_np(errno));
    return 500;
}

static int arrival_open(struct peers_arrival *a)
{
    int len =
        snprintf(a->path, sizeof(a->path), "%s/%016" PRIx64 ".snap.db.tmp",
                 a->all->config.folder, a->message.snapshot->pos.index);

    CHECK(len > 0);
    if ((size_t)len >= sizeof(a->path)) {
        errno = ENAMETOOLONG;
        return arrival_complain(a, "cannot create it");
    }
    a->fd = open(a->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return a->fd < 0 ? arrival_complain(a, "cannot create it") : 0;
}

static int arrival_write(struct peers_arrival *a, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t count = write(a->fd, bytes.data, bytes.len);

        if (count < 0 && errno != EINTR) {
            return arrival_complain(a, "cannot write it");
        }
        if (count > 0) {
            a->bytes += (uint64_t)count;
            bytes = slice_skip(bytes, (size_t)count);
        }
    }
    return 0;
}

/* The message is whole: is it what we want, from whom it should be? */
static int arrival_understand(struct peers_arrival *a, struct slice message)
{
    if (raftpb_message_unpack(message, &a->space, &a->message) ||
        a->message.type != RAFT_MSG_SNAPSHOT || a->message.from != a->from ||
        a->message.to != a->all->config.self) {
        return 400;
    }
    a->has_message = true;
    log_info("peer", "member %" PRIx64 " sends a snapshot of entry %" PRIu64,
             a->message.from, a->message.snapshot->pos.index);
    return arrival_open(a);
}

static int arrival_take_head(struct peers_arrival *a, struct slice bytes)
{
    uint64_t len;
    struct slice rest;
    int refusal;

    if (buf_add(&a->head, bytes)) {
        return 413;
    }
    if (a->head.len < LEN_BYTES) {
        return 0;
    }
    len = wire_get_u64be(a->head.data);
    if (len > HEAD_BYTES_MAX) {
        return 413;
    }
    if (a->head.len - LEN_BYTES < len) {
        return 0;
    }
    refusal =
        arrival_understand(a, slice_of(a->head.data + LEN_BYTES, (size_t)len));
    rest = slice_skip(buf_slice(&a->head), LEN_BYTES + (size_t)len);
    return refusal ? refusal : arrival_write(a, rest);
}

static int arrival_begin(struct http_exchange *x)
{
    struct peers *p = http_ctx(x);
    struct peers_arrival *a;
    const char *text;
    struct peer *peer;
    int refusal =
        serve_check(x, http_header_get(x, "X-Server-From"), &peer, &text);

    if (!slice_eq(http_method(x), slice_str("POST"))) {
        refusal = 405;
    } else if (refusal == 0 && peer == NULL) {
        refusal = 404;
    } else if (refusal == 0 && (p->arriving || p->closing)) {
        refusal = 503; /* One at a time; it will ask again. */
    }
    if (refusal != 0) {
        return refusal;
    }
    a = calloc(1, sizeof(*a));
    CHECK(a != NULL);
    a->all = p;
    a->from = peer->id;
    a->exchange = x;
    a->fd = -1;
    buf_init(&a->head, 2 * HEAD_BYTES_MAX);
    p->arriving = true;
    http_set_data(x, a);
    return 0;
}

int arrival_body(struct http_exchange *x, struct slice bytes)
{
    struct peers_arrival *a = http_data(x);

    if (a == NULL) {
        return arrival_begin(x);
    }
    return a->has_message ? arrival_write(a, bytes)
                          : arrival_take_head(a, bytes);
}

void arrival_whole(struct http_exchange *x)
{
    struct peers_arrival *a = http_data(x);
    const struct peers_hooks *hooks;

    if (a == NULL || !a->has_message) {
        http_reply_text(x, 400, "there is no snapshot in it\n");
        if (a != NULL) {
            arrival_free(a);
        }
        return;
    }
    log_info("peer",
             "received the snapshot of entry %" PRIu64 ", %" PRIu64 " bytes",
             a->message.snapshot->pos.index, a->bytes);
    (void)close(a->fd); /* Read errors of what was written show up later. */
    a->fd = -1;
    a->handed_over = true;
    hooks = &a->all->config.hooks;
    hooks->on_snapshot(hooks->ctx, &a->message, a->path, a);
}

void peers_arrival_done(struct peers_arrival *a, enum status st)
{
    CHECK(a->handed_over);
    if (a->exchange != NULL && st == ST_OK) {
        http_reply(a->exchange, 204, NULL, 0, slice_of(NULL, 0));
    } else if (a->exchange != NULL) {
        http_reply_text(a->exchange, 500, "the snapshot was not installed\n");
    }
    arrival_free(a);
}

bool arrival_gone(struct http_exchange *x)
{
    struct peers_arrival *a = http_data(x);

    if (!slice_eq(http_path(x), slice_str("/raft/snapshot"))) {
        return false;
    }
    if (a != NULL && a->handed_over) {
        a->exchange = NULL; /* It goes on without the sender. */
    } else if (a != NULL) {
        arrival_free(a);
    }
    return true;
}
