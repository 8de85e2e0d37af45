/*
 * fake_names.h - a name service for one test program: its getaddrinfo() is the
 * one that libuv finds. Literals are what they say, every other name has the
 * addresses that were given here.
 */
#pragma once

#include <arpa/inet.h>
#include <check.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAKE_ADDRESSES_MAX 4

static struct sockaddr_in fake_addresses[FAKE_ADDRESSES_MAX];
static unsigned fake_addresses_count;

/* Look-ups wait until this has a byte for each of them, or its end. */
static int fake_names_hold = -1;

static inline void fake_list_add(struct addrinfo **list,
                                 const struct sockaddr_in *address)
{
    struct addrinfo *a = calloc(1, sizeof(*a));
    struct sockaddr_in *copy = malloc(sizeof(*copy));

    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(copy);
    *copy = *address;
    *a = (struct addrinfo){.ai_family = AF_INET,
                           .ai_socktype = SOCK_STREAM,
                           .ai_addrlen = sizeof(*copy),
                           .ai_addr = (struct sockaddr *)copy,
                           .ai_next = *list};
    *list = a;
}

int getaddrinfo(const char *node, const char *port,
                const struct addrinfo *hints, struct addrinfo **out)
{
    struct sockaddr_in literal = {.sin_family = AF_INET,
                                  .sin_port =
                                      htons((uint16_t)strtoul(port, NULL, 10))};
    char byte;

    (void)hints;
    *out = NULL;
    if (inet_pton(AF_INET, node, &literal.sin_addr) == 1) {
        fake_list_add(out, &literal); /* A server asks where it listens. */
        return 0;
    }
    if (fake_names_hold >= 0) {
        ck_assert_int_ge(read(fake_names_hold, &byte, 1), 0);
    }
    for (unsigned i = fake_addresses_count; i > 0; i--) {
        fake_list_add(out, &fake_addresses[i - 1]);
    }
    return *out == NULL ? EAI_NONAME : 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;

        free(list->ai_addr);
        free(list);
        list = next;
    }
}

static inline void fake_names_have(const char *host, unsigned port)
{
    struct sockaddr_in *a = &fake_addresses[fake_addresses_count++];

    *a = (struct sockaddr_in){.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port)};
    ck_assert_int_eq(inet_pton(AF_INET, host, &a->sin_addr), 1);
}

/* A socket whose connections nobody reads: what a frozen server looks like. */
static inline int fake_frozen_open(unsigned *out_port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    *out_port = ntohs(sin.sin_port);
    return fd;
}
