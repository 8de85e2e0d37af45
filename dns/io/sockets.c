#include "dns/io/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/core/check.h"

enum {
    PORT_ATTEMPTS = 16, /* A free UDP port whose TCP twin is free too. */
    UDP_BUFFER_BYTES = 1 << 20, /* A burst of a few thousand queries. */
    BACKLOG = 1024,
};

/* Workers are done with a socket that they have left, and some time more. */
#define LEFT_MS ((uint64_t)2 * WORKER_DRAIN_MS)

static enum status fail_io(struct err *err, const char *what, const char *text)
{
    return err_set(err, errno == EACCES ? ST_DENIED : ST_IO,
                   "dns: cannot %s %s: %s%s", what, text, strerror(errno),
                   errno == EACCES
                       ? " (a port below 1024 needs "
                         "CAP_NET_BIND_SERVICE, or sockets from the "
                         "service manager)"
                       : "");
}

void socket_set_init(struct socket_set *s)
{
    *s = (struct socket_set){0};
}

static bool same_address(const union address *a, const union address *b)
{
    return a->any.sa_family == b->any.sa_family &&
           address_port(a) == address_port(b) &&
           slice_eq(address_ip(a), address_ip(b));
}

static struct listener *listener_add(struct socket_set *s,
                                     const struct listener *like)
{
    struct listener *l = &s->listeners[s->count++];

    *l = *like;
    l->id = ++s->ids;
    return l;
}

void socket_set_release(struct socket_set *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct listener *l = &s->listeners[i];

        for (size_t k = 0; k < l->fds_count; k++) {
            if (l->fds[k] >= 0) {
                (void)close(l->fds[k]);
            }
        }
    }
    s->count = 0;
}

unsigned dns_threads(const struct dns_server_config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = config->threads;

    if (threads == 0) {
        threads = processors < 1 ? 1 : (unsigned)processors;
    }
    return threads < THREADS_MAX ? threads : THREADS_MAX;
}

/* ---- sockets that were handed over ---- */

static struct listener *listener_find(struct socket_set *s,
                                      const struct listener *like)
{
    for (size_t i = 0; i < s->count; i++) {
        struct listener *l = &s->listeners[i];

        if (l->stream == like->stream && l->tls == like->tls &&
            same_address(&l->address, &like->address)) {
            return l;
        }
    }
    return NULL;
}

/* On a socket bound to all addresses the kernel is to say which one was asked,
 * from the first packet on. */
static void ask_for_destination(int fd, const union address *bound)
{
    int on = 1;

    if (!address_is_wildcard(bound)) {
        return;
    }
    if (bound->any.sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
    } else {
        (void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
    }
}

/* The set owns the descriptor on success only. */
static enum status adopt(struct socket_set *s, const struct dns_socket *socket,
                         struct err *err)
{
    struct listener one = {.tls = socket->tls};
    struct listener *l;
    socklen_t len = sizeof(one.address);
    socklen_t type_len = sizeof(int);
    int type = 0;

    if (getsockname(socket->fd, &one.address.any, &len) != 0 ||
        getsockopt(socket->fd, SOL_SOCKET, SO_TYPE, &type, &type_len) != 0 ||
        (one.address.any.sa_family != AF_INET &&
         one.address.any.sa_family != AF_INET6) ||
        (type != SOCK_DGRAM && type != SOCK_STREAM)) {
        return err_set(err, ST_INVALID,
                       "dns: descriptor %d, which was handed over, is no bound "
                       "UDP or TCP socket",
                       socket->fd);
    }
    one.stream = type == SOCK_STREAM;
    l = listener_find(s, &one);
    if (l == NULL) {
        if (s->count == sizeof(s->listeners) / sizeof(s->listeners[0])) {
            return err_set(err, ST_INVALID,
                           "dns: too many sockets were handed over");
        }
        one.asked = one.address;
        l = listener_add(s, &one);
    }
    if (l->fds_count == THREADS_MAX) {
        return err_set(err, ST_INVALID,
                       "dns: more than %d sockets were handed over for one "
                       "address",
                       THREADS_MAX);
    }
    if (!one.stream) {
        ask_for_destination(socket->fd, &one.address);
    }
    if (one.stream && listen(socket->fd, BACKLOG) != 0) {
        return err_set(err, ST_IO, "dns: cannot listen for DNS over TCP: %s",
                       strerror(errno));
    }
    (void)fcntl(socket->fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(socket->fd, F_SETFD, FD_CLOEXEC);
    l->fds[l->fds_count++] = socket->fd;
    return ST_OK;
}

enum status socket_set_adopt(struct socket_set *s,
                             const struct dns_socket *sockets, size_t count,
                             struct err *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < count; i++) {
        if (st == ST_OK) {
            st = adopt(s, &sockets[i], err);
        }
        if (st) {
            (void)close(sockets[i].fd);
        }
    }
    return st;
}

/* ---- sockets of our own ---- */

/* A bound socket of `type` that shares its address with those of the other
 * workers. */
static enum status open_socket(const union address *address, int type,
                               const char *text, int *out_fd, struct err *err)
{
    int on = 1;
    int size = UDP_BUFFER_BYTES;
    int fd =
        socket(address->any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return fail_io(err, "open a socket for", text);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (type == SOCK_STREAM) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    } else {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        ask_for_destination(fd, address);
    }
    if (address->any.sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, &address->any, address_len(address)) != 0 ||
        (type == SOCK_STREAM && listen(fd, BACKLOG) != 0)) {
        enum status st = fail_io(err, "bind to", text);

        (void)close(fd);
        return st;
    }
    *out_fd = fd;
    return ST_OK;
}

