#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "suite.h"
#include "world.h"

static void hello(struct http_exchange *x)
{
    http_reply_text(x, 200, "hello");
}

static const struct http_handler http = {.on_request = hello};

static void echo(struct grpc_call *call, struct slice message)
{
    grpc_call_send(call, message);
    grpc_call_finish(call, GRPC_OK, NULL);
}

static const struct grpc_method methods[] = {{.path = "/test.Echo/Echo",
                                              .requests = GRPC_ONE_REQUEST,
                                              .on_message = echo}};

static const struct grpc_methods grpc = {
    .methods = methods, .count = 1, .message_bytes_max = 1000};

static enum status start(const char *address, struct err *err)
{
    struct server_config config;

    server_config_init(&config);
    config.address = address;
    config.http = &http;
    config.grpc = &grpc;
    return server_start(world.loop, &config, &world.server, err);
}

/* ---- addresses ---- */

static const struct {
    const char *address;
    enum status st;
    const char *says; /* In the error, or the address's beginning. */
} addresses[] = {
    {"127.0.0.1:0", ST_OK, "127.0.0.1:"},
    {"[::1]:0", ST_OK, "[::1]:"},
    {"localhost:0", ST_OK, ""},
    {":0", ST_OK, ""},
    {"", ST_INVALID, "host:port"},
    {"127.0.0.1", ST_INVALID, "host:port"},
    {"127.0.0.1:", ST_INVALID, "host:port"},
    {"127.0.0.1:65536", ST_INVALID, "host:port"},
    {"127.0.0.1:-1", ST_INVALID, "host:port"},
    {"::1:80", ST_INVALID, "brackets"},
    {"no.such.host.invalid:80", ST_INVALID, "no.such.host.invalid"},
    {"192.0.2.1:80", ST_IO, "192.0.2.1:80"}, /* Not ours (RFC 5737). */
    {"unix:", ST_INVALID, "path"},
    {"unix:/nonexistent/folder/x.sock", ST_DENIED, "/nonexistent/folder"},
};

START_TEST(addresses_are_understood)
{
    struct err err = {.text = ""};
    enum status st;

    world_init();
    st = start(addresses[_i].address, &err);
    ck_assert_msg(st == addresses[_i].st, "%s: %s (%s)", addresses[_i].address,
                  status_text(st), err.text);
    if (st == ST_OK) {
        ck_assert_uint_ne(server_port(world.server), 0);
        ck_assert_int_eq(strncmp(server_address(world.server),
                                 addresses[_i].says,
                                 strlen(addresses[_i].says)),
                         0);
    } else {
        ck_assert_msg(strstr(err.text, addresses[_i].says) != NULL, "%s",
                      err.text);
    }
    world_release();
}
END_TEST

START_TEST(a_taken_port_is_told)
{
    struct server *first;
    char address[300];
    struct err err;

    world_init();
    ck_assert_int_eq(start("127.0.0.1:0", &err), ST_OK);
    first = world.server;
    (void)snprintf(address, sizeof(address), "%s", server_address(first));
    ck_assert_int_eq(start(address, &err), ST_EXISTS);
    ck_assert_ptr_nonnull(strstr(err.text, address));
    ck_assert_ptr_eq(world.server, first);
    world_release();
}
END_TEST

/* ---- Unix sockets ---- */

static char folder[64];
static char path[100];

static void unix_begin(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/muster-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/x.sock", folder);
    world_init();
}

static void unix_end(void)
{
    world_release();
    (void)unlink(path); /* A server that has stopped has taken it along. */
    ck_assert_int_eq(rmdir(folder), 0);
}

static enum status unix_start(unsigned mode, struct err *err)
{
    struct server_config config;
    char address[120];

    (void)snprintf(address, sizeof(address), "unix:%s", path);
    server_config_init(&config);
    config.address = address;
    config.http = &http;
    config.grpc = &grpc;
    config.socket_mode = mode;
    return server_start(world.loop, &config, &world.server, err);
}

START_TEST(a_unix_socket_has_the_mode_asked_for)
{
    struct err err;
    struct stat st;

    unix_begin();
    ck_assert_int_eq(unix_start(0600, &err), ST_OK);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_uint_eq(server_port(world.server), 0);
    ck_assert_int_eq(strncmp(server_address(world.server), "unix:/tmp/", 10),
                     0);
    world_stop_server(0);
    ck_assert_int_ne(stat(path, &st), 0); /* Gone with the server. */
    unix_end();
}
END_TEST

