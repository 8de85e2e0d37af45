/*
 * config.h - a member's configuration, checked and ready to use.
 */
#pragma once

#include "store/io/founding.h"
#include "store/io/member.h"
#include "store/io/urls.h"
#include "store/node/node.h"

/* What the flags mean. Everything is in `arena`, nothing is borrowed from the
 * flags' strings. */
struct member_plan {
    struct arena arena;
    struct member_config config; /* All defaults filled in. */
    struct url_list client_urls;
    struct url_list peer_urls;  /* count 0: none; nobody else can join */
    struct url_list advertised; /* count 0: as bound */
    struct founding founding;   /* No founders: there is a log. */
    bool joins;                 /* A cluster that exists; ids are its. */
};

/* ST_INVALID: `err` names the flag and what is wrong. In every case
 * member_plan_release() is due. */
enum status member_plan_make(struct member_plan *plan,
                             const struct member_config *config,
                             struct err *err);

/* What the node is to know: who we are, who founds the cluster, the times. From
 * plan->arena; `applied`, `conf` and the seed are left to the caller. */
struct node_config member_plan_node(struct member_plan *plan);
void member_plan_release(struct member_plan *plan);
