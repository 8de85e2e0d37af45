/*
 * bench_load.c - asks one DNS server as fast as it answers.
 *
 *     dns_bench_load PORT PID SECONDS SCENARIO [SOCKETS]
 *
 * SCENARIO is a row of the table below; "tcp" is the same as "names" over one
 * kept TCP connection. Over UDP, queries come from so many sockets in turn (1).
 * A window of queries is kept in flight in batches. Every response must carry
 * an id that was sent, its question, and the expected code and number of
 * answers. Prints queries per second and the server's CPU microseconds per
 * query (of process PID, all its threads, from /proc).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/core/check.h"
#include "dns/core/name.h"
#include "tests/bench/dns/world.h"

enum {
    BATCH = 32,
    WINDOW = 8 * BATCH,
    QUERIES = 4000,
    SOCKETS_MAX = 16,
    ROOM = 4096
};

/* Questions of one kind. */
struct kind {
    const char *prefix;
    unsigned names;
    uint16_t type;
    unsigned rcode;
    unsigned answers;
};

enum {
    ONE,
    NAMES,
    SRV3,
    SRV20,
    NX
};

static const struct kind kinds[] = {
    [ONE] = {"a", 1, 1, 0, 1},
    [NAMES] = {"a", WORLD_SINGLES, 1, 0, 1},
    [SRV3] = {"three", WORLD_THREES, 33, 0, 3},
    [SRV20] = {"twenty", WORLD_TWENTIES, 33, 0, 20},
    [NX] = {"none", QUERIES, 1, 3, 0},
};

/* The kinds of ten questions in a row; the same ten again and again. */
static const struct scenario {
    const char *word;
    bool tcp;
    uint8_t ten[10];
} scenarios[] = {
    {"one", false, {ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE}},
    {"names",
     false,
     {NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES}},
    {"srv3",
     false,
     {SRV3, SRV3, SRV3, SRV3, SRV3, SRV3, SRV3, SRV3, SRV3, SRV3}},
    {"srv20",
     false,
     {SRV20, SRV20, SRV20, SRV20, SRV20, SRV20, SRV20, SRV20, SRV20, SRV20}},
    {"nx", false, {NX, NX, NX, NX, NX, NX, NX, NX, NX, NX}},
    {"mix",
     false,
     {NAMES, SRV3, NAMES, NX, NAMES, SRV20, NAMES, NX, NAMES, SRV3}},
    {"tcp",
     true,
     {NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES}},
};

struct query {
    const struct kind *kind;
    size_t len;
    uint8_t framed[2 + 128]; /* With its length in front, as TCP wants it. */
};

struct load {
    bool tcp;
    int fds[SOCKETS_MAX]; /* TCP: the first. */
    unsigned fds_count;
    unsigned fd_next; /* The one whose turn it is. */
    struct query queries[QUERIES];
    unsigned next;
    uint64_t received;
    uint64_t wrong;
    uint64_t lost;
    uint8_t stream[1 << 16]; /* TCP: what has come of the answers. */
    size_t stream_len;
};

static double now_s(void)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_query(struct load *l, unsigned index, const struct kind *kind)
{
    struct query *q = &l->queries[index];
    struct dns_name n = {0};
    char text[96];
    uint8_t *out = q->framed + 2;
    size_t len = 12;

    q->kind = kind;
    (void)snprintf(text, sizeof(text), "%s%u.service." WORLD_DOMAIN,
                   kind->prefix, index % kind->names);
    CHECK(dns_name_add_text(&n, slice_str(text)));
    CHECK(dns_name_end(&n));
    out[0] = (uint8_t)(index >> 8);
    out[1] = (uint8_t)index;
    out[5] = 1;
    out[11] = 1;
    memcpy(out + len, n.bytes, n.len);
    len += n.len;
    out[len + 1] = (uint8_t)kind->type;
    out[len + 3] = 1;
    len += 4;
    out[len + 2] = 41;
    out[len + 3] = ROOM >> 8;
    out[len + 4] = ROOM & 255;
    q->len = len + 11;
    q->framed[1] = (uint8_t)q->len;
}

static void check(struct load *l, const uint8_t *r, size_t len)
{
    unsigned index = (unsigned)(r[0] << 8 | r[1]);
    const struct query *q = &l->queries[index % QUERIES];

    l->received++;
    if (len < 12 || index >= QUERIES || (r[3] & 15u) != q->kind->rcode ||
        (unsigned)(r[6] << 8 | r[7]) != q->kind->answers ||
        memcmp(r + 12, q->framed + 2 + 12, q->len - 12 - 11) != 0) {
        l->wrong++;
    }
}

/* ---- UDP ---------------------------------------------------------- */

static void udp_send(struct load *l)
{
    struct mmsghdr out[BATCH] = {0};
    struct iovec parts[BATCH];
    int n;

    for (unsigned i = 0; i < BATCH; i++) {
        struct query *q = &l->queries[(l->next + i) % QUERIES];

        parts[i] = (struct iovec){q->framed + 2, q->len};
        out[i].msg_hdr.msg_iov = &parts[i];
        out[i].msg_hdr.msg_iovlen = 1;
    }
    n = sendmmsg(l->fds[l->fd_next], out, BATCH, 0);
    CHECK(n == BATCH);
}

