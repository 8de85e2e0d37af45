#include "live.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "../store_io/scratch.h"
#include "base/core/pb.h"
#include "base/io/grpc_client.h"
#include "base/io/loop.h"
#include "store/io/member_thread.h"

enum {
    PATIENCE_MS = 10000,
    QUEUE_MAX = 64,
    ANSWER_MAX = 64 * 1024 * 1024
};

struct live {
    char path[64];
    struct member_thread *member;
    struct loop *loop;
    struct grpc_channel *channel;
    bool channel_closed;
    uv_timer_t patience;
    bool done;
    struct live_answer answer;
    struct buf bytes;
    char text[256];
};

struct live_stream {
    struct live *live;
    struct grpc_stream *stream;
    struct buf queue[QUEUE_MAX]; /* Messages not taken yet. */
    size_t first;
    size_t count;
    struct buf taken;
    bool ended;
    enum grpc_code code;
};

static void on_impatient(uv_timer_t *timer)
{
    (void)timer;
    ck_abort_msg("waited too long for an answer");
}

static void run(struct live *l)
{
    ck_assert_int_eq(uv_timer_start(&l->patience, on_impatient, PATIENCE_MS, 0),
                     0);
    loop_run(l->loop);
    ck_assert_int_eq(uv_timer_stop(&l->patience), 0);
}

static void on_fatal(void *ctx, const struct err *why)
{
    (void)ctx;
    ck_abort_msg("the member stops: %s", why->text);
}

static void start(struct live *l)
{
    struct member_config config;
    struct member_hooks hooks = {.on_fatal = on_fatal};
    struct grpc_channel_config channel = {0};
    struct err err = {""};

    member_config_init(&config);
    config.name = "live";
    config.data_dir = l->path;
    config.listen_client_urls = "http://127.0.0.1:0";
    config.listen_peer_urls = NULL;
    config.max_request_bytes = 64 * 1024;
    config.max_txn_ops = 16;
    config.progress_notify_interval_ms = 100;
    ck_assert_msg(member_thread_start(&config, hooks, &l->member, &err) ==
                      ST_OK,
                  "%s", err.text);
    channel.target = member_thread_client_url(l->member) + strlen("http://");
    l->channel = grpc_channel_open(l->loop, &channel,
                                   (struct grpc_channel_hooks){.ctx = l});
}

static void on_channel_closed(void *ctx)
{
    struct live *l = ctx;

    l->channel_closed = true;
    loop_stop(l->loop);
}

static void stop(struct live *l)
{
    l->channel_closed = false;
    grpc_channel_close(l->channel, on_channel_closed, l);
    while (!l->channel_closed) {
        run(l);
    }
    member_thread_stop(l->member);
}

struct live *live_new(void)
{
    struct live *l = calloc(1, sizeof(*l));

    ck_assert_ptr_nonnull(l);
    scratch_make(l->path);
    l->loop = loop_new();
    ck_assert_int_eq(uv_timer_init(loop_uv(l->loop), &l->patience), 0);
    buf_init(&l->bytes, ANSWER_MAX);
    start(l);
    return l;
}

void live_restart(struct live *l)
{
    stop(l);
    start(l);
}

void live_free(struct live *l)
{
    stop(l);
    uv_close((uv_handle_t *)&l->patience, NULL);
    loop_free(l->loop);
    buf_release(&l->bytes);
    scratch_remove(l->path);
    free(l);
}

/* --- Calls --- */

static void on_answer(void *ctx, enum grpc_code code, const char *text,
                      struct slice reply)
{
    struct live *l = ctx;

    buf_clear(&l->bytes);
    ck_assert_int_eq(buf_add(&l->bytes, reply), ST_OK);
    (void)snprintf(l->text, sizeof(l->text), "%s", text);
    l->answer = (struct live_answer){code, l->text, buf_slice(&l->bytes)};
    l->done = true;
    loop_stop(l->loop);
}

struct live_answer live_call(struct live *l, const char *path,
                             struct slice request)
{
    l->done = false;
    (void)grpc_unary(l->channel, path, request, PATIENCE_MS, on_answer, l);
    while (!l->done) {
        run(l);
    }
    return l->answer;
}

/* --- Streams --- */

static void on_message(void *ctx, struct slice message)
{
    struct live_stream *s = ctx;
    struct buf *b = &s->queue[(s->first + s->count) % QUEUE_MAX];

    ck_assert_uint_lt(s->count, QUEUE_MAX);
    buf_init(b, ANSWER_MAX);
    ck_assert_int_eq(buf_add(b, message), ST_OK);
    s->count++;
    loop_stop(s->live->loop);
}

