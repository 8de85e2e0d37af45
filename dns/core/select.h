/*
 * select.h - which instances of a service a name means. For this room only.
 */
#pragma once

#include "dns/core/decide.h"
#include "query/core/query.h"

struct dns_selection {
    const struct dns_service *service;
    const struct slice *tags; /* All of these. */
    size_t tags_count;
    struct slice port; /* And this named port; empty: any. */
    unsigned page;     /* And of this one of so many parts, from 1 on; */
    unsigned pages;    /* 0: of all. */
    bool grpc_config;  /* "_grpc_config.<name>": only its TXT. */
    bool ttl_given;    /* Of the records; else it is the service's. */
    uint32_t ttl_s;
    bool only_above; /* Nothing has this name, but names lie below it. */
};

struct dns_members {
    const struct dns_member **items;
    size_t count;
    enum dns_order order;
    const bool *near; /* By area: is enough of it healthy? NULL: no matter. */
    bool by_origin;   /* NEAR to a node, not to the client: */
    struct slice origin_node; /* those on it come first, or if this is empty, */
    uint16_t origin_area;     /* those in its area. */
};

/* Select by "_name._tag" at label `at`. false: there is no such service. */
bool dns_select_underscored(struct dns_decider *d, unsigned at,
                            struct dns_selection *s);

/* What the labels left of "service" mean. false: there is no such service. */
bool dns_select(struct dns_decider *d, struct dns_selection *s);

/* The instances to answer with: the healthy ones, or when there are none, those
 * that are to be served all the same. */
struct dns_members dns_choose(struct dns_decider *d,
                              const struct dns_selection *s);

/* The service's own order, or that of the settings. */
enum dns_order dns_order_of(const struct dns_settings *settings,
                            const struct dns_service *s);
/* For addresses: out with the last resort if there is anything better. */
void dns_drop_last_resort(struct dns_members *chosen);

/* Whether it has the tags and the port. */
bool dns_member_selected(const struct dns_selection *s,
                         const struct dns_member *m);

/* A name below "query": what it means (answer_query.c). */
struct dns_query_use {
    const struct query *query; /* NULL: there is no such query. */
    const char *name;          /* As it was asked for; NULL: none can be. */
    struct query_def def;
    struct dns_selection selection; /* No service: it has none, anywhere. */
    struct dns_members chosen;      /* Of the zone that `d` is turned to. */
};

/* Find and execute it: here, and where it fails over to. When nobody is chosen
 * anywhere, what is in the zone that was asked. */
void dns_use_query(struct dns_decider *d, struct dns_query_use *out_use);
/* Whether its conditions, health aside, are met. */
bool dns_query_selects(const struct query_def *def, const struct dns_member *m);

/* Their records, by the type that was asked for (answer_service.c). */
void dns_answer_members(struct dns_decider *d, const struct dns_selection *s,
                        struct dns_members chosen);

/* The records of an answer that it alone would make (answer_service.c). */
void dns_answer_member(struct dns_decider *d, const struct dns_selection *s,
                       const struct dns_member *m);

/* What its records are put in order by. */
struct dns_standing dns_member_standing(const struct dns_members *chosen,
                                        const struct dns_member *m);

/* What a browser asks for next of the instance `m`, whose name is `owner`,
 * among the extras: SRV, and the addresses of its target. */
void dns_add_srv_extras(struct dns_decider *d, const struct dns_selection *s,
                        const struct dns_member *m, struct slice owner,
                        uint32_t ttl_s);

/* An SRV record for each of them, with addresses among the extras. */
void dns_add_srv(struct dns_decider *d, const struct dns_selection *s,
                 struct dns_members chosen, uint32_t ttl_s);

/* NULL: it has no port of this name. */
const struct dns_member_port *dns_member_find_port(const struct dns_member *m,
                                                   struct slice name);
