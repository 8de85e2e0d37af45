#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/log.h"
#include "store/peer/core.h"

static const char *kind_path(enum frames_kind kind)
{
    return kind == FRAMES_APPENDS ? "msgapp" : "message";
}

void peer_links_init(struct peer *peer)
{
    for (size_t i = 0; i < 2; i++) {
        enum frames_kind kind = (enum frames_kind)i;

        peer->dials[i] = (struct peer_dial){.peer = peer, .kind = kind};
        frames_reader_init(&peer->dials[i].reader, kind, peer->id,
                           peer->all->config.self);
        peer->writers[i] =
            (struct peer_writer){.peer = peer, .frames = {.kind = kind}};
    }
}

/* ---- streams that we dial ---- */

static void note_activity(struct peer *peer)
{
    bool active = peer->dials[0].open && peer->dials[1].open;

    if (!active) {
        peer->active_since_ms = 0;
    } else if (peer->active_since_ms == 0) {
        peer->active_since_ms = loop_now_ms(peer->all->config.loop);
        log_info("peer", "member %" PRIx64 " is heard", peer->id);
    }
}

static void tell_removed(struct peers *p)
{
    if (!p->told_removed) {
        p->told_removed = true;
        p->config.hooks.on_removed(p->config.hooks.ctx);
    }
}

/* Say why a stream does not come about, once for each reason in a row. */
static void complain(struct peer_dial *d, const char *why)
{
    const struct peer *peer = d->peer;
    const struct peer_url *url = &peer->urls[d->url_at];

    if (d->url_at >= peer->urls_count) {
        return; /* It has got others meanwhile. */
    }
    if (strncmp(d->complaint, why, sizeof(d->complaint) - 1) == 0) {
        return;
    }
    (void)snprintf(d->complaint, sizeof(d->complaint), "%s", why);
    log_warn("peer",
             "member %" PRIx64 " at %s:%u is not reached: %s; trying again",
             peer->id, url->host, url->port, d->complaint);
}

static const char *refusal_text(int status)
{
    switch (status) {
    case 404:
        return "it does not know us as a member";
    case 410:
        return "we were removed from the cluster";
    case 412:
        return "it is of another cluster, another member or another version "
               "than expected (412)";
    default:
        return "it refuses a stream";
    }
}

static void on_dial_head(void *ctx, int status)
{
    struct peer_dial *d = ctx;

    if (status == 200) {
        d->open = true;
        d->open_ms = loop_now_ms(d->peer->all->config.loop);
        d->complaint[0] = '\0';
        note_activity(d->peer);
        return;
    }
    complain(d, refusal_text(status));
    if (status == 410) {
        tell_removed(d->peer->all);
    }
    http_call_cancel(d->call);
}

bool peer_take_message(struct peer *peer, const struct raft_msg *m)
{
    const struct peers *p = peer->all;

    if (m->to != p->config.self || m->type == RAFT_MSG_SNAPSHOT ||
        (m->from != peer->id && m->type != RAFT_MSG_TRANSFER)) {
        return false;
    }
    p->config.hooks.on_message(p->config.hooks.ctx, m);
    return true;
}

static void on_dial_message(void *ctx, const struct raft_msg *m)
{
    struct peer_dial *d = ctx;

    if (!peer_take_message(d->peer, m)) {
        log_debug("peer", "member %" PRIx64 " sends what is not for us",
                  d->peer->id);
    }
}

static void on_dial_body(void *ctx, struct slice bytes)
{
    struct peer_dial *d = ctx;

    if (!d->open || d->peer->removed) {
        return;
    }
    d->peer->received_bytes.value += (double)bytes.len;
    if (frames_feed(&d->reader, bytes, on_dial_message, d) && d->call) {
        log_warn("peer", "member %" PRIx64 " at %s sends what makes no sense",
                 d->peer->id, http_call_peer(d->call));
        http_call_cancel(d->call);
    }
}

