/*
 * members.h - the store's members as a service of the catalogue.
 *
 * Consul's servers are nodes that run the service "consul"; tools look for it
 * there, and NS records come from it. Here it stands for the members of the
 * store. Each is an instance with the meta key MEMBERS_META (its id):
 *
 *   inst/consul/<node>/store-<member id>
 *
 * on the node with an agent that is the member's host, by name or by address;
 * if there is none, on a node of its own, which has the same meta key and goes
 * with it. Records that others have written are never touched.
 *
 * A member that was not answering twice in a row is critical.
 *
 * Pure: the list of members, answers and catalogues come in, transactions come
 * out, for the janitor to write.
 */
#pragma once

#include "agent/core/catalog.h"
#include "agent/core/sync.h"

#define MEMBERS_META "store-member"

struct member {
    uint64_t id;
    char name[128];    /* As its operator calls it; else made of its id. */
    char address[128]; /* "10.0.0.1:2379": what it is told of by. */
    char host[128];    /* "10.0.0.1" */
    uint16_t port;
};

/* From what the store's list says. False: it is of no use to others: it has not
 * started, or its URL has no port, or no address that means a host. */
bool member_read(uint64_t id, const char *name, const char *url,
                 struct member *out_member);

struct members;

/* `service`: what the service is called; "": there is none. */
struct members *members_new(const char *service);
void members_free(struct members *m); /* NULL is fine. */
void members_rename(struct members *m, const char *service);
/* What there is in the catalogue may be from other times: look at all of it. */
void members_sweep(struct members *m);

/* These are all; not yet called: they are not known, and nothing is done. */
void members_set(struct members *m, const struct member *list, size_t count);
void members_answered(struct members *m, const char *address, bool answered);

/* What to write now, at most LIMIT_TXN_OPS - 1 operations; false: nothing.
 * Strings are the catalogue's or lie in the arena. */
bool members_next(struct members *m, const struct catalog *catalog,
                  struct arena *a, struct sync_txn *out_txn);
