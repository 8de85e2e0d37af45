#include <errno.h>
#include <stdlib.h>

#include "suite.h"
#include "world.h"

#define MESSAGE_MAX (2 * 1024 * 1024)

/* ---- the server's methods ---- */

struct seen {
    unsigned opened;
    unsigned closed;
    enum grpc_code last;
    unsigned handled;
    size_t queued_max;
    size_t flood_left;
};

static struct seen seen;

static void count_open(struct grpc_call *call)
{
    ck_assert_ptr_null(grpc_call_data(call));
    grpc_call_set_data(call, &seen);
    seen.opened++;
}

static void count_closed(struct grpc_call *call)
{
    ck_assert_ptr_eq(grpc_call_data(call), &seen);
    ck_assert(grpc_call_over(call));
    grpc_call_send(call, slice_str("too late, without effect"));
    grpc_call_finish(call, GRPC_OK, NULL);
    seen.closed++;
}

static void count_handled(const struct grpc_method *method, void *ctx,
                          enum grpc_code code)
{
    ck_assert_ptr_nonnull(method);
    ck_assert_ptr_eq(ctx, &seen);
    seen.handled++;
    seen.last = code;
}

static void echo(struct grpc_call *call, struct slice message)
{
    grpc_call_send(call, message);
    grpc_call_finish(call, GRPC_OK, NULL);
}

static void echo_in_place(struct grpc_call *call, struct slice message)
{
    struct buf *out = grpc_call_begin_message(call);

    ck_assert_int_eq(buf_add_str(out, "taken back"), ST_OK);
    grpc_call_abandon_message(call);
    out = grpc_call_begin_message(call);
    ck_assert_int_eq(buf_add(out, message), ST_OK);
    grpc_call_end_message(call);
    grpc_call_finish(call, GRPC_OK, NULL);
}

static void echo_each(struct grpc_call *call, struct slice message)
{
    struct slice pieces[] = {slice_str("<"), message, slice_str(">")};

    grpc_call_sendv(call, pieces, 3);
}

static void finish_ok(struct grpc_call *call)
{
    grpc_call_finish(call, GRPC_OK, "");
}

static void never(struct grpc_call *call, struct slice message)
{
    (void)message;
    ck_assert_ptr_eq(grpc_call_ctx(call), &seen);
    ck_assert_str_eq(grpc_call_method(call)->path, "/test.Echo/Never");
    world_done(); /* So that a test can act when it has arrived. */
}

static void refuse(struct grpc_call *call, struct slice message)
{
    (void)message;
    grpc_call_finish(call, GRPC_NOT_FOUND, "50% of \n nothing \xc3\xa4");
}

static void show_metadata(struct grpc_call *call, struct slice message)
{
    struct slice token = grpc_call_metadata(call, "token");

    (void)message;
    ck_assert_ptr_null(grpc_call_metadata(call, "absent").data);
    ck_assert_int_eq(strncmp(grpc_call_peer(call), "127.0.0.1:", 10), 0);
    grpc_call_send(call, token);
    grpc_call_finish(call, GRPC_OK, NULL);
}

#define FLOOD_BYTES (8 * 1024 * 1024)
#define FLOOD_PIECE (32 * 1024)

static void flood_on(struct grpc_call *call)
{
    static const uint8_t piece[FLOOD_PIECE];

    while (seen.flood_left > 0 &&
           grpc_call_queued_bytes(call) < GRPC_HIGH_WATER) {
        grpc_call_send(call, slice_of(piece, sizeof(piece)));
        seen.flood_left -= FLOOD_PIECE;
    }
    if (grpc_call_queued_bytes(call) > seen.queued_max) {
        seen.queued_max = grpc_call_queued_bytes(call);
    }
    if (seen.flood_left == 0) {
        grpc_call_finish(call, GRPC_OK, NULL);
    }
}