static uint64_t redial_after(const struct peer_dial *d)
{
    unsigned doublings = d->failures < 4 ? d->failures : 4;
    uint64_t ms = (uint64_t)PEER_REDIAL_MS << doublings;

    return ms < PEER_REDIAL_MAX_MS ? ms : PEER_REDIAL_MAX_MS;
}

static void on_dial_end(void *ctx, enum status st, const char *why)
{
    struct peer_dial *d = ctx;
    struct peer *peer = d->peer;
    struct peers *p = peer->all;
    bool was_open = d->open;
    bool refused = !was_open && st == ST_DENIED;
    uint64_t now_ms = loop_now_ms(p->config.loop);

    d->call = NULL;
    d->open = false;
    frames_reader_release(&d->reader);
    frames_reader_init(&d->reader, d->kind, peer->id, p->config.self);
    note_activity(peer);
    if (was_open && now_ms - d->open_ms >= PEER_REDIAL_MAX_MS) {
        log_warn("peer", "member %" PRIx64 " is not heard any more: %s",
                 peer->id, st == ST_OK ? "it has ended its stream" : why);
        d->failures = 0;
        d->due_ms = 0; /* Look at once whether it is still there. */
    } else {
        if (st != ST_CANCELED) {
            complain(d, st == ST_OK ? "it has ended its stream" : why);
        }
        d->due_ms = now_ms + redial_after(d);
        d->failures++;
        peer_next_url(peer, d->url_at);
    }
    if (refused && !peer->removed) {
        p->config.hooks.on_lost(p->config.hooks.ctx, peer->id);
    }
    if (!peer->removed && d->due_ms == 0) {
        peer_links_tick(peer, now_ms);
    }
    peers_call_ended(p);
}

static void dial(struct peer_dial *d)
{
    struct peer *peer = d->peer;
    const struct peers *p = peer->all;
    char path[64];
    char to[20];
    struct http_header header = {.name = slice_str("X-Raft-To")};
    struct http_call_config config = {.method = "GET",
                                      .path = path,
                                      .headers = &header,
                                      .headers_count = 1,
                                      .connect_ms = 1000,
                                      .silence_ms = PEER_SILENCE_MS};

    (void)snprintf(path, sizeof(path), "/raft/stream/%s/%s", kind_path(d->kind),
                   p->self_text);
    (void)snprintf(to, sizeof(to), "%" PRIx64, peer->id);
    header.value = slice_str(to);
    d->url_at = peer->url_at;
    d->call = peer_call(peer, config,
                        (struct http_call_hooks){.ctx = d,
                                                 .on_head = on_dial_head,
                                                 .on_body = on_dial_body,
                                                 .on_end = on_dial_end});
}

/* ---- streams that others have dialled ---- */

void peer_stream_gone(struct peer_writer *w)
{
    w->exchange = NULL;
}

void peer_take_stream(struct peer *peer, enum frames_kind kind,
                      struct http_exchange *x)
{
    struct peer_writer *w = &peer->writers[kind];
    struct http_header header = {.name = slice_str("X-Server-Version"),
                                 .value = slice_str(peer->all->config.version)};

    if (w->exchange != NULL) { /* It has lost the old one, it seems. */
        http_set_data(w->exchange, NULL);
        http_stream_end(w->exchange);
    }
    w->exchange = x;
    w->frames = (struct frames_writer){.kind = kind};
    w->written_ms = loop_now_ms(peer->all->config.loop);
    http_set_data(x, w);
    http_stream_begin(x, &header, 1);
}

static void keep_alive(struct peer_writer *w, uint64_t now_ms)
{
    if (w->exchange == NULL || now_ms < w->written_ms + PEER_ALIVE_MS) {
        return;
    }
    w->written_ms = now_ms;
    frames_put_alive(&w->frames, http_stream_open_chunk(w->exchange));
    http_stream_close_chunk(w->exchange);
}

