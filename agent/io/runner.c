#include "agent/io/runner.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <uv.h>

#include "agent/io/probe.h"
#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/io/loop.h"

struct runner;

/* One run on its way. */
struct run {
    TAILQ_ENTRY(run) link;
    struct runner *runner;
    uint64_t id;
    bool program;
    const struct check_def *def; /* While it waits; `held` keeps it. */
    struct definitions *held;
};

TAILQ_HEAD(run_list, run);

struct runner {
    struct loop *loop;
    struct local *local;
    struct probe_host *host;
    runner_changed_fn *on_changed;
    void *arg;
    uv_timer_t timer;
    struct loop_task look;
    struct run_list runs;
    struct run_list waiting;
    unsigned programs;  /* That run. */
    uint64_t runs_most; /* At the same time. */
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

static void run_next(struct runner *r);

static void on_done(void *arg, enum probe_result result, struct slice output)
{
    static const enum check_status status_of[] = {
        [PROBE_PASSING] = CHECK_PASSING,
        [PROBE_WARNING] = CHECK_WARNING,
        [PROBE_CRITICAL] = CHECK_CRITICAL,
    };
    struct run *run = arg;
    struct runner *r = run->runner;

    TAILQ_REMOVE(&r->runs, run, link);
    r->stats.running--;
    r->programs -= run->program;
    if (local_result(r->local, run->id, status_of[result], output,
                     time_now(r))) {
        r->on_changed(r->arg);
    }
    free(run);
    run_next(r);
    runner_poke(r);
}

/* Room for what the definitions allow; headers are few. */
#define HEADERS_MAX 64

struct spec_room {
    struct probe_spec spec;
    struct probe_header headers[HEADERS_MAX];
};

static void spec_http(struct spec_room *room, const struct check_def *def)
{
    struct probe_spec *spec = &room->spec;

    spec->type = PROBE_HTTP;
    spec->target = def->http;
    spec->method = def->method;
    spec->body = def->body;
    spec->codes = def->codes;
    spec->codes_count = def->codes_count;
    spec->headers = room->headers;
    for (size_t i = 0; i < def->headers.count && i < HEADERS_MAX; i++) {
        room->headers[i].name = def->headers.items[i].key;
        room->headers[i].value = def->headers.items[i].value;
        spec->headers_count++;
    }
}

/* A service that never answers a datagram is to be told from one that is gone
 * before its next run is due. */
static uint64_t udp_silence_ms(const struct check_def *def)
{
    uint64_t most_ms = def->interval_ms / 4 * 3;

    return def->timeout_ms < most_ms ? def->timeout_ms : most_ms;
}

static void spec_of(struct spec_room *room, const struct check_def *def)
{
    struct probe_spec *spec = &room->spec;

    room->spec = (struct probe_spec){
        .timeout_ms = def->timeout_ms,
        .output_max = def->output_max,
        .target = def->target,
        .tls_server_name = def->tls_server_name,
        .tls_skip_verify = def->tls_skip_verify,
        .tls_ca_file = def->tls_ca_file,
    };
    switch (def->type) {
    case CHECK_TYPE_HTTP:
        spec_http(room, def);
        return;
    case CHECK_TYPE_TCP:
        spec->type = def->tcp_use_tls ? PROBE_TLS : PROBE_TCP;
        return;
    case CHECK_TYPE_UDP:
        spec->type = PROBE_UDP;
        spec->timeout_ms = udp_silence_ms(def);
        return;
    case CHECK_TYPE_GRPC:
        spec->type = PROBE_GRPC;
        spec->service = def->grpc_service;
        spec->tls = def->grpc_use_tls;
        return;
    case CHECK_TYPE_H2PING:
        spec->type = PROBE_H2PING;
        spec->tls = def->h2ping_use_tls;
        return;
    case CHECK_TYPE_OS_SERVICE:
        spec->type = PROBE_UNIT;
        spec->target = def->os_service;
        return;
    case CHECK_TYPE_EXEC:
        spec->type = PROBE_EXEC;
        spec->args = def->args.items;
        return;
    case CHECK_TYPE_NONE:
    case CHECK_TYPE_TTL:
    case CHECK_TYPE_ALIAS:
        break; /* These are never due. */
    }
    UNREACHABLE();
}

static bool is_program(const struct check_def *def)
{
    return def->type == CHECK_TYPE_EXEC || def->type == CHECK_TYPE_OS_SERVICE;
}

static void run_begin(struct run *run, const struct check_def *def)
{
    struct runner *r = run->runner;
    struct spec_room room;

    spec_of(&room, def);
    run->program = is_program(def);
    r->stats.runs++;
    r->programs += run->program;
    (void)probe_start(r->host, &room.spec, on_done, run);
}

static void run_add(struct runner *r, const struct local_run *due)
{
    struct run *run = calloc(1, sizeof(*run));

    CHECK(run != NULL);
    run->runner = r;
    run->id = due->run;
    r->stats.running++;
    r->stats.late_ms += due->late_ms;
    if (due->late_ms > r->stats.late_ms_max) {
        r->stats.late_ms_max = due->late_ms;
    }
    if (is_program(due->def) && r->programs >= LIMIT_PROBE_PROGRAMS) {
        run->def = due->def;
        run->held = local_run_hold(r->local, due->run);
        r->stats.waiting++;
        TAILQ_INSERT_TAIL(&r->waiting, run, link);
        return;
    }
    TAILQ_INSERT_TAIL(&r->runs, run, link);
    run_begin(run, due->def);
}

/* A program has ended: the next one's turn. */
static void run_next(struct runner *r)
{
    struct run *run = TAILQ_FIRST(&r->waiting);

    if (run == NULL || r->programs >= LIMIT_PROBE_PROGRAMS) {
        return;
    }
    TAILQ_REMOVE(&r->waiting, run, link);
    TAILQ_INSERT_TAIL(&r->runs, run, link);
    r->stats.waiting--;
    run_begin(run, run->def);
    definitions_unref(run->held);
    run->held = NULL;
}

static void on_timer(uv_timer_t *timer)
{
    runner_poke(timer->data);
}

static void timer_set(struct runner *r, uint64_t now_ms)
{
    uint64_t wake_ms = local_wake_ms(r->local);

    if (wake_ms == UINT64_MAX || r->stats.running >= r->runs_most) {
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
    while (r->stats.running < r->runs_most && local_due(r->local, now, &due)) {
        run_add(r, &due);
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

/* A quarter of the descriptors at most: the rest is for clients and files. */
static uint64_t runs_most(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == RLIM_INFINITY ||
        files.rlim_cur / 4 > LIMIT_PROBES) {
        return LIMIT_PROBES;
    }
    return files.rlim_cur / 4;
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
    r->host = probe_host_new(loop);
    r->look.run = on_look;
    TAILQ_INIT(&r->runs);
    TAILQ_INIT(&r->waiting);
    r->runs_most = runs_most();
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

static void runs_forget(struct run_list *list)
{
    struct run *run;

    while ((run = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, run, link);
        definitions_unref(run->held);
        free(run);
    }
}

static void closed_one(struct runner *r)
{
    runner_stopped_fn *on_stopped = r->on_stopped;
    void *arg = r->stopped_arg;

    if (--r->open > 0) {
        return;
    }
    runs_forget(&r->runs); /* Canceled, so not told. */
    runs_forget(&r->waiting);
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
