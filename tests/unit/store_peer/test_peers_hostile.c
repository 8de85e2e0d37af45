/*
 * What peers that are broken, frozen or rude cannot do to a member's links:
 * keep them from ending, from taking the next snapshot, or busy.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/core/bytes.h"
#include "base/core/wire.h"
#include "base/io/http_client.h"
#include "base/io/http_server.h"
#include "base/io/loop.h"
#include "base/io/server.h"
#include "store/peer/peers.h"
#include "store/raftpb/raftpb.h"
#include "tests/unit/suite.h"

#define SELF     UINT64_C(1)
#define OTHER    UINT64_C(2)
#define CLUSTER  UINT64_C(0xc)
#define GUARD_MS 20000

/* One member's links, as a test sees them. */
struct world {
    struct loop *loop;
    struct peers *peers;
    char folder[64];
    uv_timer_t guard;
    struct peers_arrival *arrival; /* Handed over, not done. */
    char arrived[4200];
    bool sent;   /* A departure has ended, */
    bool closed; /* and so have the peers. */
    int status;  /* Of our call. */
    unsigned turns;
    struct loop_task turn;
};

static struct world w;

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    ck_abort_msg("it did not come in time");
}

/* Until somebody calls loop_stop(). */
static void run(void)
{
    uv_update_time(loop_uv(w.loop));
    ck_assert_int_eq(uv_timer_start(&w.guard, on_guard, GUARD_MS, 0), 0);
    loop_run(w.loop);
    ck_assert_int_eq(uv_timer_stop(&w.guard), 0);
}

static void on_message(void *ctx, const struct raft_msg *message)
{
    (void)ctx;
    (void)message;
}

static void on_snapshot(void *ctx, const struct raft_msg *message,
                        const char *path, struct peers_arrival *arrival)
{
    (void)ctx;
    (void)message;
    w.arrival = arrival;
    (void)snprintf(w.arrived, sizeof(w.arrived), "%s", path);
    loop_stop(w.loop);
}

static void on_snapshot_sent(void *ctx, uint64_t peer, uint64_t index, bool ok)
{
    (void)ctx;
    (void)index;
    ck_assert_uint_eq(peer, OTHER);
    ck_assert(!ok);
    w.sent = true;
}

static void on_lost(void *ctx, uint64_t peer)
{
    (void)ctx;
    (void)peer;
}

static void on_removed(void *ctx)
{
    (void)ctx;
}

static void on_page(void *ctx, struct http_exchange *x)
{
    (void)ctx;
    http_reply_text(x, 404, "");
}

