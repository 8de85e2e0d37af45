/*
 * cluster_client.c - clients of a cluster that is being tormented, and a judge
 * of what they were told.
 *
 *     cluster_client SECONDS PULSE HOST:PORT,HOST:PORT,...
 *     cluster_client selftest
 *
 * LANES clients put, get, delete and compare-and-put a few keys for SECONDS,
 * each over a connection of its own; one that fails or is silent goes to the
 * next address. PULSE gets a line for each write that was acknowledged: when it
 * began and ended, in milliseconds of the calendar.
 *
 * At the end the history is judged. Revisions are a witness: a store is
 * linearizable if they fit with what happened before what, and each read is
 * that of the newest write up to its revision.
 *   - a write that began after an answer with revision R has a higher one; a
 *     read has R or higher
 *   - no revision is given twice
 *   - a read of revision R shows the key's newest write up to R, acknowledged
 *     or not; never a value that nobody wrote
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

enum {
    LANES = 8,
    KEYS = 5,
    ENDPOINTS_MAX = 8,
    CALL_MS = 1000,
    THINK_MS = 4,
    OPS_MAX = 2000000,
    COMPLAINTS_MAX = 10
};

enum kind {
    PUT,
    GET,
    DELETE,
    CAS
};

struct op {
    enum kind kind;
    unsigned key;
    uint64_t value;    /* Written; unique, not 0. */
    uint64_t expected; /* CAS: mod_revision. */
    uint64_t start_us;
    uint64_t end_us;
    uint64_t floor; /* The highest revision answered before it began. */
    bool ok;
    bool wrote;        /* ok: it has changed something. */
    uint64_t revision; /* ok: of the answer's header. */
    bool saw;          /* ok: it shows what the key holds: */
    uint64_t mod;      /* its mod_revision, 0: there is none */
    uint64_t seen;     /* and value. */
};

struct history {
    struct op *ops;
    size_t count;
    unsigned complaints;
};

static void complain(struct history *h, const struct op *op, const char *what)
{
    if (h->complaints++ < COMPLAINTS_MAX) {
        (void)fprintf(stderr,
                      "wrong: %s: kind %d, key %u, value %" PRIu64
                      ", revision %" PRIu64 ", floor %" PRIu64 ", mod %" PRIu64
                      ", seen %" PRIu64 ", from %" PRIu64 " to %" PRIu64
                      " us\n",
                      what, (int)op->kind, op->key, op->value, op->revision,
                      op->floor, op->mod, op->seen, op->start_us, op->end_us);
    }
}

/* ---- judging ---- */

struct moment {
    uint64_t us;
    bool end;
    struct op *op;
};

static int by_time(const void *a, const void *b)
{
    const struct moment *l = a;
    const struct moment *r = b;

    if (l->us != r->us) {
        return l->us < r->us ? -1 : 1;
    }
    return (int)l->end - (int)r->end; /* Equal: they overlap. */
}

static void judge_order(struct history *h)
{
    struct moment *m = calloc(2 * h->count + 1, sizeof(*m));
    uint64_t highest = 0;

    CHECK(m != NULL);
    for (size_t i = 0; i < h->count; i++) {
        m[2 * i] = (struct moment){h->ops[i].start_us, false, &h->ops[i]};
        m[2 * i + 1] = (struct moment){h->ops[i].end_us, true, &h->ops[i]};
    }
    qsort(m, 2 * h->count, sizeof(*m), by_time);
    for (size_t i = 0; i < 2 * h->count; i++) {
        struct op *op = m[i].op;

        if (!m[i].end) {
            op->floor = highest;
        } else if (op->ok && op->revision > highest) {
            highest = op->revision;
        }
    }
    free(m);
    for (size_t i = 0; i < h->count; i++) {
        const struct op *op = &h->ops[i];

        if (op->ok && op->wrote && op->revision <= op->floor) {
            complain(h, op, "a write of the past");
        } else if (op->ok && op->revision < op->floor) {
            complain(h, op, "a read of the past");
        }
    }
}

/* A change of a key that is known to have happened. */
struct change {
    unsigned key;
    uint64_t revision;
    uint64_t value; /* 0: deleted. */
};