/* As left behind by a program that was killed. */
START_TEST(a_stale_socket_is_replaced)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct err err;

    unix_begin();
    (void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    (void)close(fd);
    ck_assert_int_eq(unix_start(0, &err), ST_OK);
    unix_end();
}
END_TEST

START_TEST(a_live_socket_and_other_files_are_not)
{
    struct err err;
    struct server *first;
    FILE *f;

    unix_begin();
    ck_assert_int_eq(unix_start(0, &err), ST_OK);
    first = world.server;
    ck_assert_int_eq(unix_start(0, &err), ST_EXISTS);
    ck_assert_ptr_nonnull(strstr(err.text, "another program"));
    ck_assert_ptr_eq(world.server, first);
    world_stop_server(0);

    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    (void)fclose(f);
    ck_assert_int_eq(unix_start(0, &err), ST_EXISTS);
    ck_assert_ptr_nonnull(strstr(err.text, "not a socket"));
    unix_end();
}
END_TEST

START_TEST(grpc_runs_over_a_unix_socket)
{
    struct err err;
    struct outcome o;
    struct grpc_channel_config config = {.target = world.target};
    struct grpc_channel_hooks hooks = {0};

    unix_begin();
    ck_assert_int_eq(unix_start(0, &err), ST_OK);
    (void)snprintf(world.target, sizeof(world.target), "%s",
                   server_address(world.server));
    world_open(&config, hooks);
    outcome_init(&o);
    (void)grpc_unary(world.channel, "/test.Echo/Echo", slice_str("x"), 0,
                     on_outcome, &o);
    world_run();
    ck_assert_int_eq(o.code, GRPC_OK);
    ck_assert(slice_eq(buf_slice(&o.reply), slice_str("x")));
    buf_release(&o.reply);
    unix_end();
}
END_TEST

/* ---- what is spoken ---- */

struct reader {
    uv_poll_t poll;
    int fd;
    char text[4096];
    size_t len;
    bool ended;
};

static void on_readable(uv_poll_t *poll, int error, int events)
{
    struct reader *r = poll->data;
    ssize_t count =
        recv(r->fd, r->text + r->len, sizeof(r->text) - 1 - r->len, 0);

    (void)events;
    ck_assert_int_eq(error, 0);
    if (count > 0) {
        r->len += (size_t)count;
        return;
    }
    r->ended = true;
    (void)uv_poll_stop(poll); /* Cannot fail. */
    world_done();
}

/* Send pieces, each in a packet of its own; read until the server closes. */
static void exchange(struct reader *r, const char *const *pieces)
{
    *r = (struct reader){.fd = world_dial()};
    ck_assert_int_eq(uv_poll_init(loop_uv(world.loop), &r->poll, r->fd), 0);
    r->poll.data = r;
    ck_assert_int_eq(uv_poll_start(&r->poll, UV_READABLE, on_readable), 0);
    for (; *pieces != NULL; pieces++) {
        ck_assert_int_eq(send(r->fd, *pieces, strlen(*pieces), 0),
                         (ssize_t)strlen(*pieces));
        (void)uv_run(loop_uv(world.loop), UV_RUN_NOWAIT);
    }
    world_run();
    ck_assert(r->ended);
    uv_close((uv_handle_t *)&r->poll, NULL);
    (void)close(r->fd);
}

static const struct {
    const char *name;
    const char *pieces[6];
    bool with_http;
    const char *answer; /* It begins like that. */
} spoken[] = {
    {"HTTP/1 in one piece",
     {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"},
     true,
     "HTTP/1.1 200 OK\r\n"},
    {"byte by byte at first",
     {"P", "R", "O", "P", "FIND / HTTP/1.0\r\n\r\n"},
     true,
     "HTTP/1.1 200 OK\r\n"},
    {"a method like the preface",
     {"PRIX / HTTP/1.0\r\n\r\n"},
     true,
     "HTTP/1.1 501 Not Implemented\r\n"},
    {"HTTP/1 where there is none", {"GET / HTTP/1.0\r\n\r\n"}, false, ""},
};

START_TEST(the_first_bytes_decide)
{
    struct reader r;

    world_init();
    world_serve(&grpc, spoken[_i].with_http ? &http : NULL, NULL);
    exchange(&r, spoken[_i].pieces);
    ck_assert_msg(
        strncmp(r.text, spoken[_i].answer, strlen(spoken[_i].answer)) == 0,
        "%s: %s", spoken[_i].name, r.text);
    ck_assert_msg((r.len > 0) == (spoken[_i].answer[0] != '\0'), "%s",
                  spoken[_i].name);
    world_release();
}
END_TEST

/* ---- the limit ---- */

static bool answered(int fd)
{
    char text[16] = "";

    return recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT) > 0 &&
           strncmp(text, "HTTP/1.1 200", 12) == 0;
}

