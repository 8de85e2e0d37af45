#include <errno.h>

#include "echo.h"
#include "suite.h"

/* Bytes that no client of ours sends. */

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

/* HEADERS of a call of Echo on stream 1, with :method, :scheme, :path and
 * content-type; then frames of data. What the server made of it is told by the
 * code that it counted; -1: it was no call at all. */
#define ECHO_HEADERS(type)                                \
    "\0\0\x26\1\4\0\0\0\1\x83\x86\x04\x0f/test.Echo/Echo" \
    "\x0f\x10\x10" type

static const struct {
    const char *name;
    const char *frames;
    size_t len;
    int code;
} requests[] = {
#define ROW(name, code, frames)                \
    {                                          \
        name, frames, sizeof(frames) - 1, code \
    }
    ROW("whole in a frame", GRPC_OK,
        ECHO_HEADERS("application/grpc") "\0\0\6\0\1\0\0\0\1"
                                         "\0\0\0\0\1x"),
    ROW("in two frames and an empty one", GRPC_OK,
        ECHO_HEADERS("application/grpc") "\0\0\3\0\0\0\0\0\1"
                                         "\0\0\0"
                                         "\0\0\3\0\0\0\0\0\1"
                                         "\0\1x"
                                         "\0\0\0\0\1\0\0\0\1"),
    ROW("padded", GRPC_OK,
        ECHO_HEADERS("application/grpc") "\0\0\x09\0\x09\0\0\0\1"
                                         "\2\0\0\0\0\1x\0\0"),
    ROW("a second message", GRPC_OK,
        ECHO_HEADERS("application/grpc") "\0\0\x0c\0\1\0\0\0\1"
                                         "\0\0\0\0\1x\0\0\0\0\1y"),
    ROW("without an end", GRPC_OK,
        ECHO_HEADERS("application/grpc") "\0\0\6\0\0\0\0\0\1"
                                         "\0\0\0\0\1x"),
    ROW("compressed", GRPC_UNIMPLEMENTED,
        ECHO_HEADERS("application/grpc") "\0\0\6\0\1\0\0\0\1"
                                         "\1\0\0\0\1x"),
    ROW("a flag that is none", GRPC_INTERNAL,
        ECHO_HEADERS("application/grpc") "\0\0\6\0\1\0\0\0\1"
                                         "\7\0\0\0\1x"),
    ROW("an end in the middle", GRPC_INTERNAL,
        ECHO_HEADERS("application/grpc") "\0\0\6\0\1\0\0\0\1"
                                         "\0\0\0\0\2x"),
    ROW("longer than allowed", GRPC_RESOURCE_EXHAUSTED,
        ECHO_HEADERS("application/grpc") "\0\0\6\0\0\0\0\0\1"
                                         "\0\x7f\xff\xff\xffx"),
    ROW("cancelled before the end", GRPC_CANCELLED,
        ECHO_HEADERS("application/grpc") "\0\0\4\3\0\0\0\0\1\0\0\0\x08"),
    ROW("not gRPC", -1,
        ECHO_HEADERS("application/json") "\0\0\6\0\1\0\0\0\1"
                                         "\0\0\0\0\1x"),
    ROW("almost gRPC", -1,
        ECHO_HEADERS("application/grpX") "\0\0\6\0\1\0\0\0\1"
                                         "\0\0\0\0\1x"),
#undef ROW
};

START_TEST(frames_are_understood)
{
    struct outcome o;
    int fd;

    begin();
    seen.last = -1;
    fd = world_dial();
    ck_assert_int_eq(send(fd, PREFACE SETTINGS, 33, 0), 33);
    ck_assert_int_eq(send(fd, requests[_i].frames, requests[_i].len, 0),
                     (ssize_t)requests[_i].len);
    while (server_connections(world.server) < 2) {
        (void)uv_run(loop_uv(world.loop), UV_RUN_ONCE);
    }
    for (int turn = 0; turn < 5; turn++) { /* What is there is read. */
        (void)uv_run(loop_uv(world.loop), UV_RUN_NOWAIT);
    }
    ck_assert_msg((int)seen.last == requests[_i].code, "%s: %d",
                  requests[_i].name, (int)seen.last);
    ck_assert_uint_eq(server_connections(world.server), 2);

    o = call("/test.Echo/Echo", slice_str("x"), 0); /* Others do not notice. */
    ck_assert_int_eq(o.code, GRPC_OK);
    buf_release(&o.reply);
    (void)close(fd);
    end();
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

#define WINDOW_ZERO "\0\0\6\4\0\0\0\0\0\0\4\0\0\0\0"
#define EACH_HEADERS                                      \
    "\0\0\x26\1\4\0\0\0\1\x83\x86\x04\x0f/test.Echo/Each" \
    "\x0f\x10\x10"                                        \
    "application/grpc"

/* Who reads no answer may not ask for ever: the window stays shut, and this
 * client, which minds no window, loses its call. */
START_TEST(unread_answers_shut_the_window)
{
    static const char head[] = PREFACE WINDOW_ZERO EACH_HEADERS;
    static uint8_t frame[9 + 16384] = {0, 0x40, 0, 0, 0, 0, 0, 0, 1};
    int fd;

    begin();
    seen.last = -1;
    frame[12] = 0x3f; /* One message that fills the frame. */
    frame[13] = 0xfb;
    fd = world_dial();
    ck_assert_int_eq(send(fd, head, sizeof(head) - 1, 0), sizeof(head) - 1);
    for (int i = 0; i < 256 && (int)seen.last == -1; i++) {
        ck_assert_int_eq(send(fd, frame, sizeof(frame), 0), sizeof(frame));
        (void)uv_run(loop_uv(world.loop), UV_RUN_NOWAIT);
    }
    ck_assert_int_ne((int)seen.last, -1);
    (void)close(fd);
    end();
}
END_TEST

UNIT_MAIN("grpc_raw", {
    tcase_add_test(tc, unread_answers_shut_the_window);
    tcase_add_loop_test(tc, frames_are_understood, 0, COUNT_OF(requests));
    tcase_add_loop_test(tc, floods_end_the_connection, 0, COUNT_OF(floods));
    tcase_add_loop_test(tc, garbage_closes_the_connection, 0,
                        COUNT_OF(garbage));
})
