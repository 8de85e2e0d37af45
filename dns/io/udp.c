#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/core/check.h"
#include "dns/io/worker.h"

/* Queries lie 2112 bytes apart: a power of two would put them all into the same
 * sets of the first-level cache. */
enum {
    BATCH = 32,
    QUERY_BYTES = 2112,
    LEAVE_BATCHES = 256, /* As much as is in a socket that closes. */
};

/* Responses follow each other; there is always room for one of any size. */
#define OUT_BYTES (128 * 1024 + RESPONSE_BYTES_MAX)

struct udp {
    LIST_ENTRY(udp) link;
    struct worker *worker;
    int fd;
    unsigned listener;
    unsigned holds;   /* Questions under way. */
    uint64_t left_ms; /* Since when it leaves; 0: it stays. */
    bool closing;
    bool closed;   /* By libuv: the memory goes with the last hold. */
    bool wildcard; /* Answer from the address that was asked. */
    uv_poll_t poll;
    struct mmsghdr in[BATCH];
    struct iovec in_parts[BATCH];
    union address clients[BATCH];
    _Alignas(struct cmsghdr) uint8_t control[BATCH][UDP_CONTROL_BYTES];
    struct mmsghdr out[BATCH];
    struct iovec out_parts[BATCH];
    unsigned out_count;
    size_t out_used;
    uint8_t queries[BATCH * QUERY_BYTES];
    uint8_t responses[OUT_BYTES];
};

/* What the kernel does not take is lost, as datagrams are; the client asks
 * again. A message that fails by itself (its client has gone) must not take the
 * others along. */
static void flush(struct udp *u)
{
    unsigned sent = 0;

    while (sent < u->out_count) {
        int n = sendmmsg(u->fd, u->out + sent, u->out_count - sent, 0);

        if (n > 0) {
            sent += (unsigned)n;
        } else if (errno != EINTR) {
            count(&u->worker->counts.dropped);
            sent++;
        }
    }
    u->out_count = 0;
    u->out_used = 0;
}

static void queue(struct udp *u, unsigned index, uint8_t *response, size_t len)
{
    struct msghdr *from = &u->in[index].msg_hdr;
    struct msghdr *to = &u->out[u->out_count].msg_hdr;
    struct iovec *part = &u->out_parts[u->out_count];

    *part = (struct iovec){response, len};
    to->msg_name = from->msg_name;
    to->msg_namelen = from->msg_namelen;
    to->msg_iov = part;
    to->msg_iovlen = 1;
    to->msg_control = u->wildcard ? from->msg_control : NULL;
    to->msg_controllen = u->wildcard ? from->msg_controllen : 0;
    u->out_count++;
    u->out_used += (len + 63) & ~(size_t)63;
}

static void forward(struct udp *u, enum response kind,
                    const struct taken *taken, unsigned index,
                    struct slice packet)
{
    struct worker *w = u->worker;
    struct origin origin = {.udp = u, .client = u->clients[index]};
    struct query query = origin_query(&origin, packet);
    uint8_t *out = u->responses + u->out_used;
    const struct msghdr *from = &u->in[index].msg_hdr;

    if (u->wildcard) {
        memcpy(origin.control, from->msg_control, from->msg_controllen);
        origin.control_len = from->msg_controllen;
    }
    if (!forwarder_ask(w->forwarder, kind, taken, packet, &origin)) {
        queue(u, index, out,
              responder_fail(&w->responder, &query, &taken->question,
                             DNS_SERVFAIL, out));
    }
}

static void take(struct udp *u, const struct dns_zone *zone, unsigned index)
{
    struct worker *w = u->worker;
    const struct mmsghdr *m = &u->in[index];
    struct slice packet =
        slice_of(u->queries + (size_t)index * QUERY_BYTES, m->msg_len);
    struct query query = {.packet = packet, .client = &u->clients[index]};
    struct taken taken;
    enum response kind;
    uint8_t *out;

    if (m->msg_hdr.msg_flags & MSG_TRUNC) {
        count(&w->counts.dropped);
        count(&w->counts.malformed_long); /* No query is. */
        return;
    }
    if (sizeof(u->responses) - u->out_used < RESPONSE_BYTES_MAX) {
        flush(u);
    }
    out = u->responses + u->out_used;
    kind = responder_take(&w->responder, zone, &query, out, &taken);
    switch (kind) {
    case RESPONSE_NONE:
        return;
    case RESPONSE_SEND:
        queue(u, index, out, taken.len);
        return;
    case RESPONSE_FORWARD:
    case RESPONSE_CHASE:
        forward(u, kind, &taken, index, packet);
        return;
    case RESPONSE_TRANSFER:
        UNREACHABLE(); /* Over TCP only. */
    }
}

static void prepare_batch(struct udp *u)
{
    for (unsigned i = 0; i < BATCH; i++) {
        struct msghdr *h = &u->in[i].msg_hdr;

        h->msg_namelen = sizeof(u->clients[i]);
        h->msg_controllen = u->wildcard ? UDP_CONTROL_BYTES : 0;
    }
}

