#include "agent/io/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uv.h>

#include "agent/io/probe.h"
#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/io/loop.h"

struct runner;

/* One run on its way. */
struct run {
    LIST_ENTRY(run) link;
    struct runner *runner;
    uint64_t id;
};

struct runner {
    struct loop *loop;
    struct local *local;
    struct probe_host *host;
    runner_changed_fn *on_changed;
    void *arg;
    uv_timer_t timer;
    struct loop_task look;
    LIST_HEAD(, run) runs;
    bool stopping;
    unsigned open; /* The timer, the host. */
    runner_stopped_fn *on_stopped;
    void *stopped_arg;
    struct runner_stats stats;
};

static struct local_time time_now(struct runner *r)
{
    return (struct local_time){.now_ms = loop_now_ms(r->loop),
                               .wall_ms = (int64_t)loop_wall_ms()};
}

static void on_done(void *arg, enum probe_result result, struct slice output)
{
    static const enum check_status status_of[] = {
        [PROBE_PASSING] = CHECK_PASSING,
        [PROBE_WARNING] = CHECK_WARNING,
        [PROBE_CRITICAL] = CHECK_CRITICAL,
    };
    struct run *run = arg;
    struct runner *r = run->runner;

    LIST_REMOVE(run, link);
    r->stats.running--;
    if (local_result(r->local, run->id, status_of[result], output,
                     time_now(r))) {
        r->on_changed(r->arg);
    }
    free(run);
    runner_poke(r);
}

/* Room for what the definitions allow; headers are few. */
#define HEADERS_MAX 64

struct spec_room {
    struct probe_spec spec;
    struct probe_header headers[HEADERS_MAX];
    char target[512];
};

static void spec_http(struct spec_room *room, const struct check_def *def)
{
    struct probe_spec *spec = &room->spec;

    spec->type = PROBE_HTTP;
    spec->target = def->http;
    spec->method = def->method;
    spec->body = def->body;
    spec->follow_redirects = !def->disable_redirects;
    spec->headers = room->headers;
    for (size_t i = 0; i < def->headers.count && i < HEADERS_MAX; i++) {
        room->headers[i].name = def->headers.items[i].key;
        room->headers[i].value = def->headers.items[i].value;
        spec->headers_count++;
    }
}

static void spec_tcp(struct spec_room *room, const struct check_def *def)
{
    room->spec.type = def->tcp_use_tls ? PROBE_TLS : PROBE_TCP;
    if (strchr(def->tcp_host, ':')) {
        (void)snprintf(room->target, sizeof(room->target), "[%s]:%u",
                       def->tcp_host, def->tcp_port);
    } else {
        (void)snprintf(room->target, sizeof(room->target), "%s:%u",
                       def->tcp_host, def->tcp_port);
    }
    room->spec.target = room->target;
}

static void spec_of(struct spec_room *room, const struct check_def *def)
{
    *room = (struct spec_room){0};
    room->spec.timeout_ms = def->timeout_ms;
    room->spec.output_max = def->output_max;
    room->spec.tls_server_name = def->tls_server_name;
    room->spec.tls_skip_verify = def->tls_skip_verify;
    switch (def->type) {
    case CHECK_TYPE_HTTP:
        spec_http(room, def);
        return;
    case CHECK_TYPE_TCP:
        spec_tcp(room, def);
        return;
    case CHECK_TYPE_EXEC:
        room->spec.type = PROBE_EXEC;
        room->spec.args = def->args.items;
        return;
    case CHECK_TYPE_NONE:
    case CHECK_TYPE_TTL:
        break; /* These are never due. */
    }
    UNREACHABLE();
}

static void run_begin(struct runner *r, const struct local_run *due)
{
    struct run *run = calloc(1, sizeof(*run));
    struct spec_room room;

    CHECK(run != NULL);
    run->runner = r;
    run->id = due->run;
    LIST_INSERT_HEAD(&r->runs, run, link);
    spec_of(&room, due->def);
    r->stats.runs++;
    r->stats.running++;
    (void)probe_start(r->host, &room.spec, on_done, run);
}

static void on_timer(uv_timer_t *timer)
{
    runner_poke(timer->data);
}

static void timer_set(struct runner *r, uint64_t now_ms)
{
    uint64_t wake_ms = local_wake_ms(r->local);

    if (wake_ms == UINT64_MAX || r->stats.running >= LIMIT_PROBES) {
        (void)uv_timer_stop(&r->timer); /* The end of a run looks again. */
        return;
    }
    wake_ms = wake_ms > now_ms ? wake_ms - now_ms : 1;
    CHECK(uv_timer_start(&r->timer, on_timer, wake_ms, 0) == 0);
}

/* Let time pass, start what is due, sleep till the next. */
static void on_look(struct loop_task *task)
{
    struct runner *r =
        (struct runner *)(void *)((char *)task - offsetof(struct runner, look));
    struct local_time now = time_now(r);
    uint64_t generation = local_generation(r->local);
    struct local_run due;

    local_tick(r->local, now);
    while (r->stats.running < LIMIT_PROBES && local_due(r->local, now, &due)) {
        run_begin(r, &due);
    }
    if (local_generation(r->local) != generation) {
        r->on_changed(r->arg);
    }
    timer_set(r, now.now_ms);
}

void runner_poke(struct runner *r)
{
    if (!r->stopping) {
        loop_defer(r->loop, LOOP_WORK, &r->look);
    }
}

struct runner *runner_start(struct loop *loop, struct local *local,
                            runner_changed_fn *on_changed, void *arg)
{
    struct runner *r = calloc(1, sizeof(*r));

    CHECK(r != NULL);
    r->loop = loop;
    r->local = local;
    r->on_changed = on_changed;
    r->arg = arg;
    r->host = probe_host_new(loop_uv(loop));
    r->look.run = on_look;
    LIST_INIT(&r->runs);
    CHECK(uv_timer_init(loop_uv(loop), &r->timer) == 0);
    r->timer.data = r;
    r->open = 2;
    runner_poke(r);
    return r;
}

struct runner_stats runner_stats(const struct runner *r)
{
    return r->stats;
}

static void closed_one(struct runner *r)
{
    runner_stopped_fn *on_stopped = r->on_stopped;
    void *arg = r->stopped_arg;

    if (--r->open > 0) {
        return;
    }
    while (!LIST_EMPTY(&r->runs)) {
        struct run *run = LIST_FIRST(&r->runs); /* Canceled, so not told. */

        LIST_REMOVE(run, link);
        free(run);
    }
    probe_host_free(r->host);
    free(r);
    on_stopped(arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
    closed_one(handle->data);
}

static void on_host_stopped(void *arg)
{
    closed_one(arg);
}

void runner_stop(struct runner *r, runner_stopped_fn *on_stopped, void *arg)
{
    CHECK(!r->stopping);
    r->stopping = true;
    r->on_stopped = on_stopped;
    r->stopped_arg = arg;
    loop_undefer(r->loop, LOOP_WORK, &r->look);
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
    probe_host_stop(r->host, on_host_stopped, r);
}
