/* Real listeners and real processes: what a probe says of each. */

#include "agent/io/probe.h"

#include <stdio.h>
#include <unistd.h>

#include "base/core/limits.h"
#include "suite.h"

/* ---- A loop, a host, one expected report ------------------------------- */

struct world {
    uv_loop_t loop;
    struct probe_host *host;
    int reports;
    enum probe_result result;
    char output[LIMIT_CHECK_OUTPUT + 1];
    size_t output_len;
    uv_tcp_t listener;
    const char *answer; /* What an HTTP client gets; NULL: silence. */
    char asked[4096];   /* What came in. */
    size_t asked_len;
};

static void on_stopped(void *arg)
{
    (void)arg;
}

static void on_done(void *arg, enum probe_result result, struct slice output)
{
    struct world *w = arg;

    w->reports++;
    w->result = result;
    ck_assert_uint_le(output.len, LIMIT_CHECK_OUTPUT);
    if (output.len > 0) {
        memcpy(w->output, output.data, output.len);
    }
    w->output[output.len] = '\0';
    w->output_len = output.len;
    probe_host_stop(w->host, on_stopped, w);
    if (w->listener.loop) {
        uv_close((uv_handle_t *)&w->listener, NULL);
    }
}

static void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    ck_assert_int_eq(uv_loop_init(&w->loop), 0);
    w->host = probe_host_new(&w->loop);
}

/* Run till all is closed, which proves that nothing is left open. */
static void world_run(struct world *w, const struct probe_spec *spec)
{
    (void)probe_start(w->host, spec, on_done, w);
    ck_assert_int_eq(w->reports, 0); /* Never from inside the call. */
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(w->reports, 1);
    probe_host_free(w->host);
    ck_assert_int_eq(uv_loop_close(&w->loop), 0);
}

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
    ck_assert_int_eq(uv_tcp_init(&w->loop, &w->listener), 0);
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

static const struct {
    const char *name;
    const char *answer;
    bool follow;
    enum probe_result result;
    const char *text;
} http_rows[] = {
    {"200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false,
     PROBE_PASSING, ": 200 Output: ok"},
    {"204", "HTTP/1.1 204 No Content\r\n\r\n", false, PROBE_PASSING, ": 204"},
    {"429", "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", false,
     PROBE_WARNING, ": 429"},
    {"500", "HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nbad", false,
     PROBE_CRITICAL, ": 500 Output: bad"},
    {"redirect not followed",
     "HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", false,
     PROBE_CRITICAL, ": 302"},
    {"redirect for ever",
     "HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", true,
     PROBE_CRITICAL, "edirect"},
    {"redirect to a file",
     "HTTP/1.1 302 Go\r\nLocation: file:///etc/passwd\r\n"
     "Content-Length: 0\r\n\r\n",
     true, PROBE_CRITICAL, "rotocol"},
    {"not HTTP", "hello\r\n\r\n", false, PROBE_CRITICAL, "GET http://"},
    {"silence", NULL, false, PROBE_CRITICAL, "timeout after 300 ms"},
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
                      .follow_redirects = http_rows[_i].follow});
    ck_assert_msg(w.result == http_rows[_i].result, "%s: %d \"%s\"",
                  http_rows[_i].name, w.result, w.output);
    ck_assert_msg(strstr(w.output, http_rows[_i].text) != NULL, "%s: \"%s\"",
                  http_rows[_i].name, w.output);
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
    ck_assert_ptr_nonnull(strstr(w.asked, "\r\n\r\n{}"));
}
END_TEST

/* ---- Programs ---------------------------------------------------------- */

static const struct {
    const char *name;
    const char *script;
    enum probe_result result;
    const char *text;
} exec_rows[] = {
    {"exit 0", "echo fine", PROBE_PASSING, "fine\n"},
    {"exit 1", "echo so-so; exit 1", PROBE_WARNING, "so-so\n"},
    {"exit 2", "echo bad >&2; exit 2", PROBE_CRITICAL, "bad\n"},
    {"signal", "echo x; kill -TERM $$", PROBE_CRITICAL, "killed by signal 15"},
    {"too long", "sleep 30 & sleep 30", PROBE_CRITICAL, "timeout after"},
    {"a daemon holds the pipe", "echo up; sleep 2 & exit 0", PROBE_PASSING,
     "up\n"},
    {"no output", "exit 0", PROBE_PASSING, ""},
};

