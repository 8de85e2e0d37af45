/*
 * cluster_client.c - clients of a cluster that is being tormented, and a judge
 * of what they were told.
 *
 *     cluster_client SECONDS PULSE HOST:PORT,HOST:PORT,...
 *
 * LANES clients put, get, delete and compare-and-put a few keys for SECONDS,
 * each over a connection of its own; one that fails or is silent goes to the
 * next address. PULSE gets a line for each write that was acknowledged: when it
 * began and ended, in milliseconds of the calendar.
 *
 * At the end the history is judged (history.h).
 * Then every acknowledged write is asked for at its revision.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "base/core/rng.h"
#include "base/io/grpc_client.h"
#include "base/io/loop.h"
#include "history/request.h"

enum {
    LANES = 8,
    KEYS = 5,
    ENDPOINTS_MAX = 8,
    CALL_MS = 1000,
    THINK_MS = 4,
    OPS_MAX = 2000000
};

/* ---- clients ---- */

struct lane {
    struct world *world;
    struct grpc_channel *channel; /* NULL: between two. */
    size_t endpoint;
    struct op *op; /* Under way. */
    bool broken;   /* The connection: take another one. */
    struct rng rng;
    uint64_t mods[KEYS]; /* As seen last. */
    uv_timer_t pause;
};

struct world {
    struct loop *loop;
    const char *endpoints[ENDPOINTS_MAX];
    size_t endpoints_count;
    struct lane lanes[LANES];
    struct history history;
    FILE *pulse;
    uint64_t ends_ms;
    size_t lanes_busy;
    uint64_t failures;
    size_t checked; /* The next write to be asked for. */
    size_t asked;
};

static uint64_t now_us(void)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void lane_next(struct lane *lane);

static uint64_t wall_of(uint64_t us)
{
    return loop_wall_ms() - (now_us() - us) / 1000;
}

static void on_pause(uv_timer_t *timer)
{
    lane_next(timer->data);
}

static void on_op_done(void *ctx, enum grpc_code code, const char *text,
                       struct slice reply)
{
    struct lane *lane = ctx;
    struct op *op = lane->op;

    (void)text;
    op->end = now_us();
    op->ok = code == GRPC_OK;
    if (op->ok) {
        op->revision = op_number(op_bytes(reply, 1), 3);
        op_understand(op, reply);
        if (op->saw) {
            lane->mods[op->key] = op->mod;
        }
    } else {
        lane->world->failures++;
        lane->broken = true;
    }
    if (op->ok && op->wrote) {
        CHECK(fprintf(lane->world->pulse, "%" PRIu64 " %" PRIu64 "\n",
                      wall_of(op->start), wall_of(op->end)) > 0);
    }
    lane->op = NULL;
    CHECK(uv_timer_start(&lane->pause, on_pause, THINK_MS, 0) == 0);
}

static const char *path_of(enum op_kind kind)
{
    static const char *const paths[] = {
        [PUT] = "/etcdserverpb.KV/Put",
        [GET] = "/etcdserverpb.KV/Range",
        [DELETE] = "/etcdserverpb.KV/DeleteRange",
        [CAS] = "/etcdserverpb.KV/Txn",
    };

    return paths[kind];
}

static void lane_op(struct lane *lane)
{
    struct history *h = &lane->world->history;
    uint64_t dice = rng_below(&lane->rng, 100);
    struct op *op = &h->ops[h->count++];
    struct buf request;

    CHECK(h->count < OPS_MAX);
    *op = (struct op){.kind = dice < 45   ? PUT
                              : dice < 80 ? GET
                              : dice < 85 ? DELETE
                                          : CAS,
                      .key = (unsigned)rng_below(&lane->rng, KEYS),
                      .value = h->count,
                      .start = now_us(),
                      .end = UINT64_MAX};
    op->expected = lane->mods[op->key];
    lane->op = op;
    buf_init(&request, OP_REQUEST_BYTES);
    op_pack(op, &request);
    (void)grpc_unary(lane->channel, path_of(op->kind), buf_slice(&request),
                     CALL_MS, on_op_done, lane);
    buf_release(&request);
}

static void lane_open(struct lane *lane)
{
    struct world *w = lane->world;
    struct grpc_channel_config config = {.target = w->endpoints[lane->endpoint],
                                         .connect_timeout_ms = CALL_MS};

    lane->broken = false;
    lane->channel = grpc_channel_open(w->loop, &config,
                                      (struct grpc_channel_hooks){.ctx = lane});
}

static void on_channel_closed(void *ctx)
{
    struct lane *lane = ctx;

    lane->channel = NULL;
    lane_next(lane);
}