/* One of them is in the other's way. */
static bool overlap(const union address *a, const union address *b)
{
    return a->any.sa_family == b->any.sa_family &&
           address_port(a) == address_port(b) &&
           (address_is_wildcard(a) || address_is_wildcard(b) ||
            slice_eq(address_ip(a), address_ip(b)));
}

/* Is it us who are there: another address of ours, or one that we have just
 * left? */
static bool is_own(const struct socket_set *now, const union address *address,
                   bool stream)
{
    uint64_t now_ms = uv_hrtime() / 1000000;

    for (size_t i = 0; i < now->count; i++) {
        if (now->listeners[i].stream == stream &&
            overlap(&now->listeners[i].address, address)) {
            return true;
        }
    }
    for (size_t i = 0; i < WORKER_LISTENERS_MAX; i++) {
        if (now->left[i].stream == stream && now->left[i].until_ms > now_ms &&
            overlap(&now->left[i].address, address)) {
            return true;
        }
    }
    return false;
}

/* Is somebody there already? SO_REUSEPORT would let us share a port with
 * another server of the same user in silence, and each get half the queries. */
static enum status claim(const struct socket_set *now,
                         const union address *address, int type,
                         const char *text, struct err *err)
{
    int fd = socket(address->any.sa_family, type | SOCK_CLOEXEC, 0);
    int on = 1;
    enum status st = ST_OK;

    if (fd < 0) {
        return fail_io(err, "open a socket for", text);
    }
    if (type == SOCK_STREAM) { /* Old connections are no other server. */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (address->any.sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, &address->any, address_len(address)) != 0 &&
        !(errno == EADDRINUSE && is_own(now, address, type == SOCK_STREAM))) {
        st = fail_io(err, "bind to", text);
    }
    (void)close(fd);
    return st;
}

/* The sockets of one worker for one address. With port 0 the kernel chooses,
 * and *address learns what. */
static enum status open_pair(union address *address, const char *text,
                             int *out_udp, int *out_tcp, struct err *err)
{
    bool any_port = address_port(address) == 0;
    enum status st = ST_IO;

    for (int i = 0; i < (any_port ? PORT_ATTEMPTS : 1); i++) {
        union address bound = *address;
        socklen_t len = sizeof(bound);

        st = open_socket(address, SOCK_DGRAM, text, out_udp, err);
        if (st) {
            return st;
        }
        CHECK(getsockname(*out_udp, &bound.any, &len) == 0);
        st = open_socket(&bound, SOCK_STREAM, text, out_tcp, err);
        if (st == ST_OK) {
            *address = bound;
            return ST_OK;
        }
        (void)close(*out_udp);
    }
    return st;
}

static enum status open_plain(struct socket_set *s, union address address,
                              unsigned threads, const char *text,
                              struct err *err)
{
    struct listener *udp =
        listener_add(s, &(struct listener){.asked = address});
    struct listener *tcp =
        listener_add(s, &(struct listener){.asked = address, .stream = true});
    enum status st = ST_OK;

    for (unsigned i = 0; i < threads && st == ST_OK; i++) {
        st = open_pair(&address, text, &udp->fds[i], &tcp->fds[i], err);
        if (st == ST_OK) {
            udp->fds_count = tcp->fds_count = i + 1;
        }
    }
    udp->address = tcp->address = address;
    return st;
}

static enum status open_tls(struct socket_set *s, union address address,
                            unsigned threads, const char *text, struct err *err)
{
    struct listener *l = listener_add(s, &(struct listener){.asked = address,
                                                            .address = address,
                                                            .stream = true,
                                                            .tls = true});
    socklen_t len = sizeof(l->address);

    for (unsigned i = 0; i < threads; i++) {
        enum status st =
            open_socket(&l->address, SOCK_STREAM, text, &l->fds[i], err);

        if (st) {
            return st;
        }
        l->fds_count = i + 1;
        CHECK(getsockname(l->fds[i], &l->address.any, &len) == 0);
    }
    return ST_OK;
}

static bool has_id(const struct socket_set *s, unsigned id)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->listeners[i].id == id) {
            return true;
        }
    }
    return false;
}

