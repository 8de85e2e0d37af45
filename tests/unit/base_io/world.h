/*
 * world.h - a loop, a server on a free port and a channel to it, for tests.
 *
 * A test starts something, calls world_run(), and whatever it waits for calls
 * world_done(). What does not come in time fails the test.
 */
#pragma once

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io/grpc_client.h"
#include "base/io/grpc_server.h"
#include "base/io/http_server.h"
#include "base/io/loop.h"
#include "base/io/server.h"
#include "base/io/tls.h"

#define WORLD_PATIENCE_MS 20000

struct world {
    struct loop *loop;
    struct server *server;
    struct grpc_channel *channel;
    uv_timer_t guard;
    char target[300];
};

static struct world world;

static inline void on_world_guard(uv_timer_t *timer)
{
    (void)timer;
    ck_abort_msg("it did not come in time");
}

static inline void world_init(void)
{
    world = (struct world){.loop = loop_new()};
    ck_assert_int_eq(uv_timer_init(loop_uv(world.loop), &world.guard), 0);
}

static inline void world_done(void)
{
    loop_stop(world.loop);
}

static inline void world_run(void)
{
    uv_update_time(loop_uv(world.loop));
    ck_assert_int_eq(
        uv_timer_start(&world.guard, on_world_guard, WORLD_PATIENCE_MS, 0), 0);
    loop_run(world.loop);
    ck_assert_int_eq(uv_timer_stop(&world.guard), 0);
}

static inline void world_serve(const struct grpc_methods *grpc,
                               const struct http_handler *http, struct tls *tls)
{
    struct server_config config;
    struct err err;

    server_config_init(&config);
    config.address = "127.0.0.1:0";
    config.grpc = grpc;
    config.http = http;
    config.tls = tls;
    ck_assert_msg(server_start(world.loop, &config, &world.server, &err) ==
                      ST_OK,
                  "%s", err.text);
    (void)snprintf(world.target, sizeof(world.target), "%s",
                   server_address(world.server));
}

static inline void world_on_stopped(void *ctx)
{
    (void)ctx;
    world_done();
}

static inline void world_stop_server(uint64_t grace_ms)
{
    server_stop(world.server, grace_ms, world_on_stopped, NULL);
    world.server = NULL;
    world_run();
}

static inline void world_open(const struct grpc_channel_config *config,
                              struct grpc_channel_hooks hooks)
{
    struct grpc_channel_config c = *config;

    if (c.target == NULL) {
        c.target = world.target;
    }
    world.channel = grpc_channel_open(world.loop, &c, hooks);
}

static inline void world_close_channel(void)
{
    grpc_channel_close(world.channel, world_on_stopped, NULL);
    world.channel = NULL;
    world_run();
}

static inline void world_release(void)
{
    if (world.channel != NULL) {
        world_close_channel();
    }
    if (world.server != NULL) {
        world_stop_server(0);
    }
    uv_close((uv_handle_t *)&world.guard, NULL);
    loop_free(world.loop);
}

/* A blocking socket to the server, for bytes that no client of ours sends. */
static inline int world_dial(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_port = htons(server_port(world.server)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    return fd;
}

/* What a client was told at the end of a call. */
struct outcome {
    bool over;
    enum grpc_code code;
    char text[600];
    struct buf reply;
    unsigned messages;
    size_t bytes;
};

static inline void outcome_init(struct outcome *o)
{
    *o = (struct outcome){0};
    buf_init(&o->reply, 64 << 20);
}

static inline void outcome_take(struct outcome *o, enum grpc_code code,
                                const char *text)
{
    ck_assert_msg(!o->over, "told the end twice");
    o->over = true;
    o->code = code;
    (void)snprintf(o->text, sizeof(o->text), "%s", text);
    world_done();
}

static inline void on_outcome(void *ctx, enum grpc_code code, const char *text,
                              struct slice reply)
{
    struct outcome *o = ctx;

    ck_assert_int_eq(buf_add(&o->reply, reply), ST_OK);
    outcome_take(o, code, text);
}
