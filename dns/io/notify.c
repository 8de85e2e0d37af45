#include "dns/io/notify.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/wire.h"
#include "dns/core/transfer.h"

enum {
    TRIES = 5,
    FIRST_WAIT_MS = 1000, /* Doubled after each try. */
    MESSAGE_MAX = 1024,
    OPCODE_NOTIFY = 0x2000,
    OPCODE_MASK = 0x7800,
};

/* One secondary, one zone. */
struct notice {
    LIST_ENTRY(notice) link;
    struct notifier *of;
    const struct transfer_target *target;
    unsigned domain;
    uv_udp_t udp;
    uv_timer_t timer; /* Until the next try, or the next one may go out. */
    unsigned handles;
    bool bound;     /* The socket is, to an address of ours; */
    bool opened;    /* it is connected, too. */
    bool due;       /* There is something to tell. */
    unsigned tries; /* Of the one under way; 0: none is. */
    bool ever;
    uint64_t sent_ms; /* The first try of the last one. */
    uint16_t id;
    struct tsig tsig;
    size_t question_len;
    size_t body_len; /* Unsigned; as it is now. Its serial may be newer than
                        that of the try before. */
    uint8_t body[MESSAGE_MAX];
    uint8_t received[4096];
};

LIST_HEAD(notices, notice);

/* For an address, a port, a domain. */
#define NAME_ROOM 384

struct notifier {
    uv_loop_t *loop;
    const union address *own;
    size_t own_count;
    struct notify_counts *counts;
    uint32_t interval_ms;
    struct notices notices;
};

struct notifier *notifier_new(uv_loop_t *loop, struct notify_counts *counts)
{
    struct notifier *n = calloc(1, sizeof(*n));

    CHECK(n != NULL);
    n->loop = loop;
    n->counts = counts;
    LIST_INIT(&n->notices);
    return n;
}

void notifier_listen(struct notifier *n, const union address *own,
                     size_t own_count)
{
    n->own = own;
    n->own_count = own_count;
}

/* ---- The way out --------------------------------------------------------- */

/* "192.0.2.1:53 of zone muster.internal." */
static const char *name_of(const struct notice *n, char out[NAME_ROOM])
{
    const union address *to = &n->target->to;
    char ip[64];
    size_t len;

    if (to->any.sa_family == AF_INET6) {
        (void)uv_ip6_name(&to->ipv6, ip, sizeof(ip));
        len = (size_t)snprintf(out, NAME_ROOM, "[%s]:%u of zone ", ip,
                               address_port(to));
    } else {
        (void)uv_ip4_name(&to->ipv4, ip, sizeof(ip));
        len = (size_t)snprintf(out, NAME_ROOM, "%s:%u of zone ", ip,
                               address_port(to));
    }
    for (const uint8_t *at = n->body + DNS_HEADER_BYTES; *at > 0;
         at += 1 + *at) { /* Our own domain: letters, digits, hyphens. */
        len += (size_t)snprintf(out + len, NAME_ROOM - len, "%.*s.", *at,
                                (const char *)at + 1);
    }
    return out;
}

/* Secondaries know us by our address. */
static const union address *source_for(const struct notifier *n,
                                       const union address *to)
{
    for (size_t i = 0; i < n->own_count; i++) {
        const union address *own = &n->own[i];

        if (own->any.sa_family == to->any.sa_family &&
            !address_is_wildcard(own) &&
            address_is_loopback(own) == address_is_loopback(to)) {
            return own;
        }
    }
    return NULL;
}

static void on_received(uv_udp_t *udp, ssize_t len, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags);

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct notice *n = handle->data;

    (void)suggested;
    *out = uv_buf_init((char *)n->received, sizeof(n->received));
}

static bool open_socket(struct notice *n)
{
    const union address *source = source_for(n->of, &n->target->to);
    union address from;

    if (n->opened) {
        return true;
    }
    if (source != NULL && !n->bound) {
        from = *source;
        address_set_port(&from, 0);
        n->bound = uv_udp_bind(&n->udp, &from.any, 0) == 0;
        if (!n->bound) {
            return false;
        }
    }
    n->opened = uv_udp_connect(&n->udp, &n->target->to.any) == 0 &&
                uv_udp_recv_start(&n->udp, on_room, on_received) == 0;
    return n->opened;
}

static void on_timer(uv_timer_t *timer);

static void wait(struct notice *n, uint64_t ms)
{
    CHECK(uv_timer_start(&n->timer, on_timer, ms, 0) == 0);
}

/* What the kernel does not take counts as lost. */
static void send_try(struct notice *n)
{
    uint8_t message[MESSAGE_MAX + TSIG_ROOM];
    size_t len = n->body_len;
    uv_buf_t buffer;

    memcpy(message, n->body, len);
    message[0] = (uint8_t)(n->id >> 8);
    message[1] = (uint8_t)n->id;
    if (n->target->key != NULL) {
        tsig_begin(&n->tsig, n->target->key);
        len = tsig_sign(&n->tsig, message, len, (uint64_t)time(NULL));
    }
    buffer = uv_buf_init((char *)message, (unsigned)len);
    if (open_socket(n)) {
        (void)uv_udp_try_send(&n->udp, &buffer, 1, NULL);
    }
    atomic_fetch_add(&n->of->counts->sent, 1);
    wait(n, (uint64_t)FIRST_WAIT_MS << n->tries);
    n->tries++;
}

