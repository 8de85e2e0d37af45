#include "dns/io/exchange.h"

#include <ares.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/core/check.h"
#include "base/core/limits.h"

enum {
    IDLE_MAX = 64,  /* Channels kept for the next exchange. */
    WAIT_MAX_S = 60 /* c-ares says sooner when it wants to be called. */
};

/* A socket of c-ares. */
struct watched {
    LIST_ENTRY(watched) link;
    struct exchange *exchange;
    struct exchanges *all;
    uv_poll_t poll;
    ares_socket_t fd;
};

LIST_HEAD(watched_list, watched);

struct exchange {
    LIST_ENTRY(exchange) link; /* Among the busy or the idle ones. */
    struct exchanges *all;
    ares_channel channel; /* NULL: none to be had. */
    struct exchange_to to;
    char server[80];
    uv_timer_t deadline; /* When c-ares, or an early failure, is due. */
    struct watched_list sockets;
    exchange_fn *fn; /* NULL: it has been called. */
    void *arg;
    enum exchange_end failed; /* Inside exchange_start(). */
    bool starting;
    bool worn; /* c-ares has changed the channel's ways. */
};

LIST_HEAD(exchange_list, exchange);

struct exchanges {
    uv_loop_t *loop;
    struct exchange_list busy;
    struct exchange_list idle;
    unsigned idle_count;
    unsigned handles; /* Open, of libuv's. */
    bool closing;
};

