/*
 * place.h - where a question's name lies in our name space, from its labels
 * alone. No catalogue is looked at.
 */
#pragma once

#include "dns/core/content.h"
#include "dns/core/question.h"

enum dns_kind {
    DNS_KIND_FOREIGN, /* In none of our domains. */
    DNS_KIND_APEX,    /* The domain itself. */
    DNS_KIND_EMPTY,   /* Only there because names lie below it. */
    DNS_KIND_NONE,    /* In our domain, but never a name. */
    DNS_KIND_SERVICE, /* [tag.]name.service, _name._tag[.service] */
    DNS_KIND_NODE,
    DNS_KIND_QUERY, /* A prepared query. */
    DNS_KIND_ADDR,
    DNS_KIND_NS,   /* ns.<domain> */
    DNS_KIND_ARPA, /* Below in-addr.arpa or ip6.arpa. */
};

struct dns_place {
    enum dns_kind kind;
    unsigned domain;  /* Which of ours; 0 for arpa. */
    unsigned apex;    /* Label with which the domain begins. */
    unsigned dc;      /* 0: our own, else config->others[dc - 1]. */
    unsigned parts;   /* Labels left of the keyword. */
    bool underscored; /* SERVICE: _name._tag */
    bool implied;     /* SERVICE: without the keyword. */
    bool untagged;    /* SERVICE: "_tcp" and the like, for any instance. */
};

void dns_place_of(const struct dns_config *config, const struct dns_question *q,
                  struct dns_place *out_place);

/* Label `index` of the question, without its length byte, in lower case. */
static inline struct slice dns_label(const struct dns_question *q,
                                     unsigned index)
{
    const uint8_t *at = q->lower + q->labels[index];

    return slice_of(at + 1, at[0]);
}

/* Does it begin with an underscore that is not all of it? */
static inline bool dns_underscored(const struct dns_question *q, unsigned index)
{
    struct slice label = dns_label(q, index);

    return label.len > 1 && label.data[0] == '_';
}

/* "_tcp" stands for no tag; "_udp" is a tag in Consul, so settings decide. */
bool dns_is_protocol(const struct dns_config *c, struct slice label);

/* The key under which a SERVICE, NODE or ARPA name is kept. Lies in the
 * question or in *scratch. */
struct slice dns_place_key(const struct dns_place *place,
                           const struct dns_question *q,
                           struct dns_name *scratch);
