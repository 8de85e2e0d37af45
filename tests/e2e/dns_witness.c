/*
 * dns_witness.c - asks two agents again and again, and says what was wrong.
 *
 *     dns_witness CHANGES DNS:HTTP DNS:HTTP NAME=ADDR,ADDR,... ...
 *
 * DNS and HTTP are an agent's ports on 127.0.0.1. Until SIGTERM comes
 *   - each agent is asked 100 times a second for the NAMEs, A and SRV in turn,
 *     and for a name that nobody has. Each answer must have exactly these
 *     addresses, or as many targets; each question must have an answer.
 *   - a service is registered at one agent, waited for at the other one,
 *     deregistered, and waited for again; and the same the other way round.
 *     CHANGES gets a line for each: when it was asked for and when DNS showed
 *     it, in milliseconds of the calendar, what it was, and where.
 * Counts are printed at the end. The exit code is 1 when anything was wrong.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/core/check.h"

enum {
    AGENTS = 2,
    NAMES_MAX = 8,
    ADDRESSES_MAX = 16,
    PERIOD_US = 10000,
    POLL_US = 3000,
    PAUSE_US = 20000,
    ANSWER_MS = 1000,
    CHANGE_MS = 45000,
    COMPLAINTS_MAX = 20,
    PACKET_MAX = 4096,
    TYPE_A = 1,
    TYPE_SRV = 33,
    NOERROR = 0,
    NXDOMAIN = 3
};

struct name {
    const char *text;
    uint32_t addresses[ADDRESSES_MAX]; /* As on the wire; sorted. */
    size_t count;
};

struct agent {
    unsigned number;
    uint16_t dns_port;
    uint16_t http_port;
};

static struct agent agents[AGENTS];
static struct name names[NAMES_MAX];
static size_t names_count;
static FILE *changes;
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;
static volatile sig_atomic_t over;
static atomic_ulong asked;
static atomic_ulong wrong;
static atomic_ulong missing;
static atomic_ulong changed;
static atomic_ulong slowest_us;

static uint64_t clock_us(clockid_t id)
{
    struct timespec t;

    CHECK(clock_gettime(id, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

static uint64_t wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

static void sleep_us(uint64_t us)
{
    struct timespec t = {.tv_sec = (time_t)(us / 1000000),
                         .tv_nsec = (long)(us % 1000000) * 1000};

    (void)nanosleep(&t, NULL);
}

static void complain(atomic_ulong *counter, const struct agent *a,
                     const char *name, unsigned type, const char *what)
{
    unsigned long before = atomic_fetch_add(counter, 1);

    if (before < COMPLAINTS_MAX) {
        (void)pthread_mutex_lock(&output);
        (void)printf("%llu agent %u, %s, type %u: %s\n",
                     (unsigned long long)wall_ms(), a->number, name, type,
                     what);
        (void)pthread_mutex_unlock(&output);
    }
}

static int connected(int type, uint16_t port, uint64_t timeout_ms)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = (time_t)(timeout_ms / 1000)};
    int fd = socket(AF_INET, type, 0);

    CHECK(fd >= 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        (void)close(fd);
        return -1; /* Over TCP: nobody listens. */
    }
    return fd;
}

/* ---- one question ---- */

struct answer {
    unsigned rcode;
    size_t targets; /* SRV records. */
    uint32_t addresses[64];
    size_t addresses_count;
};

static size_t question_write(uint8_t *out, uint16_t id, const char *name,
                             unsigned type)
{
    static const uint8_t head[10] = {1, 0, 0, 1};
    size_t at = 12;
    size_t mark = at++;

    out[0] = (uint8_t)(id >> 8);
    out[1] = (uint8_t)id;
    memcpy(out + 2, head, sizeof(head));
    for (const char *c = name;; c++) {
        if (*c == '.' || *c == '\0') {
            out[mark] = (uint8_t)(at - mark - 1);
            mark = at++;
        } else {
            out[at++] = (uint8_t)*c;
        }
        if (*c == '\0') {
            break;
        }
    }
    out[mark] = 0;
    out[at++] = 0;
    out[at++] = (uint8_t)type;
    out[at++] = 0;
    out[at++] = 1;
    return at;
}

static size_t name_skip(const uint8_t *p, size_t at, size_t len)
{
    while (at < len && p[at] != 0) {
        if (p[at] >= 0xc0) {
            return at + 2;
        }
        at += (size_t)p[at] + 1;
    }
    return at + 1;
}

static unsigned u16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static int by_value(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(uint32_t));
}