static void unref(struct exchanges *x)
{
    CHECK(x->handles > 0);
    x->handles--;
    if (x->handles == 0 && x->closing) {
        free(x);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct exchange *e = handle->data;

    unref(e->all);
    free(e);
}

static void destroy(struct exchange *e)
{
    LIST_REMOVE(e, link);
    e->fn = NULL;
    if (e->channel != NULL) {
        ares_destroy(e->channel);
    }
    uv_close((uv_handle_t *)&e->deadline, on_timer_closed);
}

static void on_deadline(uv_timer_t *timer);

static void plan(struct exchange *e)
{
    struct timeval most = {.tv_sec = WAIT_MAX_S};
    struct timeval tv;
    const struct timeval *wait = ares_timeout(e->channel, &most, &tv);

    CHECK(uv_timer_start(&e->deadline, on_deadline,
                         (uint64_t)wait->tv_sec * 1000 +
                             (uint64_t)wait->tv_usec / 1000 + 1,
                         0) == 0);
}

/* c-ares has returned: the exchange goes on, or its channel is free. */
static void settle(struct exchange *e)
{
    struct exchanges *x = e->all;

    if (e->fn != NULL) {
        plan(e);
        return;
    }
    (void)uv_timer_stop(&e->deadline);
    if (e->channel == NULL || e->worn || x->idle_count == IDLE_MAX) {
        destroy(e);
        return;
    }
    LIST_REMOVE(e, link);
    LIST_INSERT_HEAD(&x->idle, e, link);
    x->idle_count++;
}

static void end(struct exchange *e, enum exchange_end how, struct slice packet)
{
    exchange_fn *fn = e->fn;

    e->fn = NULL;
    if (fn != NULL) {
        fn(e->arg, how, packet);
    }
}

static void on_deadline(uv_timer_t *timer)
{
    struct exchange *e = timer->data;

    if (e->failed != EXCHANGE_ANSWERED) {
        end(e, e->failed, slice_of(NULL, 0));
    } else {
        ares_process_fd(e->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    settle(e);
}

static void on_socket(uv_poll_t *poll, int error, int events)
{
    struct watched *s = poll->data;
    struct exchange *e = s->exchange;
    bool readable = error != 0 || (events & UV_READABLE);
    bool writable = error != 0 || (events & UV_WRITABLE);

    ares_process_fd(e->channel, readable ? s->fd : ARES_SOCKET_BAD,
                    writable ? s->fd : ARES_SOCKET_BAD);
    settle(e);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct watched *s = handle->data;

    unref(s->all);
    free(s);
}

static struct watched *watched_find(struct exchange *e, ares_socket_t fd)
{
    struct watched *s;

    LIST_FOREACH(s, &e->sockets, link)
    {
        if (s->fd == fd) {
            return s;
        }
    }
    return NULL;
}

static struct watched *watched_add(struct exchange *e, ares_socket_t fd)
{
    struct watched *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->exchange = e;
    s->all = e->all;
    s->fd = fd;
    s->poll.data = s;
    CHECK(uv_poll_init(e->all->loop, &s->poll, fd) == 0);
    e->all->handles++;
    LIST_INSERT_HEAD(&e->sockets, s, link);
    return s;
}

/* c-ares tells what it waits for; neither: the socket is about to be closed. */
static void on_socket_state(void *data, ares_socket_t fd, int readable,
                            int writable)
{
    struct exchange *e = data;
    struct watched *s = watched_find(e, fd);

    if (!readable && !writable) {
        if (s != NULL) {
            LIST_REMOVE(s, link);
            (void)uv_poll_stop(&s->poll);
            uv_close((uv_handle_t *)&s->poll, on_socket_closed);
        }
        return;
    }
    if (s == NULL) {
        s = watched_add(e, fd);
    }
    CHECK(uv_poll_start(&s->poll,
                        (readable ? UV_READABLE : 0) |
                            (writable ? UV_WRITABLE : 0),
                        on_socket) == 0);
}

static enum exchange_end end_of(int status, struct slice packet)
{
    if (packet.len > 0) {
        return EXCHANGE_ANSWERED; /* Its code is the caller's to read. */
    }
    return status == ARES_ETIMEOUT ? EXCHANGE_SILENT : EXCHANGE_BROKEN;
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *bytes,
                     int len)
{
    struct exchange *e = arg;
    struct slice packet = bytes != NULL && len > 0
                              ? slice_of(bytes, (size_t)len)
                              : (struct slice){0};
    enum exchange_end how = end_of(status, packet);

    (void)timeouts;
    /* To a FORMERR c-ares 1.18 answers with OPT cut off, and does without OPT
     * on this channel from then on. */
    e->worn = e->worn || how != EXCHANGE_ANSWERED ||
              (packet.len > 3 && (packet.data[3] & 15) == 1);
    if (e->starting) {
        e->failed = how == EXCHANGE_ANSWERED ? EXCHANGE_BROKEN : how;
        return;
    }
    end(e, how, packet);
}

/* A channel that reads no file and asks only the one server. */
static void channel_open(struct exchange *e)
{
    const struct exchange_to *to = &e->to;
    struct in_addr none = {0};
    /* UDP is repeated once: a third of the time for the first, then c-ares
     * doubles it. */
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_IGNTC |
                 ARES_FLAG_NOCHECKRESP | (to->edns ? ARES_FLAG_EDNS : 0) |
                 (to->tcp ? ARES_FLAG_USEVC : 0),
        .timeout = (int)(to->tcp ? to->timeout_ms : to->timeout_ms / 3 + 1),
        .tries = to->tcp ? 1 : 2,
        .ndots = 1,
        .servers = &none,
        .nservers = 1,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = e,
        .lookups = (char[]){'b', '\0'},
        .ednspsz = LIMIT_DNS_UDP,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
               ARES_OPT_NDOTS | ARES_OPT_SERVERS | ARES_OPT_SOCK_STATE_CB |
               ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST |
               ARES_OPT_EDNSPSZ | ARES_OPT_NOROTATE;

    if (ares_init_options(&e->channel, &options, mask) != ARES_SUCCESS) {
        e->channel = NULL;
        return;
    }
    CHECK(ares_set_servers_ports_csv(e->channel, e->server) == ARES_SUCCESS);
}

static struct exchange *take_idle(struct exchanges *x,
                                  const struct exchange_to *to)
{
    struct exchange *e;

    LIST_FOREACH(e, &x->idle, link)
    {
        if (e->to.tcp == to->tcp && e->to.edns == to->edns &&
            e->to.timeout_ms == to->timeout_ms &&
            strcmp(e->server, to->server) == 0) {
            LIST_REMOVE(e, link);
            x->idle_count--;
            return e;
        }
    }
    return NULL;
}

static struct exchange *make(struct exchanges *x, const struct exchange_to *to)
{
    struct exchange *e = calloc(1, sizeof(*e));

    CHECK(e != NULL);
    CHECK(strlen(to->server) < sizeof(e->server));
    strcpy(e->server, to->server);
    e->all = x;
    e->to = *to;
    e->to.server = e->server;
    e->deadline.data = e;
    LIST_INIT(&e->sockets);
    CHECK(uv_timer_init(x->loop, &e->deadline) == 0);
    x->handles++;
    channel_open(e);
    return e;
}

void exchange_start(struct exchanges *x, const struct exchange_to *to,
                    struct slice query, exchange_fn *fn, void *arg)
{
    struct exchange *e = take_idle(x, to);

    if (e == NULL) {
        e = make(x, to);
    }
    LIST_INSERT_HEAD(&x->busy, e, link);
    e->fn = fn;
    e->arg = arg;
    e->failed = e->channel == NULL ? EXCHANGE_BROKEN : EXCHANGE_ANSWERED;
    if (e->channel != NULL) {
        e->starting = true;
        ares_send(e->channel, query.data, (int)query.len, on_reply, e);
        e->starting = false;
    }
    if (e->failed != EXCHANGE_ANSWERED) {
        CHECK(uv_timer_start(&e->deadline, on_deadline, 0, 0) == 0);
    } else {
        plan(e);
    }
}

struct exchanges *exchanges_new(uv_loop_t *loop)
{
    struct exchanges *x = calloc(1, sizeof(*x));

    CHECK(x != NULL);
    x->loop = loop;
    LIST_INIT(&x->busy);
    LIST_INIT(&x->idle);
    return x;
}

void exchanges_close(struct exchanges *x)
{
    x->closing = true;
    x->handles++; /* Until the end of this function. */
    while (!LIST_EMPTY(&x->busy)) {
        destroy(LIST_FIRST(&x->busy));
    }
    while (!LIST_EMPTY(&x->idle)) {
        destroy(LIST_FIRST(&x->idle));
    }
    unref(x);
}
