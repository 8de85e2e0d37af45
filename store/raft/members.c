#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/row.h"
#include "store/raft/core.h"

struct raft_peer *raft_peer(const struct raft *r, uint64_t id)
{
    for (size_t i = 0; i < r->peers_count; i++) {
        if (r->peers[i].id == id) {
            return &r->peers[i];
        }
    }
    return NULL;
}

bool raft_has_vote(const struct raft_peer *p)
{
    return (p->roles & (RAFT_VOTER | RAFT_OUTGOING)) != 0;
}

bool raft_is_voter(const struct raft *r, uint64_t id)
{
    const struct raft_peer *p = raft_peer(r, id);

    return p != NULL && raft_has_vote(p);
}

static size_t count_roles(const struct raft *r, unsigned roles)
{
    size_t count = 0;

    for (size_t i = 0; i < r->peers_count; i++) {
        count += (r->peers[i].roles & roles) != 0;
    }
    return count;
}

size_t raft_voters(const struct raft *r)
{
    return count_roles(r, RAFT_VOTER | RAFT_OUTGOING);
}

bool raft_is_alone(const struct raft *r)
{
    return raft_voters(r) == 1 && raft_is_voter(r, r->config.id);
}

/* ---- majorities ---- */

static bool half_holds(const struct raft *r, unsigned half, raft_peer_fn holds,
                       uint64_t arg)
{
    size_t yes = 0;

    for (size_t i = 0; i < r->peers_count; i++) {
        yes += (r->peers[i].roles & half) && holds(&r->peers[i], arg);
    }
    return yes >= count_roles(r, half) / 2 + 1;
}

bool raft_quorum(const struct raft *r, raft_peer_fn holds, uint64_t arg)
{
    return half_holds(r, RAFT_VOTER, holds, arg) &&
           (count_roles(r, RAFT_OUTGOING) == 0 ||
            half_holds(r, RAFT_OUTGOING, holds, arg));
}

static bool peer_has(const struct raft_peer *p, uint64_t index)
{
    return p->match >= index;
}

/* The highest index that a majority has: one of the voters' own. With no voter
 * at all there is no majority and the answer is 0. */
uint64_t raft_quorum_match(const struct raft *r)
{
    uint64_t best = 0;

    for (size_t i = 0; i < r->peers_count; i++) {
        const struct raft_peer *p = &r->peers[i];

        if (raft_has_vote(p) && p->match > best &&
            raft_quorum(r, peer_has, p->match)) {
            best = p->match;
        }
    }
    return best;
}

/* ---- who they are ---- */

static void peer_reset(struct raft *r, struct raft_peer *p)
{
    p->answer = RAFT_NO_ANSWER;
    p->active = p->id == r->config.id;
    p->match = p->id == r->config.id ? r->stable : 0;
    p->read_seen = 0;
    p->flying_head = 0;
    raft_probe_from(p, raft_log_last(&r->log));
}

void raft_peers_reset(struct raft *r)
{
    for (size_t i = 0; i < r->peers_count; i++) {
        peer_reset(r, &r->peers[i]);
    }
}

void raft_peers_release(struct raft *r)
{
    for (size_t i = 0; i < r->peers_count; i++) {
        free(r->peers[i].flying);
    }
    free(r->peers);
}

static struct raft_peer *peer_add(struct raft *r, uint64_t id)
{
    struct raft_peer *p;

    r->peers =
        row_room(r->peers, &r->peers_cap, r->peers_count, sizeof(r->peers[0]));
    p = &r->peers[r->peers_count++];
    *p = (struct raft_peer){.id = id};
    p->flying = calloc(r->config.inflight_max, sizeof(p->flying[0]));
    CHECK(p->flying != NULL);
    peer_reset(r, p);
    p->active = true; /* It gets one round before silence counts. */
    return p;
}

static void peers_remove_strangers(struct raft *r)
{
    for (size_t i = r->peers_count; i-- > 0;) {
        if (raft_conf_roles(&r->conf, r->peers[i].id) == 0) {
            free(r->peers[i].flying);
            r->peers[i] = r->peers[--r->peers_count];
        }
    }
}

/* Whoever stays keeps what is known of it. */
void raft_peers_follow_conf(struct raft *r)
{
    peers_remove_strangers(r);
    for (size_t i = 0; i < r->conf.count; i++) {
        struct raft_peer *p = raft_peer(r, r->conf.list[i].id);

        if (p == NULL) {
            p = peer_add(r, r->conf.list[i].id);
        }
        p->roles = r->conf.list[i].roles;
    }
}