/* False: the packet makes no sense. Only the answer section is looked at. */
static bool answer_read(const uint8_t *p, size_t len, struct answer *out)
{
    size_t at = 12;
    unsigned records;

    *out = (struct answer){0};
    if (len < 12 || (p[2] & 0x82) != 0x80 || u16(p + 4) != 1) {
        return false; /* No reply, or cut. */
    }
    out->rcode = p[3] & 15;
    records = u16(p + 6);
    at = name_skip(p, at, len) + 4;
    while (records-- > 0) {
        size_t data;

        at = name_skip(p, at, len);
        data = at + 10;
        if (data > len || data + u16(p + at + 8) > len) {
            return false;
        }
        if (u16(p + at) == TYPE_A && out->addresses_count < 64) {
            memcpy(&out->addresses[out->addresses_count++], p + data, 4);
        }
        out->targets += u16(p + at) == TYPE_SRV;
        at = data + u16(p + at + 8);
    }
    qsort(out->addresses, out->addresses_count, sizeof(out->addresses[0]),
          by_value);
    return true;
}

static void slowest_note(uint64_t us)
{
    unsigned long seen = atomic_load(&slowest_us);

    while (us > seen && !atomic_compare_exchange_weak(&slowest_us, &seen, us)) {
    }
}

/* NULL, or what went wrong. */
static const char *ask(int fd, const char *name, unsigned type,
                       struct answer *out)
{
    static atomic_uint ids;
    uint16_t id = (uint16_t)atomic_fetch_add(&ids, 1);
    uint8_t packet[PACKET_MAX];
    size_t len = question_write(packet, id, name, type);
    uint64_t begun_us = now_us();
    ssize_t got;

    if (send(fd, packet, len, 0) != (ssize_t)len) {
        return "the agent's port is closed";
    }
    do { /* Answers to questions that were given up are passed over. */
        got = recv(fd, packet, sizeof(packet), 0);
        if (got < 0) {
            return "no answer within a second";
        }
    } while (got >= 2 && u16(packet) != id);
    slowest_note(now_us() - begun_us);
    return answer_read(packet, (size_t)got, out) ? NULL : "no answer to read";
}

/* ---- what must always be there ---- */

static void full_name(char *out, size_t cap, const char *name)
{
    (void)snprintf(out, cap, "%s.service.consul", name);
}

static void ask_one(const struct agent *a, int fd, const struct name *n,
                    unsigned type)
{
    char text[128];
    struct answer answer;
    const char *trouble;

    full_name(text, sizeof(text), n->text);
    trouble = ask(fd, text, type, &answer);
    atomic_fetch_add(&asked, 1);
    if (trouble != NULL) {
        complain(&missing, a, text, type, trouble);
    } else if (answer.rcode != (n->count == 0 ? NXDOMAIN : NOERROR)) {
        complain(&wrong, a, text, type, "another code");
    } else if (type == TYPE_SRV && answer.targets != n->count) {
        complain(&wrong, a, text, type, "another number of targets");
    } else if (type == TYPE_A &&
               (answer.addresses_count != n->count ||
                memcmp(answer.addresses, n->addresses,
                       n->count * sizeof(n->addresses[0])) != 0)) {
        complain(&wrong, a, text, type, "other addresses");
    }
}

static void *asker(void *arg)
{
    const struct agent *a = arg;
    int fd = connected(SOCK_DGRAM, a->dns_port, ANSWER_MS);
    static const struct name nobody = {.text = "nobody"};
    uint64_t due_us = now_us();

    for (size_t turn = 0; !over; turn++) {
        size_t which = turn / 2 % (names_count + 1);
        uint64_t left_us;

        ask_one(a, fd, which == names_count ? &nobody : &names[which],
                turn % 2 == 0 ? TYPE_A : TYPE_SRV);
        due_us += PERIOD_US;
        left_us = now_us();
        if (left_us < due_us) {
            sleep_us(due_us - left_us);
        } else {
            due_us = left_us; /* Late: no burst makes up for it. */
        }
    }
    (void)close(fd);
    return NULL;
}

/* ---- changes ---- */