static void flood(struct grpc_call *call, struct slice message)
{
    (void)message;
    seen.flood_left = FLOOD_BYTES;
    flood_on(call);
}

static void big(struct grpc_call *call, struct slice message)
{
    uint8_t *bytes = malloc(20 << 20);

    (void)message;
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'b', 20 << 20);
    grpc_call_send(call, slice_of(bytes, 20 << 20));
    grpc_call_finish(call, GRPC_OK, NULL);
    free(bytes);
}

#define METHOD(name, kind, ...)                                                \
    {                                                                          \
        .path = "/test.Echo/" name, .requests = (kind), .on_open = count_open, \
        .on_closed = count_closed, __VA_ARGS__                                 \
    }

static const struct grpc_method methods[] = {
    METHOD("Echo", GRPC_ONE_REQUEST, .on_message = echo),
    METHOD("InPlace", GRPC_ONE_REQUEST, .on_message = echo_in_place),
    METHOD("Each", GRPC_MANY_REQUESTS, .on_message = echo_each,
           .on_half_closed = finish_ok),
    METHOD("Never", GRPC_ONE_REQUEST, .on_message = never),
    METHOD("Refuse", GRPC_ONE_REQUEST, .on_message = refuse),
    METHOD("Metadata", GRPC_ONE_REQUEST, .on_message = show_metadata),
    METHOD("Flood", GRPC_ONE_REQUEST, .on_message = flood,
           .on_drained = flood_on),
    METHOD("Big", GRPC_ONE_REQUEST, .on_message = big),
};

static const struct grpc_methods service = {
    .ctx = &seen,
    .methods = methods,
    .count = sizeof(methods) / sizeof(methods[0]),
    .message_bytes_max = MESSAGE_MAX,
    .on_handled = count_handled,
};

static void begin(void)
{
    struct grpc_channel_config config = {0};
    struct grpc_channel_hooks hooks = {0};

    seen = (struct seen){0};
    world_init();
    world_serve(&service, NULL, NULL);
    world_open(&config, hooks);
}

static void end(void)
{
    world_release();
    ck_assert_uint_eq(seen.opened, seen.closed);
}

static struct outcome call(const char *path, struct slice request,
                           uint64_t timeout_ms)
{
    struct outcome o;

    outcome_init(&o);
    (void)grpc_unary(world.channel, path, request, timeout_ms, on_outcome, &o);
    while (!o.over) {
        world_run();
    }
    return o;
}

/* ---- one request, one reply ---- */

static const struct {
    const char *path;
    size_t len;
} echoes[] = {
    {"/test.Echo/Echo", 0},           {"/test.Echo/Echo", 1},
    {"/test.Echo/Echo", 100},         {"/test.Echo/Echo", 16384},
    {"/test.Echo/Echo", 65536},       {"/test.Echo/Echo", 300000},
    {"/test.Echo/Echo", MESSAGE_MAX}, {"/test.Echo/InPlace", 0},
    {"/test.Echo/InPlace", 70000},
};

START_TEST(a_message_comes_back)
{
    size_t len = echoes[_i].len;
    uint8_t *bytes = malloc(len + 1);
    struct outcome o;

    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    }
    begin();
    for (int i = 0; i < 3; i++) { /* Pooled calls are like new ones. */
        o = call(echoes[_i].path, slice_of(bytes, len), 0);
        ck_assert_int_eq(o.code, GRPC_OK);
        ck_assert_str_eq(o.text, "");
        ck_assert(slice_eq(buf_slice(&o.reply), slice_of(bytes, len)));
        buf_release(&o.reply);
    }
    end();
    ck_assert_uint_eq(seen.handled, 3);
    free(bytes);
}
END_TEST