/* false: there is nothing. */
static bool take_batch(struct udp *u)
{
    struct worker *w = u->worker;
    const struct dns_zone *zone;
    int n;

    prepare_batch(u);
    n = recvmmsg(u->fd, u->in, BATCH, MSG_DONTWAIT, NULL);
    if (n <= 0) {
        return false;
    }
    count_add(&w->counts.queries_udp, n);
    zone = worker_enter(w);
    for (int i = 0; i < n; i++) {
        take(u, zone, (unsigned)i);
    }
    reader_leave(&w->reader);
    flush(u);
    return true;
}

/* One batch a turn of the loop: TCP and upstream get their share, and what came
 * meanwhile is the next batch. */
static void on_readable(uv_poll_t *poll, int error, int events)
{
    (void)error; /* Shows up in recvmmsg. */
    (void)events;
    (void)take_batch(poll->data);
}

void udp_send_late(const struct origin *origin, struct slice packet)
{
    struct udp *u = origin->udp;
    struct iovec part = {(void *)packet.data, packet.len};
    struct msghdr m = {
        .msg_name = (void *)&origin->client,
        .msg_namelen = address_len(&origin->client),
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = origin->control_len > 0 ? (void *)origin->control : NULL,
        .msg_controllen = origin->control_len,
    };

    if (u->closing || sendmsg(u->fd, &m, MSG_DONTWAIT) < 0) {
        count(&u->worker->counts.dropped);
    }
}

/* Bound to all addresses: the kernel says which one was asked (sockets.c), and
 * the same control message, sent back, makes it the source. */
static bool is_wildcard(int fd)
{
    union address bound = {0};
    socklen_t len = sizeof(bound);

    return getsockname(fd, &bound.any, &len) == 0 &&
           address_is_wildcard(&bound);
}

void udp_open(struct worker *w, const struct worker_socket *socket)
{
    struct udp *u = calloc(1, sizeof(*u));

    CHECK(u != NULL);
    u->worker = w;
    u->fd = socket->fd;
    u->listener = socket->listener;
    u->poll.data = u;
    u->wildcard = is_wildcard(u->fd);
    for (unsigned i = 0; i < BATCH; i++) {
        struct msghdr *h = &u->in[i].msg_hdr;

        u->in_parts[i] =
            (struct iovec){u->queries + (size_t)i * QUERY_BYTES, QUERY_BYTES};
        h->msg_iov = &u->in_parts[i];
        h->msg_iovlen = 1;
        h->msg_name = &u->clients[i];
        h->msg_control = u->wildcard ? u->control[i] : NULL;
    }
    LIST_INSERT_HEAD(&w->udps, u, link);
    CHECK(uv_poll_init(&w->loop, &u->poll, u->fd) == 0);
    CHECK(uv_poll_start(&u->poll, UV_READABLE, on_readable) == 0);
}

/* ---- The end of one ------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
    struct udp *u = handle->data;

    u->closed = true;
    if (u->holds == 0) {
        free(u);
    }
}

void udp_close(struct udp *u)
{
    u->closing = true;
    LIST_REMOVE(u, link);
    uv_close((uv_handle_t *)&u->poll, on_closed);
    (void)close(u->fd);
}

void udp_hold(struct udp *u)
{
    u->holds++;
}

void udp_drop(struct udp *u)
{
    CHECK(u->holds > 0);
    if (--u->holds > 0) {
        return;
    }
    if (u->closed) {
        free(u);
    } else if (u->left_ms != 0 && !u->closing) {
        udp_close(u);
    }
}

/* A connected socket gets what its peer sends, and its peer is itself: what
 * comes from now on goes to other sockets of the address, if there are any. It
 * still sends to whom it is told to. */
static void deafen(struct udp *u)
{
    union address own = {0};
    socklen_t len = sizeof(own);

    if (getsockname(u->fd, &own.any, &len) != 0) {
        return;
    }
    if (u->wildcard && own.any.sa_family == AF_INET6) {
        own.ipv6.sin6_addr = in6addr_loopback;
    } else if (u->wildcard) {
        own.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    (void)connect(u->fd, &own.any, len);
}

static void leave(struct udp *u)
{
    deafen(u);
    for (unsigned i = 0; i < LEAVE_BATCHES && take_batch(u); i++) {
    }
    if (u->holds == 0) {
        udp_close(u);
        return;
    }
    (void)uv_poll_stop(&u->poll);
    u->left_ms = uv_now(&u->worker->loop);
}

void udp_leave(struct worker *w, unsigned listener)
{
    struct udp *next;

    for (struct udp *u = LIST_FIRST(&w->udps); u != NULL; u = next) {
        next = LIST_NEXT(u, link);
        if (u->listener == listener && u->left_ms == 0) {
            leave(u);
        }
    }
}

bool udp_leave_expired(struct worker *w)
{
    bool any = false;
    struct udp *next;

    for (struct udp *u = LIST_FIRST(&w->udps); u != NULL; u = next) {
        next = LIST_NEXT(u, link);
        if (u->left_ms == 0) {
            continue;
        }
        if (uv_now(&w->loop) - u->left_ms >= WORKER_DRAIN_MS) {
            udp_close(u);
        } else {
            any = true;
        }
    }
    return any;
}
