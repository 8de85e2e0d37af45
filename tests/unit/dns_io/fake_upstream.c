#include "tests/unit/dns_io/fake_upstream.h"

#include <arpa/inet.h>
#include <check.h>
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEADER = 12,
    LONG_COUNT = 60,
    ANSWER_MAX = 65535
};

/* A query and the answer to it. */
struct talk {
    const struct fake_upstream *u;
    bool tcp;
    const uint8_t *query;
    size_t question; /* Header and question. */
    uint16_t type;
    bool edns;
    uint8_t out[ANSWER_MAX + 1024];
    size_t len;
};

static void put(struct talk *t, const void *bytes, size_t len)
{
    ck_assert_uint_le(t->len + len, sizeof(t->out));
    memcpy(t->out + t->len, bytes, len);
    t->len += len;
}

static void put_u16(struct talk *t, unsigned value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    put(t, bytes, sizeof(bytes));
}

static void bump(struct talk *t, size_t at)
{
    unsigned value = (unsigned)(t->out[at] << 8 | t->out[at + 1]) + 1;

    t->out[at] = (uint8_t)(value >> 8);
    t->out[at + 1] = (uint8_t)value;
}

/* `owner` NULL: the question's. `count_at`: the section's counter. */
static void put_rr(struct talk *t, size_t count_at, const char *owner,
                   size_t owner_len, unsigned type, uint32_t ttl,
                   const void *data, size_t len)
{
    if (owner == NULL) {
        put_u16(t, 0xc000 | HEADER);
    } else {
        put(t, owner, owner_len);
    }
    put_u16(t, type);
    put_u16(t, 1);
    put_u16(t, ttl >> 16);
    put_u16(t, ttl & 0xffff);
    put_u16(t, (unsigned)len);
    put(t, data, len);
    bump(t, count_at);
}

static void begin(struct talk *t, unsigned flags)
{
    t->len = 0;
    put(t, t->query, t->question);
    t->out[2] = (uint8_t)((0x8100 | flags) >> 8);
    t->out[3] = (uint8_t)(0x80 | flags);
    memset(t->out + 6, 0, 6);
}

static void put_address(struct talk *t, const char *owner, size_t owner_len,
                        uint32_t ttl, uint8_t last)
{
    uint8_t ipv4[4] = {192, 0, 2, last};
    uint8_t ipv6[16] = {0x20, 1, 0x0d, 0xb8, [15] = last};

    if (t->type == 28) {
        put_rr(t, 6, owner, owner_len, 28, ttl, ipv6, sizeof(ipv6));
    } else {
        put_rr(t, 6, owner, owner_len, 1, ttl, ipv4, sizeof(ipv4));
    }
}

static void put_soa(struct talk *t)
{
    static const char soa[] = "\2ns\4test\0\1h\4test\0\0\0\0\1\0\0\0\1\0\0\0\1"
                              "\0\0\0\1\0\0\0\74";

    put_rr(t, 8, "\4test", 6, 6, 60, soa, sizeof(soa) - 1);
}

static void send_out(struct talk *t, int fd, const struct sockaddr_in *to)
{
    uint8_t head[2] = {(uint8_t)(t->len >> 8), (uint8_t)t->len};

    if (t->tcp) {
        (void)send(fd, head, 2, MSG_NOSIGNAL);
        (void)send(fd, t->out, t->len, MSG_NOSIGNAL);
    } else {
        (void)sendto(fd, t->out, t->len, 0, (const struct sockaddr *)to,
                     sizeof(*to));
    }
}

static void answer(struct talk *t, uint32_t ttl)
{
    begin(t, 0);
    put_address(t, NULL, 0, ttl, t->u->number);
}

static void answer_many(struct talk *t, unsigned count)
{
    begin(t, t->tcp ? 0 : 0x0200);
    for (unsigned i = 0; t->tcp && i < count; i++) {
        put_address(t, NULL, 0, 60, (uint8_t)i);
    }
}

static bool is(const struct talk *t, const char *label)
{
    size_t len = strlen(label);

    return t->query[HEADER] == len &&
           strncasecmp((const char *)t->query + HEADER + 1, label, len) == 0;
}

/* What comes before the right answer. */
static void lie(struct talk *t, int fd, const struct sockaddr_in *to)
{
    if (is(t, "wrongid")) {
        answer(t, 60);
        t->out[1] ^= 1;
        t->out[t->len - 1] = 66;
        send_out(t, fd, to);
    } else if (is(t, "wrongname")) {
        answer(t, 60);
        t->out[HEADER + 1] = 'x';
        t->out[t->len - 1] = 66;
        send_out(t, fd, to);
    }
}

static void add_poison(struct talk *t)
{
    static const uint8_t evil[4] = {192, 0, 2, 66};

    put_rr(t, 6, "\3www\4bank", 10, 1, 60, evil, sizeof(evil));
    put_rr(t, 8, "", 1, 2, 60, "\2ns\4evil", 9);
    put_rr(t, 10, "\2ns\4evil", 9, 1, 60, evil, sizeof(evil));
}

static void add_alias(struct talk *t)
{
    begin(t, 0);
    put_rr(t, 6, NULL, 0, 5, 50, "\2ok\5other", 10);
    put_address(t, "\2ok\5other", 10, 40, t->u->number);
}

