#include "base/io/line_server.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "suite.h"
#include "world.h"

/* A server that repeats lines. "keep" keeps the connection, "big" is answered
 * with half a megabyte, "bye" ends it. */

#define BIG ((size_t)512 * 1024)

static char folder[64];
static char path[100];
static unsigned lines_heard;
static unsigned heard_before_y;
static unsigned gone;
static struct owner owner;
static uv_timer_t tick; /* Of hear(). */

static void send_big(struct line_conn *c)
{
    char *big = malloc(BIG);

    ck_assert_ptr_nonnull(big);
    memset(big, 'b', BIG);
    line_send(c, slice_of(big, BIG));
    free(big);
}

static void on_line(struct line_conn *c, struct slice line)
{
    lines_heard++;
    ck_assert(line_owner(c, &owner));
    if (slice_eq(line, slice_str("big"))) {
        send_big(c);
        return;
    }
    if (slice_eq(line, slice_str("y"))) {
        heard_before_y = lines_heard;
    }
    line_send(c, line);
    line_send(c, slice_str("\n"));
    if (slice_eq(line, slice_str("keep"))) {
        line_keep(c);
    } else if (slice_eq(line, slice_str("bye"))) {
        line_finish(c);
    }
}

static void on_gone(struct line_conn *c)
{
    (void)c;
    gone++;
}

static const struct line_handler handler = {.line_max = 16,
                                            .too_long = "long\n",
                                            .too_many = "many\n",
                                            .idle_ms = 60000,
                                            .on_line = on_line,
                                            .on_gone = on_gone};

static void begin_with(const struct line_handler *h)
{
    struct server_config config;
    char address[120];
    struct err err;

    (void)snprintf(folder, sizeof(folder), "/tmp/muster-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/x.lines", folder);
    (void)snprintf(address, sizeof(address), "unix:%s", path);
    world_init();
    server_config_init(&config);
    config.address = address;
    config.lines = h;
    config.conns_max = 2;
    config.refused_max = 1;
    ck_assert_msg(server_start(world.loop, &config, &world.server, &err) ==
                      ST_OK,
                  "%s", err.text);
    ck_assert_int_eq(uv_timer_init(loop_uv(world.loop), &tick), 0);
    lines_heard = 0;
    gone = 0;
}

static void end(void)
{
    uv_close((uv_handle_t *)&tick, NULL);
    world_release();
    ck_assert_int_eq(rmdir(folder), 0);
}