static void on_stream_closed(void *ctx, enum grpc_code code, const char *text)
{
    struct live_stream *s = ctx;

    (void)text;
    s->ended = true;
    s->code = code;
    loop_stop(s->live->loop);
}

struct live_stream *live_open(struct live *l, const char *path)
{
    struct live_stream *s = calloc(1, sizeof(*s));

    ck_assert_ptr_nonnull(s);
    s->live = l;
    s->stream = grpc_stream_open(
        l->channel, path, NULL, 0,
        (struct grpc_stream_hooks){
            .ctx = s, .on_message = on_message, .on_closed = on_stream_closed});
    return s;
}

void live_send(struct live_stream *s, struct slice message)
{
    grpc_stream_send(s->stream, message);
}

struct slice live_next(struct live_stream *s)
{
    while (s->count == 0 && !s->ended) {
        run(s->live);
    }
    buf_release(&s->taken);
    if (s->count == 0) {
        return (struct slice){0};
    }
    s->taken = s->queue[s->first];
    s->first = (s->first + 1) % QUEUE_MAX;
    s->count--;
    return buf_slice(&s->taken);
}

void live_expect_silence(struct live_stream *s)
{
    (void)live_call(s->live, "/etcdserverpb.Maintenance/Status",
                    (struct slice){0});
    ck_assert_uint_eq(s->count, 0);
    ck_assert(!s->ended);
}

void live_half_close(struct live_stream *s)
{
    grpc_stream_half_close(s->stream);
}

enum grpc_code live_end(struct live_stream *s)
{
    enum grpc_code code;

    while (!s->ended) {
        run(s->live);
    }
    while (s->count > 0) {
        (void)live_next(s);
    }
    buf_release(&s->taken);
    code = s->code;
    free(s);
    return code;
}

void live_cancel(struct live_stream *s)
{
    if (!s->ended) {
        grpc_stream_cancel(s->stream);
    }
    (void)live_end(s);
}

/* --- HTTP --- */

static int connect_to(const struct live *l)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *url = member_thread_client_url(l->member);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)),
                     0);
    return fd;
}

const char *live_get(struct live *l, const char *method, const char *path)
{
    char request[256];
    char part[4096];
    const char *body;
    ssize_t len;
    int fd = connect_to(l);

    len = snprintf(request, sizeof(request),
                   "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                   method, path);
    ck_assert_int_eq(write(fd, request, (size_t)len), len);
    buf_clear(&l->bytes);
    while ((len = read(fd, part, sizeof(part))) > 0) {
        ck_assert_int_eq(buf_add(&l->bytes, slice_of(part, (size_t)len)),
                         ST_OK);
    }
    ck_assert_int_eq(len, 0);
    ck_assert_int_eq(close(fd), 0);
    body = strstr(buf_cstr(&l->bytes), "\r\n\r\n");
    ck_assert_ptr_nonnull(body);

    char *answer = (char *)l->bytes.data;
    char status[4] = "";

    memcpy(status, answer + strlen("HTTP/1.1 "), 3);
    memmove(answer + 4, body + 4, strlen(body + 4) + 1);
    memcpy(answer, status, 3);
    answer[3] = ' ';
    return answer;
}

/* --- Fields --- */

static bool pick(struct slice message, const char *path,
                 struct pb_field *out_field)
{
    char *rest;
    unsigned number = (unsigned)strtoul(path, &rest, 10);
    struct pb_field field;
    bool found = false;

    while (pb_next(&message, &field)) {
        if (field.number == number) {
            *out_field = field;
            found = true;
        }
    }
    ck_assert_uint_eq(message.len, 0);
    return found && *rest == '.' ? pick(out_field->bytes, rest + 1, out_field)
                                 : found;
}

int64_t pick_int(struct slice message, const char *field)
{
    struct pb_field found;

    return pick(message, field, &found) ? (int64_t)found.value : 0;
}

struct slice pick_bytes(struct slice message, const char *field)
{
    struct pb_field found;

    return pick(message, field, &found) ? found.bytes : (struct slice){0};
}

size_t pick_count(struct slice message, unsigned number)
{
    struct pb_field field;
    size_t count = 0;

    while (pb_next(&message, &field)) {
        count += field.number == number;
    }
    return count;
}
