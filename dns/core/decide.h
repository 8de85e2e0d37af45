/*
 * decide.h - what the files that decide share. For this room only.
 *
 * answer.c dispatches and knows domains and negative answers; answer_node.c
 * knows nodes, answer_service.c services, answer_ns.c the zone's name servers.
 */
#pragma once

#include "dns/core/answer.h"
#include "dns/core/content.h"
#include "dns/core/place.h"

/* One decision under way. */
struct dns_decider {
    const struct dns_zone *home; /* What was asked, */
    const struct dns_zone *zone; /* and the one of it that has the name. */
    const struct dns_config *config;
    const struct dns_question *q;
    struct arena *arena;
    struct dns_place place;
    struct dns_answer *answer;
    unsigned hosts_count; /* Host names looked up for the extras. */
};

/* The name lies in place.dc: that zone is `zone` from now on. false: nothing is
 * known of that datacenter. */
bool dns_turn_to(struct dns_decider *d);

/* A new record, all zero but for these. */
struct dns_record *dns_record_add(struct dns_decider *d, struct dns_records *to,
                                  struct slice owner, uint16_t type,
                                  uint32_t ttl_s);

/* A or AAAA by the length of `address`, if it has one; else nothing. */
void dns_record_add_address(struct dns_decider *d, struct dns_records *to,
                            struct slice owner,
                            const struct dns_address *address, uint32_t ttl_s);

/* What we know ourselves of the addresses of the host name `host`, with the
 * CNAMEs that lead to them, of at most LIMIT_DNS_HOSTS names an answer. Nothing
 * for names outside our domains. */
void dns_record_add_host(struct dns_decider *d, struct dns_records *to,
                         struct slice host, uint32_t ttl_s);

/* "<name>.node.<dc>.<domain>", with the domain that was asked (the first one
 * for arpa). Empty when that is too long to be a name. */
struct slice dns_node_name(struct dns_decider *d, struct slice name);

/* The node `node` (no root); NULL: nothing is known of it. */
const struct dns_host *dns_find_host(struct dns_decider *d, struct slice node);

/* The meta of the node `node` (no root) as TXT records owned by `owner`. */
void dns_add_node_texts(struct dns_decider *d, struct dns_records *to,
                        struct slice owner, struct slice node);

/* "<hex>.addr.<dc>.<domain>" */
struct slice dns_addr_name(struct dns_decider *d,
                           const struct dns_address *address);

/* NXDOMAIN; SERVFAIL while the catalogue is not known. */
void dns_decide_missing(struct dns_decider *d);

/* NOERROR without answers, SOA in authority. */
void dns_decide_nodata(struct dns_decider *d);

bool dns_wants(const struct dns_decider *d, uint16_t type);

/* Names of nodes. */
void dns_decide_node(struct dns_decider *d);

void dns_decide_service(struct dns_decider *d);

/* Names of prepared queries. */
void dns_decide_query(struct dns_decider *d);

/* Names of DNS-SD (RFC 6763). false: it is none; nothing was decided. */
bool dns_decide_sd(struct dns_decider *d);

/* NULL: there is none of this name (one label, lower case). */
const struct dns_service *dns_find_service(const struct dns_decider *d,
                                           struct slice name);

/* NS records of the zone into `to`, their addresses into the extras. */
void dns_add_name_servers(struct dns_decider *d, struct dns_records *to);

/* The same addresses as answers, for "ns.<domain>". */
void dns_add_name_server_addresses(struct dns_decider *d);