static void keep(struct socket_set *next, const struct listener *l)
{
    next->listeners[next->count] = *l;
    next->listeners[next->count++].fds_count = 0;
}

/* Take what `now` has for the address: UDP, which TCP follows, or TLS. */
static bool keep_listed(const struct socket_set *now, struct socket_set *next,
                        const union address *address, bool tls)
{
    for (size_t i = 0; i < now->count; i++) {
        const struct listener *l = &now->listeners[i];

        if (l->tls != tls || l->stream != tls || has_id(next, l->id) ||
            (!same_address(&l->asked, address) &&
             !same_address(&l->address, address))) {
            continue;
        }
        keep(next, l);
        if (!tls) {
            keep(next, l + 1);
        }
        return true;
    }
    return false;
}

static enum status take_listed(const struct socket_set *now,
                               struct socket_set *next, const char *text,
                               bool tls, unsigned threads, struct err *err)
{
    union address address;
    enum status st = dns_address_parse(text, -1, "dns", &address, err);

    if (st == ST_OK && keep_listed(now, next, &address, tls)) {
        return ST_OK;
    }
    if (st == ST_OK && address_port(&address) != 0) {
        st = claim(now, &address, tls ? SOCK_STREAM : SOCK_DGRAM, text, err);
    }
    if (st) {
        return st;
    }
    return tls ? open_tls(next, address, threads, text, err)
               : open_plain(next, address, threads, text, err);
}

/* ---- from one set to the next ---- */

enum status socket_set_next(const struct socket_set *now,
                            const struct dns_listen_config *listen,
                            unsigned threads, struct socket_set *next,
                            struct err *err)
{
    enum status st = ST_OK;

    *next = *now;
    next->count = 0;
    if (listen->plain_count > LISTEN_MAX || listen->tls_count > LISTEN_MAX) {
        return err_set(err, ST_INVALID,
                       "dns: at most %d addresses to listen on", LISTEN_MAX);
    }
    for (size_t i = 0; i < listen->plain_count && st == ST_OK; i++) {
        st = take_listed(now, next, listen->plain[i], false, threads, err);
    }
    for (size_t i = 0; i < listen->tls_count && st == ST_OK; i++) {
        st = take_listed(now, next, listen->tls[i], true, threads, err);
    }
    return st;
}

static void remember(struct socket_set *s, const struct listener *l)
{
    s->left[s->left_next] = (struct listener_left){
        .address = l->address,
        .stream = l->stream,
        .until_ms = uv_hrtime() / 1000000 + LEFT_MS,
    };
    s->left_next = (s->left_next + 1) % WORKER_LISTENERS_MAX;
}

size_t socket_set_left(const struct socket_set *now, struct socket_set *next,
                       unsigned out_ids[WORKER_LISTENERS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < now->count; i++) {
        if (!has_id(next, now->listeners[i].id)) {
            out_ids[count++] = now->listeners[i].id;
            remember(next, &now->listeners[i]);
        }
    }
    return count;
}

bool socket_set_has_tls(const struct socket_set *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->listeners[i].tls) {
            return true;
        }
    }
    return false;
}

/* ---- one worker's ---- */

/* Socket `index` for `worker`. When there are fewer sockets than workers, later
 * ones share it. */
static int hand_out(struct listener *l, size_t index, size_t worker,
                    size_t workers)
{
    int fd = l->fds[index];

    if (worker + l->fds_count < workers) {
        return fcntl(fd, F_DUPFD_CLOEXEC, 0);
    }
    l->fds[index] = -1;
    return fd;
}

static enum status deal_listener(struct listener *l, size_t worker,
                                 size_t workers, struct worker_change *c,
                                 struct err *err)
{
    if (l->fds_count == 0) {
        return ST_OK;
    }
    for (size_t k = worker % l->fds_count; k < l->fds_count; k += workers) {
        int fd = hand_out(l, k, worker, workers);

        if (fd < 0) {
            return err_set(err, ST_IO, "dns: cannot share a socket: %s",
                           strerror(errno));
        }
        c->add[c->add_count++] = (struct worker_socket){
            .fd = fd, .listener = l->id, .stream = l->stream, .tls = l->tls};
    }
    return ST_OK;
}

enum status socket_set_deal(struct socket_set *s, size_t worker, size_t workers,
                            struct worker_change **out_change, struct err *err)
{
    size_t room = 0;
    struct worker_change *c;
    enum status st = ST_OK;

    for (size_t i = 0; i < s->count; i++) {
        room += s->listeners[i].fds_count;
    }
    c = calloc(1, sizeof(*c) + (room + 1) * sizeof(c->add[0]));
    CHECK(c != NULL);
    for (size_t i = 0; i < s->count && st == ST_OK; i++) {
        st = deal_listener(&s->listeners[i], worker, workers, c, err);
    }
    if (st) {
        worker_change_free(c);
        return st;
    }
    *out_change = c;
    return ST_OK;
}
