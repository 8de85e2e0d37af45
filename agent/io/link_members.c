/* Who the store's members are and which one leads: shown by
 * /v1/status/leader and /v1/status/peers, and told in the catalogue by the
 * janitor (agent/core/members.h). Decides nothing. */

#include <stdio.h>
#include <stdlib.h>

#include "agent/io/link_impl.h"
#include "base/core/check.h"

#define MEMBERS_EVERY_MS 30000
#define MEMBERS_OFTEN_MS 5000 /* Who tells others. */

/* "http://10.0.0.1:2379" -> "10.0.0.1:2379". */
static const char *url_host(const char *url)
{
    const char *after = strstr(url, "://");

    return after ? after + 3 : url;
}

static void members_clear(struct link *l)
{
    l->members.told_count = 0;
    for (size_t i = 0; i < l->members.peers_count; i++) {
        free(l->members.peers[i]);
    }
    l->members.peers_count = 0;
    l->members.leader[0] = '\0';
}

/* Learners cannot be asked for what is true now. */
static void member_tell(struct link *l, const Etcdserverpb__Member *m)
{
    struct member *told = &l->members.told[l->members.told_count];

    if (!m->islearner && member_read(m->id, m->name, m->clienturls[0], told)) {
        l->members.told_count++;
    }
}

static void members_take(struct link *l,
                         const Etcdserverpb__MemberListResponse *r)
{
    members_clear(l);
    for (size_t i = 0; i < r->n_members; i++) {
        const Etcdserverpb__Member *m = r->members[i];
        const char *host;

        if (m->n_clienturls == 0 ||
            l->members.peers_count == LIMIT_STORE_MEMBERS) {
            continue;
        }
        member_tell(l, m);
        host = url_host(m->clienturls[0]);
        l->members.peers[l->members.peers_count] = strdup(host);
        CHECK(l->members.peers[l->members.peers_count] != NULL);
        l->members.peers_tls[l->members.peers_count] =
            strncmp(m->clienturls[0], "https:", 6) == 0;
        l->members.peers_count++;
        if (m->id == l->pulse.leader && m->id != 0) {
            (void)snprintf(l->members.leader, sizeof(l->members.leader), "%s",
                           host);
        }
    }
}

/* Failures here cost nothing: what we knew stays, and is asked again. */
static void on_members(void *ctx, enum grpc_code code, const char *text,
                       struct slice reply)
{
    struct link *l = ctx;
    struct arena arena = {0};
    Etcdserverpb__MemberListResponse *r = NULL;

    (void)text;
    l->members.call = NULL;
    if (code == GRPC_OK) {
        r = pb_decode(&arena, &etcdserverpb__member_list_response__descriptor,
                      reply);
    }
    if (r && r->n_members > 0) {
        members_take(l, r);
        if (l->hooks.on_members) {
            l->hooks.on_members(l->hooks.ctx);
        }
    } else if (code == GRPC_UNAVAILABLE || code == GRPC_DEADLINE_EXCEEDED) {
        l->members.asked_ms = 0; /* Again with the next pulse. */
    }
    arena_release(&arena);
}

void link_members_begin(struct link *l)
{
    l->members.asked_ms = 0;
    l->members.shown = 0;
}

void link_members_see(struct link *l)
{
    struct link_members *m = &l->members;
    uint64_t now_ms = loop_now_ms(l->loop);

    if (!link_ready(l) || m->call ||
        (m->asked_ms != 0 && m->shown == l->pulse.leader &&
         now_ms - m->asked_ms <
             (m->often ? MEMBERS_OFTEN_MS : MEMBERS_EVERY_MS))) {
        return;
    }
    m->asked_ms = now_ms;
    m->shown = l->pulse.leader;
    m->call = grpc_unary(l->channel, ETCD_MEMBER_LIST, (struct slice){0},
                         LINK_CALL_MS, on_members, l);
}

void link_members_release(struct link *l)
{
    members_clear(l);
}

void link_members_often(struct link *l, bool often)
{
    l->members.often = often;
}

const struct member *link_members(const struct link *l, size_t *out_count)
{
    *out_count = l->members.told_count;
    return l->members.told;
}

const char *link_leader(const struct link *l)
{
    return link_current(l) ? l->members.leader : "";
}

struct texts link_peers(const struct link *l)
{
    return (struct texts){.items = (const char *const *)l->members.peers,
                          .count = l->members.peers_count};
}

struct tls *link_peer_tls(const struct link *l, size_t at)
{
    CHECK(at < l->members.peers_count);
    return l->members.peers_tls[at] ? l->tls : NULL;
}