static const struct {
    const char *path;
    size_t len;
    enum grpc_code code;
    const char *text;
} refusals[] = {
    {"/test.Echo/Nope", 1, GRPC_UNIMPLEMENTED,
     "unknown method Nope for service test.Echo"},
    {"/test.Other/Echo", 1, GRPC_UNIMPLEMENTED, "unknown service test.Other"},
    {"/test", 1, GRPC_UNIMPLEMENTED, "malformed method name: \"/test\""},
    {"/test.Echo/Refuse", 1, GRPC_NOT_FOUND, "50% of \n nothing \xc3\xa4"},
    {"/test.Echo/Echo", MESSAGE_MAX + 1, GRPC_RESOURCE_EXHAUSTED,
     "grpc: received message larger than max (2097153 vs. 2097152)"},
};

START_TEST(trouble_has_code_and_text)
{
    uint8_t *bytes = calloc(1, refusals[_i].len);
    struct outcome o;

    ck_assert_ptr_nonnull(bytes);
    begin();
    o = call(refusals[_i].path, slice_of(bytes, refusals[_i].len), 0);
    ck_assert_int_eq(o.code, refusals[_i].code);
    ck_assert_str_eq(o.text, refusals[_i].text);
    ck_assert_uint_eq(o.reply.len, 0);

    /* The connection is as good as before. */
    o = call("/test.Echo/Echo", slice_str("x"), 0);
    ck_assert_int_eq(o.code, GRPC_OK);
    buf_release(&o.reply);
    end();
    free(bytes);
}
END_TEST

START_TEST(many_calls_at_once)
{
    enum {
        CALLS = 3000 /* More than streams are allowed at a time. */
    };
    struct outcome *o = calloc(CALLS, sizeof(*o));
    unsigned over = 0;

    ck_assert_ptr_nonnull(o);
    begin();
    for (unsigned i = 0; i < CALLS; i++) {
        outcome_init(&o[i]);
        (void)grpc_unary(world.channel, "/test.Echo/Echo",
                         slice_of(&i, sizeof(i)), 0, on_outcome, &o[i]);
    }
    while (over < CALLS) {
        world_run();
        for (over = 0; over < CALLS && o[over].over; over++) {
        }
    }
    for (unsigned i = 0; i < CALLS; i++) {
        ck_assert_int_eq(o[i].code, GRPC_OK);
        ck_assert(slice_eq(buf_slice(&o[i].reply), slice_of(&i, sizeof(i))));
        buf_release(&o[i].reply);
    }
    free(o);
    end();
    ck_assert_uint_eq(seen.opened, CALLS);
}
END_TEST

START_TEST(the_deadline_ends_it_on_both_sides)
{
    struct outcome o;

    begin();
    o = call("/test.Echo/Never", slice_str("x"), 100);
    ck_assert_int_eq(o.code, GRPC_DEADLINE_EXCEEDED);
    ck_assert_str_eq(o.text, "context deadline exceeded");
    o = call("/test.Echo/Echo", slice_str("x"), 60000);
    ck_assert_int_eq(o.code, GRPC_OK);
    buf_release(&o.reply);
    ck_assert_uint_eq(seen.closed, 2); /* It was told before this call. */
    end();
}
END_TEST

START_TEST(a_cancel_reaches_the_server)
{
    struct grpc_stream *s;
    struct outcome o;

    begin();
    outcome_init(&o);
    s = grpc_unary(world.channel, "/test.Echo/Never", slice_str("x"), 0,
                   on_outcome, &o);
    world_run(); /* It has arrived. */
    grpc_stream_cancel(s);
    ck_assert(!o.over); /* Not from inside. */
    world_run();
    ck_assert_int_eq(o.code, GRPC_CANCELLED);
    o = call("/test.Echo/Echo", slice_str("x"), 0);
    buf_release(&o.reply);
    ck_assert_uint_eq(seen.closed, 2);
    end();
}
END_TEST

/* ---- streams ---- */

static void on_stream_message(void *ctx, struct slice message)
{
    struct outcome *o = ctx;

    o->messages++;
    o->bytes += message.len;
    if (message.len < 100) {
        ck_assert_int_eq(buf_add(&o->reply, message), ST_OK);
    }
}