static void put(const struct agent *a, const char *path, const char *body)
{
    int fd = connected(SOCK_STREAM, a->http_port, 20000);
    char text[1024];
    int len = snprintf(text, sizeof(text),
                       "PUT %s HTTP/1.1\r\nHost: localhost\r\n"
                       "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                       path, strlen(body), body);
    ssize_t got;

    if (fd < 0 || send(fd, text, (size_t)len, 0) != len) {
        complain(&missing, a, path, 0, "the agent does not listen");
        return;
    }
    got = recv(fd, text, sizeof(text) - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    if (strncmp(text, "HTTP/1.1 200 ", 13) != 0) {
        complain(&wrong, a, path, 0, "the change was refused");
    }
    (void)close(fd);
}

/* Until `there` is so at the agent; then it is noted. */
static bool await(const struct agent *a, int fd, const char *name, bool there,
                  uint64_t begun_ms)
{
    char text[128];
    struct answer answer;
    uint64_t limit_us = now_us() + (uint64_t)CHANGE_MS * 1000;

    full_name(text, sizeof(text), name);
    while (now_us() < limit_us) {
        const char *trouble = ask(fd, text, TYPE_A, &answer);

        if (trouble != NULL) {
            complain(&missing, a, text, TYPE_A, trouble);
        } else if ((answer.addresses_count == 1) == there) {
            (void)pthread_mutex_lock(&output);
            CHECK(fprintf(changes, "%llu %llu %s agent%u\n",
                          (unsigned long long)begun_ms,
                          (unsigned long long)wall_ms(),
                          there ? "appears" : "vanishes", a->number) > 0);
            (void)pthread_mutex_unlock(&output);
            atomic_fetch_add(&changed, 1);
            return true;
        }
        sleep_us(POLL_US);
    }
    complain(&wrong, a, text, TYPE_A,
             there ? "a registration does not appear"
                   : "a deregistration is not seen");
    return false;
}

static void *changer(void *arg)
{
    const struct agent *from = arg;
    const struct agent *to = &agents[(from->number + 1) % AGENTS];
    int fd = connected(SOCK_DGRAM, to->dns_port, ANSWER_MS);

    for (unsigned turn = 0; !over; turn++) {
        char name[32];
        char text[256];
        uint64_t begun_ms = wall_ms();

        (void)snprintf(name, sizeof(name), "new%u-%u", from->number, turn);
        (void)snprintf(text, sizeof(text),
                       "{\"Name\":\"%s\",\"Address\":\"10.9.%u.1\","
                       "\"Port\":9}",
                       name, from->number);
        put(from, "/v1/agent/service/register", text);
        if (!await(to, fd, name, true, begun_ms)) {
            break;
        }
        (void)snprintf(text, sizeof(text), "/v1/agent/service/deregister/%s",
                       name);
        begun_ms = wall_ms();
        put(from, text, "");
        if (!await(to, fd, name, false, begun_ms)) {
            break;
        }
        sleep_us(PAUSE_US);
    }
    (void)close(fd);
    return NULL;
}

/* ---- all together ---- */

static void on_signal(int number)
{
    (void)number;
    over = 1;
}

static bool agent_take(unsigned number, const char *text)
{
    unsigned dns;
    unsigned http;

    if (sscanf(text, "%u:%u", &dns, &http) != 2) {
        return false;
    }
    agents[number] = (struct agent){.number = number,
                                    .dns_port = (uint16_t)dns,
                                    .http_port = (uint16_t)http};
    return true;
}

static bool name_take(char *text)
{
    struct name *n = &names[names_count];
    char *save;
    char *equals = strchr(text, '=');

    if (equals == NULL || names_count == NAMES_MAX) {
        return false;
    }
    *equals = '\0';
    n->text = text;
    for (char *at = strtok_r(equals + 1, ",", &save); at != NULL;
         at = strtok_r(NULL, ",", &save)) {
        if (n->count == ADDRESSES_MAX ||
            inet_pton(AF_INET, at, &n->addresses[n->count++]) != 1) {
            return false;
        }
    }
    qsort(n->addresses, n->count, sizeof(n->addresses[0]), by_value);
    names_count++;
    return true;
}

static bool arguments(int argc, char **argv)
{
    bool good = argc >= 5;

    for (unsigned i = 0; i < AGENTS && good; i++) {
        good = agent_take(i, argv[2 + i]);
    }
    for (int i = 2 + AGENTS; i < argc && good; i++) {
        good = name_take(argv[i]);
    }
    return good;
}

int main(int argc, char **argv)
{
    pthread_t threads[2 * AGENTS];
    bool good;

    if (!arguments(argc, argv)) {
        (void)fprintf(stderr, "usage: dns_witness CHANGES DNS:HTTP DNS:HTTP "
                              "NAME=ADDR,... ...\n");
        return 2;
    }
    changes = fopen(argv[1], "w");
    CHECK(changes != NULL);
    (void)setvbuf(changes, NULL, _IOLBF, 0);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < AGENTS; i++) {
        CHECK(pthread_create(&threads[2 * i], NULL, asker, &agents[i]) == 0);
        CHECK(pthread_create(&threads[2 * i + 1], NULL, changer, &agents[i]) ==
              0);
    }
    for (unsigned i = 0; i < 2 * AGENTS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(fclose(changes) == 0);
    good = wrong == 0 && missing == 0;
    (void)printf("%lu questions, %lu wrong answers, %lu missing ones, the "
                 "slowest after %lu ms; %lu changes seen\n",
                 (unsigned long)asked, (unsigned long)wrong,
                 (unsigned long)missing, (unsigned long)slowest_us / 1000,
                 (unsigned long)changed);
    return good ? 0 : 1;
}
