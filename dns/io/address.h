/*
 * address.h - socket addresses: from text, and what kind of client they are.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/core/bytes.h"
#include "base/core/err.h"

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

/* "192.0.2.1:53", "[::1]:53"; without port when `default_port` is not negative.
 * `field` begins the message. */
enum status dns_address_parse(const char *text, int default_port,
                              const char *field, union address *out_address,
                              struct err *err);

socklen_t address_len(const union address *a);
uint16_t address_port(const union address *a);
void address_set_port(union address *a, uint16_t port);

/* 4 or 16 bytes, borrowed. IPv4 in IPv6 ("::ffff:192.0.2.1") gives its 4. */
struct slice address_ip(const union address *a);

/* Who counts as one client: IPv4 /24, IPv6 /56. 3 or 7 bytes, borrowed. */
struct slice address_prefix(const union address *a);

bool address_is_wildcard(const union address *a);
bool address_is_loopback(const union address *a);

/* Loopback, link-local, RFC 1918, unique local: whom we forward for. */
bool address_is_local(const union address *a);
