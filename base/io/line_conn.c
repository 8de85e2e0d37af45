#include "base/io/line_conn.h"

#include <poll.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/io/loop.h"
#include "base/io/stream.h"

/* So much may wait for a client that does not read; its lines wait then. */
#define UNREAD_BYTES_MAX ((size_t)256 * 1024)

/* So many lines of one connection are handled before others get their turn:
 * thousands of requests fit into what is read at once. */
#define TURN_LINES_MAX 16

/* A client that has ended its side and is kept says no more when it goes: it is
 * looked at so often. */
#define HANGUP_MS 1000

struct line_conn {
    struct stream *stream;
    const struct line_handler *handler;
    void *data;
    struct buf ahead; /* Lines that wait, and a part of one. */
    bool kept;
    bool ended; /* The client sends no more. */
    bool finished;
    struct loop_task resume; /* Goes on with `ahead`. */
    struct loop_task turn;   /* The same, in the loop's next turn. */
};

void *line_ctx(const struct line_conn *c)
{
    return c->handler->ctx;
}

void *line_data(const struct line_conn *c)
{
    return c->data;
}

void line_set_data(struct line_conn *c, void *data)
{
    c->data = data;
}

bool line_owner(const struct line_conn *c, struct owner *out_owner)
{
    return owner_read(c->stream, out_owner);
}

size_t line_unsent(const struct line_conn *c)
{
    return stream_out_bytes(c->stream);
}

static void set_deadline(struct line_conn *c)
{
    uint64_t now = loop_now_ms(c->stream->loop);

    if (!c->kept) {
        stream_set_deadline(c->stream, now + c->handler->idle_ms);
    } else {
        stream_set_deadline(c->stream, c->ended ? now + HANGUP_MS : UINT64_MAX);
    }
}

void line_keep(struct line_conn *c)
{
    c->kept = true;
    set_deadline(c);
}

void line_finish(struct line_conn *c)
{
    if (!c->finished) {
        c->finished = true;
        stream_finish(c->stream);
    }
}

void line_send(struct line_conn *c, struct slice bytes)
{
    if (c->finished) {
        return; /* The client is gone; on_gone is still to come. */
    }
    if (buf_add(stream_out(c->stream), bytes)) {
        c->finished = true;
        stream_close(c->stream, "too many bytes wait to be read");
        return;
    }
    stream_flush_later(c->stream);
}

static void say_and_finish(struct line_conn *c, const char *text)
{
    line_send(c, slice_str(text));
    line_finish(c);
}

void line_conn_refuse(struct line_conn *c)
{
    say_and_finish(c, c->handler->too_many);
}

/* ---- Lines ------------------------------------------------------------- */

static bool waits(const struct line_conn *c)
{
    return c->finished || stream_out_bytes(c->stream) > UNREAD_BYTES_MAX;
}