static void on_stream_closed(void *ctx, enum grpc_code code, const char *text)
{
    outcome_take(ctx, code, text);
}

static struct grpc_stream *open_stream(const char *path, struct outcome *o)
{
    struct grpc_metadata metadata[] = {{"token", "secret"}, {"other", "x"}};
    struct grpc_stream_hooks hooks = {.ctx = o,
                                      .on_message = on_stream_message,
                                      .on_closed = on_stream_closed};

    outcome_init(o);
    return grpc_stream_open(world.channel, path, metadata, 2, hooks);
}

START_TEST(a_stream_keeps_its_order)
{
    struct outcome o;
    struct grpc_stream *s;

    begin();
    s = open_stream("/test.Echo/Each", &o);
    grpc_stream_send(s, slice_str("one"));
    grpc_stream_send(s, slice_str(""));
    grpc_stream_send(s, slice_str("three"));
    grpc_stream_half_close(s);
    grpc_stream_send(s, slice_str("after the end, dropped"));
    world_run();
    ck_assert_int_eq(o.code, GRPC_OK);
    ck_assert_uint_eq(o.messages, 3);
    ck_assert(slice_eq(buf_slice(&o.reply), slice_str("<one><><three>")));
    buf_release(&o.reply);
    end();
}
END_TEST

START_TEST(metadata_arrives)
{
    struct outcome o;
    struct grpc_stream *s;

    begin();
    s = open_stream("/test.Echo/Metadata", &o);
    grpc_stream_send(s, slice_str("x"));
    world_run();
    ck_assert_int_eq(o.code, GRPC_OK);
    ck_assert(slice_eq(buf_slice(&o.reply), slice_str("secret")));
    buf_release(&o.reply);
    end();
}
END_TEST

START_TEST(a_missing_request_is_told)
{
    struct outcome o;

    begin();
    grpc_stream_half_close(open_stream("/test.Echo/Echo", &o));
    world_run();
    ck_assert_int_eq(o.code, GRPC_INTERNAL);
    ck_assert_str_eq(o.text, "the request is missing");
    end();
}
END_TEST

START_TEST(a_sender_is_held_back_and_told_to_go_on)
{
    struct outcome o;
    struct grpc_stream *s;

    begin();
    s = open_stream("/test.Echo/Flood", &o);
    grpc_stream_send(s, slice_str("x"));
    world_run();
    ck_assert_int_eq(o.code, GRPC_OK);
    ck_assert_uint_eq(o.bytes, FLOOD_BYTES);
    ck_assert_uint_le(seen.queued_max, GRPC_HIGH_WATER + FLOOD_PIECE + 5);
    end();
}
END_TEST

START_TEST(a_big_reply_passes_all_windows)
{
    struct outcome o;
    struct grpc_stream *s;

    begin();
    s = open_stream("/test.Echo/Big", &o);
    grpc_stream_send(s, slice_str("x"));
    world_run();
    ck_assert_int_eq(o.code, GRPC_OK);
    ck_assert_uint_eq(o.bytes, 20 << 20);
    end();
}
END_TEST

/* ---- lost and closed connections ---- */

static void on_failed(void *ctx, const struct err *why)
{
    char *text = ctx;

    ck_assert_str_eq(text, "");
    (void)snprintf(text, sizeof(why->text), "%s", why->text);
    world_done();
}

START_TEST(nobody_listens)
{
    char why[512] = "";
    struct grpc_channel_config config = {.target = "127.0.0.1:1"};
    struct grpc_channel_hooks hooks = {.ctx = why, .on_failed = on_failed};
    struct outcome o;

    world_init();
    world_open(&config, hooks);
    outcome_init(&o);
    (void)grpc_unary(world.channel, "/a.B/C", slice_str(""), 0, on_outcome, &o);
    world_run();
    ck_assert(o.over); /* Streams end before the owner is told. */
    ck_assert_int_eq(o.code, GRPC_UNAVAILABLE);
    ck_assert_str_eq(why, "connect to 127.0.0.1:1: connection refused");
    ck_assert(!grpc_channel_ready(world.channel));

    o = call("/a.B/C", slice_str(""), 0);
    ck_assert_int_eq(o.code, GRPC_UNAVAILABLE);
    world_release();
}
END_TEST

