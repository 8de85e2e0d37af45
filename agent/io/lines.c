#include "agent/io/lines.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <uv.h>

#include "agent/core/lines.h"
#include "agent/io/listen.h"
#include "base/core/check.h"
#include "base/io/line_server.h"
#include "base/io/loop.h"

#define PASS_EVERY_MS  50
#define IDLE_MS        75000
#define LAST_BLOCKS_MS 500
#define BLOCK_MAX      ((size_t)32 * 1024 * 1024)

/* A connection that watches. */
struct watcher {
    LIST_ENTRY(watcher) link;
    struct line_conn *conn;
    struct arena arena; /* Of the request. */
    struct lines_request request;
    struct lines_mark mark; /* When it was looked at last. */
    uint64_t told;          /* Hash of the block it has. */
};

struct lines {
    struct loop *loop;
    struct front_hooks hooks;
    struct line_handler handler;
    struct server *server;
    LIST_HEAD(, watcher) watchers;
    struct loop_task pass;
    uv_timer_t pause;   /* Until the next pass may be. */
    uint64_t passed_ms; /* Of the last pass. */
    bool stopping;
    unsigned open;
    void (*on_stopped)(void *arg);
    void *arg;
};

/* ---- Blocks ---------------------------------------------------------------
 */

static void view_now(const struct lines *l, struct api_view *out)
{
    l->hooks.view(l->hooks.ctx, FRONT_PLAIN, out);
}

static void make_block(struct line_conn *conn,
                       const struct lines_request *request,
                       const struct api_view *view, struct buf *out)
{
    struct owner owner;
    struct acl_caller caller = {0};

    if (line_owner(conn, &owner)) {
        caller.by_socket = true;
        caller.uid = owner.uid;
        caller.groups = owner.groups;
        caller.groups_count = owner.groups_count;
    }
    lines_write(request, &caller, view, out);
}

static void send_error(struct line_conn *conn, const char *text)
{
    struct buf out;

    buf_init(&out, BLOCK_MAX);
    lines_write_error(text, &out);
    line_send(conn, buf_slice(&out));
    buf_release(&out);
}

enum tell_when {
    TELL_FIRST,
    TELL_CHANGED
};

static void tell(struct watcher *w, const struct api_view *view,
                 enum tell_when when)
{
    struct lines_mark mark = lines_mark(&w->request, view);
    struct buf block;
    uint64_t hash;

    if (when == TELL_CHANGED && lines_mark_equal(mark, w->mark)) {
        return;
    }
    w->mark = mark;
    buf_init(&block, BLOCK_MAX);
    make_block(w->conn, &w->request, view, &block);
    hash = catalog_hash(buf_slice(&block));
    if (when == TELL_FIRST || hash != w->told) {
        w->told = hash;
        line_send(w->conn, buf_slice(&block));
    }
    buf_release(&block);
}

/* ---- Requests -------------------------------------------------------------
 */

static void watch(struct lines *l, struct line_conn *conn, struct slice line)
{
    struct watcher *w = calloc(1, sizeof(*w));
    struct api_view view;
    struct err err;

    CHECK(w != NULL);
    w->conn = conn;
    CHECK(lines_read(&w->arena, line, &w->request, &err) == ST_OK);
    LIST_INSERT_HEAD(&l->watchers, w, link);
    line_set_data(conn, w);
    line_keep(conn);
    view_now(l, &view);
    tell(w, &view, TELL_FIRST);
}

static void look_up(const struct lines *l, struct line_conn *conn,
                    const struct lines_request *request)
{
    struct api_view view;
    struct buf block;

    buf_init(&block, BLOCK_MAX);
    view_now(l, &view);
    make_block(conn, request, &view, &block);
    line_send(conn, buf_slice(&block));
    buf_release(&block);
}

static void on_line(struct line_conn *conn, struct slice line)
{
    struct lines *l = line_ctx(conn);
    struct lines_request request;
    struct arena arena = {0};
    struct err err;

    l->hooks.arrives(l->hooks.ctx);
    if (line_data(conn) != NULL) {
        send_error(conn, "a WATCH is the last request of its connection");
        line_finish(conn);
    } else if (lines_read(&arena, line, &request, &err)) {
        send_error(conn, err.text);
    } else if (request.verb == LINES_WATCH) {
        watch(l, conn, line);
    } else {
        look_up(l, conn, &request);
    }
    arena_release(&arena);
}

