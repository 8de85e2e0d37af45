/* Real listeners and real processes: what a probe says of each. */

#include "agent/io/probe.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <unistd.h>

#include "base/core/limits.h"
#include "base/core/pb.h"
#include "base/io/grpc_server.h"
#include "base/io/loop.h"
#include "base/io/server.h"
#include "probe_world.h"
#include "suite.h"

/* ---- A server on loopback ---------------------------------------------- */

struct client {
    uv_tcp_t socket;
    uv_write_t write;
    struct world *world;
    char chunk[1024];
};

static void on_client_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_client_written(uv_write_t *request, int error)
{
    (void)error;
    uv_close((uv_handle_t *)request->handle, on_client_closed);
}

static void on_client_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct client *c = handle->data;

    (void)size;
    *buf = uv_buf_init(c->chunk, sizeof(c->chunk));
}

static void on_client_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *c = stream->data;
    struct world *w = c->world;
    uv_buf_t out;

    if (n <= 0) {
        uv_close((uv_handle_t *)stream, on_client_closed);
        return;
    }
    ck_assert_uint_lt(w->asked_len + (size_t)n, sizeof(w->asked));
    memcpy(w->asked + w->asked_len, buf->base, (size_t)n);
    w->asked_len += (size_t)n;
    if (w->answer && strstr(w->asked, "\r\n\r\n")) {
        (void)uv_read_stop(stream);
        out = uv_buf_init((char *)(uintptr_t)w->answer,
                          (unsigned)strlen(w->answer));
        ck_assert_int_eq(
            uv_write(&c->write, stream, &out, 1, on_client_written), 0);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct client *c = calloc(1, sizeof(*c));

    ck_assert_int_eq(status, 0);
    ck_assert_ptr_nonnull(c);
    c->world = listener->data;
    ck_assert_int_eq(uv_tcp_init(listener->loop, &c->socket), 0);
    c->socket.data = c;
    ck_assert_int_eq(uv_accept(listener, (uv_stream_t *)&c->socket), 0);
    ck_assert_int_eq(uv_read_start((uv_stream_t *)&c->socket, on_client_alloc,
                                   on_client_read),
                     0);
}