/* Waits for one, takes what is there. false: nothing came for a while. */
static bool udp_receive(struct load *l)
{
    static uint8_t room[BATCH][ROOM + 64];
    struct mmsghdr in[BATCH] = {0};
    struct iovec parts[BATCH];
    int n;

    for (unsigned i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){room[i], ROOM};
        in[i].msg_hdr.msg_iov = &parts[i];
        in[i].msg_hdr.msg_iovlen = 1;
    }
    n = recvmmsg(l->fds[l->fd_next], in, BATCH, MSG_WAITFORONE, NULL);
    if (n <= 0) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        check(l, room[i], in[i].msg_len);
    }
    return true;
}

/* ---- TCP ---------------------------------------------------------- */

static void tcp_send(struct load *l)
{
    uint8_t out[BATCH * sizeof(l->queries[0].framed)];
    size_t len = 0;
    size_t done = 0;

    for (unsigned i = 0; i < BATCH; i++) {
        const struct query *q = &l->queries[(l->next + i) % QUERIES];

        memcpy(out + len, q->framed, 2 + q->len);
        len += 2 + q->len;
    }
    while (done < len) {
        ssize_t n = write(l->fds[0], out + done, len - done);

        CHECK(n > 0);
        done += (size_t)n;
    }
}

/* As udp_receive(). */
static bool tcp_receive(struct load *l)
{
    size_t at = 0;
    ssize_t n = read(l->fds[0], l->stream + l->stream_len,
                     sizeof(l->stream) - l->stream_len);

    if (n <= 0) {
        return false;
    }
    l->stream_len += (size_t)n;
    while (at + 2 <= l->stream_len) {
        size_t len = (size_t)(l->stream[at] << 8 | l->stream[at + 1]);

        if (at + 2 + len > l->stream_len) {
            break;
        }
        check(l, l->stream + at + 2, len);
        at += 2 + len;
    }
    l->stream_len -= at;
    memmove(l->stream, l->stream + at, l->stream_len);
    return true;
}

/* ---- The run ------------------------------------------------------ */

static void send_batch(struct load *l)
{
    if (l->tcp) {
        tcp_send(l);
    } else {
        udp_send(l);
    }
    l->next = (l->next + BATCH) % QUERIES;
}

/* One socket's window, then the next one's. */
static void run(struct load *l, double seconds)
{
    double end_s = now_s() + seconds;
    uint64_t in_flight[SOCKETS_MAX] = {0};

    while (now_s() < end_s) {
        uint64_t *mine = &in_flight[l->fd_next];
        uint64_t before = l->received;

        while (*mine + BATCH <= WINDOW) {
            send_batch(l);
            *mine += BATCH;
        }
        if (!(l->tcp ? tcp_receive(l) : udp_receive(l))) {
            l->lost += *mine;
            *mine = 0;
        } else {
            uint64_t came = l->received - before;

            *mine -= came < *mine ? came : *mine;
        }
        l->fd_next = (l->fd_next + 1) % l->fds_count;
    }
}

/* User and system time of a process, all threads, in microseconds. */
static double cpu_us(const char *pid)
{
    char path[64];
    char line[1024];
    unsigned long user;
    unsigned long system;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    file = fopen(path, "r");
    CHECK(file != NULL);
    CHECK(fgets(line, sizeof(line), file) != NULL);
    (void)fclose(file);
    CHECK(sscanf(strrchr(line, ')'),
                 ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                 &system) == 2);
    return (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static int connect_to(const char *port, int type)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(port))};
    struct timeval patience = {.tv_usec = 200000};
    int size = 4 << 20;
    int fd = socket(AF_INET, type, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    return fd;
}

static const struct scenario *find_scenario(const char *word)
{
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(word, scenarios[i].word) == 0) {
            return &scenarios[i];
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static struct load l;
    const struct scenario *s = argc >= 5 ? find_scenario(argv[4]) : NULL;
    int sockets = argc == 6 ? atoi(argv[5]) : 1;
    double seconds;
    double before_us;
    double used_us;

    if (s == NULL || argc > 6 || sockets < 1 || sockets > SOCKETS_MAX) {
        (void)fprintf(stderr, "dns_bench_load PORT PID SECONDS "
                              "one|names|srv3|srv20|nx|mix|tcp [SOCKETS]\n");
        return EXIT_FAILURE;
    }
    seconds = atof(argv[3]);
    l.tcp = s->tcp;
    l.fds_count = l.tcp ? 1 : (unsigned)sockets;
    for (unsigned i = 0; i < l.fds_count; i++) {
        l.fds[i] = connect_to(argv[1], l.tcp ? SOCK_STREAM : SOCK_DGRAM);
    }
    for (unsigned i = 0; i < QUERIES; i++) {
        make_query(&l, i, &kinds[s->ten[i % 10]]);
    }
    run(&l, seconds / 4); /* To be warm. */
    l.received = l.lost = l.wrong = 0;
    before_us = cpu_us(argv[2]);
    run(&l, seconds);
    used_us = cpu_us(argv[2]) - before_us;
    printf("%.0f %.2f %lu %lu\n", (double)l.received / seconds,
           used_us / (double)l.received, (unsigned long)l.lost,
           (unsigned long)l.wrong);
    return l.wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