static void on_pause_closed(uv_handle_t *handle)
{
    struct lane *lane = handle->data;

    if (--lane->world->lanes_busy == 0) {
        loop_stop(lane->world->loop);
    }
}

static void lane_next(struct lane *lane)
{
    struct world *w = lane->world;
    bool over = loop_now_ms(w->loop) >= w->ends_ms;

    if ((over || lane->broken) && lane->channel != NULL) {
        grpc_channel_close(lane->channel, on_channel_closed, lane);
        return;
    }
    if (over) {
        uv_close((uv_handle_t *)&lane->pause, on_pause_closed);
        return;
    }
    if (lane->channel == NULL) {
        lane->endpoint = (lane->endpoint + 1) % w->endpoints_count;
        lane_open(lane);
    }
    lane_op(lane);
}

static void run_storm(struct world *w, uint64_t seconds)
{
    w->loop = loop_new();
    w->ends_ms = loop_now_ms(w->loop) + seconds * 1000;
    w->history.ops = calloc(OPS_MAX, sizeof(struct op));
    CHECK(w->history.ops != NULL);
    for (size_t i = 0; i < LANES; i++) {
        struct lane *lane = &w->lanes[i];

        lane->world = w;
        lane->endpoint = i % w->endpoints_count;
        rng_init(&lane->rng, now_us() + i);
        CHECK(uv_timer_init(loop_uv(w->loop), &lane->pause) == 0);
        lane->pause.data = lane;
        w->lanes_busy++;
        lane_next(lane);
    }
    loop_run(w->loop);
}

/* ---- every acknowledged write, at its revision ---- */

static void check_next(struct world *w);

static void on_checked(void *ctx, enum grpc_code code, const char *text,
                       struct slice reply)
{
    struct op *op = ctx;
    struct world *w = (struct world *)(uintptr_t)op->end;
    struct slice kv = op_bytes(reply, 2);
    struct slice value = op_bytes(kv, 5);
    char wanted[32];

    (void)snprintf(wanted, sizeof(wanted), "%" PRIu64, op->value);
    if (code != GRPC_OK) {
        history_complain(&w->history, op, text);
    } else if (op->kind == DELETE ? kv.len > 0
                                  : !slice_eq(value, slice_str(wanted)) ||
                                        op_number(kv, 3) != op->revision) {
        history_complain(&w->history, op, "an acknowledged write is not there");
    }
    w->asked--;
    check_next(w);
}

static void check_next(struct world *w)
{
    struct history *h = &w->history;

    while (w->asked < 64 && w->checked < h->count) {
        struct op *op = &h->ops[w->checked++];
        struct buf request;

        if (!op->ok || !op->wrote) {
            continue;
        }
        op->end = (uint64_t)(uintptr_t)w; /* Of no more use as a time. */
        buf_init(&request, 64);
        op_put_key(&request, 1, op->key);
        pb_uint(&request, 4, op->revision);
        w->asked++;
        (void)grpc_unary(w->lanes[0].channel, "/etcdserverpb.KV/Range",
                         buf_slice(&request), 10000, on_checked, op);
        buf_release(&request);
    }
    if (w->asked == 0) {
        loop_stop(w->loop);
    }
}

static void on_closed(void *ctx)
{
    loop_stop(ctx);
}

static void check_all(struct world *w)
{
    w->lanes[0].world = w;
    lane_open(&w->lanes[0]);
    check_next(w);
    loop_run(w->loop);
    grpc_channel_close(w->lanes[0].channel, on_closed, w->loop);
    loop_run(w->loop);
}

int main(int argc, char **argv)
{
    struct world w = {0};
    size_t answered = 0;
    bool good;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: cluster_client SECONDS PULSE "
                              "HOST:PORT,...\n");
        return 2;
    }
    w.pulse = fopen(argv[2], "w");
    CHECK(w.pulse != NULL);
    (void)setvbuf(w.pulse, NULL, _IOLBF, 0);
    for (char *at = strtok(argv[3], ","); at != NULL; at = strtok(NULL, ",")) {
        CHECK(w.endpoints_count < ENDPOINTS_MAX);
        w.endpoints[w.endpoints_count++] = at;
    }
    run_storm(&w, strtoull(argv[1], NULL, 10));
    for (size_t i = 0; i < w.history.count; i++) {
        answered += w.history.ops[i].ok;
    }
    good = history_judge(&w.history);
    check_all(&w);
    good = good && w.history.complaints == 0;
    (void)printf("%zu operations, %zu answered, %" PRIu64 " failed: %s\n",
                 w.history.count, answered, w.failures,
                 good ? "linearizable, nothing lost" : "WRONG");
    CHECK(fclose(w.pulse) == 0);
    free(w.history.ops);
    loop_free(w.loop);
    return good ? 0 : 1;
}
