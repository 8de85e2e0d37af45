#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/core/check.h"
#include "dns/io/conn.h"

enum {
    ACCEPTS = 32,         /* A turn of the loop: others get their share. */
    LEAVE_ACCEPTS = 1024, /* As many as wait at one that closes. */
    PAUSE_MS = 100,       /* When nobody can even be turned away. */
};

/* A listener. */
struct tcp {
    LIST_ENTRY(tcp) link;
    struct worker *worker;
    bool tls;
    int fd;
    unsigned listener;
    int spare_fd; /* For turning somebody away when there are no others. */
    uv_poll_t poll;
    uv_timer_t pause;
    unsigned open_handles;
};

static void on_connections(uv_poll_t *poll, int error, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct tcp *t = timer->data;

    CHECK(uv_poll_start(&t->poll, UV_READABLE, on_connections) == 0);
}

/* No descriptor is left. The listener would be ready for ever, so the newcomer
 * is closed, and one of ours for the next. Another thread may be quicker to
 * take the spare one's place: then newcomers wait for a moment. */
static void turn_away(struct tcp *t)
{
    int fd;

    (void)close(t->spare_fd);
    fd = accept4(t->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        (void)close(fd);
        count(&t->worker->counts.tcp_refused);
    } else {
        (void)uv_poll_stop(&t->poll);
        CHECK(uv_timer_start(&t->pause, on_pause_over, PAUSE_MS, 0) == 0);
    }
    t->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)conn_list_close_idlest(t->worker->conns);
}

/* false: there are no more, or none can be taken now. */
static bool accept_one(struct tcp *t)
{
    union address client = {0};
    socklen_t len = sizeof(client);
    int on = 1;
    int fd = accept4(t->fd, &client.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE) {
            turn_away(t);
        }
        return false;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn_list_add(t->worker->conns, fd, &client, t->listener, t->tls);
    return true;
}

static void on_connections(uv_poll_t *poll, int error, int events)
{
    (void)error; /* Shows up in accept4. */
    (void)events;
    for (unsigned i = 0; i < ACCEPTS && accept_one(poll->data); i++) {
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct tcp *t = handle->data;

    if (--t->open_handles > 0) {
        return;
    }
    (void)close(t->spare_fd);
    free(t);
}

void tcp_close(struct tcp *t)
{
    LIST_REMOVE(t, link);
    uv_close((uv_handle_t *)&t->poll, on_closed);
    uv_close((uv_handle_t *)&t->pause, on_closed);
    (void)close(t->fd);
}

void tcp_leave(struct worker *w, unsigned listener)
{
    struct tcp *next;

    for (struct tcp *t = LIST_FIRST(&w->tcps); t != NULL; t = next) {
        next = LIST_NEXT(t, link);
        if (t->listener == listener) {
            for (unsigned i = 0; i < LEAVE_ACCEPTS && accept_one(t); i++) {
            }
            tcp_close(t);
        }
    }
    conn_list_leave(w->conns, listener);
}

void tcp_open(struct worker *w, const struct worker_socket *socket)
{
    struct tcp *t = calloc(1, sizeof(*t));

    CHECK(t != NULL);
    t->worker = w;
    t->tls = socket->tls;
    t->fd = socket->fd;
    t->listener = socket->listener;
    t->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    t->poll.data = t;
    t->pause.data = t;
    t->open_handles = 2;
    LIST_INSERT_HEAD(&w->tcps, t, link);
    CHECK(uv_timer_init(&w->loop, &t->pause) == 0);
    CHECK(uv_poll_init(&w->loop, &t->poll, t->fd) == 0);
    CHECK(uv_poll_start(&t->poll, UV_READABLE, on_connections) == 0);
}