static const char *const bad_targets[] = {"", "x", "host:99999", "::1:80",
                                          "unix:"};

START_TEST(a_bad_target_is_told)
{
    char why[512] = "";
    struct grpc_channel_config config = {.target = bad_targets[_i]};
    struct grpc_channel_hooks hooks = {.ctx = why, .on_failed = on_failed};

    world_init();
    world_open(&config, hooks);
    ck_assert_str_eq(why, "");
    world_run();
    ck_assert_str_ne(why, "");
    world_release();
}
END_TEST

START_TEST(a_name_is_resolved)
{
    char target[40];
    struct grpc_channel_config config = {.target = target};
    struct grpc_channel_hooks hooks = {0};
    struct outcome o;

    seen = (struct seen){0};
    world_init();
    world_serve(&service, NULL, NULL);
    (void)snprintf(target, sizeof(target), "localhost:%u",
                   server_port(world.server));
    world_open(&config, hooks);
    o = call("/test.Echo/Echo", slice_str("x"), 5000);
    ck_assert_int_eq(o.code, GRPC_OK);
    buf_release(&o.reply);
    world_close_channel();

    world_open(&config, hooks); /* Closed while it resolves. */
    end();
}
END_TEST

START_TEST(closing_ends_what_is_under_way)
{
    struct outcome o;

    begin();
    outcome_init(&o);
    (void)grpc_unary(world.channel, "/test.Echo/Never", slice_str("x"), 0,
                     on_outcome, &o);
    world_run(); /* It has arrived. */
    world_close_channel();
    ck_assert(o.over);
    ck_assert_int_eq(o.code, GRPC_CANCELLED);
    end();
}
END_TEST

START_TEST(a_stopping_server_finishes_calls)
{
    char why[512] = "";
    struct grpc_channel_config config = {0};
    struct grpc_channel_hooks hooks = {.ctx = why, .on_failed = on_failed};
    struct outcome o;

    seen = (struct seen){0};
    world_init();
    world_serve(&service, NULL, NULL);
    world_open(&config, hooks);
    o = call("/test.Echo/Echo", slice_str("x"), 0);
    buf_release(&o.reply);

    outcome_init(&o);
    (void)grpc_unary(world.channel, "/test.Echo/Never", slice_str("x"), 0,
                     on_outcome, &o);
    world_run(); /* It has arrived. */
    server_stop(world.server, 300, world_on_stopped, NULL);
    world.server = NULL;
    world_run();
    while (!o.over || why[0] == '\0') {
        world_run();
    }
    ck_assert_int_eq(o.code, GRPC_UNAVAILABLE); /* Its grace was over. */
    ck_assert_uint_eq(seen.closed, 2);
    end();
}
END_TEST

START_TEST(a_silent_server_is_noticed)
{
    char why[512] = "";
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct grpc_channel_config config = {.connect_timeout_ms = 200};
    struct grpc_channel_hooks hooks = {.ctx = why, .on_failed = on_failed};
    char wanted[400];

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    ck_assert_int_eq(listen(fd, 5), 0); /* The kernel accepts; nobody reads. */
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    world_init();
    (void)snprintf(world.target, sizeof(world.target), "127.0.0.1:%u",
                   ntohs(sin.sin_port));
    world_open(&config, hooks);
    world_run();
    (void)snprintf(wanted, sizeof(wanted), "connect to %s: timed out",
                   world.target);
    ck_assert_str_eq(why, wanted);
    world_release();
    (void)close(fd);
}
END_TEST

