/*            timer                        answered PINGS times, or failed
 *   resting -------> a member: connect -> ask, ask, ... -> close --+
 *      ^                ^                                          |
 *      |                +----------- the next member --------------+
 *      +------------------------------- the last one --------------+
 *
 * Trouble with a member only means that it is not measured: whether it is of
 * use is the link's to find out. */

#include "agent/io/coords.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <uv.h>

#include "agent/io/coords_told.h"
#include "agent/io/etcd.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/rng.h"
#include "base/io/grpc_client.h"
#include "base/io/loop.h"

#define PINGS      5
#define CONNECT_MS 3000
#define ANSWER_MS  2000

/* After the first contact, so that members are known. */
#define FIRST_MS 1000

struct coords_watch {
    struct loop *loop;
    struct link *link;
    char *node;
    uint64_t every_ms;
    uint64_t hurry_ms;
    uint64_t tell_ms;
    void (*on_asked)(void *ctx, const char *member, bool answered);
    void *ctx;
    struct coords_told *told;
    struct coord_track track;
    uint64_t told_ms; /* 0: never. */
    bool telling;
    bool left;
    struct rng rng;
    uv_timer_t timer;

    /* The round. */
    bool busy;
    size_t at; /* Of link_peers(). */
    char member[128];
    struct grpc_channel *channel;
    bool closing; /* The channel. */
    unsigned asked;
    uint64_t sent_ns;
    uint64_t best_ns;

    bool stopping;
    unsigned open;
    void (*on_stopped)(void *arg);
    void *arg;
};

static void member_next(struct coords_watch *w);
static void ping(struct coords_watch *w);

const struct coords *coords_known(const struct coords_watch *w)
{
    return coords_told_known(w->told);
}

void coords_update(struct coords_watch *w, const struct link_update *update)
{
    coords_told_update(w->told, update);
}

void coords_contact(struct coords_watch *w)
{
    coords_told_contact(w->told);
}

/* ---- Telling ------------------------------------------------------------- */

static void on_told(void *arg, struct store_answer *answer)
{
    struct coords_watch *w = arg;

    w->telling = false;
    if (answer->result != STORE_DONE) {
        w->told_ms = 0; /* Again after the next round. */
        log_debug("agent", "round trips: not written: %s",
                  answer->text ? answer->text : "no answer");
    }
    store_answer_release(answer);
}

static void tell(struct coords_watch *w)
{
    uint64_t now_ms = loop_now_ms(w->loop);
    struct link_stats stats = link_stats(w->link);
    struct arena arena = {0};
    struct store_ask ask;
    struct slice value;

    if (w->telling || !coords_told_loaded(w->told) || !stats.attached ||
        !link_current(w->link) || w->every_ms == 0 ||
        (w->told_ms != 0 && now_ms - w->told_ms < w->tell_ms)) {
        return;
    }
    if (coord_track_news(&w->track, coords_told_known(w->told), w->node, &arena,
                         &value)) {
        store_txn(&ask, &arena);
        store_put(&ask, coords_key(coords_told_known(w->told), &arena, w->node),
                  value, stats.lease_id);
        w->told_ms = now_ms;
        w->telling = true;
        link_store(w->link, &ask, on_told, w);
    }
    arena_release(&arena);
}

/* ---- Measuring ----------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

static void rest(struct coords_watch *w, uint64_t ms)
{
    /* A quarter more or less, so that agents do not come together. */
    uint64_t jitter = ms / 2 > 0 ? rng_next(&w->rng) % (ms / 2) : 0;

    CHECK(uv_timer_start(&w->timer, on_timer, ms - ms / 4 + jitter, 0) == 0);
}

/* 0: there are none. */
static uint64_t pause_ms(const struct coords_watch *w)
{
    bool hurry =
        w->hurry_ms > 0 && (w->every_ms == 0 || w->hurry_ms < w->every_ms);

    return hurry ? w->hurry_ms : w->every_ms;
}

static void round_end(struct coords_watch *w)
{
    w->busy = false;
    coord_track_end(&w->track);
    tell(w);
    if (pause_ms(w) > 0) {
        rest(w, pause_ms(w));
    }
}

static void part_ended(struct coords_watch *w)
{
    if (--w->open == 0) {
        w->on_stopped(w->arg);
    }
}

static void on_channel_closed(void *ctx)
{
    struct coords_watch *w = ctx;

    w->channel = NULL;
    w->closing = false;
    if (w->stopping) {
        part_ended(w);
        return;
    }
    if (w->on_asked) {
        w->on_asked(w->ctx, w->member, w->best_ns > 0);
    }
    if (w->best_ns > 0) {
        coord_track_add(&w->track, w->member, (w->best_ns + 999) / 1000);
    }
    w->at++;
    member_next(w);
}

static void member_end(struct coords_watch *w)
{
    if (!w->closing) {
        w->closing = true;
        grpc_channel_close(w->channel, on_channel_closed, w);
    }
}

