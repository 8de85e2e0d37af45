/*
 * dnsfeed.h - turns catalogue snapshots into what DNS answers from.
 *
 * Each update costs by the names that changed. What the link brings during a
 * turn of the loop is published once, at the turn's end. Before anything is
 * known of the store, only this host's own services are in the zone, and other
 * names get SERVFAIL.
 *
 * Each other datacenter has a feed of its own, which is published with that of
 * ours, the home feed: all names that a client can see are of one moment.
 */
#pragma once

#include "agent/core/acl_table.h"
#include "agent/core/catalog.h"
#include "agent/core/coord.h"
#include "agent/core/knock.h"
#include "agent/core/local.h"
#include "dns/core/model.h"

struct dns_server;
struct dnsfeed;
struct loop;

/* How old the replica is; asked whenever something is published and once a
 * second. */
typedef uint64_t dnsfeed_stale_fn(void *arg);

/* Whether a guard keeps what the store has lost: answers say that they are old.
 */
typedef bool dnsfeed_kept_fn(void *arg);
/* Somebody has asked for a service with instances on held nodes. */
typedef void dnsfeed_asked_fn(void *arg, const char *service);
/* What is known of such an instance; dnsfeed_verdict_changed() when it has. */
typedef enum knock_verdict dnsfeed_verdict_fn(void *arg, const char *address,
                                              uint16_t port);

/* How far it is to another datacenter; 0: not measured. */
typedef uint32_t dnsfeed_distance_fn(void *arg);

struct dnsfeed_config {
    struct dns_settings settings;
    uint64_t stale_mark_ms; /* From this age on answers say that they are old */
    uint64_t stale_max_ms;  /* and from this one on there are none. */
    struct dns_server *server; /* Borrowed; NULL: nothing is published. */
    struct acl *acl; /* DNS shows what acl_for_dns() may read; NULL: all. After
                        a change of it everything is to be fed again. */
    dnsfeed_stale_fn *stale_ms;
    dnsfeed_kept_fn *kept;
    dnsfeed_asked_fn *asked;
    dnsfeed_verdict_fn *verdict;
    bool held_is_passing; /* What a guard holds passes, and does not warn. */
    bool serial_known;    /* Serials come after this one. */
    uint32_t serial;
    void *arg;
    /* For another datacenter: */
    struct dnsfeed *home;   /* Ours, whose settings.others names it; or NULL. */
    const char *datacenter; /* Its name, */
    size_t index;           /* and its place there. */
    dnsfeed_distance_fn *round_trip_us; /* Asked when something is published. */
    bool translate_wan; /* Its tagged "wan" addresses are shown. */
};

/* ST_INVALID: a domain is no DNS name. With `home`, that feed sets, stops and
 * frees it. */
enum status dnsfeed_start(struct loop *loop,
                          const struct dnsfeed_config *config,
                          struct dnsfeed **out_feed, struct err *out_err);

/* `catalog` has taken the place of its predecessor; `changes` says where they
 * differ, NULL: everywhere. */
void dnsfeed_catalog(struct dnsfeed *f, const struct catalog *catalog,
                     const struct catalog_changes *changes);

/* There is a server now, which answers from the next publication on. */
void dnsfeed_serve(struct dnsfeed *f, struct dns_server *server);

/* What the nodes have measured is another. */
void dnsfeed_coords(struct dnsfeed *f, const struct coords *coords);

/* Feed again what is held and was asked for. */
void dnsfeed_verdict_changed(struct dnsfeed *f);

/* The own services changed; matters as long as no catalogue is known. */
void dnsfeed_local(struct dnsfeed *f, struct local *local);

/* Publish what was fed now; it is published at the end of the turn anyway. */
void dnsfeed_publish(struct dnsfeed *f);

/* From which age of the replica on answers are marked, and given no more. */
struct dnsfeed_ages {
    uint64_t mark_ms;
    uint64_t max_ms;
    bool held_is_passing; /* As in the config, */
    bool translate_wan;   /* of other datacenters. */
};

/* What DNS answers from now; NULL: nothing yet, or DNS is off. Good until the
 * next turn of the loop. */
const struct dns_zone *dnsfeed_zone(const struct dnsfeed *f);

/* ST_INVALID: the old settings and ages stay. */
enum status dnsfeed_set(struct dnsfeed *f, const struct dns_settings *settings,
                        struct dnsfeed_ages ages, struct err *out_err);

/* Services that have more instances than fit into a DNS message over TCP. */
size_t dnsfeed_oversized(const struct dnsfeed *f);

/* Nothing is published any more after this. */
void dnsfeed_stop(struct dnsfeed *f);

/* After the DNS server was stopped, which frees the zones, and on_closed
 * comes later, once; `f` is freed by then. Of the home feed. */
typedef void dnsfeed_closed_fn(void *arg);
void dnsfeed_close(struct dnsfeed *f, dnsfeed_closed_fn *on_closed, void *arg);
