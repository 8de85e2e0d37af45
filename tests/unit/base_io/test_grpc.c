#include "base/core/limits.h"
#include "echo.h"
#include "suite.h"

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

START_TEST(the_server_minds_the_deadline_too)
{
    struct grpc_metadata timeout = {"grpc-timeout", "50000u"};
    struct outcome o;
    struct grpc_stream_hooks hooks = {.ctx = &o, .on_closed = on_stream_closed};

    begin();
    outcome_init(&o);
    (void)grpc_stream_open(world.channel, "/test.Echo/Each", &timeout, 1,
                           hooks);
    world_run();
    ck_assert_int_eq(o.code, GRPC_DEADLINE_EXCEEDED);
    ck_assert_str_eq(o.text, "context deadline exceeded");
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

START_TEST(who_asks_without_reading_is_refused)
{
    struct outcome o;
    struct grpc_stream *s;

    begin();
    s = open_stream("/test.Echo/Much", &o);
    for (int i = 0; i < 100; i++) { /* They arrive together. */
        grpc_stream_send(s, slice_str("x"));
    }
    grpc_stream_half_close(s);
    world_run();
    ck_assert_int_eq(o.code, GRPC_RESOURCE_EXHAUSTED);
    ck_assert_uint_le(o.bytes, LIMIT_CONN_OUT_BYTES + MUCH_BYTES);
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

UNIT_MAIN("grpc", {
    tcase_add_loop_test(tc, a_message_comes_back, 0, COUNT_OF(echoes));
    tcase_add_loop_test(tc, trouble_has_code_and_text, 0, COUNT_OF(refusals));
    tcase_add_test(tc, many_calls_at_once);
    tcase_add_test(tc, the_deadline_ends_it_on_both_sides);
    tcase_add_test(tc, a_cancel_reaches_the_server);
    tcase_add_test(tc, a_stream_keeps_its_order);
    tcase_add_test(tc, metadata_arrives);
    tcase_add_test(tc, the_server_minds_the_deadline_too);
    tcase_add_test(tc, a_missing_request_is_told);
    tcase_add_test(tc, a_sender_is_held_back_and_told_to_go_on);
    tcase_add_test(tc, a_big_reply_passes_all_windows);
    tcase_add_test(tc, who_asks_without_reading_is_refused);
    tcase_add_test(tc, nobody_listens);
    tcase_add_loop_test(tc, a_bad_target_is_told, 0, COUNT_OF(bad_targets));
    tcase_add_test(tc, a_name_is_resolved);
    tcase_add_test(tc, closing_ends_what_is_under_way);
    tcase_add_test(tc, a_stopping_server_finishes_calls);
    tcase_add_test(tc, a_silent_server_is_noticed);
    tcase_add_test(tc, a_server_that_falls_silent_is_noticed);
})
