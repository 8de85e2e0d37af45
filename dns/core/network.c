#include "dns/core/network.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* "0" .. "128", digits only. */
static bool read_bits(const char *text, unsigned most, uint8_t *out_bits)
{
    char *end;
    unsigned long bits;

    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    bits = strtoul(text, &end, 10);
    if (*end != '\0' || bits > most) {
        return false;
    }
    *out_bits = (uint8_t)bits;
    return true;
}

/* Are the bits from `bits` on zero? */
static bool is_clean(const struct dns_network *n)
{
    for (unsigned i = n->bits; i < n->len * 8u; i++) {
        if (n->ip[i / 8] & (0x80u >> i % 8)) {
            return false;
        }
    }
    return true;
}

enum status dns_network_parse(const char *text, struct dns_network *out)
{
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    struct dns_network n = {0};
    char host[INET6_ADDRSTRLEN];

    if (len >= sizeof(host)) {
        return ST_INVALID;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    if (inet_pton(AF_INET, host, n.ip) == 1) {
        n.len = 4;
    } else if (inet_pton(AF_INET6, host, n.ip) == 1) {
        n.len = 16;
    } else {
        return ST_INVALID;
    }
    n.bits = (uint8_t)(n.len * 8);
    if (slash != NULL && !read_bits(slash + 1, n.len * 8u, &n.bits)) {
        return ST_INVALID;
    }
    if (!is_clean(&n)) {
        return ST_INVALID;
    }
    *out = n;
    return ST_OK;
}

bool dns_network_has(const struct dns_network *n, struct slice ip)
{
    unsigned bytes = n->bits / 8;
    unsigned rest = n->bits % 8;

    if (ip.len != n->len || memcmp(ip.data, n->ip, bytes) != 0) {
        return false;
    }
    return rest == 0 || (ip.data[bytes] ^ n->ip[bytes]) >> (8 - rest) == 0;
}
