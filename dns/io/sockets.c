#include "dns/io/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/core/check.h"

enum {
    PORT_ATTEMPTS = 16, /* A free UDP port whose TCP twin is free too. */
    UDP_BUFFER_BYTES = 1 << 20, /* A burst of a few thousand queries. */
};

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
    s->count = 0;
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
            address_port(&l->address) == address_port(&like->address) &&
            slice_eq(address_ip(&l->address), address_ip(&like->address))) {
            return l;
        }
    }
    return NULL;
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
        l = &s->listeners[s->count++];
        *l = one;
    }
    if (l->fds_count == THREADS_MAX) {
        return err_set(err, ST_INVALID,
                       "dns: more than %d sockets were handed over for one "
                       "address",
                       THREADS_MAX);
    }
    (void)fcntl(socket->fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(socket->fd, F_SETFD, FD_CLOEXEC);
    l->fds[l->fds_count++] = socket->fd;
    return ST_OK;
}

static enum status adopt_all(struct socket_set *s,
                             const struct dns_server_config *config,
                             struct err *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < config->sockets_count; i++) {
        if (st == ST_OK) {
            st = adopt(s, &config->sockets[i], err);
        }
        if (st) {
            (void)close(config->sockets[i].fd);
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
    }
    if (address->any.sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, &address->any, address_len(address)) != 0) {
        enum status st = fail_io(err, "bind to", text);

        (void)close(fd);
        return st;
    }
    *out_fd = fd;
    return ST_OK;
}

/* Is somebody there already? SO_REUSEPORT would let us share a port with
 * another server of the same user in silence, and each get half the queries. */
static enum status claim(const union address *address, int type,
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
    if (bind(fd, &address->any, address_len(address)) != 0) {
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
    struct listener *udp = &s->listeners[s->count++];
    struct listener *tcp = &s->listeners[s->count++];
    enum status st = ST_OK;

    *udp = (struct listener){.stream = false};
    *tcp = (struct listener){.stream = true};
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
    struct listener *l = &s->listeners[s->count++];
    socklen_t len = sizeof(l->address);

    *l = (struct listener){.address = address, .stream = true, .tls = true};
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

static enum status open_listed(struct socket_set *s, const char *text, bool tls,
                               unsigned threads, struct err *err)
{
    union address address;
    enum status st = dns_address_parse(text, -1, "dns", &address, err);

    if (st == ST_OK && address_port(&address) != 0) {
        st = claim(&address, tls ? SOCK_STREAM : SOCK_DGRAM, text, err);
    }
    if (st) {
        return st;
    }
    return tls ? open_tls(s, address, threads, text, err)
               : open_plain(s, address, threads, text, err);
}

enum status socket_set_open(struct socket_set *s,
                            const struct dns_server_config *config,
                            struct err *err)
{
    unsigned threads = dns_threads(config);
    enum status st = ST_OK;

    if (config->sockets_count > 0) {
        return adopt_all(s, config, err);
    }
    if (config->listen_count + config->listen_tls_count == 0 ||
        config->listen_count > LISTEN_MAX ||
        config->listen_tls_count > LISTEN_MAX) {
        return err_set(err, ST_INVALID,
                       "dns: between 1 and %d addresses to listen on",
                       LISTEN_MAX);
    }
    for (size_t i = 0; i < config->listen_count && st == ST_OK; i++) {
        st = open_listed(s, config->listen[i], false, threads, err);
    }
    for (size_t i = 0; i < config->listen_tls_count && st == ST_OK; i++) {
        st = open_listed(s, config->listen_tls[i], true, threads, err);
    }
    return st;
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

enum status socket_set_deal(struct socket_set *s, struct dealt *out,
                            size_t worker, size_t workers, struct err *err)
{
    *out = (struct dealt){0};
    /* Plain TCP first, then TLS. */
    for (size_t tls = 0; tls < 2; tls++) {
        for (size_t i = 0; i < s->count; i++) {
            struct listener *l = &s->listeners[i];

            if (l->tls != (tls == 1)) {
                continue;
            }
            for (size_t k = worker % l->fds_count; k < l->fds_count;
                 k += workers) {
                int fd = hand_out(l, k, worker, workers);

                if (fd < 0) {
                    return err_set(err, ST_IO, "dns: cannot share a socket: %s",
                                   strerror(errno));
                }
                if (l->stream) {
                    out->tcps[out->sockets.tcp_count++] = fd;
                    out->sockets.tls_count += tls;
                } else {
                    out->udps[out->sockets.udp_count++] = fd;
                }
            }
        }
    }
    out->sockets.udp_fds = out->udps;
    out->sockets.tcp_fds = out->tcps;
    return ST_OK;
}

void dealt_close(struct dealt *d)
{
    while (d->sockets.udp_count > 0) {
        (void)close(d->udps[--d->sockets.udp_count]);
    }
    while (d->sockets.tcp_count > 0) {
        (void)close(d->tcps[--d->sockets.tcp_count]);
    }
}
