#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io/loop.h"
#include "base/io/notify.h"
#include "suite.h"

/* A service manager, and one who speaks to it. */
struct manager {
    int fd;
    struct loop *loop;
    struct notify notify;
    unsigned pulses;
    unsigned until; /* It is well so often, */
    unsigned stop;  /* and is asked so often. */
};

static struct manager m;

/* Linux chooses an abstract name; "" listens nowhere. */
static void begin(const char *socket_name, const char *watchdog_us,
                  const char *watchdog_pid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(address.sun_family);
    char name[110] = "";

    m = (struct manager){.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0),
                         .loop = loop_new()};
    ck_assert_int_ge(m.fd, 0);
    ck_assert_int_eq(bind(m.fd, (struct sockaddr *)&address, len), 0);
    len = sizeof(address);
    ck_assert_int_eq(getsockname(m.fd, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(name, sizeof(name), "@%.*s",
                   (int)(len - offsetof(struct sockaddr_un, sun_path) - 1),
                   address.sun_path + 1);
    (void)setenv("NOTIFY_SOCKET", socket_name ? socket_name : name, 1);
    (void)setenv("WATCHDOG_USEC", watchdog_us, 1);
    (void)setenv("WATCHDOG_PID", watchdog_pid, 1);
    notify_open(&m.notify, m.loop);
}

static void end(void)
{
    notify_close(&m.notify);
    loop_free(m.loop);
    (void)close(m.fd);
}

/* The next thing that the manager hears; "": nothing. */
static const char *heard(void)
{
    static char text[200];
    ssize_t len = recv(m.fd, text, sizeof(text) - 1, 0);

    text[len > 0 ? len : 0] = '\0';
    return text;
}

static bool on_pulse(void *ctx)
{
    (void)ctx;
    if (++m.pulses == m.stop) {
        loop_stop(m.loop);
    }
    return m.pulses <= m.until;
}

START_TEST(lines_are_heard)
{
    begin(NULL, "", "");
    notify_say(&m.notify, "READY=1\nSTATUS=serving");
    ck_assert_str_eq(heard(), "READY=1\nSTATUS=serving");
    end();
}
END_TEST

START_TEST(a_reload_has_its_time)
{
    uint64_t us = 0;

    begin(NULL, "", "");
    notify_reloading(&m.notify);
    ck_assert_int_eq(
        sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%" SCNu64, &us), 1);
    ck_assert_uint_gt(us, 0);
    end();
}
END_TEST

START_TEST(variables_are_not_passed_on)
{
    begin(NULL, "1000000", "");
    ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
    ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
    ck_assert_ptr_null(getenv("WATCHDOG_PID"));
    end();
}
END_TEST

/* What is no socket, or is nobody's, costs nothing. */
static const char *const nobody[] = {"", "relative", "/nowhere/at/all",
                                     "@muster-nobody-listens-here"};

START_TEST(nobody_listens)
{
    begin(nobody[_i], "", "");
    notify_say(&m.notify, "READY=1");
    ck_assert_str_eq(heard(), "");
    end();
}
END_TEST

static const struct {
    const char *name;
    const char *us;
    const char *pid; /* "own": ours. */
    uint64_t pulse_ms;
} intervals[] = {
    {"half of it", "30000000", "own", 15000},
    {"whose it is need not be said", "30000000", "", 15000},
    {"that of another process", "30000000", "1", 0},
    {"none", "", "", 0},
    {"no number", "soon", "", 0},
    {"shorter than our clock", "500", "", 1},
};

START_TEST(interval_by_row)
{
    char own[20];

    (void)snprintf(own, sizeof(own), "%ld", (long)getpid());
    begin(NULL, intervals[_i].us,
          strcmp(intervals[_i].pid, "own") == 0 ? own : intervals[_i].pid);
    ck_assert_msg(m.notify.pulse_ms == intervals[_i].pulse_ms, "%s: %" PRIu64,
                  intervals[_i].name, m.notify.pulse_ms);
    end();
}
END_TEST

START_TEST(a_watchdog_hears_of_us_while_we_are_well)
{
    begin(NULL, "4000", "");
    m.until = 3;
    m.stop = 6;
    notify_watch(&m.notify, on_pulse, NULL);
    loop_run(m.loop);
    for (unsigned i = 0; i < m.until; i++) {
        ck_assert_str_eq(heard(), "WATCHDOG=1");
    }
    ck_assert_str_eq(heard(), "");
    end();
}
END_TEST

UNIT_MAIN("notify", {
    tcase_add_test(tc, lines_are_heard);
    tcase_add_test(tc, a_reload_has_its_time);
    tcase_add_test(tc, variables_are_not_passed_on);
    tcase_add_loop_test(tc, nobody_listens, 0, COUNT_OF(nobody));
    tcase_add_loop_test(tc, interval_by_row, 0, COUNT_OF(intervals));
    tcase_add_test(tc, a_watchdog_hears_of_us_while_we_are_well);
})