static void on_drained(struct line_conn *conn)
{
    struct lines *l = line_ctx(conn);
    struct watcher *w = line_data(conn);
    struct api_view view;

    if (w != NULL && !l->stopping) {
        view_now(l, &view);
        tell(w, &view, TELL_CHANGED);
    }
}

static void on_gone(struct line_conn *conn)
{
    struct watcher *w = line_data(conn);

    if (w != NULL) {
        LIST_REMOVE(w, link);
        arena_release(&w->arena);
        free(w);
    }
}

/* ---- Passes ---------------------------------------------------------------
 */

static void on_pass(struct loop_task *task)
{
    struct lines *l =
        (struct lines *)(void *)((char *)task - offsetof(struct lines, pass));
    struct api_view view;
    struct watcher *w;

    l->passed_ms = loop_now_ms(l->loop);
    view_now(l, &view);
    LIST_FOREACH(w, &l->watchers, link)
    {
        if (line_unsent(w->conn) == 0) { /* Else on_drained comes. */
            tell(w, &view, TELL_CHANGED);
        }
    }
}

static void on_pause_over(uv_timer_t *timer)
{
    struct lines *l = timer->data;

    loop_defer(l->loop, LOOP_WORK, &l->pass);
}

void lines_changed(struct lines *l)
{
    uint64_t now;

    if (l == NULL || l->stopping || LIST_EMPTY(&l->watchers) ||
        uv_is_active((uv_handle_t *)&l->pause)) {
        return;
    }
    now = loop_now_ms(l->loop);
    if (now - l->passed_ms >= PASS_EVERY_MS) {
        loop_defer(l->loop, LOOP_WORK, &l->pass);
        return;
    }
    CHECK(uv_timer_start(&l->pause, on_pause_over,
                         PASS_EVERY_MS - (now - l->passed_ms), 0) == 0);
}

/* ---- Start, stop ----------------------------------------------------------
 */

static void part_closed(struct lines *l)
{
    void (*on_stopped)(void *arg) = l->on_stopped;
    void *arg = l->arg;

    if (--l->open > 0) {
        return;
    }
    free(l);
    if (on_stopped) {
        on_stopped(arg);
    }
}

static void on_server_stopped(void *ctx)
{
    part_closed(ctx);
}

static void on_pause_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

void lines_stop(struct lines *l, void (*on_stopped)(void *arg), void *arg)
{
    CHECK(!l->stopping);
    l->stopping = true;
    l->on_stopped = on_stopped;
    l->arg = arg;
    l->open = 1;
    loop_undefer(l->loop, LOOP_WORK, &l->pass);
    if (l->server) {
        l->open++;
        server_stop(l->server, LAST_BLOCKS_MS, on_server_stopped, l);
    }
    uv_close((uv_handle_t *)&l->pause, on_pause_closed);
}

enum status lines_start(struct loop *loop, const struct lines_config *config,
                        const struct front_hooks *hooks,
                        struct lines **out_lines, struct err *out_err)
{
    struct lines *l = calloc(1, sizeof(*l));
    struct listen_unix where = {.path = config->path,
                                .handed = -1,
                                .mode = config->mode,
                                .conns_max = config->conns_max,
                                .user = config->user,
                                .group = config->group,
                                .flag = "line-socket"};
    enum status st;

    CHECK(l != NULL);
    l->loop = loop;
    l->hooks = *hooks;
    l->pass.run = on_pass;
    LIST_INIT(&l->watchers);
    CHECK(uv_timer_init(loop_uv(loop), &l->pause) == 0);
    l->pause.data = l;
    l->handler = (struct line_handler){
        .ctx = l,
        .line_max = LIMIT_LINE_BYTES,
        .too_long = "error: the request is too long\n\n",
        .too_many = "error: too many connections; try again later\n\n",
        .idle_ms = IDLE_MS,
        .on_line = on_line,
        .on_drained = on_drained,
        .on_gone = on_gone};
    st = listen_lines(loop, &where, &l->handler, &l->server, out_err);
    if (st) {
        lines_stop(l, NULL, NULL);
        return st;
    }
    *out_lines = l;
    return ST_OK;
}
