#include "store/io/member.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io/loop.h"
#include "scratch.h"
#include "suite.h"

static void on_fatal(void *ctx, const struct err *why)
{
    (void)ctx;
    ck_abort_msg("%s", why->text);
}

/* A port that somebody else listens at. */
static int port_take(uint16_t *out_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *out_port = ntohs(a.sin_port);
    return fd;
}

/* The first port is bound when the second turns out to be taken. */
START_TEST(a_taken_port_leaves_nothing_open)
{
    struct member_hooks hooks = {.on_fatal = on_fatal};
    struct loop *loop = loop_new();
    struct member_config config;
    struct member *member;
    struct err err = {""};
    char path[64];
    char urls[80];
    uint16_t port;
    int fd = port_take(&port);

    scratch_make(path);
    member_config_init(&config);
    config.name = "m";
    config.data_dir = path;
    config.listen_client_urls = urls;
    config.listen_peer_urls = NULL;
    (void)snprintf(urls, sizeof(urls), "http://127.0.0.1:0,http://127.0.0.1:%u",
                   port);
    for (int i = 0; i < 2; i++) { /* The folder's lock is free again, too. */
        ck_assert_int_eq(member_start(loop, &config, hooks, &member, &err),
                         ST_EXISTS);
        ck_assert_ptr_nonnull(strstr(err.text, "--listen-client-urls"));
    }
    (void)close(fd);
    scratch_remove(path);
    loop_free(loop);
}
END_TEST

UNIT_MAIN("member", { tcase_add_test(tc, a_taken_port_leaves_nothing_open); })