static int by_revision(const void *a, const void *b)
{
    const struct change *l = a;
    const struct change *r = b;

    return l->revision < r->revision ? -1 : l->revision > r->revision;
}

static struct op *writer_of(struct history *h, uint64_t value)
{
    return value > 0 && value <= h->count ? &h->ops[value - 1] : NULL;
}

/* A read shows that a write without an answer has happened, and when. */
static void learn(struct history *h, const struct op *read)
{
    struct op *w = writer_of(h, read->seen);

    if (w == NULL || w->key != read->key || w->kind == GET ||
        w->kind == DELETE || w->start_us > read->end_us) {
        complain(h, read, "a value that nobody wrote");
    } else if (w->ok && !w->wrote) {
        complain(h, read, "a value whose write was refused");
    } else if (w->revision == 0) {
        w->revision = read->mod;
        w->wrote = true;
    } else if (w->revision != read->mod) {
        complain(h, read, "a value at two revisions");
    }
}

static size_t gather(struct history *h, struct change *changes)
{
    size_t count = 0;

    for (size_t i = 0; i < h->count; i++) {
        const struct op *op = &h->ops[i];

        if (op->wrote) {
            changes[count++] = (struct change){
                op->key, op->revision, op->kind == DELETE ? 0 : op->value};
        }
    }
    qsort(changes, count, sizeof(*changes), by_revision);
    for (size_t i = 1; i < count; i++) {
        if (changes[i].revision == changes[i - 1].revision) {
            complain(h,
                     writer_of(h, changes[i].value == 0 ? changes[i - 1].value
                                                        : changes[i].value),
                     "a revision given twice");
        }
    }
    return count;
}

/* Some delete of the key without an answer may explain that it is gone. */
static bool may_be_deleted(const struct history *h, const struct op *read)
{
    for (size_t i = 0; i < h->count; i++) {
        const struct op *op = &h->ops[i];

        if (op->kind == DELETE && op->key == read->key && !op->ok &&
            op->start_us <= read->end_us) {
            return true;
        }
    }
    return false;
}

static const struct change *newest(const struct change *changes, size_t count,
                                   unsigned key, uint64_t revision)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (changes[middle].revision <= revision) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low > 0 && changes[low - 1].key != key) {
        low--;
    }
    return low == 0 ? NULL : &changes[low - 1];
}

static void judge_read(struct history *h, const struct op *op,
                       const struct change *changes, size_t count)
{
    const struct change *last = newest(
        changes, count, op->key, op->wrote ? op->revision - 1 : op->revision);
    bool deleted = last == NULL || last->value == 0;

    if (op->mod == 0 && !deleted && !may_be_deleted(h, op)) {
        complain(h, op, "a value is missing");
    } else if (op->mod > 0 && (deleted || last->revision != op->mod)) {
        complain(h, op, "not the newest value");
    }
}

static bool judge(struct history *h)
{
    struct change *changes = calloc(h->count + 1, sizeof(*changes));
    size_t count;

    CHECK(changes != NULL);
    judge_order(h);
    for (size_t i = 0; i < h->count; i++) {
        if (h->ops[i].ok && h->ops[i].saw && h->ops[i].mod > 0) {
            learn(h, &h->ops[i]);
        }
    }
    count = gather(h, changes);
    for (size_t i = 0; i < h->count; i++) {
        if (h->ops[i].ok && h->ops[i].saw) {
            judge_read(h, &h->ops[i], changes, count);
        }
    }
    free(changes);
    return h->complaints == 0;
}

/* ---- the judge, judged ---- */

#define OP(kind_, value_, start, end, rev, ...)                          \
    {                                                                    \
        .kind = (kind_), .value = (value_), .start_us = (start),         \
        .end_us = (end), .ok = (rev) > 0, .revision = (rev), __VA_ARGS__ \
    }