static void on_failed(void *ctx, const struct err *why)
{
    struct coords_watch *w = ctx;

    log_debug("agent", "round trips: %s: %s", w->member, why->text);
    member_end(w);
}

static void on_pong(void *ctx, enum grpc_code code, const char *text,
                    struct slice reply)
{
    struct coords_watch *w = ctx;
    uint64_t ns = uv_hrtime() - w->sent_ns;

    (void)text;
    (void)reply;
    if (w->closing || !grpc_channel_ready(w->channel)) {
        return; /* It ends, or has failed and says so. */
    }
    if (code != GRPC_DEADLINE_EXCEEDED &&
        (w->best_ns == 0 || ns < w->best_ns)) {
        w->best_ns = ns;
    }
    if (w->asked < PINGS) {
        ping(w);
    } else {
        member_end(w);
    }
}

static void ping(struct coords_watch *w)
{
    w->asked++;
    w->sent_ns = uv_hrtime();
    (void)grpc_unary(w->channel, ETCD_STATUS, (struct slice){0}, ANSWER_MS,
                     on_pong, w);
}

static void on_ready(void *ctx)
{
    ping(ctx);
}

static void member_next(struct coords_watch *w)
{
    struct texts members = link_peers(w->link);
    struct grpc_channel_hooks hooks = {
        .ctx = w, .on_ready = on_ready, .on_failed = on_failed};
    struct grpc_channel_config config = {.connect_timeout_ms = CONNECT_MS,
                                         .user_agent = "muster-agent"};

    while (w->at < members.count &&
           strlen(members.items[w->at]) >= sizeof(w->member)) {
        w->at++;
    }
    if (w->at >= members.count) {
        round_end(w);
        return;
    }
    memcpy(w->member, members.items[w->at], strlen(members.items[w->at]) + 1);
    config.target = w->member;
    config.tls = link_peer_tls(w->link, w->at);
    w->asked = 0;
    w->best_ns = 0;
    w->channel = grpc_channel_open(w->loop, &config, hooks);
}

static void on_timer(uv_timer_t *timer)
{
    struct coords_watch *w = timer->data;

    if (!link_current(w->link) || link_peers(w->link).count == 0) {
        rest(w, FIRST_MS);
        return;
    }
    coords_told_contact(w->told);
    w->at = 0;
    w->busy = true;
    coord_track_begin(&w->track);
    member_next(w);
}

void coords_hurry(struct coords_watch *w, uint64_t every_ms)
{
    w->hurry_ms = every_ms;
    if (w->stopping || w->busy) {
        return; /* When the round ends. */
    }
    if (pause_ms(w) == 0) {
        (void)uv_timer_stop(&w->timer);
    } else {
        rest(w, pause_ms(w) < FIRST_MS ? pause_ms(w) : FIRST_MS);
    }
}

/* ---- Start, stop --------------------------------------------------------- */

struct coords_watch *coords_start(struct loop *loop, struct link *link,
                                  const struct coords_config *config)
{
    struct coords_watch *w = calloc(1, sizeof(*w));
    uint64_t seed;

    CHECK(w != NULL);
    CHECK(RAND_bytes((unsigned char *)&seed, sizeof(seed)) == 1);
    rng_init(&w->rng, seed);
    w->loop = loop;
    w->link = link;
    w->node = strdup(config->node);
    CHECK(w->node != NULL);
    w->every_ms = config->every_ms;
    w->tell_ms = 2 * config->every_ms;
    w->on_asked = config->on_asked;
    w->ctx = config->ctx;
    w->told = coords_told_new(link, config->datacenter, config->on_known,
                              config->ctx);
    CHECK(uv_timer_init(loop_uv(loop), &w->timer) == 0);
    w->timer.data = w;
    if (w->every_ms > 0) {
        rest(w, w->every_ms < FIRST_MS ? w->every_ms : FIRST_MS);
    }
    return w;
}

static void on_timer_closed(uv_handle_t *handle)
{
    part_ended(handle->data);
}

void coords_stop(struct coords_watch *w, void (*on_stopped)(void *arg),
                 void *arg)
{
    CHECK(!w->stopping);
    w->stopping = true;
    coords_told_stop(w->told);
    w->on_stopped = on_stopped;
    w->arg = arg;
    w->open = 1;
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
    if (w->channel) {
        w->open++;
        member_end(w);
    }
}

bool coords_leave(struct coords_watch *w, struct arena *a,
                  struct sync_txn *out_txn)
{
    struct sync_op *op = arena_zalloc(a, 1, sizeof(*op));

    if (w->left) {
        return false;
    }
    w->left = true;
    *op = (struct sync_op){
        .kind = SYNC_DELETE,
        .key = coords_key(coords_told_known(w->told), a, w->node),
        .expect_mod_revision = SYNC_ANY};
    *out_txn = (struct sync_txn){.ops = op, .ops_count = 1};
    return true;
}

void coords_watch_free(struct coords_watch *w)
{
    if (w == NULL) {
        return;
    }
    coords_told_free(w->told);
    free(w->node);
    free(w);
}
