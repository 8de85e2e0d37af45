#include "dns/io/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"

static bool parse_port(const char *text, uint16_t *out_port)
{
    char *end;
    unsigned long port;

    if (*text < '0' || *text > '9') {
        return false;
    }
    port = strtoul(text, &end, 10);
    if (*end != '\0' || port > UINT16_MAX) {
        return false;
    }
    *out_port = (uint16_t)port;
    return true;
}

static bool parse_host(const char *host, union address *out_address)
{
    *out_address = (union address){0};
    if (inet_pton(AF_INET, host, &out_address->ipv4.sin_addr) == 1) {
        out_address->ipv4.sin_family = AF_INET;
        return true;
    }
    *out_address = (union address){0};
    if (inet_pton(AF_INET6, host, &out_address->ipv6.sin6_addr) == 1) {
        out_address->ipv6.sin6_family = AF_INET6;
        return true;
    }
    return false;
}

enum status dns_address_parse(const char *text, int default_port,
                              const char *field, union address *out_address,
                              struct err *err)
{
    char host[INET6_ADDRSTRLEN + 2];
    const char *bracket = text[0] == '[' ? strchr(text, ']') : NULL;
    const char *colon = strrchr(text, ':');
    uint16_t port = (uint16_t)default_port;
    const char *first = bracket != NULL ? text + 1 : text;
    const char *end;

    if (bracket != NULL) {
        colon = bracket[1] == ':' ? bracket + 1 : NULL;
    } else if (colon != NULL && strchr(text, ':') != colon) {
        colon = NULL; /* Bare IPv6. */
    }
    end = bracket != NULL ? bracket : colon != NULL ? colon : strchr(text, 0);
    if ((size_t)(end - first) >= sizeof(host)) {
        return err_set(err, ST_INVALID, "%s: \"%s\" is not an address", field,
                       text);
    }
    memcpy(host, first, (size_t)(end - first));
    host[end - first] = '\0';
    if (!parse_host(host, out_address) ||
        (bracket != NULL && bracket[1] != ':' && bracket[1] != '\0')) {
        return err_set(err, ST_INVALID,
                       "%s: \"%s\" is not an IP address; write 127.0.0.1:8600 "
                       "or [::1]:8600",
                       field, text);
    }
    if (colon == NULL ? default_port < 0 : !parse_port(colon + 1, &port)) {
        return err_set(err, ST_INVALID,
                       "%s: \"%s\" has no port from 0 to 65535", field, text);
    }
    address_set_port(out_address, port);
    return ST_OK;
}

socklen_t address_len(const union address *a)
{
    return a->any.sa_family == AF_INET6 ? sizeof(a->ipv6) : sizeof(a->ipv4);
}

uint16_t address_port(const union address *a)
{
    return ntohs(a->any.sa_family == AF_INET6 ? a->ipv6.sin6_port
                                              : a->ipv4.sin_port);
}

void address_set_port(union address *a, uint16_t port)
{
    if (a->any.sa_family == AF_INET6) {
        a->ipv6.sin6_port = htons(port);
    } else {
        a->ipv4.sin_port = htons(port);
    }
}

struct slice address_ip(const union address *a)
{
    const uint8_t *bytes;

    if (a->any.sa_family != AF_INET6) {
        return slice_of(&a->ipv4.sin_addr, 4);
    }
    bytes = a->ipv6.sin6_addr.s6_addr;
    return IN6_IS_ADDR_V4MAPPED(&a->ipv6.sin6_addr) ? slice_of(bytes + 12, 4)
                                                    : slice_of(bytes, 16);
}

struct slice address_prefix(const union address *a)
{
    struct slice ip = address_ip(a);

    return slice_of(ip.data, ip.len == 4 ? 3 : 7);
}

bool address_is_wildcard(const union address *a)
{
    static const uint8_t zeros[16];
    struct slice ip = address_ip(a);

    return memcmp(ip.data, zeros, ip.len) == 0;
}

bool address_is_loopback(const union address *a)
{
    struct slice ip = address_ip(a);

    return ip.len == 4 ? ip.data[0] == 127
                       : IN6_IS_ADDR_LOOPBACK(&a->ipv6.sin6_addr);
}

bool address_is_local(const union address *a)
{
    struct slice ip = address_ip(a);
    const uint8_t *b = ip.data;

    if (address_is_loopback(a)) {
        return true;
    }
    if (ip.len == 4) {
        return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
               (b[0] == 192 && b[1] == 168) || (b[0] == 169 && b[1] == 254);
    }
    return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}