START_TEST(connections_above_the_limit_wait)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    struct server_config config;
    struct err err;
    int fds[6];
    unsigned open = 0;

    world_init();
    server_config_init(&config);
    config.address = "127.0.0.1:0";
    config.http = &http;
    config.conns_max = 2;
    ck_assert_int_eq(server_start(world.loop, &config, &world.server, &err),
                     ST_OK);
    for (int i = 0; i < 6; i++) {
        fds[i] = world_dial();
        ck_assert_int_eq(send(fds[i], request, sizeof(request) - 1, 0),
                         sizeof(request) - 1);
    }
    while (open < 6) { /* One after the other is answered and leaves. */
        ck_assert_uint_le(server_connections(world.server), 2);
        (void)uv_run(loop_uv(world.loop), UV_RUN_NOWAIT);
        if (answered(fds[open])) {
            (void)close(fds[open++]);
        }
    }
    world_release();
}
END_TEST

/* ---- slow readers ---- */

#define LONG_REPLY (8 << 20)

static void reply_long(struct http_exchange *x)
{
    uint8_t *bytes = calloc(1, LONG_REPLY);

    ck_assert_ptr_nonnull(bytes);
    http_reply_type(x, 200, "text/plain", slice_of(bytes, LONG_REPLY));
    free(bytes);
}

static void on_waited(uv_timer_t *timer)
{
    (void)timer;
    world_done();
}

/* A reply whose reader takes longer than the goodbye after it may last. */
START_TEST(a_long_reply_is_not_cut)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    static const struct http_handler long_http = {.on_request = reply_long};
    static char bytes[1 << 16];
    uv_timer_t timer;
    size_t got = 0;
    ssize_t count;
    int fd;

    world_init();
    world_serve(NULL, &long_http, NULL);
    fd = world_dial();
    ck_assert_int_eq(send(fd, request, sizeof(request) - 1, 0),
                     sizeof(request) - 1);
    ck_assert_int_eq(uv_timer_init(loop_uv(world.loop), &timer), 0);
    ck_assert_int_eq(uv_timer_start(&timer, on_waited, 3500, 0), 0);
    world_run(); /* Nothing is read meanwhile. */
    uv_close((uv_handle_t *)&timer, NULL);
    while ((count = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) != 0) {
        ck_assert(count > 0 || errno == EAGAIN);
        got += count > 0 ? (size_t)count : 0;
        (void)uv_run(loop_uv(world.loop), UV_RUN_NOWAIT);
    }
    ck_assert_uint_gt(got, LONG_REPLY);
    (void)close(fd);
    world_release();
}
END_TEST

/* ---- stopping ---- */

START_TEST(a_stop_closes_idle_connections)
{
    int fds[3];

    world_init();
    world_serve(&grpc, &http, NULL);
    for (int i = 0; i < 3; i++) {
        fds[i] = world_dial();
    }
    ck_assert_int_eq(send(fds[1], "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, 0),
                     27);
    ck_assert_int_eq(send(fds[2], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, 0),
                     24);
    while (server_connections(world.server) < 3) {
        (void)uv_run(loop_uv(world.loop), UV_RUN_ONCE);
    }
    world_stop_server(100);
    for (int i = 0; i < 3; i++) {
        (void)close(fds[i]);
    }
    world_release();
}
END_TEST

UNIT_MAIN("server", {
    tcase_add_loop_test(tc, addresses_are_understood, 0, COUNT_OF(addresses));
    tcase_add_test(tc, a_taken_port_is_told);
    tcase_add_test(tc, a_unix_socket_has_the_mode_asked_for);
    tcase_add_test(tc, a_stale_socket_is_replaced);
    tcase_add_test(tc, a_live_socket_and_other_files_are_not);
    tcase_add_test(tc, grpc_runs_over_a_unix_socket);
    tcase_add_loop_test(tc, the_first_bytes_decide, 0, COUNT_OF(spoken));
    tcase_add_test(tc, connections_above_the_limit_wait);
    tcase_add_test(tc, a_long_reply_is_not_cut);
    tcase_add_test(tc, a_stop_closes_idle_connections);
})
