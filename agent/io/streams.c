#include "agent/io/streams.h"

#include <stdlib.h>

#include "agent/core/follow.h"
#include "base/core/check.h"
#include "base/core/log.h"

#define PASS_EVERY_MS 50

/* What may wait for a client that does not read; beyond it, nothing is added
 * until it has read everything. */
#define WAITING_MAX ((size_t)256 * 1024)

/* Of one service: its entries are told in one go. */
#define SERVICE_MAX ((size_t)32 * 1024 * 1024)

struct streamer {
    LIST_ENTRY(streamer) link;
    struct streams *streams;
    struct http_exchange *exchange;
    struct follow *follow;
    const char *datacenter; /* NULL: ours. */
    streams_ended_fn *on_ended;
    void *arg;
};

static void streamer_free(struct streamer *r)
{
    LIST_REMOVE(r, link);
    r->streams->count--;
    follow_free(r->follow);
    free(r);
}

void streams_end(struct streamer *r)
{
    http_stream_end(r->exchange);
    r->on_ended(r->arg);
    streamer_free(r);
}

static void send_lines(struct streamer *r, struct slice lines)
{
    struct buf *chunk;

    if (lines.len == 0) {
        return;
    }
    chunk = http_stream_open_chunk(r->exchange);
    CHECK(buf_add(chunk, lines) == ST_OK); /* Far below the connection's. */
    http_stream_close_chunk(r->exchange);
}

/* What its client is to see. */
static void view_of(const struct streamer *r, struct api_view *out_view)
{
    const struct front_hooks *hooks = r->streams->hooks;

    hooks->view(hooks->ctx, FRONT_PLAIN, out_view);
    if (r->datacenter) {
        const struct api_datacenter *dc =
            api_find_datacenter(out_view, r->datacenter);

        CHECK(dc != NULL); /* Its outcome has named one. */
        api_view_turn(out_view, dc);
    }
}

static void tell(struct streamer *r)
{
    struct api_view view;
    struct buf lines;
    enum follow_step step;

    if (http_stream_waiting(r->exchange) > 0) {
        follow_behind(r->follow); /* on_drained comes. */
        return;
    }
    view_of(r, &view);
    buf_init(&lines, SERVICE_MAX);
    step = follow_next(r->follow, &view, WAITING_MAX, &lines);
    if (step != FOLLOW_FULL) {
        send_lines(r, buf_slice(&lines));
    }
    buf_release(&lines);
    if (step == FOLLOW_FULL) {
        log_warn("http",
                 "a stream to %s ends: one service is larger than %zu MiB",
                 http_peer(r->exchange), SERVICE_MAX / (1024 * 1024));
        streams_end(r);
    }
}

struct streamer *streams_open(struct streams *s, struct http_exchange *x,
                              const struct api_outcome *outcome,
                              streams_ended_fn *on_ended, void *arg)
{
    struct streamer *r = calloc(1, sizeof(*r));
    struct http_header headers[API_HEADERS_MAX];

    CHECK(r != NULL);
    for (size_t i = 0; i < outcome->headers_count; i++) {
        headers[i].name = slice_str(outcome->headers[i].name);
        headers[i].value = slice_str(outcome->headers[i].value);
    }
    r->streams = s;
    r->exchange = x;
    r->follow = follow_new(&outcome->follow);
    r->datacenter = outcome->datacenter;
    r->on_ended = on_ended;
    r->arg = arg;
    LIST_INSERT_HEAD(&s->open, r, link);
    s->count++;
    http_stream_begin(x, headers, outcome->headers_count);
    /* The head is on its way: what is there follows when it has left. */
    return r;
}

void streams_drained(struct streamer *r)
{
    tell(r);
}

void streams_gone(struct streamer *r)
{
    streamer_free(r);
}

/* ---- Passes -------------------------------------------------------------- */

static void on_pass(struct loop_task *task)
{
    struct streams *s =
        (struct streams *)(void *)((char *)task -
                                   offsetof(struct streams, pass));
    struct streamer *r = LIST_FIRST(&s->open);

    s->passed_ms = loop_now_ms(s->loop);
    while (r) {
        struct streamer *after = LIST_NEXT(r, link);

        tell(r);
        r = after;
    }
}

static void on_pause_over(uv_timer_t *timer)
{
    struct streams *s = timer->data;

    loop_defer(s->loop, LOOP_WORK, &s->pass);
}

void streams_changed(struct streams *s)
{
    uint64_t now = loop_now_ms(s->loop);

    if (s->closing || s->count == 0 || uv_is_active((uv_handle_t *)&s->pause)) {
        return;
    }
    if (now - s->passed_ms >= PASS_EVERY_MS) {
        loop_defer(s->loop, LOOP_WORK, &s->pass);
        return;
    }
    CHECK(uv_timer_start(&s->pause, on_pause_over,
                         PASS_EVERY_MS - (now - s->passed_ms), 0) == 0);
}

/* ---- Start, end ---------------------------------------------------------- */

void streams_init(struct streams *s, struct loop *loop,
                  const struct front_hooks *hooks)
{
    *s = (struct streams){.loop = loop, .hooks = hooks};
    LIST_INIT(&s->open);
    s->pass.run = on_pass;
    CHECK(uv_timer_init(loop_uv(loop), &s->pause) == 0);
    s->pause.data = s;
}

static void on_pause_closed(uv_handle_t *handle)
{
    struct streams *s = handle->data;

    s->on_closed(s->arg);
}

void streams_close(struct streams *s, void (*on_closed)(void *arg), void *arg)
{
    s->closing = true;
    s->on_closed = on_closed;
    s->arg = arg;
    while (!LIST_EMPTY(&s->open)) {
        streams_end(LIST_FIRST(&s->open));
    }
    loop_undefer(s->loop, LOOP_WORK, &s->pass);
    uv_close((uv_handle_t *)&s->pause, on_pause_closed);
}
