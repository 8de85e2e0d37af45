#include <ares.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "dns/io/worker.h"

/* Each recursor is asked twice at most, the second time with twice the
 * patience. */
enum {
    TRIES = 2,
    QUESTION_BYTES_MAX = DNS_HEADER_BYTES + 255 + 4 + 11
};

/* A query that is under way upstream. */
struct forwarded {
    struct forwarder *forwarder;
    LIST_ENTRY(forwarded) link; /* In `failed`, when it failed at once. */
    struct origin origin;
    enum response kind;
    size_t packet_len;
    uint8_t packet[]; /* The client's query. */
};

LIST_HEAD(forwarded_list, forwarded);

/* A socket of c-ares. */
struct upstream {
    LIST_ENTRY(upstream) link;
    struct forwarder *forwarder;
    uv_poll_t poll;
    ares_socket_t fd;
};

LIST_HEAD(upstream_list, upstream);

struct forwarder {
    struct worker *worker;
    ares_channel channel;
    uv_timer_t deadline; /* When c-ares wants to be called. */
    uv_timer_t soon;     /* Finishes what failed inside forwarder_ask(). */
    struct upstream_list sockets;
    struct forwarded_list failed;
    unsigned under_way;
    unsigned open_handles;
    bool asking;
    bool closing;
};

static void forwarder_unref(struct forwarder *f)
{
    CHECK(f->open_handles > 0);
    if (--f->open_handles == 0) {
        free(f);
    }
}

static void on_deadline(uv_timer_t *timer);

static void plan_deadline(struct forwarder *f)
{
    struct timeval most = {.tv_sec = 60};
    struct timeval tv;
    struct timeval *wait;

    if (f->closing) {
        return;
    }
    if (f->under_way == 0) {
        (void)uv_timer_stop(&f->deadline);
        return;
    }
    wait = ares_timeout(f->channel, &most, &tv);
    CHECK(uv_timer_start(&f->deadline, on_deadline,
                         (uint64_t)wait->tv_sec * 1000 +
                             (uint64_t)wait->tv_usec / 1000 + 1,
                         0) == 0);
}

