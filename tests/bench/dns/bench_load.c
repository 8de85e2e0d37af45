/*
 * bench_load.c - asks one DNS server as fast as it answers, over UDP.
 *
 *     dns_bench_load PORT PID SECONDS a|srv3|srv20|nx
 *
 * A window of queries is kept in flight in batches. Every response must carry
 * an id that was sent and the expected code and number of answers. Prints
 * queries per second and the server's CPU microseconds per query (of process
 * PID and its children's threads, from /proc).
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
    ROOM = 4096
};

struct load {
    const char *prefix;
    unsigned names;
    uint16_t type;
    unsigned rcode;
    unsigned answers;
    int fd;
    struct {
        size_t len;
        uint8_t bytes[128];
    } queries[QUERIES];
    unsigned next;
    uint64_t sent;
    uint64_t received;
    uint64_t wrong;
    uint64_t lost;
};

static double now_s(void)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_query(struct load *l, unsigned index)
{
    struct dns_name n = {0};
    char text[96];
    uint8_t *out = l->queries[index].bytes;
    size_t len = 12;

    (void)snprintf(text, sizeof(text), "%s%u.service." WORLD_DOMAIN, l->prefix,
                   index % l->names);
    CHECK(dns_name_add_text(&n, slice_str(text)));
    CHECK(dns_name_end(&n));
    out[0] = (uint8_t)(index >> 8);
    out[1] = (uint8_t)index;
    out[5] = 1;
    out[11] = 1;
    memcpy(out + len, n.bytes, n.len);
    len += n.len;
    out[len + 1] = (uint8_t)l->type;
    out[len + 3] = 1;
    len += 4;
    out[len + 2] = 41;
    out[len + 3] = ROOM >> 8;
    out[len + 4] = ROOM & 255;
    l->queries[index].len = len + 11;
}

static void send_batch(struct load *l)
{
    struct mmsghdr out[BATCH] = {0};
    struct iovec parts[BATCH];
    int n;

    for (unsigned i = 0; i < BATCH; i++) {
        unsigned index = (l->next + i) % QUERIES;

        parts[i] =
            (struct iovec){l->queries[index].bytes, l->queries[index].len};
        out[i].msg_hdr.msg_iov = &parts[i];
        out[i].msg_hdr.msg_iovlen = 1;
    }
    n = sendmmsg(l->fd, out, BATCH, 0);
    CHECK(n > 0);
    l->next = (l->next + (unsigned)n) % QUERIES;
    l->sent += (unsigned)n;
}

static void check(struct load *l, const uint8_t *r, size_t len)
{
    unsigned index = (unsigned)(r[0] << 8 | r[1]);

    l->received++;
    if (len < 12 || index >= QUERIES || (r[3] & 15u) != l->rcode ||
        (unsigned)(r[6] << 8 | r[7]) != l->answers ||
        memcmp(r + 12, l->queries[index].bytes + 12,
               l->queries[index].len - 12 - 11) != 0) {
        l->wrong++;
    }
}

/* Waits for one, takes what is there. false: nothing came for a while. */
static bool receive_batch(struct load *l)
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
    n = recvmmsg(l->fd, in, BATCH, MSG_WAITFORONE, NULL);
    if (n <= 0) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        check(l, room[i], in[i].msg_len);
    }
    return true;
}

static void run(struct load *l, double seconds)
{
    double end_s = now_s() + seconds;
    uint64_t in_flight = 0;

    while (now_s() < end_s) {
        uint64_t before = l->received;

        while (in_flight + BATCH <= WINDOW) {
            send_batch(l);
            in_flight += BATCH;
        }
        if (!receive_batch(l)) {
            l->lost += in_flight;
            in_flight = 0;
            continue;
        }
        in_flight -=
            l->received - before < in_flight ? l->received - before : in_flight;
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

static int connect_to(const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(port))};
    struct timeval patience = {.tv_usec = 200000};
    int size = 4 << 20;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    return fd;
}

static const struct scenario {
    const char *word;
    const char *prefix;
    unsigned names;
    uint16_t type;
    unsigned rcode;
    unsigned answers;
} scenarios[] = {
    {"a", "a", WORLD_SINGLES, 1, 0, 1},
    {"srv3", "three", WORLD_THREES, 33, 0, 3},
    {"srv20", "twenty", WORLD_TWENTIES, 33, 0, 20},
    {"nx", "none", QUERIES, 1, 3, 0},
};

int main(int argc, char **argv)
{
    static struct load l;
    const struct scenario *s = NULL;
    double seconds = argc == 5 ? atof(argv[3]) : 0;
    double before_us;
    double used_us;

    for (size_t i = 0; argc == 5 && i < sizeof(scenarios) / sizeof(*s); i++) {
        if (strcmp(argv[4], scenarios[i].word) == 0) {
            s = &scenarios[i];
        }
    }
    if (s == NULL) {
        (void)fprintf(stderr,
                      "dns_bench_load PORT PID SECONDS a|srv3|srv20|nx\n");
        return EXIT_FAILURE;
    }
    l.prefix = s->prefix;
    l.names = s->names;
    l.type = s->type;
    l.rcode = s->rcode;
    l.answers = s->answers;
    l.fd = connect_to(argv[1]);
    for (unsigned i = 0; i < QUERIES; i++) {
        make_query(&l, i);
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