static int client(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    (void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Runs the loop until so many bytes or the end have come; text is cut. */
static char heard[200];
static size_t heard_len;
static bool heard_end;

static void on_tick(uv_timer_t *timer)
{
    int fd = *(int *)timer->data;
    char room[4096];
    ssize_t got;

    while ((got = read(fd, room, sizeof(room))) > 0) {
        for (ssize_t i = 0; i < got; i++, heard_len++) {
            if (heard_len < sizeof(heard) - 1) {
                heard[heard_len] = room[i];
                heard[heard_len + 1] = '\0';
            }
        }
    }
    heard_end = got == 0;
    world_done();
}

static const char *hear(int fd, size_t len)
{
    heard_len = 0;
    heard[0] = '\0';
    heard_end = false;
    tick.data = &fd;
    ck_assert_int_eq(uv_timer_start(&tick, on_tick, 1, 1), 0);
    while (heard_len < len && !heard_end) {
        world_run();
    }
    ck_assert_int_eq(uv_timer_stop(&tick), 0);
    return heard;
}

static void await_gone(int fd)
{
    tick.data = &fd;
    ck_assert_int_eq(uv_timer_start(&tick, on_tick, 1, 1), 0);
    while (gone == 0) {
        world_run();
    }
    ck_assert_int_eq(uv_timer_stop(&tick), 0);
}

static const struct {
    const char *said;
    const char *heard;
    bool ends;
} rows[] = {
    {"a\n", "a\n", false},
    {"a\r\n", "a\n", false},
    {"\n", "\n", false},
    {"a\nb\nc\n", "a\nb\nc\n", false},
    {"a\nbye\nc\n", "a\nbye\n", true},
    {"0123456789abcdef\n", "0123456789abcdef\n", false},
    {"0123456789abcdef\r\n", "0123456789abcdef\n", false},
    {"0123456789abcdefg\n", "long\n", true},
    {"0123456789abcdefgh and no end", "long\n", true},
};

START_TEST(lines_by_row)
{
    int fd;

    begin_with(&handler);
    fd = client();
    say(fd, rows[_i].said);
    ck_assert_str_eq(hear(fd, strlen(rows[_i].heard)), rows[_i].heard);
    if (rows[_i].ends) {
        (void)hear(fd, 1);
        ck_assert(heard_end);
        ck_assert_uint_eq(heard_len, 0);
    }
    ck_assert_uint_eq(owner.uid, getuid());
    ck_assert_uint_eq(owner.groups[0], getgid());
    (void)close(fd);
    await_gone(-1);
    end();
}
END_TEST

/* A line in two parts; and the last one of a client that ends its side. */
START_TEST(parts_and_the_last_line)
{
    int fd;

    begin_with(&handler);
    fd = client();
    say(fd, "a\nbc");
    ck_assert_str_eq(hear(fd, 2), "a\n");
    say(fd, "d\ne");
    ck_assert_str_eq(hear(fd, 4), "bcd\n");
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    ck_assert_str_eq(hear(fd, 2), "e\n");
    (void)hear(fd, 1);
    ck_assert(heard_end);
    (void)close(fd);
    end();
}
END_TEST

/* It gets its answers, and is found out when it goes. */
START_TEST(kept_beyond_the_end_of_one_side)
{
    int fd;

    begin_with(&handler);
    fd = client();
    say(fd, "keep");
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    ck_assert_str_eq(hear(fd, 5), "keep\n");
    ck_assert(!heard_end);
    ck_assert_uint_eq(server_connections(world.server), 1);
    (void)close(fd);
    await_gone(-1);
    end();
}
END_TEST

/* What waits for one who does not read is bounded: its lines wait. */
START_TEST(unread_answers_hold_lines_up)
{
    int fd;
    int other;

    begin_with(&handler);
    fd = client();
    for (int i = 0; i < 100; i++) {
        say(fd, "big\n");
    }
    other = client(); /* When it is answered, the first one has been read. */
    say(other, "x\n");
    ck_assert_str_eq(hear(other, 2), "x\n");
    ck_assert_uint_lt(lines_heard, 10);
    (void)hear(fd, 100 * BIG);
    ck_assert_uint_eq(heard_len, 100 * BIG);
    say(fd, "y\n");
    ck_assert_str_eq(hear(fd, 2), "y\n");
    (void)close(fd);
    (void)close(other);
    end();
}
END_TEST

/* Who sends ten thousand lines at once gets all his answers, and another one
 * his own before that. */
START_TEST(others_have_their_turn_between_lines)
{
    int fd;
    int other;

    begin_with(&handler);
    fd = client();
    for (int i = 0; i < 100; i++) {
        say(fd,
            "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
            "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
            "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
            "\n\n\nx");
    }
    other = client();
    say(other, "y\n");
    ck_assert_str_eq(hear(other, 2), "y\n");
    ck_assert_uint_lt(heard_before_y, 200);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    (void)hear(fd, 100 * 100 + 1);
    ck_assert_uint_eq(heard_len, 100 * 100 + 1);
    (void)hear(fd, 1);
    ck_assert(heard_end);
    (void)close(fd);
    (void)close(other);
    end();
}
END_TEST

START_TEST(one_too_many_is_told_so)
{
    int fds[3];

    begin_with(&handler);
    for (int i = 0; i < 2; i++) {
        fds[i] = client();
        say(fds[i], "a\n");
        ck_assert_str_eq(hear(fds[i], 2), "a\n");
    }
    fds[2] = client();
    ck_assert_str_eq(hear(fds[2], 5), "many\n");
    for (int i = 0; i < 3; i++) {
        (void)close(fds[i]);
    }
    end();
}
END_TEST

START_TEST(the_idle_are_sent_away)
{
    struct line_handler impatient = handler;
    int idle;
    int kept;

    impatient.idle_ms = 50;
    begin_with(&impatient);
    kept = client();
    say(kept, "keep\n");
    ck_assert_str_eq(hear(kept, 5), "keep\n");
    idle = client();
    (void)hear(idle, 1);
    ck_assert(heard_end);
    say(kept, "a\n");
    ck_assert_str_eq(hear(kept, 2), "a\n");
    (void)close(idle);
    (void)close(kept);
    end();
}
END_TEST

UNIT_MAIN("line_server", {
    tcase_add_loop_test(tc, lines_by_row, 0, COUNT_OF(rows));
    tcase_add_test(tc, parts_and_the_last_line);
    tcase_add_test(tc, kept_beyond_the_end_of_one_side);
    tcase_add_test(tc, unread_answers_hold_lines_up);
    tcase_add_test(tc, others_have_their_turn_between_lines);
    tcase_add_test(tc, one_too_many_is_told_so);
    tcase_add_test(tc, the_idle_are_sent_away);
})