static int world_listen(struct world *w)
{
    struct sockaddr_in address;
    int len = sizeof(address);

    ck_assert_int_eq(uv_ip4_addr("127.0.0.1", 0, &address), 0);
    ck_assert_int_eq(uv_tcp_init(loop_uv(w->loop), &w->listener), 0);
    w->listener.data = w;
    ck_assert_int_eq(uv_tcp_bind(&w->listener, (struct sockaddr *)&address, 0),
                     0);
    ck_assert_int_eq(uv_listen((uv_stream_t *)&w->listener, 16, on_connection),
                     0);
    ck_assert_int_eq(
        uv_tcp_getsockname(&w->listener, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

/* A port that was free a moment ago. */
static int closed_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

/* ---- TCP --------------------------------------------------------------- */

START_TEST(tcp_open_port_passes)
{
    struct world w;
    char target[64];

    world_init(&w);
    (void)snprintf(target, sizeof(target), "127.0.0.1:%d", world_listen(&w));
    world_run(&w, &(struct probe_spec){
                      .type = PROBE_TCP, .timeout_ms = 5000, .target = target});
    ck_assert_int_eq(w.result, PROBE_PASSING);
    ck_assert_ptr_nonnull(strstr(w.output, ": Success"));
}
END_TEST

START_TEST(tcp_name_with_two_families_passes)
{
    struct world w;
    char target[64];

    /* "localhost" may give ::1 first, where nobody listens. */
    world_init(&w);
    (void)snprintf(target, sizeof(target), "localhost:%d", world_listen(&w));
    world_run(&w, &(struct probe_spec){
                      .type = PROBE_TCP, .timeout_ms = 5000, .target = target});
    ck_assert_int_eq(w.result, PROBE_PASSING);
}
END_TEST

static const struct {
    const char *name;
    const char *target; /* NULL: a closed port. */
    const char *text;
} tcp_bad[] = {
    {"nobody listens", NULL, "connection refused"},
    {"no port", "127.0.0.1", "not host:port"},
    {"no such name", "no-such-host.invalid:80", "no-such-host.invalid:80: "},
};

START_TEST(tcp_trouble_is_critical)
{
    struct world w;
    char target[64];

    world_init(&w);
    (void)snprintf(target, sizeof(target), "127.0.0.1:%d", closed_port());
    world_run(&w, &(struct probe_spec){.type = PROBE_TCP,
                                       .timeout_ms = 10000,
                                       .target = tcp_bad[_i].target
                                                     ? tcp_bad[_i].target
                                                     : target});
    ck_assert_int_eq(w.result, PROBE_CRITICAL);
    ck_assert_msg(strstr(w.output, tcp_bad[_i].text) != NULL, "%s: \"%s\"",
                  tcp_bad[_i].name, w.output);
}
END_TEST

/* ---- HTTP -------------------------------------------------------------- */

static const struct code_range ok_or_moved[] = {{200, 299}, {302, 302}};
static const struct code_range closed[] = {{401, 403}};
static const struct code_range slow[] = {{429, 429}};

#define NO_CODES NULL, 0

static const struct {
    const char *name;
    const char *answer;
    enum probe_result result;
    const char *text;
    const struct code_range *codes;
    size_t codes_count;
} http_rows[] = {
    {"200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", PROBE_PASSING,
     "/healthz: 200 OK Output: ok", NO_CODES},
    {"204", "HTTP/1.1 204 No Content\r\n\r\n", PROBE_PASSING,
     ": 204 No Content Output: ", NO_CODES},
    {"429", "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", PROBE_WARNING,
     ": 429 Slow", NO_CODES},
    {"500", "HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nbad", PROBE_CRITICAL,
     ": 500 Oh Output: bad", NO_CODES},
    {"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", PROBE_PASSING,
     ": 200 Output: ", NO_CODES},
    {"continued",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Later\r\n"
     "Content-Length: 0\r\n\r\n",
     PROBE_CRITICAL, ": 503 Later Output: ", NO_CODES},
    {"redirects are not followed",
     "HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
     PROBE_CRITICAL, ": 302 Go", NO_CODES},
    {"unless that is what is wanted",
     "HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
     PROBE_PASSING, ": 302 Go", ok_or_moved, 2},
    {"then 2xx passes only if it is named",
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", PROBE_CRITICAL, ": 200 OK",
     closed, 1},
    {"429 may pass", "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n",
     PROBE_PASSING, ": 429", slow, 1},
    {"not HTTP", "hello\r\n\r\n", PROBE_CRITICAL,
     "what came is no HTTP/1 answer", NO_CODES},
    {"silence", NULL, PROBE_CRITICAL, "timeout after 300 ms", NO_CODES},
};

START_TEST(http_status_decides)
{
    struct world w;
    char target[64];

    world_init(&w);
    w.answer = http_rows[_i].answer;
    (void)snprintf(target, sizeof(target), "http://127.0.0.1:%d/healthz",
                   world_listen(&w));
    world_run(&w, &(struct probe_spec){
                      .type = PROBE_HTTP,
                      .timeout_ms = http_rows[_i].answer ? 5000 : 300,
                      .target = target,
                      .codes = http_rows[_i].codes,
                      .codes_count = http_rows[_i].codes_count});
    ck_assert_msg(w.result == http_rows[_i].result, "%s: %d \"%s\"",
                  http_rows[_i].name, w.result, w.output);
    ck_assert_msg(strstr(w.output, http_rows[_i].text) != NULL, "%s: \"%s\"",
                  http_rows[_i].name, w.output);
}
END_TEST

/* The output is for all who read the catalogue. */
START_TEST(http_output_has_no_password)
{
    struct world w;
    char target[96];
    char shown[96];
    int port;

    world_init(&w);
    port = world_listen(&w);
    w.answer = "HTTP/1.1 204 No Content\r\n\r\n";
    (void)snprintf(target, sizeof(target), "http://me:secret@127.0.0.1:%d/at",
                   port);
    (void)snprintf(shown, sizeof(shown),
                   "HTTP GET http://127.0.0.1:%d/at: ", port);
    world_run(&w, &(struct probe_spec){.type = PROBE_HTTP,
                                       .timeout_ms = 5000,
                                       .target = target});
    ck_assert_int_eq(w.result, PROBE_PASSING);
    ck_assert_msg(strstr(w.output, shown) == w.output, "%s", w.output);
}
END_TEST

START_TEST(http_sends_what_was_asked_for)
{
    struct probe_header headers[] = {
        {"Host", "web.example"}, {"X-One", "1"}, {"X-One", "2"}};
    struct world w;
    char target[64];

    world_init(&w);
    w.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    (void)snprintf(target, sizeof(target), "http://127.0.0.1:%d/p?q=1",
                   world_listen(&w));
    world_run(&w, &(struct probe_spec){.type = PROBE_HTTP,
                                       .timeout_ms = 5000,
                                       .target = target,
                                       .method = "PUT",
                                       .headers = headers,
                                       .headers_count = 3,
                                       .body = "{}"});
    ck_assert_int_eq(w.result, PROBE_PASSING);
    ck_assert_ptr_nonnull(strstr(w.asked, "PUT /p?q=1 HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(w.asked, "Host: web.example\r\n"));
    ck_assert_ptr_nonnull(strstr(w.asked, "X-One: 1\r\n"));
    ck_assert_ptr_nonnull(strstr(w.asked, "X-One: 2\r\n"));
    ck_assert_ptr_nonnull(strstr(w.asked, "Accept: text/plain"));
    ck_assert_ptr_nonnull(strstr(w.asked, "Connection: close\r\n"));
    ck_assert_ptr_nonnull(strstr(w.asked, "\r\n\r\n{}"));
}
END_TEST

/* ---- UDP --------------------------------------------------------------- */

static int udp_bound(int *out_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *out_port = ntohs(a.sin_port);
    return fd;
}

static void on_udp_readable(uv_poll_t *poll, int status, int events)
{
    int fd = *(int *)poll->data;
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    char byte;

    (void)status;
    (void)events;
    ck_assert_int_eq(recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &len),
                     1);
    ck_assert_int_eq(sendto(fd, "", 0, 0, (struct sockaddr *)&from, len), 0);
    uv_close((uv_handle_t *)poll, NULL);
}

enum udp_server {
    UDP_ANSWERS, /* Even an empty datagram is an answer. */
    UDP_SILENT,
    UDP_CLOSED
};

static const struct {
    const char *name;
    enum udp_server server;
    enum probe_result result;
    const char *text;
} udp_rows[] = {
    {"answer", UDP_ANSWERS, PROBE_PASSING, ": answered"},
    {"silence", UDP_SILENT, PROBE_PASSING, ": no answer, and no error"},
    {"nobody there", UDP_CLOSED, PROBE_CRITICAL, ": connection refused"},
};

START_TEST(udp_passes_unless_refused)
{
    struct world w;
    char target[64];
    uv_poll_t poll;
    int port;
    int fd = udp_bound(&port);

    world_init(&w);
    (void)snprintf(target, sizeof(target), "127.0.0.1:%d", port);
    if (udp_rows[_i].server == UDP_ANSWERS) {
        ck_assert_int_eq(uv_poll_init(loop_uv(w.loop), &poll, fd), 0);
        poll.data = &fd;
        ck_assert_int_eq(uv_poll_start(&poll, UV_READABLE, on_udp_readable), 0);
    } else if (udp_rows[_i].server == UDP_CLOSED) {
        close(fd);
    }
    world_run(&w,
              &(struct probe_spec){
                  .type = PROBE_UDP,
                  .timeout_ms = udp_rows[_i].server == UDP_SILENT ? 200 : 10000,
                  .target = target});
    ck_assert_msg(w.result == udp_rows[_i].result, "%s: \"%s\"",
                  udp_rows[_i].name, w.output);
    ck_assert_msg(strstr(w.output, udp_rows[_i].text) != NULL, "%s: \"%s\"",
                  udp_rows[_i].name, w.output);
    if (udp_rows[_i].server != UDP_CLOSED) {
        close(fd);
    }
}
END_TEST

/* ---- HTTP/2 ------------------------------------------------------------ */

static void on_health(struct grpc_call *call, struct slice message)
{
    struct pb_field field = {0};
    struct buf reply;

    (void)pb_next(&message, &field);
    if (slice_eq(field.bytes, slice_str("none"))) {
        grpc_call_finish(call, GRPC_NOT_FOUND, "unknown service");
        return;
    }
    buf_init(&reply, 16);
    pb_uint(&reply, 1, slice_eq(field.bytes, slice_str("down")) ? 2 : 1);
    grpc_call_send(call, buf_slice(&reply));
    grpc_call_finish(call, GRPC_OK, NULL);
    buf_release(&reply);
}

static const struct {
    const char *name;
    enum probe_type type;
    const char *service;
    bool there;
    enum probe_result result;
    const char *text;
} h2_rows[] = {
    {"the server", PROBE_GRPC, NULL, true, PROBE_PASSING, ": SERVING"},
    {"a service", PROBE_GRPC, "up", true, PROBE_PASSING, "/up: SERVING"},
    {"not serving", PROBE_GRPC, "down", true, PROBE_CRITICAL,
     "/down: NOT_SERVING"},
    {"unknown", PROBE_GRPC, "none", true, PROBE_CRITICAL,
     "/none: unknown service (code 5)"},
    {"refused", PROBE_GRPC, NULL, false, PROBE_CRITICAL, "connection refused"},
    {"ping", PROBE_H2PING, NULL, true, PROBE_PASSING, ": Success"},
    {"ping refused", PROBE_H2PING, NULL, false, PROBE_CRITICAL,
     "connection refused"},
};

static void on_server_stopped(void *ctx)
{
    (void)ctx;
}

START_TEST(h2_server_decides)
{
    static const struct grpc_method method = {
        .path = "/grpc.health.v1.Health/Check", .on_message = on_health};
    struct grpc_methods methods = {
        .methods = &method, .count = 1, .message_bytes_max = 4096};
    struct server_config config;
    struct server *server;
    struct world w;
    char target[64];
    struct err err;

    world_init(&w);
    server_config_init(&config);
    config.address = "127.0.0.1:0";
    config.grpc = &methods;
    ck_assert_int_eq(server_start(w.loop, &config, &server, &err), ST_OK);
    (void)snprintf(target, sizeof(target), "%s", server_address(server));
    if (!h2_rows[_i].there) {
        server_stop(server, 0, on_server_stopped, NULL);
        (void)uv_run(loop_uv(w.loop), UV_RUN_NOWAIT);
    }
    world_start(&w, &(struct probe_spec){.type = h2_rows[_i].type,
                                         .timeout_ms = 10000,
                                         .target = target,
                                         .service = h2_rows[_i].service});
    ck_assert_msg(w.result == h2_rows[_i].result, "%s: \"%s\"",
                  h2_rows[_i].name, w.output);
    ck_assert_msg(strstr(w.output, h2_rows[_i].text) != NULL, "%s: \"%s\"",
                  h2_rows[_i].name, w.output);
    if (h2_rows[_i].there) {
        server_stop(server, 0, on_server_stopped, NULL);
    }
    world_end(&w);
}
END_TEST

/* HTTP/1 servers do not answer a ping. */
START_TEST(h2_to_http1_fails)
{
    struct world w;
    char target[64];

    world_init(&w);
    w.answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    (void)snprintf(target, sizeof(target), "127.0.0.1:%d", world_listen(&w));
    world_run(&w, &(struct probe_spec){.type = PROBE_H2PING,
                                       .timeout_ms = 10000,
                                       .target = target});
    ck_assert_int_eq(w.result, PROBE_CRITICAL);
    ck_assert_ptr_nonnull(strstr(w.output, "HTTP/2 ping 127.0.0.1"));
}
END_TEST

START_TEST(tls_trouble_is_named)
{
    struct world w;

    world_init(&w);
    world_run(&w, &(struct probe_spec){.type = PROBE_GRPC,
                                       .timeout_ms = 10000,
                                       .target = "127.0.0.1:1",
                                       .tls = true,
                                       .tls_ca_file = "/no/such/ca.pem"});
    ck_assert_int_eq(w.result, PROBE_CRITICAL);
    ck_assert_ptr_nonnull(strstr(w.output, "/no/such/ca.pem"));
}
END_TEST

static void certificate_write(const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FILE *out = fopen(path, "w");

    ck_assert_ptr_nonnull(out);
    ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notBefore(cert), -60));
    ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
    ck_assert_int_eq(X509_set_pubkey(cert, key), 1);
    ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
    ck_assert_int_eq(PEM_write_X509(out, cert), 1);
    ck_assert_int_eq(fclose(out), 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static struct world *tls_world;
static unsigned tls_left;
static char tls_path[1024];

static void tls_next(void);

static void on_tls_done(void *arg, enum probe_result result,
                        struct slice output)
{
    (void)arg;
    ck_assert_int_eq(result, PROBE_CRITICAL);
    ck_assert_msg(memmem(output.data, output.len, "refused", 7) != NULL, "%.*s",
                  (int)output.len, (const char *)output.data);
    if (tls_left == 0) {
        world_on_done(tls_world, result, output);
    } else {
        tls_next();
    }
}

/* The same file by a longer name. */
static void tls_next(void)
{
    size_t len = strlen(tls_path);

    tls_left--;
    memmove(tls_path + 7, tls_path + 5, len - 4);
    memcpy(tls_path + 5, "./", 2);
    (void)probe_start(tls_world->host,
                      &(struct probe_spec){.type = PROBE_TLS,
                                           .timeout_ms = 10000,
                                           .target = "127.0.0.1:1",
                                           .tls_ca_file = tls_path},
                      on_tls_done, NULL);
}

/* Files of which checks have spoken once are not kept for ever. */
START_TEST(many_ways_to_trust_one_after_the_other)
{
    struct world w;
    char file[] = "/tmp/muster-ca-XXXXXX";
    int fd = mkstemp(file);

    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    certificate_write(file);
    (void)snprintf(tls_path, sizeof(tls_path), "%s", file);
    world_init(&w);
    tls_world = &w;
    tls_left = 3 * LIMIT_PROBE_TLS / 2;
    tls_next();
    loop_run(w.loop);
    world_end(&w);
    (void)unlink(file);
}
END_TEST

/* ---- Cancel ------------------------------------------------------------ */

START_TEST(canceled_probes_stay_silent)
{
    const char *args[] = {"/bin/sleep", "60", NULL};
    struct world w;
    char target[64];
    char url[80];
    struct probe *probes[5];

    world_init(&w);
    (void)snprintf(target, sizeof(target), "127.0.0.1:%d", world_listen(&w));
    (void)snprintf(url, sizeof(url), "http://%s/", target);
    probes[0] =
        probe_start(w.host,
                    &(struct probe_spec){
                        .type = PROBE_EXEC, .timeout_ms = 60000, .args = args},
                    world_on_done, &w);
    probes[1] =
        probe_start(w.host,
                    &(struct probe_spec){
                        .type = PROBE_HTTP, .timeout_ms = 60000, .target = url},
                    world_on_done, &w);
    probes[2] = probe_start(w.host,
                            &(struct probe_spec){.type = PROBE_TLS,
                                                 .timeout_ms = 60000,
                                                 .target = target},
                            world_on_done, &w);
    probes[3] = probe_start(w.host,
                            &(struct probe_spec){.type = PROBE_GRPC,
                                                 .timeout_ms = 60000,
                                                 .target = target},
                            world_on_done, &w);
    (void)uv_run(loop_uv(w.loop), UV_RUN_NOWAIT);
    probes[4] =
        probe_start(w.host,
                    &(struct probe_spec){.type = PROBE_TCP,
                                         .timeout_ms = 60000,
                                         .target = "no-such-host.invalid:1"},
                    world_on_done, &w);
    probe_cancel(probes[0]);
    probe_host_stop(w.host, world_on_stopped, &w); /* Cancels the others. */
    uv_close((uv_handle_t *)&w.listener, NULL);
    (void)probes;
    loop_run(w.loop);
    ck_assert_int_eq(w.reports, 0);
    probe_host_free(w.host);
    loop_free(w.loop);
}
END_TEST

UNIT_MAIN("probe", {
    tcase_add_test(tc, tcp_open_port_passes);
    tcase_add_test(tc, tcp_name_with_two_families_passes);
    tcase_add_loop_test(tc, tcp_trouble_is_critical, 0, COUNT_OF(tcp_bad));
    tcase_add_loop_test(tc, http_status_decides, 0, COUNT_OF(http_rows));
    tcase_add_test(tc, http_output_has_no_password);
    tcase_add_test(tc, http_sends_what_was_asked_for);
    tcase_add_loop_test(tc, udp_passes_unless_refused, 0, COUNT_OF(udp_rows));
    tcase_add_loop_test(tc, h2_server_decides, 0, COUNT_OF(h2_rows));
    tcase_add_test(tc, h2_to_http1_fails);
    tcase_add_test(tc, tls_trouble_is_named);
    tcase_add_test(tc, many_ways_to_trust_one_after_the_other);
    tcase_add_test(tc, canceled_probes_stay_silent);
})