static void make_answer(struct talk *t)
{
    if (is(t, "nx")) {
        begin(t, 3);
        put_soa(t);
    } else if (is(t, "servfail")) {
        begin(t, 2);
    } else if (is(t, "refused")) {
        begin(t, 5);
    } else if (is(t, "formerr") && t->edns) {
        begin(t, 1);
    } else if (is(t, "lame")) {
        begin(t, 0);
        put_rr(t, 8, "\4test", 6, 2, 60, "\2ns\4test", 9);
    } else if (is(t, "garbage")) {
        answer(t, 60);
        t->len -= 3;
    } else if (is(t, "long")) {
        answer_many(t, LONG_COUNT);
    } else if (is(t, "huge")) {
        answer_many(t, 1800);
        if (t->tcp) { /* Up to the last byte, with a record of no use. */
            static const uint8_t zeros[ANSWER_MAX];
            size_t rest = ANSWER_MAX - t->len - 12;

            put_rr(t, 10, NULL, 0, 65280, 1, zeros, rest);
        }
    } else if (is(t, "alias")) {
        add_alias(t);
    } else {
        answer(t, is(t, "brief") ? 1 : 60);
        if (is(t, "poison")) {
            add_poison(t);
        }
    }
    if (is(t, "lower") && !t->tcp) {
        for (size_t i = HEADER; i < t->question; i++) {
            t->out[i] = (uint8_t)tolower(t->out[i]);
        }
    }
}

static void take(struct fake_upstream *u, const uint8_t *query, size_t len,
                 int fd, const struct sockaddr_in *to)
{
    static _Thread_local struct talk t;
    size_t at = HEADER;

    t.u = u;
    t.tcp = to == NULL;
    t.query = query;
    while (query[at] != 0) {
        at += (size_t)query[at] + 1;
    }
    t.question = at + 5;
    t.type = (uint16_t)(query[at + 1] << 8 | query[at + 2]);
    t.edns = query[11] > 0;
    ck_assert_uint_le(t.question, len);
    atomic_fetch_add(&u->seen, 1);
    if (t.tcp) {
        atomic_fetch_add(&u->seen_tcp, 1);
    }
    while (atomic_load(&u->stalls) && !atomic_load(&u->stop)) {
        (void)usleep(1000);
    }
    if (atomic_load(&u->mute)) {
        return;
    }
    if (atomic_load(&u->polite)) {
        answer(&t, 60);
        send_out(&t, fd, to);
        return;
    }
    if (is(&t, "silent")) {
        return;
    }
    lie(&t, fd, to);
    make_answer(&t);
    send_out(&t, fd, to);
}

static void serve_udp(struct fake_upstream *u)
{
    uint8_t query[4096];
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    ssize_t n = recvfrom(u->udp, query, sizeof(query), MSG_DONTWAIT,
                         (struct sockaddr *)&from, &from_len);

    if (n > HEADER) {
        take(u, query, (size_t)n, u->udp, &from);
    }
}

/* One question a connection. */
static void serve_tcp(struct fake_upstream *u)
{
    int fd = accept(u->tcp, NULL, NULL);
    uint8_t query[4096];
    size_t have = 0;

    while (fd >= 0 &&
           (have < 2 || have < 2 + (size_t)(query[0] << 8 | query[1]))) {
        ssize_t n = recv(fd, query + have, sizeof(query) - have, 0);

        if (n <= 0) {
            break;
        }
        have += (size_t)n;
    }
    if (have > 2 + HEADER) {
        take(u, query + 2, have - 2, fd, NULL);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

static void *run(void *arg)
{
    struct fake_upstream *u = arg;
    struct pollfd fds[2] = {{.fd = u->udp, .events = POLLIN},
                            {.fd = u->tcp, .events = POLLIN}};

    while (!atomic_load(&u->stop)) {
        if (poll(fds, 2, 20) <= 0) {
            continue;
        }
        if (fds[0].revents) {
            serve_udp(u);
        }
        if (fds[1].revents) {
            serve_tcp(u);
        }
    }
    return NULL;
}

/* A UDP port whose TCP twin is free, too. */
static void open_both(struct fake_upstream *u)
{
    for (int i = 0; i < 100; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET};
        socklen_t len = sizeof(a);

        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        u->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        u->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(bind(u->udp, (struct sockaddr *)&a, len), 0);
        ck_assert_int_eq(getsockname(u->udp, (struct sockaddr *)&a, &len), 0);
        u->port = ntohs(a.sin_port);
        if (bind(u->tcp, (struct sockaddr *)&a, len) == 0 &&
            listen(u->tcp, 16) == 0) {
            return;
        }
        (void)close(u->udp);
        (void)close(u->tcp);
    }
    ck_abort_msg("no free port");
}

void fake_upstream_start(struct fake_upstream *u, uint8_t number)
{
    memset(u, 0, sizeof(*u));
    u->number = number;
    open_both(u);
    (void)snprintf(u->address, sizeof(u->address), "127.0.0.1:%u", u->port);
    ck_assert_int_eq(pthread_create(&u->thread, NULL, run, u), 0);
}

void fake_upstream_stop(struct fake_upstream *u)
{
    atomic_store(&u->stop, true);
    ck_assert_int_eq(pthread_join(u->thread, NULL), 0);
    (void)close(u->udp);
    (void)close(u->tcp);
}
