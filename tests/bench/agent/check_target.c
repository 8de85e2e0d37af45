/*
 * check_target.c - the server that ten thousand checks ask, and the judge of
 * when they do.
 *
 *     bench_check_target CHECKS INTERVAL_S WARMUP_S SECONDS
 *
 * Prints "HTTP_PORT TCP_PORT" and listens on all of 127/8. Check N asks for
 * http://127.0.0.1:HTTP_PORT/N, or connects to TCP_PORT at 127.1.HIGH.LOW, N's
 * bytes; so each run is known by what it asks. After WARMUP_S seconds it says
 * "counting", and counts runs for SECONDS: how many in each second, and for
 * each check the time from one run to the next. A gap of more than one and a
 * half intervals is a miss.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CHECKS_MAX = 65536,
    SECONDS_MAX = 3600,
    EVENTS = 256
};

static uint64_t last_ms[CHECKS_MAX];
static unsigned runs[CHECKS_MAX];
static unsigned each_second[SECONDS_MAX];
static unsigned long checks;
static uint64_t interval_ms;
static uint64_t begin_ms;
static uint64_t end_ms;
static uint64_t gap_max_ms;
static uint64_t gap_min_ms = UINT64_MAX;
static unsigned misses;

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void note(unsigned long check)
{
    uint64_t now = now_ms();

    if (check >= checks || now < begin_ms || now >= end_ms) {
        return;
    }
    each_second[(now - begin_ms) / 1000]++;
    if (runs[check]++ > 0) {
        uint64_t gap = now - last_ms[check];

        gap_max_ms = gap > gap_max_ms ? gap : gap_max_ms;
        gap_min_ms = gap < gap_min_ms ? gap : gap_min_ms;
        misses += gap > interval_ms + interval_ms / 2;
    }
    last_ms[check] = now;
}

static int listen_on(unsigned *out_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
        listen(fd, 4096) || getsockname(fd, (struct sockaddr *)&a, &len)) {
        fail("listen");
    }
    *out_port = ntohs(a.sin_port);
    return fd;
}

static void watch(int poll, int fd, uint32_t tag)
{
    struct epoll_event e = {.events = EPOLLIN,
                            .data.u64 = (uint64_t)tag << 32 | (uint32_t)fd};

    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e)) {
        fail("epoll_ctl");
    }
}

enum tag {
    TAG_HTTP_LISTENER,
    TAG_TCP_LISTENER,
    TAG_CLIENT
};

static void accept_all(int poll, int listener, bool http)
{
    struct sockaddr_in here;
    socklen_t len = sizeof(here);
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (http) {
            watch(poll, fd, TAG_CLIENT);
            continue;
        }
        if (getsockname(fd, (struct sockaddr *)&here, &len) == 0) {
            note(ntohl(here.sin_addr.s_addr) & 0xffff);
        }
        close(fd);
    }
}

/* A request fits into one read on loopback; what does not is not a check. */
static void answer(int fd)
{
    static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
                                "Connection: close\r\n\r\nok\n";
    char request[2048];
    ssize_t count = read(fd, request, sizeof(request) - 1);

    if (count > 5 && memcmp(request, "GET /", 5) == 0) {
        request[count] = '\0';
        note(strtoul(request + 5, NULL, 10));
        if (write(fd, reply, sizeof(reply) - 1) < 0) {
            perror("write");
        }
    }
    close(fd);
}

static void print(void)
{
    unsigned seconds = (unsigned)((end_ms - begin_ms) / 1000);
    unsigned long total = 0;
    unsigned least = UINT32_MAX;
    unsigned most = 0;
    unsigned seen = 0;

    printf("runs in each second:");
    for (unsigned i = 0; i < seconds; i++) {
        printf(" %u", each_second[i]);
        total += each_second[i];
        least = each_second[i] < least ? each_second[i] : least;
        most = each_second[i] > most ? each_second[i] : most;
    }
    for (unsigned long i = 0; i < checks; i++) {
        seen += runs[i] > 0;
    }
    printf("\nruns: %lu of %u checks, a second %u to %u (%.2f)\n", total, seen,
           least, most, least > 0 ? (double)most / least : 0.0);
    printf("from one run to the next: %.3f to %.3f s; misses: %u\n",
           (double)gap_min_ms / 1000, (double)gap_max_ms / 1000, misses);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    int poll = epoll_create1(0);
    unsigned http_port;
    unsigned tcp_port;
    int http;
    int tcp;

    if (argc != 5) {
        (void)fprintf(stderr, "usage: %s CHECKS INTERVAL_S WARMUP_S SECONDS\n",
                      argv[0]);
        return 2;
    }
    checks = strtoul(argv[1], NULL, 10);
    interval_ms = strtoul(argv[2], NULL, 10) * 1000;
    begin_ms = now_ms() + strtoul(argv[3], NULL, 10) * 1000;
    end_ms = begin_ms + strtoul(argv[4], NULL, 10) * 1000;
    if (checks > CHECKS_MAX || end_ms - begin_ms > SECONDS_MAX * 1000ULL) {
        (void)fprintf(stderr, "at most %d checks for %d seconds\n", CHECKS_MAX,
                      SECONDS_MAX);
        return 2;
    }
    http = listen_on(&http_port);
    tcp = listen_on(&tcp_port);
    watch(poll, http, TAG_HTTP_LISTENER);
    watch(poll, tcp, TAG_TCP_LISTENER);
    printf("%u %u\n", http_port, tcp_port);
    (void)fflush(stdout);
    while (now_ms() < end_ms) {
        static bool begun;
        int count = epoll_wait(poll, events, EVENTS, 100);

        if (!begun && now_ms() >= begin_ms) {
            begun = true;
            puts("counting");
            (void)fflush(stdout);
        }
        for (int i = 0; i < count; i++) {
            int fd = (int)(uint32_t)events[i].data.u64;
            enum tag tag = (enum tag)(events[i].data.u64 >> 32);

            if (tag == TAG_CLIENT) {
                answer(fd);
            } else {
                accept_all(poll, fd, tag == TAG_HTTP_LISTENER);
            }
        }
    }
    print();
    return 0;
}