START_TEST(a_server_that_falls_silent_is_noticed)
{
    static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    char why[512] = "";
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct grpc_channel_config config = {.keepalive_ms = 50,
                                         .keepalive_timeout_ms = 100};
    struct grpc_channel_hooks hooks = {.ctx = why, .on_failed = on_failed};
    int conn;

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    world_init();
    (void)snprintf(world.target, sizeof(world.target), "127.0.0.1:%u",
                   ntohs(sin.sin_port));
    world_open(&config, hooks);
    conn = accept(fd, NULL, NULL); /* The kernel has connected them. */
    ck_assert_int_eq(send(conn, settings, sizeof(settings), 0),
                     sizeof(settings));
    world_run();
    ck_assert_ptr_nonnull(strstr(why, "no answer to a ping"));
    world_release();
    (void)close(conn);
    (void)close(fd);
}
END_TEST

/* ---- bytes that no honest client sends ---- */

#define PREFACE  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"

static const struct {
    const char *name;
    const char *bytes;
    size_t len;
} garbage[] = {
#define ROW(name, bytes)               \
    {                                  \
        name, bytes, sizeof(bytes) - 1 \
    }
    ROW("HTTP/1 where only gRPC is spoken", "GET / HTTP/1.1\r\n\r\n"),
    ROW("TLS where it is plain", "\x16\x03\x01\x02\x00\x01\x00\x01"),
    ROW("a preface that goes wrong", "PRI * HTTP/9.9\r\n\r\nXX\r\n\r\n"),
    ROW("a request for something else as the first frame",
        PREFACE "\0\0\1\0\0\0\0\0\1x"),
    ROW("a frame longer than allowed",
        PREFACE SETTINGS "\xff\xff\xff\0\0\0\0\0\1"),
    ROW("headers that are no HPACK",
        PREFACE SETTINGS "\0\0\2\1\5\0\0\0\1\xff\xff\xff\xff\xff"),
    ROW("data on a stream that is not open",
        PREFACE SETTINGS "\0\0\1\0\1\0\0\0\5x"),
    ROW("settings with a length that is wrong",
        PREFACE SETTINGS "\0\0\1\4\0\0\0\0\0x"),
#undef ROW
};

/* Read until the server closes. */
static void on_readable(uv_poll_t *poll, int error, int events)
{
    int fd;
    char bytes[4096];

    (void)events;
    ck_assert_int_eq(error, 0);
    ck_assert_int_eq(uv_fileno((uv_handle_t *)poll, &fd), 0);
    if (recv(fd, bytes, sizeof(bytes), 0) <= 0) {
        ck_assert_int_eq(uv_poll_stop(poll), 0);
        world_done();
    }
}

START_TEST(garbage_closes_the_connection)
{
    uv_poll_t poll;
    int fd;
    struct outcome o;

    begin();
    fd = world_dial();
    ck_assert_int_eq(send(fd, garbage[_i].bytes, garbage[_i].len, 0),
                     (ssize_t)garbage[_i].len);
    ck_assert_int_eq(uv_poll_init(loop_uv(world.loop), &poll, fd), 0);
    ck_assert_int_eq(uv_poll_start(&poll, UV_READABLE, on_readable), 0);
    world_run();
    uv_close((uv_handle_t *)&poll, NULL);

    o = call("/test.Echo/Echo", slice_str("x"), 0); /* Others do not notice. */
    ck_assert_int_eq(o.code, GRPC_OK);
    buf_release(&o.reply);
    end();
    (void)close(fd);
}
END_TEST

/* What is repeated until the server has had enough. %: the stream's number,
 * three bytes. HEADERS: :method POST, :scheme http, :path, content-type. */