static const struct case_row {
    const char *name;
    struct op ops[4];
    size_t count;
    bool fine;
} cases[] = {
    {"in order",
     {OP(PUT, 1, 0, 10, 5, .wrote = true),
      OP(GET, 2, 11, 20, 5, .saw = true, .mod = 5, .seen = 1)},
     2,
     true},
    {"stale read",
     {OP(PUT, 1, 0, 10, 5, .wrote = true),
      OP(GET, 2, 11, 20, 4, .saw = true, .mod = 0)},
     2,
     false},
    {"overlapping read may be old",
     {OP(PUT, 1, 0, 30, 5, .wrote = true),
      OP(GET, 2, 11, 20, 4, .saw = true, .mod = 0)},
     2,
     true},
    {"lost write",
     {OP(PUT, 1, 0, 10, 5, .wrote = true), OP(PUT, 2, 11, 20, 6, .wrote = true),
      OP(GET, 3, 21, 30, 7, .saw = true, .mod = 5, .seen = 1)},
     3,
     false},
    {"revision twice",
     {OP(PUT, 1, 0, 10, 5, .wrote = true), OP(PUT, 2, 5, 20, 5, .wrote = true)},
     2,
     false},
    {"revision goes back",
     {OP(PUT, 1, 0, 10, 5, .wrote = true),
      OP(PUT, 2, 11, 20, 4, .wrote = true)},
     2,
     false},
    {"unanswered write is seen",
     {OP(PUT, 1, 0, 10, 0),
      OP(GET, 2, 11, 20, 5, .saw = true, .mod = 5, .seen = 1)},
     2,
     true},
    {"unanswered write is seen at two places",
     {OP(PUT, 1, 0, 10, 0),
      OP(GET, 2, 11, 20, 5, .saw = true, .mod = 5, .seen = 1),
      OP(GET, 3, 21, 30, 6, .saw = true, .mod = 6, .seen = 1)},
     3,
     false},
    {"out of nowhere",
     {OP(GET, 1, 0, 10, 5, .saw = true, .mod = 5, .seen = 99)},
     1,
     false},
    {"deleted comes back",
     {OP(PUT, 1, 0, 10, 5, .wrote = true),
      OP(DELETE, 2, 11, 20, 6, .wrote = true),
      OP(GET, 3, 21, 30, 6, .saw = true, .mod = 5, .seen = 1)},
     3,
     false},
};

static int selftest(void)
{
    int failed = 0;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct op ops[4];
        struct history h = {.ops = ops, .count = cases[i].count};

        memcpy(ops, cases[i].ops, sizeof(ops));
        if (judge(&h) != cases[i].fine) {
            (void)fprintf(stderr, "the judge is wrong about: %s\n",
                          cases[i].name);
            failed = 1;
        }
    }
    return failed;
}

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

static uint64_t number_of(struct slice m, unsigned field)
{
    struct pb_field f;
    uint64_t value = 0;

    while (pb_next(&m, &f)) {
        value = f.number == field ? f.value : value;
    }
    return value;
}

static struct slice bytes_of(struct slice m, unsigned field)
{
    struct pb_field f;
    struct slice bytes = {0};

    while (pb_next(&m, &f)) {
        bytes = f.number == field && f.type == PB_BYTES ? f.bytes : bytes;
    }
    return bytes;
}

static void saw(struct lane *lane, struct slice range)
{
    struct op *op = lane->op;
    struct slice kv = bytes_of(range, 2);
    struct slice value = bytes_of(kv, 5);
    char text[32] = "";

    op->saw = true;
    op->mod = number_of(kv, 3);
    memcpy(text, value.data == NULL ? (const uint8_t *)"" : value.data,
           value.len < sizeof(text) ? value.len : sizeof(text) - 1);
    op->seen = strtoull(text, NULL, 10);
    lane->mods[op->key] = op->mod;
}

static void understand(struct lane *lane, struct slice reply)
{
    struct op *op = lane->op;

    op->revision = number_of(bytes_of(reply, 1), 3);
    switch (op->kind) {
    case PUT:
        op->wrote = true;
        return;
    case GET:
        saw(lane, reply);
        return;
    case DELETE:
        op->wrote = number_of(reply, 2) > 0;
        if (!op->wrote) {
            op->saw = true; /* That there is nothing. */
        }
        return;
    case CAS:
        op->wrote = number_of(reply, 2) != 0;
        if (!op->wrote) { /* ResponseOp {response_range = 1} */
            saw(lane, bytes_of(bytes_of(reply, 3), 1));
        }
        return;
    }
}

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
    op->end_us = now_us();
    op->ok = code == GRPC_OK;
    if (op->ok) {
        understand(lane, reply);
    } else {
        lane->world->failures++;
        lane->broken = true;
    }
    if (op->ok && op->wrote) {
        CHECK(fprintf(lane->world->pulse, "%" PRIu64 " %" PRIu64 "\n",
                      wall_of(op->start_us), wall_of(op->end_us)) > 0);
    }
    lane->op = NULL;
    CHECK(uv_timer_start(&lane->pause, on_pause, THINK_MS, 0) == 0);
}

