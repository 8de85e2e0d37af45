#include "agent/core/networks.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define TEXT_MAX 64

/* Returns how many bits of the 16 bytes are fixed by the family. */
static enum status read_address(const char *text, uint8_t out[16],
                                unsigned *out_lead)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255};

    memcpy(out, mapped, sizeof(mapped));
    *out_lead = 96;
    if (inet_pton(AF_INET, text, out + 12) == 1) {
        return ST_OK;
    }
    *out_lead = 0;
    return inet_pton(AF_INET6, text, out) == 1 ? ST_OK : ST_INVALID;
}

static bool bit_set(const uint8_t bytes[16], unsigned bit)
{
    return bytes[bit / 8] >> (7 - bit % 8) & 1;
}

enum status network_parse(const char *text, struct network *out_network)
{
    const char *slash = strchr(text, '/');
    struct network n = {.bits = 128};
    char address[TEXT_MAX];
    size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
    unsigned lead;
    char *end;

    if (len >= sizeof(address)) {
        return ST_INVALID;
    }
    memcpy(address, text, len);
    address[len] = '\0';
    if (read_address(address, n.bytes, &lead)) {
        return ST_INVALID;
    }
    if (slash != NULL) {
        unsigned long bits = strtoul(slash + 1, &end, 10);

        if (slash[1] < '0' || slash[1] > '9' || *end != '\0' ||
            bits > 128 - lead) {
            return ST_INVALID;
        }
        n.bits = lead + (unsigned)bits;
    }
    for (unsigned bit = n.bits; bit < 128; bit++) {
        if (bit_set(n.bytes, bit)) {
            return ST_INVALID;
        }
    }
    *out_network = n;
    return ST_OK;
}

/* The address in front of the port, without brackets. */
static enum status read_peer(struct slice peer, uint8_t out[16])
{
    char text[TEXT_MAX];
    char *address = text;
    char *end;
    unsigned lead;

    if (peer.len == 0 || peer.len >= sizeof(text)) {
        return ST_INVALID;
    }
    memcpy(text, peer.data, peer.len);
    text[peer.len] = '\0';
    if (text[0] == '[') {
        end = strchr(text, ']');
        address++;
    } else {
        end = strchr(text, ':');
        if (end != NULL && strchr(end + 1, ':') != NULL) {
            end = NULL; /* IPv6 alone. */
        }
    }
    if (end != NULL) {
        *end = '\0';
    }
    return read_address(address, out, &lead);
}

static bool has_address(const struct network *n, const uint8_t address[16])
{
    for (unsigned bit = 0; bit < n->bits; bit++) {
        if (bit_set(n->bytes, bit) != bit_set(address, bit)) {
            return false;
        }
    }
    return true;
}

bool network_has(const struct network *networks, size_t count,
                 struct slice peer)
{
    uint8_t address[16];

    if (read_peer(peer, address)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (has_address(&networks[i], address)) {
            return true;
        }
    }
    return false;
}

bool network_is_loopback(struct slice peer)
{
    static const struct network loopback[] = {
        {.bytes = {[10] = 255, [11] = 255, [12] = 127}, .bits = 104},
        {.bytes = {[15] = 1}, .bits = 128},
    };

    return network_has(loopback, 2, peer);
}
