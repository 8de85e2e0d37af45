/* Who the store's members are and which one leads: shown by
 * /v1/status/leader and /v1/status/peers, decides nothing. */

#include <stdio.h>
#include <stdlib.h>

#include "agent/io/link_impl.h"
#include "base/core/check.h"

#define MEMBERS_EVERY_MS 30000

/* "http://10.0.0.1:2379" -> "10.0.0.1:2379". */
static const char *url_host(const char *url)
{
    const char *after = strstr(url, "://");

    return after ? after + 3 : url;
}

static void members_clear(struct link *l)
{
    for (size_t i = 0; i < l->peers_count; i++) {
        free(l->peers[i]);
    }
    l->peers_count = 0;
    l->leader[0] = '\0';
}

static void members_take(struct link *l,
                         const Etcdserverpb__MemberListResponse *r)
{
    members_clear(l);
    for (size_t i = 0; i < r->n_members; i++) {
        const Etcdserverpb__Member *m = r->members[i];
        const char *host;

        if (m->n_clienturls == 0 || l->peers_count == LIMIT_STORE_MEMBERS) {
            continue;
        }
        host = url_host(m->clienturls[0]);
        l->peers[l->peers_count] = strdup(host);
        CHECK(l->peers[l->peers_count] != NULL);
        l->peers_count++;
        if (m->id == l->leader_member && m->id != 0) {
            (void)snprintf(l->leader, sizeof(l->leader), "%s", host);
        }
    }
}

/* Failures here cost nothing: what we knew stays, the timer asks again. */
static void on_members(void *ctx, enum grpc_code code, const char *text,
                       struct slice reply)
{
    struct link *l = ctx;
    struct arena arena = {0};
    Etcdserverpb__MemberListResponse *r = NULL;

    (void)text;
    l->members_call = NULL;
    if (code == GRPC_OK) {
        r = pb_decode(&arena, &etcdserverpb__member_list_response__descriptor,
                      reply);
    }
    if (r) {
        members_take(l, r);
    }
    arena_release(&arena);
}

static void on_status(void *ctx, enum grpc_code code, const char *text,
                      struct slice reply)
{
    struct link *l = ctx;
    struct arena arena = {0};
    Etcdserverpb__StatusResponse *r = NULL;

    (void)text;
    l->status_call = NULL;
    if (code == GRPC_OK) {
        r = pb_decode(&arena, &etcdserverpb__status_response__descriptor,
                      reply);
    }
    if (r) {
        l->leader_member = r->leader;
    }
    arena_release(&arena);
    if (link_ready(l) && !l->members_call) {
        l->members_call =
            grpc_unary(l->channel, ETCD_MEMBER_LIST, (struct slice){0},
                       LINK_CALL_MS, on_members, l);
    }
}

static void status_ask(struct link *l)
{
    if (link_ready(l) && !l->status_call) {
        l->status_call = grpc_unary(l->channel, ETCD_STATUS, (struct slice){0},
                                    LINK_CALL_MS, on_status, l);
    }
}

static void on_timer(uv_timer_t *timer)
{
    status_ask(timer->data);
}

void link_members_init(struct link *l)
{
    link_timer_init(l, &l->members_timer);
}

void link_members_begin(struct link *l)
{
    status_ask(l);
    CHECK(uv_timer_start(&l->members_timer, on_timer, MEMBERS_EVERY_MS,
                         MEMBERS_EVERY_MS) == 0);
}

void link_members_end(struct link *l)
{
    (void)uv_timer_stop(&l->members_timer);
}

void link_members_release(struct link *l)
{
    members_clear(l);
}

const char *link_leader(const struct link *l)
{
    return link_current(l) ? l->leader : "";
}

struct texts link_peers(const struct link *l)
{
    return (struct texts){.items = (const char *const *)l->peers,
                          .count = l->peers_count};
}
