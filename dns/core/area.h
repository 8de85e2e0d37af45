/*
 * area.h - which area of the site an instance or a client is in, and at which
 * node (spot.h) a client is.
 *
 * An area is what operators call a zone, the value of a node's meta "zone";
 * here that word is taken. Areas are numbered from 1 in the order of their
 * coming and keep their number as long as the model lives; 0 is no area.
 *
 * A client is found by its address among those of the nodes, or by the subnet
 * that its resolver tells of (RFC 7871). Clients on loopback are where we are.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "dns/core/spot.h"
#include "dns/core/table.h"

struct dns_question;
struct dns_transport;
struct dns_zone;

/* Belongs to the model. */
struct dns_areas {
    char **names;
    size_t count;
};

/* The number of an area; 0 for NULL, "" and past LIMIT_DNS_AREAS areas. */
uint16_t dns_areas_number(struct dns_areas *areas, const char *name);
void dns_areas_release(struct dns_areas *areas);

struct dns_location {
    uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint16_t area;
    uint16_t spot;
};

/* Nodes with an area or a measured spot, by address. */
struct dns_locations {
    struct dns_garbage garbage;
    size_t count;
    struct dns_location items[];
};

struct dns_locations *dns_locations_new(const struct dns_table *names,
                                        const struct dns_spots *spots);

/* The address that says who asks: the subnet if there is one, else the sender.
 * What is left of a subnet's last byte is zero. */
struct slice dns_client_address(const struct dns_question *q,
                                const struct dns_transport *t);

/* Where the client is, and how records are told apart by it. */
struct dns_near dns_client_near(const struct dns_zone *zone,
                                const struct dns_question *q,
                                const struct dns_transport *t);