static void handle(struct line_conn *c, struct slice line)
{
    if (line.len > 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    if (line.len > c->handler->line_max) {
        say_and_finish(c, c->handler->too_long);
    } else {
        c->handler->on_line(c, line);
    }
}

/* A whole line, or more than one may have. */
static bool has_line(const struct line_conn *c, struct slice bytes)
{
    return bytes.len > c->handler->line_max + 1 ||
           (bytes.len > 0 && memchr(bytes.data, '\n', bytes.len) != NULL);
}

/* Handle whole lines until they end, must wait, or others are to have their
 * turn; returns what is left. */
static struct slice consume(struct line_conn *c, struct slice bytes)
{
    unsigned handled = 0;

    while (handled < TURN_LINES_MAX && !waits(c) && has_line(c, bytes)) {
        const uint8_t *end = memchr(bytes.data, '\n', bytes.len);
        size_t len = end == NULL ? bytes.len : (size_t)(end - bytes.data);

        handle(c, slice_of(bytes.data, len));
        bytes = slice_skip(bytes, end == NULL ? len : len + 1);
        handled++;
    }
    return bytes;
}

/* The last line of one who ends its side may lack its end. */
static void end_maybe(struct line_conn *c)
{
    struct buf last = c->ahead;

    if (!c->ended || waits(c) || has_line(c, buf_slice(&c->ahead))) {
        return;
    }
    buf_init(&c->ahead, last.limit);
    if (last.len > 0) {
        handle(c, buf_slice(&last));
    }
    buf_release(&last);
    if (!c->kept) {
        line_finish(c);
    }
}

static void feed(struct line_conn *c, struct slice bytes)
{
    struct slice rest = consume(c, bytes);

    if (c->finished) {
        return;
    }
    if (rest.len > 0 && buf_add(&c->ahead, rest)) {
        c->finished = true;
        stream_close(c->stream, "too much was sent ahead of an answer");
        return;
    }
    if (waits(c)) {
        stream_pause(c->stream); /* Until the client has read. */
    } else if (has_line(c, buf_slice(&c->ahead))) {
        stream_pause(c->stream);
        loop_defer(c->stream->loop, LOOP_FLUSH, &c->turn);
    }
    set_deadline(c);
}

/* What has waited, with `more` behind it. */
static void feed_ahead(struct line_conn *c, struct slice more)
{
    struct buf ahead = c->ahead;

    if (ahead.len == 0) {
        feed(c, more);
        return;
    }
    if (buf_add(&ahead, more)) {
        c->finished = true;
        c->ahead = ahead;
        stream_close(c->stream, "too much was sent ahead of an answer");
        return;
    }
    buf_init(&c->ahead, ahead.limit);
    feed(c, buf_slice(&ahead));
    buf_release(&ahead);
}

void line_conn_read(struct line_conn *c, struct slice bytes)
{
    if (!c->finished) {
        feed_ahead(c, bytes);
    }
}

void line_conn_eof(struct line_conn *c)
{
    if (c->finished) {
        return;
    }
    c->ended = true;
    end_maybe(c);
    if (!c->finished) {
        set_deadline(c);
    }
}

static void go_on(struct line_conn *c)
{
    if (waits(c)) {
        return;
    }
    stream_resume(c->stream);
    feed_ahead(c, (struct slice){0});
    end_maybe(c);
}

static void on_resume(struct loop_task *task)
{
    go_on((struct line_conn *)(void *)((char *)task -
                                       offsetof(struct line_conn, resume)));
}

static void on_turn(struct loop_task *task)
{
    go_on((struct line_conn *)(void *)((char *)task -
                                       offsetof(struct line_conn, turn)));
}

void line_conn_drained(struct line_conn *c)
{
    if (c->finished) {
        return;
    }
    if (c->handler->on_drained) {
        c->handler->on_drained(c);
    }
    loop_defer(c->stream->loop, LOOP_WORK, &c->resume);
}

/* ---- Begin, end -------------------------------------------------------- */

/* Both sides are closed: there is nobody to write to. */
static bool hung_up(const struct line_conn *c)
{
    struct pollfd p = {0};

    return uv_fileno(&c->stream->uv.handle, &p.fd) == 0 &&
           poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

void line_conn_deadline(struct line_conn *c)
{
    if (c->finished) {
        return;
    }
    if (!c->kept) {
        line_finish(c);
    } else if (c->ended && hung_up(c)) {
        c->finished = true;
        stream_close(c->stream, NULL);
    } else {
        set_deadline(c);
    }
}

void line_conn_stop(struct line_conn *c)
{
    line_finish(c);
}

struct line_conn *line_conn_new(struct stream *stream,
                                const struct line_handler *handler)
{
    struct line_conn *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    c->stream = stream;
    c->handler = handler;
    c->resume.run = on_resume;
    c->turn.run = on_turn;
    buf_init(&c->ahead, 2 * (LOOP_READ_BYTES + handler->line_max));
    set_deadline(c);
    return c;
}

void line_conn_free(struct line_conn *c)
{
    if (c == NULL) {
        return;
    }
    c->finished = true;
    if (c->handler->on_gone) {
        c->handler->on_gone(c);
    }
    loop_undefer(c->stream->loop, LOOP_WORK, &c->resume);
    loop_undefer(c->stream->loop, LOOP_FLUSH, &c->turn);
    buf_release(&c->ahead);
    free(c);
}
