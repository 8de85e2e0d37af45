/*
 * dns_watchers.c - asks many agents at once until each shows a change.
 *
 *     dns_watchers ADDRESS:PORT...
 *
 * Each line "NAME PORT BEGIN" on the standard input is a question to all of
 * them: SRV of NAME, until the one record has PORT. The answer is a line of
 * microseconds, one an agent in the order of the arguments, from BEGIN
 * (nanoseconds of the monotonic clock) to the answer's arrival; "-" for one
 * that did not show it within 10 s.
 *
 * An agent is asked again 2 ms after its answer, or when none came for 500 ms.
 * Answers to an earlier question are passed over.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/core/check.h"

enum {
    AGENTS_MAX = 1000,
    PACKET_MAX = 4096,
    HEADER_SIZE = 12,
    PAUSE_US = 2000,
    SILENCE_US = 500000,
    LIMIT_US = 10000000,
    TYPE_SRV = 33,
    PORT_AT = 16 /* Behind the question: owner, type, class, TTL, length,
                    priority, weight. */
};

struct agent {
    struct sockaddr_in at;
    int64_t ask_us;  /* When it is to be asked (again). */
    int64_t seen_us; /* 0: not yet. */
};

struct question {
    uint8_t bytes[HEADER_SIZE + 260];
    size_t size;
    uint16_t port; /* Wanted. */
    int64_t begin_us;
};

static struct agent agents[AGENTS_MAX];
static size_t agents_count;
static int udp;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool read_agent(const char *text, struct agent *out_agent)
{
    char host[64];
    unsigned port;
    out_agent->at.sin_family = AF_INET;
    if (sscanf(text, "%63[0-9.]:%u", host, &port) != 2 || port > UINT16_MAX) {
        return false;
    }
    out_agent->at.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &out_agent->at.sin_addr) == 1;
}

static void put16(struct question *q, unsigned number)
{
    q->bytes[q->size++] = (uint8_t)(number >> 8);
    q->bytes[q->size++] = (uint8_t)number;
}

static void put_label(struct question *q, const char *label)
{
    size_t length = strlen(label);
    CHECK(length > 0 && length < 64 && q->size + length + 6 < sizeof q->bytes);
    q->bytes[q->size++] = (uint8_t)length;
    memcpy(q->bytes + q->size, label, length);
    q->size += length;
}

/* "NAME PORT BEGIN" */
static bool read_question(char *line, struct question *q)
{
    char name[256];
    unsigned port;
    long long begin_ns;
    *q = (struct question){.size = 0};
    if (sscanf(line, "%255s %u %lld", name, &port, &begin_ns) != 3) {
        return false;
    }
    q->port = (uint16_t)port;
    q->begin_us = begin_ns / 1000;
    put16(q, 0); /* The number of the agent, later. */
    put16(q, 0);
    put16(q, 1);
    q->size = HEADER_SIZE;
    char *rest = NULL;
    for (char *label = strtok_r(name, ".", &rest); label != NULL;
         label = strtok_r(NULL, ".", &rest)) {
        put_label(q, label);
    }
    q->bytes[q->size++] = 0;
    put16(q, TYPE_SRV);
    put16(q, 1);
    return true;
}

static void ask(struct question *q, size_t number)
{
    struct agent *a = &agents[number];
    q->bytes[0] = (uint8_t)(number >> 8);
    q->bytes[1] = (uint8_t)number;
    /* A full buffer is as good as a lost packet: it is asked again. */
    (void)!sendto(udp, q->bytes, q->size, 0, (struct sockaddr *)&a->at,
                  sizeof a->at);
    a->ask_us = now_us() + SILENCE_US;
}

/* True: it is what was waited for. */
static bool shows(const struct question *q, const uint8_t *packet, size_t size)
{
    return size >= q->size + PORT_AT + 2 && packet[7] == 1 &&
           packet[q->size + PORT_AT] == q->port >> 8 &&
           packet[q->size + PORT_AT + 1] == (q->port & 0xFF);
}

/* How many more have shown it. */
static size_t take_answers(const struct question *q)
{
    size_t more = 0;
    for (;;) {
        uint8_t packet[PACKET_MAX];
        struct sockaddr_in from;
        socklen_t from_size = sizeof from;
        ssize_t n = recvfrom(udp, packet, sizeof packet, MSG_DONTWAIT,
                             (struct sockaddr *)&from, &from_size);
        if (n < 0) {
            return more;
        }
        size_t number =
            n > HEADER_SIZE ? packet[0] * 256U + packet[1] : SIZE_MAX;
        if (number >= agents_count || (size_t)n < q->size ||
            memcmp(packet + HEADER_SIZE, q->bytes + HEADER_SIZE,
                   q->size - HEADER_SIZE) != 0 ||
            from.sin_addr.s_addr != agents[number].at.sin_addr.s_addr) {
            continue; /* Late, of the question before. */
        }
        struct agent *a = &agents[number];
        if (a->seen_us == 0 && shows(q, packet, (size_t)n)) {
            a->seen_us = now_us();
            more++;
        }
        a->ask_us = now_us() + PAUSE_US;
    }
}

static void follow(struct question *q)
{
    size_t seen = 0;
    for (size_t i = 0; i < agents_count; i++) {
        agents[i].seen_us = 0;
        agents[i].ask_us = 0;
    }
    int64_t end_us = now_us() + LIMIT_US;
    while (seen < agents_count && now_us() < end_us) {
        int64_t now = now_us();
        for (size_t i = 0; i < agents_count; i++) {
            if (agents[i].seen_us == 0 && agents[i].ask_us <= now) {
                ask(q, i);
            }
        }
        struct pollfd p = {.fd = udp, .events = POLLIN};
        (void)poll(&p, 1, 1);
        seen += take_answers(q);
    }
}

static void print(const struct question *q)
{
    for (size_t i = 0; i < agents_count; i++) {
        if (agents[i].seen_us == 0) {
            printf("- ");
        } else {
            printf("%lld ", (long long)(agents[i].seen_us - q->begin_us));
        }
    }
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (agents_count == AGENTS_MAX ||
            !read_agent(argv[i], &agents[agents_count++])) {
            fprintf(stderr,
                    "dns_watchers: %s: ADDRESS:PORT wanted, %d at most\n",
                    argv[i], AGENTS_MAX);
            return 2;
        }
    }
    udp = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(udp >= 0);
    char line[512];
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct question q;
        if (!read_question(line, &q)) {
            fprintf(stderr, "dns_watchers: NAME PORT BEGIN wanted, not: %s",
                    line);
            return 2;
        }
        follow(&q);
        print(&q);
    }
    close(udp);
    return 0;
}