static void send_first(struct notice *n)
{
    n->due = false;
    n->ever = true;
    n->tries = 0;
    n->sent_ms = uv_now(n->of->loop);
    CHECK(RAND_bytes((unsigned char *)&n->id, sizeof(n->id)) == 1);
    send_try(n);
}

/* Send what is due, when it may be. */
static void go_on(struct notice *n)
{
    uint64_t age_ms = uv_now(n->of->loop) - n->sent_ms;

    if (!n->due || n->tries > 0) {
        return;
    }
    if (n->ever && age_ms < n->of->interval_ms) {
        wait(n, n->of->interval_ms - age_ms);
    } else {
        send_first(n);
    }
}

static void end_try(struct notice *n, bool answered)
{
    struct notify_counts *c = n->of->counts;

    n->tries = 0;
    (void)uv_timer_stop(&n->timer);
    atomic_fetch_add(answered ? &c->answered : &c->failed, 1);
    go_on(n);
}

static void on_timer(uv_timer_t *timer)
{
    struct notice *n = timer->data;
    char name[NAME_ROOM];

    if (n->tries == 0) {
        go_on(n);
    } else if (n->tries < TRIES) {
        send_try(n);
    } else {
        log_warn("dns", "secondary %s does not answer NOTIFY",
                 name_of(n, name));
        end_try(n, false);
    }
}

/* ---- The way back -------------------------------------------------------- */

static uint16_t u16_at(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* *out_rcode: what it says. */
static bool is_answer(const struct notice *n, struct slice packet,
                      unsigned *out_rcode)
{
    size_t at = 0;
    uint16_t flags;

    if (packet.len < DNS_HEADER_BYTES + n->question_len || n->tries == 0 ||
        u16_at(packet.data) != n->id || u16_at(packet.data + 4) != 1) {
        return false;
    }
    flags = u16_at(packet.data + 2);
    *out_rcode = flags & 15U;
    if (!(flags & DNS_FLAG_QR) || (flags & OPCODE_MASK) != OPCODE_NOTIFY ||
        !dns_same(slice_of(packet.data + DNS_HEADER_BYTES, n->question_len),
                  slice_of(n->body + DNS_HEADER_BYTES, n->question_len))) {
        return false;
    }
    return n->target->key == NULL ||
           (tsig_find(packet, &at) &&
            tsig_response(&n->tsig, packet, at, (uint64_t)time(NULL)));
}

static void on_received(uv_udp_t *udp, ssize_t len, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags)
{
    struct notice *n = udp->data;
    unsigned rcode;
    char name[NAME_ROOM];

    (void)from; /* Whom the socket is connected to. */
    if (len <= 0 || (flags & UV_UDP_PARTIAL) ||
        !is_answer(n, slice_of(buffer->base, (size_t)len), &rcode)) {
        return;
    }
    if (rcode != DNS_NOERROR) {
        log_warn("dns", "secondary %s refuses NOTIFY with code %u",
                 name_of(n, name), rcode);
    }
    end_try(n, rcode == DNS_NOERROR);
}

/* ---- Secondaries come and go --------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct notice *n = handle->data;

    if (--n->handles == 0) {
        free(n);
    }
}

static void notice_close(struct notice *n)
{
    LIST_REMOVE(n, link);
    uv_close((uv_handle_t *)&n->udp, on_closed);
    uv_close((uv_handle_t *)&n->timer, on_closed);
}

static void notice_add(struct notifier *of, unsigned domain,
                       const struct transfer_target *target)
{
    struct notice *n = calloc(1, sizeof(*n));

    CHECK(n != NULL);
    n->of = of;
    n->target = target;
    n->domain = domain;
    n->handles = 2;
    n->udp.data = n;
    n->timer.data = n;
    CHECK(uv_udp_init(of->loop, &n->udp) == 0);
    CHECK(uv_timer_init(of->loop, &n->timer) == 0);
    LIST_INSERT_HEAD(&of->notices, n, link);
}

static void close_notices(struct notifier *n)
{
    while (!LIST_EMPTY(&n->notices)) {
        notice_close(LIST_FIRST(&n->notices));
    }
}

void notifier_set(struct notifier *n, const struct transfer_rules *rules)
{
    close_notices(n);
    if (rules == NULL) {
        return;
    }
    n->interval_ms = rules->interval_ms;
    for (size_t i = 0; i < rules->targets_count; i++) {
        for (unsigned d = 0; d < TRANSFER_ZONES_MAX; d++) {
            notice_add(n, d, &rules->targets[i]);
        }
    }
}

/* A response with the SOA, made into a request that tells of it. */
static void set_body(struct notice *n, const struct dns_zone *zone)
{
    struct dns_transfer_request request = {
        .type = DNS_TYPE_SOA, .name = dns_zone_domain_name(zone, n->domain)};

    n->body_len = dns_transfer_soa(zone, n->domain, &request, n->body);
    n->body[2] = (OPCODE_NOTIFY | DNS_FLAG_AA) >> 8;
    n->body[3] = 0;
    n->question_len = request.name.len + 4;
}

/* One that is under way tells of it when it is sent again; in any case the next
 * one does. */
void notifier_changed(struct notifier *n, const struct dns_zone *zone,
                      unsigned domain)
{
    struct notice *i;

    LIST_FOREACH(i, &n->notices, link)
    {
        if (i->domain == domain) {
            set_body(i, zone);
            i->due = true;
            go_on(i);
        }
    }
}

void notifier_close(struct notifier *n)
{
    if (n != NULL) {
        close_notices(n);
        free(n);
    }
}