static void write_message(struct peer_writer *w, const struct raft_msg *m)
{
    struct peer *peer = w->peer;
    bool appends = w->frames.kind == FRAMES_APPENDS;
    size_t waiting = http_stream_waiting(w->exchange);
    size_t room = appends ? PEER_APPENDS_WAITING : PEER_MESSAGES_WAITING;
    size_t bound = frames_bound(m);
    struct buf *out;
    size_t before;

    if (waiting > 0 && waiting + bound > room) {
        peer->dropped.value++;
        return;
    }
    out = http_stream_open_chunk(w->exchange);
    before = out->len;
    frames_put(&w->frames, m, out);
    peer->sent_bytes.value += (double)(out->len - before);
    http_stream_close_chunk(w->exchange);
    w->written_ms = loop_now_ms(peer->all->config.loop);
}

/* ---- a POST when there is no stream ---- */

struct post {
    struct peer_errand errand;
    int status;
};

static void on_post_head(void *ctx, int status)
{
    struct post *post = ctx;

    post->status = status;
    if (status == 410) {
        tell_removed(post->errand.peer->all);
    }
}

static void on_post_body(void *ctx, struct slice bytes)
{
    (void)ctx;
    (void)bytes;
}

static void on_post_end(void *ctx, enum status st, const char *why)
{
    struct post *post = ctx;
    struct peer *peer = post->errand.peer;

    (void)why;
    errand_over(&post->errand);
    peer->posts--;
    if (st != ST_OK || post->status >= 300) {
        peer->dropped.value++;
    }
    free(post);
    peers_call_ended(peer->all);
}

static void post_message(struct peer *peer, const struct raft_msg *m)
{
    struct http_header type = {slice_str("Content-Type"),
                               slice_str("application/protobuf")};
    struct http_call_config config = {.method = "POST",
                                      .path = "/raft",
                                      .headers = &type,
                                      .headers_count = 1,
                                      .connect_ms = 1000,
                                      .total_ms = PEER_POST_MS};
    struct post *post;
    struct buf body;

    if (peer->posts >= PEER_POSTS_MAX || peer->urls_count == 0) {
        peer->dropped.value++;
        return;
    }
    post = calloc(1, sizeof(*post));
    CHECK(post != NULL);
    buf_init(&body, SIZE_MAX);
    raftpb_message_pack(m, &body);
    config.body = buf_slice(&body);
    peer->posts++;
    peer->sent_bytes.value += (double)body.len;
    errand_start(&post->errand, peer, config,
                 (struct http_call_hooks){.ctx = post,
                                          .on_head = on_post_head,
                                          .on_body = on_post_body,
                                          .on_end = on_post_end});
    buf_release(&body);
}

/* Appends wait for their stream: they are sent again. */
void peer_send(struct peer *peer, const struct raft_msg *m)
{
    bool append = m->type == RAFT_MSG_APPEND;
    struct peer_writer *w =
        &peer->writers[append ? FRAMES_APPENDS : FRAMES_MESSAGES];

    if (w->exchange != NULL) {
        write_message(w, m);
    } else if (!append) {
        post_message(peer, m);
    } else {
        peer->dropped.value++;
    }
}

/* ---- both ---- */

void peer_links_tick(struct peer *peer, uint64_t now_ms)
{
    for (size_t i = 0; i < 2; i++) {
        struct peer_dial *d = &peer->dials[i];

        if (d->call == NULL && peer->urls_count > 0 && now_ms >= d->due_ms) {
            dial(d);
        }
        keep_alive(&peer->writers[i], now_ms);
    }
}

void peer_links_close(struct peer *peer)
{
    for (size_t i = 0; i < 2; i++) {
        if (peer->dials[i].call != NULL) {
            http_call_cancel(peer->dials[i].call);
        }
        if (peer->writers[i].exchange != NULL) {
            http_set_data(peer->writers[i].exchange, NULL);
            http_stream_end(peer->writers[i].exchange);
            peer->writers[i].exchange = NULL;
        }
    }
}