static const struct {
    const char *name;
    const char *frames;
    size_t len;
} floods[] = {
#define ROW(name, frames)                \
    {                                    \
        name, frames, sizeof(frames) - 1 \
    }
    ROW("pings whose answers nobody reads", "\0\0\x08\6\0\0\0\0\0"
                                            "12345678"),
    ROW("settings whose answers nobody reads", "\0\0\0\4\0\0\0\0\0"),
    ROW("calls that are cancelled at once",
        "\0\0\x27\1\4\0%"
        "\x83\x86\x04\x10/test.Echo/Never\x0f\x10\x10"
        "application/grpc"
        "\0\0\4\3\0\0%\0\0\0\x08"),
#undef ROW
};

/* The frames of a row, for stream `number`. */
static size_t flood_frames(uint8_t *to, int row, unsigned number)
{
    size_t len = 0;

    for (size_t i = 0; i < floods[row].len; i++) {
        if (floods[row].frames[i] != '%') {
            to[len++] = (uint8_t)floods[row].frames[i];
            continue;
        }
        to[len++] = (uint8_t)(number >> 16);
        to[len++] = (uint8_t)(number >> 8);
        to[len++] = (uint8_t)number;
    }
    return len;
}

#define FLOOD_FRAMES_MAX 4000000

START_TEST(floods_end_the_connection)
{
    static uint8_t bytes[64 * 128];
    unsigned sent = 0;
    int room = 4096; /* So that the server soon finds that nobody reads. */
    int fd;

    begin();
    fd = world_dial();
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)),
                     0);
    ck_assert_int_eq(send(fd, PREFACE SETTINGS, 33, 0), 33);
    while (server_connections(world.server) < 2) { /* The channel's, this. */
        (void)uv_run(loop_uv(world.loop), UV_RUN_ONCE);
    }
    for (unsigned number = 1;; number += 2) {
        size_t len = flood_frames(bytes, _i, number);
        ssize_t count = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (count < 0 && errno != EAGAIN) {
            break; /* The server has closed. */
        }
        if (count == (ssize_t)len) {
            ck_assert_uint_lt(++sent, FLOOD_FRAMES_MAX);
        } else {
            ck_assert_int_lt(count, 0); /* Small frames go whole or not. */
            number -= 2;
        }
        if (sent % 64 == 0 || count < 0) {
            (void)uv_run(loop_uv(world.loop), UV_RUN_NOWAIT);
        }
        if (server_connections(world.server) < 2) {
            break;
        }
    }
    ck_assert_uint_gt(sent, 1000); /* Not because of a single one. */
    (void)close(fd);
    end();
}
END_TEST

UNIT_MAIN("grpc", {
    tcase_add_loop_test(tc, floods_end_the_connection, 0, COUNT_OF(floods));
    tcase_add_loop_test(tc, a_message_comes_back, 0, COUNT_OF(echoes));
    tcase_add_loop_test(tc, trouble_has_code_and_text, 0, COUNT_OF(refusals));
    tcase_add_test(tc, many_calls_at_once);
    tcase_add_test(tc, the_deadline_ends_it_on_both_sides);
    tcase_add_test(tc, a_cancel_reaches_the_server);
    tcase_add_test(tc, a_stream_keeps_its_order);
    tcase_add_test(tc, metadata_arrives);
    tcase_add_test(tc, a_missing_request_is_told);
    tcase_add_test(tc, a_sender_is_held_back_and_told_to_go_on);
    tcase_add_test(tc, a_big_reply_passes_all_windows);
    tcase_add_test(tc, nobody_listens);
    tcase_add_loop_test(tc, a_bad_target_is_told, 0, COUNT_OF(bad_targets));
    tcase_add_test(tc, a_name_is_resolved);
    tcase_add_test(tc, closing_ends_what_is_under_way);
    tcase_add_test(tc, a_stopping_server_finishes_calls);
    tcase_add_test(tc, a_silent_server_is_noticed);
    tcase_add_test(tc, a_server_that_falls_silent_is_noticed);
    tcase_add_loop_test(tc, garbage_closes_the_connection, 0,
                        COUNT_OF(garbage));
})