START_TEST(exec_exit_decides)
{
    const char *args[] = {"/bin/sh", "-c", exec_rows[_i].script, NULL};
    struct world w;

    world_init(&w);
    world_run(&w, &(struct probe_spec){
                      .type = PROBE_EXEC, .timeout_ms = 1000, .args = args});
    ck_assert_msg(w.result == exec_rows[_i].result, "%s: %d \"%s\"",
                  exec_rows[_i].name, w.result, w.output);
    ck_assert_msg(strstr(w.output, exec_rows[_i].text) != NULL, "%s: \"%s\"",
                  exec_rows[_i].name, w.output);
}
END_TEST

START_TEST(exec_output_is_cut)
{
    const char *args[] = {"/bin/sh", "-c",
                          "i=0; while [ $i -lt 3000 ]; do echo 0123456789; "
                          "i=$((i+1)); done; exit 1",
                          NULL};
    struct world w;

    world_init(&w);
    world_run(&w, &(struct probe_spec){.type = PROBE_EXEC,
                                       .timeout_ms = 20000,
                                       .output_max = 100,
                                       .args = args});
    ck_assert_int_eq(w.result, PROBE_WARNING);
    ck_assert_uint_eq(w.output_len, 100);
}
END_TEST

START_TEST(exec_unknown_program_is_critical)
{
    const char *args[] = {"/no/such/program", NULL};
    struct world w;

    world_init(&w);
    world_run(&w, &(struct probe_spec){
                      .type = PROBE_EXEC, .timeout_ms = 1000, .args = args});
    ck_assert_int_eq(w.result, PROBE_CRITICAL);
    ck_assert_ptr_nonnull(strstr(w.output, "cannot run /no/such/program"));
}
END_TEST

/* At the deadline the whole session dies: the pipe's last holder is the
 * grandchild, so its end shows that it is gone. */
START_TEST(exec_timeout_kills_grandchildren)
{
    const char *args[] = {"/bin/sh", "-c", NULL, NULL};
    char script[128];
    struct world w;
    int ends[2];
    char byte;

    ck_assert_int_eq(pipe(ends), 0);
    (void)snprintf(script, sizeof(script),
                   "exec 9>/proc/%d/fd/%d; (trap '' TERM; sleep 60) & wait",
                   (int)getpid(), ends[1]);
    args[2] = script;
    world_init(&w);
    world_run(&w, &(struct probe_spec){
                      .type = PROBE_EXEC, .timeout_ms = 500, .args = args});
    ck_assert_int_eq(w.result, PROBE_CRITICAL);
    close(ends[1]);
    alarm(10);
    ck_assert_int_eq(read(ends[0], &byte, 1), 0);
    alarm(0);
    close(ends[0]);
}
END_TEST

/* ---- Cancel ------------------------------------------------------------ */

START_TEST(canceled_probes_stay_silent)
{
    const char *args[] = {"/bin/sleep", "60", NULL};
    struct world w;
    char target[64];
    char url[80];
    struct probe *probes[3];

    world_init(&w);
    (void)snprintf(target, sizeof(target), "127.0.0.1:%d", world_listen(&w));
    (void)snprintf(url, sizeof(url), "http://%s/", target);
    probes[0] =
        probe_start(w.host,
                    &(struct probe_spec){
                        .type = PROBE_EXEC, .timeout_ms = 60000, .args = args},
                    on_done, &w);
    probes[1] =
        probe_start(w.host,
                    &(struct probe_spec){
                        .type = PROBE_HTTP, .timeout_ms = 60000, .target = url},
                    on_done, &w);
    probes[2] = probe_start(w.host,
                            &(struct probe_spec){.type = PROBE_TCP,
                                                 .timeout_ms = 60000,
                                                 .target = target},
                            on_done, &w);
    (void)uv_run(&w.loop, UV_RUN_NOWAIT);
    probe_cancel(probes[0]);
    probe_host_stop(w.host, on_stopped, &w); /* Cancels the others. */
    uv_close((uv_handle_t *)&w.listener, NULL);
    (void)probes;
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(w.reports, 0);
    probe_host_free(w.host);
    ck_assert_int_eq(uv_loop_close(&w.loop), 0);
}
END_TEST

UNIT_MAIN("probe", {
    tcase_add_test(tc, tcp_open_port_passes);
    tcase_add_test(tc, tcp_name_with_two_families_passes);
    tcase_add_loop_test(tc, tcp_trouble_is_critical, 0, COUNT_OF(tcp_bad));
    tcase_add_loop_test(tc, http_status_decides, 0, COUNT_OF(http_rows));
    tcase_add_test(tc, http_sends_what_was_asked_for);
    tcase_add_loop_test(tc, exec_exit_decides, 0, COUNT_OF(exec_rows));
    tcase_add_test(tc, exec_output_is_cut);
    tcase_add_test(tc, exec_unknown_program_is_critical);
    tcase_add_test(tc, exec_timeout_kills_grandchildren);
    tcase_add_test(tc, canceled_probes_stay_silent);
})
