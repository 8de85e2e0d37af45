/*
 * echo.c - a gRPC method that answers with its request, and HTTP/1 that answers
 * "hello": what the transport alone costs.
 *
 * usage: bench_echo HOST:PORT [CERT KEY]
 *     h2load -n 500000 -c 4 -m 64 -d message.bin \
 *         -H 'content-type: application/grpc' -H 'te: trailers' \
 *         http://HOST:PORT/bench.Echo/Echo
 * message.bin: five bytes of frame head (0, then the length) and the message.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/io/grpc_server.h"
#include "base/io/http_server.h"
#include "base/io/loop.h"
#include "base/io/server.h"
#include "base/io/tls.h"

static struct loop *loop;

static void echo_message(struct grpc_call *call, struct slice message)
{
    grpc_call_send(call, message);
    grpc_call_finish(call, GRPC_OK, NULL);
}

static void hello(struct http_exchange *x)
{
    http_reply_text(x, 200, "hello\n");
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    uv_close((uv_handle_t *)signal, NULL);
    loop_stop(loop);
}

static const struct grpc_method methods[] = {
    {.path = "/bench.Echo/Echo",
     .requests = GRPC_ONE_REQUEST,
     .on_message = echo_message},
};

static void on_stopped(void *ctx)
{
    (void)ctx;
    loop_stop(loop);
}

int main(int argc, char **argv)
{
    const struct grpc_methods grpc = {
        .methods = methods, .count = 1, .message_bytes_max = 2 << 20};
    const struct http_handler http = {.on_request = hello};
    struct server_config config;
    struct tls *tls = NULL;
    struct server *server;
    uv_signal_t signal;
    struct err err;

    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: %s HOST:PORT [CERT KEY]\n", argv[0]);
        return 2;
    }
    if (argc == 4 &&
        tls_server_new(&(struct tls_files){.cert = argv[2], .key = argv[3]},
                       TLS_CLIENT_ANY, &tls, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    loop = loop_new();
    server_config_init(&config);
    config.address = argv[1];
    config.grpc = &grpc;
    config.http = &http;
    config.tls = tls;
    if (server_start(loop, &config, &server, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("listening at %s\n", server_address(server));
    (void)fflush(stdout);
    (void)uv_signal_init(loop_uv(loop), &signal); /* Cannot fail. */
    if (uv_signal_start(&signal, on_signal, SIGTERM)) {
        fprintf(stderr, "SIGTERM cannot be handled\n");
        return 1;
    }
    loop_run(loop);
    server_stop(server, 1000, on_stopped, NULL);
    loop_run(loop);
    loop_free(loop);
    tls_free(tls);
    return 0;
}