static void put_key(struct buf *out, unsigned field, unsigned key)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "storm/%u", key);
    pb_bytes(out, field, slice_str(text));
}

static void put_put(struct buf *out, const struct op *op)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRIu64, op->value);
    put_key(out, 1, op->key);
    pb_bytes(out, 2, slice_str(text));
}

/* TxnRequest {compare, success, failure} */
static void put_cas(struct buf *out, const struct op *op)
{
    size_t mark = pb_begin(out, 1);
    size_t inner;

    pb_uint(out, 2, 2); /* target MOD; result EQUAL is 0 */
    put_key(out, 3, op->key);
    if (op->expected > 0) {
        pb_uint(out, 6, op->expected);
    } else {
        pb_varint(out, 6 << 3);
        pb_varint(out, 0);
    }
    pb_end(out, mark);
    mark = pb_begin(out, 2);
    inner = pb_begin(out, 2); /* request_put */
    put_put(out, op);
    pb_end(out, inner);
    pb_end(out, mark);
    mark = pb_begin(out, 3);
    inner = pb_begin(out, 1); /* request_range */
    put_key(out, 1, op->key);
    pb_end(out, inner);
    pb_end(out, mark);
}

static const char *request_of(const struct op *op, struct buf *out)
{
    switch (op->kind) {
    case PUT:
        put_put(out, op);
        return "/etcdserverpb.KV/Put";
    case GET:
        put_key(out, 1, op->key);
        return "/etcdserverpb.KV/Range";
    case DELETE:
        put_key(out, 1, op->key);
        return "/etcdserverpb.KV/DeleteRange";
    case CAS:
        put_cas(out, op);
        return "/etcdserverpb.KV/Txn";
    }
    UNREACHABLE();
}

static void lane_op(struct lane *lane)
{
    struct history *h = &lane->world->history;
    uint64_t dice = rng_below(&lane->rng, 100);
    struct op *op = &h->ops[h->count++];
    struct buf request;
    const char *path;

    CHECK(h->count < OPS_MAX);
    *op = (struct op){.kind = dice < 45   ? PUT
                              : dice < 80 ? GET
                              : dice < 85 ? DELETE
                                          : CAS,
                      .key = (unsigned)rng_below(&lane->rng, KEYS),
                      .value = h->count,
                      .start_us = now_us(),
                      .end_us = UINT64_MAX};
    op->expected = lane->mods[op->key];
    lane->op = op;
    buf_init(&request, 1024);
    path = request_of(op, &request);
    (void)grpc_unary(lane->channel, path, buf_slice(&request), CALL_MS,
                     on_op_done, lane);
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
    struct world *w = (struct world *)(uintptr_t)op->end_us;
    struct slice kv = bytes_of(reply, 2);
    struct slice value = bytes_of(kv, 5);
    char wanted[32];

    (void)snprintf(wanted, sizeof(wanted), "%" PRIu64, op->value);
    if (code != GRPC_OK) {
        complain(&w->history, op, text);
    } else if (op->kind == DELETE ? kv.len > 0
                                  : !slice_eq(value, slice_str(wanted)) ||
                                        number_of(kv, 3) != op->revision) {
        complain(&w->history, op, "an acknowledged write is not there");
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
        op->end_us = (uint64_t)(uintptr_t)w; /* Of no more use as a time. */
        buf_init(&request, 64);
        put_key(&request, 1, op->key);
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

    if (argc == 2 && strcmp(argv[1], "selftest") == 0) {
        return selftest();
    }
    if (argc != 4) {
        (void)fprintf(stderr, "usage: cluster_client SECONDS PULSE "
                              "HOST:PORT,... | selftest\n");
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
    good = judge(&w.history);
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