static void on_deadline(uv_timer_t *timer)
{
    struct forwarder *f = timer->data;

    ares_process_fd(f->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    plan_deadline(f);
}

static void on_socket(uv_poll_t *poll, int error, int events)
{
    struct upstream *u = poll->data;
    struct forwarder *f = u->forwarder;
    bool readable = error != 0 || (events & UV_READABLE);
    bool writable = error != 0 || (events & UV_WRITABLE);

    ares_process_fd(f->channel, readable ? u->fd : ARES_SOCKET_BAD,
                    writable ? u->fd : ARES_SOCKET_BAD);
    plan_deadline(f);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct upstream *u = handle->data;

    forwarder_unref(u->forwarder);
    free(u);
}

static struct upstream *socket_find(struct forwarder *f, ares_socket_t fd)
{
    struct upstream *u;

    LIST_FOREACH(u, &f->sockets, link)
    {
        if (u->fd == fd) {
            return u;
        }
    }
    return NULL;
}

static struct upstream *socket_add(struct forwarder *f, ares_socket_t fd)
{
    struct upstream *u = calloc(1, sizeof(*u));

    CHECK(u != NULL);
    u->forwarder = f;
    u->fd = fd;
    u->poll.data = u;
    CHECK(uv_poll_init(&f->worker->loop, &u->poll, fd) == 0);
    f->open_handles++;
    LIST_INSERT_HEAD(&f->sockets, u, link);
    return u;
}

/* c-ares tells what it waits for; neither: the socket is about to be closed. */
static void on_socket_state(void *data, ares_socket_t fd, int readable,
                            int writable)
{
    struct forwarder *f = data;
    struct upstream *u = socket_find(f, fd);

    if (!readable && !writable) {
        if (u != NULL) {
            LIST_REMOVE(u, link);
            (void)uv_poll_stop(&u->poll);
            uv_close((uv_handle_t *)&u->poll, on_socket_closed);
        }
        return;
    }
    if (u == NULL) {
        u = socket_add(f, fd);
    }
    CHECK(uv_poll_start(&u->poll,
                        (readable ? UV_READABLE : 0) |
                            (writable ? UV_WRITABLE : 0),
                        on_socket) == 0);
}

static void send_back(const struct forwarded *one, struct slice response)
{
    if (one->origin.udp != NULL) {
        udp_send_late(&one->origin, response);
    } else {
        tcp_send_late(one->origin.conn, response);
    }
}

static void respond(const struct forwarded *one, struct slice upstream)
{
    struct worker *w = one->forwarder->worker;
    struct responder *r = &w->responder;
    static _Thread_local uint8_t out[RESPONSE_BYTES_MAX];
    struct query query =
        origin_query(&one->origin, slice_of(one->packet, one->packet_len));
    const struct dns_zone *zone;
    struct dns_question q;
    enum dns_rcode rcode;
    size_t len;

    /* It was parsed when it came; it still is what it was. */
    CHECK(dns_question_parse(query.packet, &q, &rcode) == DNS_PARSE_OK);
    if (one->kind == RESPONSE_FORWARD) {
        len = responder_relay(r, &query, &q, upstream, out);
    } else {
        zone = reader_enter(&w->reader, w->publisher);
        len = responder_chased(r, zone, &query, &q, upstream, out);
        reader_leave(&w->reader);
    }
    send_back(one, slice_of(out, len));
}

static void finish(struct forwarded *one, struct slice upstream)
{
    struct forwarder *f = one->forwarder;

    f->under_way--;
    if (!f->closing) {
        respond(one, upstream);
    }
    if (one->origin.conn != NULL) {
        tcp_drop(one->origin.conn);
    }
    free(one);
}

static void on_soon(uv_timer_t *timer)
{
    struct forwarder *f = timer->data;
    struct forwarded *one;

    while ((one = LIST_FIRST(&f->failed)) != NULL) {
        LIST_REMOVE(one, link);
        finish(one, slice_of(NULL, 0));
    }
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *packet,
                     int len)
{
    struct forwarded *one = arg;
    struct forwarder *f = one->forwarder;
    struct slice upstream = {0};

    (void)timeouts;
    if (status == ARES_SUCCESS && packet != NULL && len > 0) {
        upstream = slice_of(packet, (size_t)len);
    }
    if (f->asking) {
        /* No socket to be had. The asker is in the middle of its batch. */
        LIST_INSERT_HEAD(&f->failed, one, link);
        CHECK(uv_timer_start(&f->soon, on_soon, 0, 0) == 0);
        return;
    }
    finish(one, upstream);
}

static void put_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* A query of our own: random id, the name, OPT. */
static size_t make_question(const struct taken *taken, uint8_t *out)
{
    const struct dns_question *q = &taken->question;
    struct slice name = taken->name;
    size_t len = DNS_HEADER_BYTES;

    memset(out, 0, QUESTION_BYTES_MAX);
    CHECK(RAND_bytes(out, 2) == 1);
    put_u16(out + 2, DNS_FLAG_RD | (q->flags & DNS_FLAG_CD));
    put_u16(out + 4, 1);
    put_u16(out + 10, 1);
    memcpy(out + len, name.data, name.len);
    len += name.len;
    put_u16(out + len, q->type);
    put_u16(out + len + 2, q->class);
    len += 4;
    put_u16(out + len + 1, DNS_TYPE_OPT);
    put_u16(out + len + 3, LIMIT_DNS_UDP);
    put_u16(out + len + 7, q->edns.dnssec_ok ? 0x8000 : 0);
    return len + 11;
}

bool forwarder_ask(struct forwarder *f, enum response kind,
                   const struct taken *taken, struct slice packet,
                   const struct origin *origin)
{
    uint8_t question[QUESTION_BYTES_MAX];
    struct forwarded *one;

    if (f->under_way >= LIMIT_DNS_FORWARDS) {
        return false;
    }
    one = malloc(sizeof(*one) + packet.len);
    CHECK(one != NULL);
    *one = (struct forwarded){.forwarder = f, .kind = kind, .origin = *origin};
    one->packet_len = packet.len;
    memcpy(one->packet, packet.data, packet.len);
    if (origin->conn != NULL) {
        tcp_hold(origin->conn);
    }
    f->under_way++;
    count(&f->worker->counts.forwarded);
    f->asking = true;
    ares_send(f->channel, question, (int)make_question(taken, question),
              on_reply, one);
    f->asking = false;
    plan_deadline(f);
    return true;
}

static int channel_new(struct forwarder *f)
{
    const struct worker_config *c = f->worker->config;
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
        .timeout = (int)c->recursor_timeout_ms,
        .tries = TRIES,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = f,
        .lookups = (char[]){'b', '\0'}, /* Never /etc/hosts. */
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
               ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS |
               (c->recursors_rotated ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE);
    int error = ares_init_options(&f->channel, &options, mask);

    return error == ARES_SUCCESS
               ? ares_set_servers_ports_csv(f->channel, c->recursors)
               : error;
}

enum status forwarder_new(struct worker *w, struct forwarder **out_forwarder,
                          struct err *err)
{
    struct forwarder *f = calloc(1, sizeof(*f));
    int error;

    CHECK(f != NULL);
    f->worker = w;
    LIST_INIT(&f->sockets);
    LIST_INIT(&f->failed);
    error = channel_new(f);
    if (error != ARES_SUCCESS) {
        if (f->channel != NULL) {
            ares_destroy(f->channel);
        }
        free(f);
        return err_set(err, ST_IO, "cannot set up forwarding to %s: %s",
                       w->config->recursors, ares_strerror(error));
    }
    CHECK(uv_timer_init(&w->loop, &f->deadline) == 0);
    CHECK(uv_timer_init(&w->loop, &f->soon) == 0);
    f->deadline.data = f;
    f->soon.data = f;
    f->open_handles = 2;
    *out_forwarder = f;
    return ST_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    forwarder_unref(handle->data);
}

void forwarder_close(struct forwarder *f)
{
    f->closing = true;
    ares_destroy(f->channel); /* Calls back for all that is under way. */
    on_soon(&f->soon);
    uv_close((uv_handle_t *)&f->deadline, on_timer_closed);
    uv_close((uv_handle_t *)&f->soon, on_timer_closed);
}
