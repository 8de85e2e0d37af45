/*
 * address.h - where to listen or to connect, as people write it.
 *
 *     127.0.0.1:2379   [::1]:2379   db.example:80   :2379   unix:/run/x.sock
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/core/err.h"

#define ADDRESS_TEXT_MAX 280

struct address {
    bool is_unix;
    char host[254]; /* Without brackets; empty: all or the local host. */
    char port[6];   /* Decimal, at most 65535. */
    uint16_t port_number;
    char path[108]; /* Of a Unix socket. */
};

/* ST_INVALID: none of these forms, or too long; err quotes it. */
enum status address_parse(const char *text, struct address *out_address,
                          struct err *err);

/* "127.0.0.1:80", "[::1]:80"; cap should be ADDRESS_TEXT_MAX. */
void address_print(const struct sockaddr *sa, char *out, size_t cap);