static void world_init(void)
{
    struct peers_config config = {
        .self = SELF,
        .cluster = CLUSTER,
        .version = "3.5.16",
        .urls = "http://127.0.0.1:1",
        .hooks = {.on_message = on_message,
                  .on_snapshot = on_snapshot,
                  .on_snapshot_sent = on_snapshot_sent,
                  .on_lost = on_lost,
                  .on_removed = on_removed,
                  .on_page = on_page,
                  .on_page_gone = on_page}};
    struct err err;

    w = (struct world){.loop = loop_new()};
    (void)snprintf(w.folder, sizeof(w.folder), "/tmp/peers.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w.folder));
    ck_assert_int_eq(uv_timer_init(loop_uv(w.loop), &w.guard), 0);
    config.loop = w.loop;
    config.folder = w.folder;
    w.peers = peers_new(&config);
    ck_assert_int_eq(peers_listen(w.peers, "127.0.0.1:0", false, &err), ST_OK);
}

static void on_closed(void *ctx)
{
    (void)ctx;
    w.closed = true;
    loop_stop(w.loop);
}

/* The end comes, with nobody's help; else the guard's time is over. */
static void world_end(void)
{
    if (!w.closed) {
        run();
    }
    ck_assert(w.closed);
    uv_close((uv_handle_t *)&w.guard, NULL);
    loop_free(w.loop);
    ck_assert_int_eq(rmdir(w.folder), 0); /* Nothing is left in it. */
}

/* ---- the other side ---- */

/* A port where connections are taken and nothing is ever answered. */
static int silent_socket(uint16_t *out_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *out_port = ntohs(address.sin_port);
    return fd;
}

static void set_other(uint16_t port)
{
    char url[64];
    char *urls[] = {url};

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
    peers_set(w.peers, OTHER, urls, 1);
}

static const struct raft_snapshot snapshot = {
    .pos = {.term = 3, .index = 7},
    .conf = {.list = {{SELF, RAFT_VOTER}, {OTHER, RAFT_VOTER}}, .count = 2}};

static struct raft_msg message_of(uint64_t from, uint64_t to)
{
    return (struct raft_msg){.type = RAFT_MSG_SNAPSHOT,
                             .from = from,
                             .to = to,
                             .term = 3,
                             .snapshot = &snapshot};
}

static void on_head(void *ctx, int status)
{
    (void)ctx;
    w.status = status;
}

static void on_body(void *ctx, struct slice bytes)
{
    (void)ctx;
    (void)bytes;
}

static void on_end(void *ctx, enum status st, const char *why)
{
    (void)ctx;
    (void)st;
    (void)why;
    loop_stop(w.loop);
}

/* Send a snapshot as OTHER; its message says that it is of `from`. */
static void send_snapshot(const char *method, uint64_t from)
{
    struct http_header headers[] = {
        {slice_str("X-Etcd-Cluster-ID"), slice_str("c")},
        {slice_str("X-Server-From"), slice_str("2")}};
    const char *port = strrchr(peers_address(w.peers, 0), ':') + 1;
    struct http_call_config config = {.host = "127.0.0.1",
                                      .port = (uint16_t)atoi(port),
                                      .method = method,
                                      .path = "/raft/snapshot",
                                      .headers = headers,
                                      .headers_count = 2};
    struct raft_msg m = message_of(from, SELF);
    struct buf body;

    buf_init(&body, SIZE_MAX);
    ck_assert_int_eq(buf_add(&body, slice_of("\0\0\0\0\0\0\0\0", 8)), ST_OK);
    raftpb_message_pack(&m, &body);
    wire_put_u64be(body.data, body.len - 8);
    ck_assert_int_eq(buf_add(&body, slice_str("the file")), ST_OK);
    config.body = buf_slice(&body);
    w.status = 0;
    (void)http_call_start(w.loop, &config,
                          (struct http_call_hooks){.on_head = on_head,
                                                   .on_body = on_body,
                                                   .on_end = on_end});
    buf_release(&body);
    run();
}

/* ---- what comes in ---- */

/* What is refused leaves nothing behind that the next one, or the end, would
 * wait for. */
START_TEST(refused_snapshots_are_forgotten)
{
    static const struct {
        const char *method;
        uint64_t from;
        int status;
    } rows[] = {
        {"PUT", OTHER, 405},
        {"GET", OTHER, 405},
        {"POST", 3, 400}, /* Not the sender's own. */
    };

    world_init();
    set_other(1);
    send_snapshot(rows[_i].method, rows[_i].from);
    ck_assert_int_eq(w.status, rows[_i].status);
    ck_assert_ptr_null(w.arrival);

    send_snapshot("POST", OTHER);
    ck_assert_ptr_nonnull(w.arrival);
    ck_assert_int_eq(unlink(w.arrived), 0);
    peers_arrival_done(w.arrival, ST_OK);
    run();
    ck_assert_int_eq(w.status, 204);

    peers_close(w.peers, on_closed, NULL);
    world_end();
}
END_TEST

#define TURNS 200

static void on_turn(struct loop_task *task)
{
    if (++w.turns == TURNS) {
        ck_assert(!w.closed); /* Its file is still in use. */
        peers_arrival_done(w.arrival, ST_CLOSED);
    } else {
        loop_post(w.loop, task);
    }
}

/* The owner may need long to take a snapshot in: by then everything else has
 * closed. */
START_TEST(a_snapshot_that_is_taken_in_is_the_last_to_end)
{
    world_init();
    set_other(1);
    send_snapshot("POST", OTHER);
    ck_assert_ptr_nonnull(w.arrival);
    ck_assert_int_eq(unlink(w.arrived), 0);
    peers_close(w.peers, on_closed, NULL);
    run(); /* The sender is told: it is closed. */
    w.turn.run = on_turn;
    loop_post(w.loop, &w.turn);
    world_end();
}
END_TEST

/* ---- what goes out ---- */

static enum status next_piece(void *ctx, struct buf *out, bool *out_end)
{
    (void)ctx;
    (void)out_end;
    return buf_add(out, slice_str("a piece"));
}

static void release_source(void *ctx)
{
    *(bool *)ctx = true;
}

static void on_answer(void *ctx, int status, struct slice body, const char *why)
{
    (void)body;
    (void)why;
    ck_assert_int_eq(status, 0);
    *(bool *)ctx = true;
}

/* A peer that was frozen answers after minutes; nobody waits for it. */
START_TEST(the_end_gives_up_what_a_silent_peer_was_asked)
{
    bool released = false;
    bool answered = false;
    struct raft_msg vote = {
        .type = RAFT_MSG_VOTE, .from = SELF, .to = OTHER, .term = 3};
    struct raft_msg m = message_of(SELF, OTHER);
    uint16_t port;
    int fd = silent_socket(&port);

    world_init();
    set_other(port);
    peers_send(w.peers, &vote, 1); /* No stream: a POST. */
    peers_send_snapshot(w.peers, &m,
                        (struct peers_source){.ctx = &released,
                                              .next = next_piece,
                                              .release = release_source});
    peers_fetch(w.peers, OTHER, "GET", "/version", (struct slice){0},
                10 * GUARD_MS, on_answer, &answered);
    peers_close(w.peers, on_closed, NULL);
    world_end();
    ck_assert(w.sent);
    ck_assert(released);
    ck_assert(answered);
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* ---- streams ---- */

#define DIALS 6

struct rude {
    struct server *server;
    unsigned dials;
    uint64_t first_ms;
    uint64_t last_ms;
};

/* The answer to a stream's request is whole at once: 200, and the end. */
static void answer_rudely(struct http_exchange *x)
{
    struct rude *r = http_ctx(x);

    if (slice_starts(http_path(x), slice_str("/raft/stream/message/"))) {
        r->last_ms = loop_now_ms(w.loop);
        r->first_ms = r->dials == 0 ? r->last_ms : r->first_ms;
        if (++r->dials == DIALS) {
            loop_stop(w.loop);
        }
    }
    http_reply_text(x, 200, "");
}

static void on_rude_stopped(void *ctx)
{
    (void)ctx;
    loop_stop(w.loop);
}

/* Two members with one id take a third one's streams from each other; that must
 * not go round at the speed of the network. 100 ms a dial, as in etcd. */
START_TEST(streams_that_end_as_they_begin_are_not_dialled_in_a_circle)
{
    struct rude r = {0};
    struct http_handler handler = {.ctx = &r, .on_request = answer_rudely};
    struct server_config config;
    struct err err;

    world_init();
    server_config_init(&config);
    config.address = "127.0.0.1:0";
    config.http = &handler;
    ck_assert_int_eq(server_start(w.loop, &config, &r.server, &err), ST_OK);
    set_other((uint16_t)atoi(strrchr(server_address(r.server), ':') + 1));
    run();
    ck_assert_uint_ge(r.last_ms - r.first_ms, (DIALS - 1) * 100);
    server_stop(r.server, 0, on_rude_stopped, NULL);
    run();
    peers_close(w.peers, on_closed, NULL);
    world_end();
}
END_TEST

UNIT_MAIN("peers_hostile", {
    tcase_add_test(tc,
                   streams_that_end_as_they_begin_are_not_dialled_in_a_circle);
    tcase_add_loop_test(tc, refused_snapshots_are_forgotten, 0, 3);
    tcase_add_test(tc, a_snapshot_that_is_taken_in_is_the_last_to_end);
    tcase_add_test(tc, the_end_gives_up_what_a_silent_peer_was_asked);
})
