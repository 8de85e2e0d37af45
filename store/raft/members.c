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

bool raft_is_voter(const struct raft *r, uint64_t id)
{
    const struct raft_peer *p = raft_peer(r, id);

    return p != NULL && p->voter;
}

size_t raft_voters(const struct raft *r)
{
    size_t count = 0;

    for (size_t i = 0; i < r->peers_count; i++) {
        count += r->peers[i].voter;
    }
    return count;
}

bool raft_is_alone(const struct raft *r)
{
    return raft_voters(r) == 1 && raft_is_voter(r, r->config.id);
}

bool raft_quorum(const struct raft *r, raft_peer_fn holds, uint64_t arg)
{
    size_t yes = 0;

    for (size_t i = 0; i < r->peers_count; i++) {
        yes += r->peers[i].voter && holds(&r->peers[i], arg);
    }
    return yes >= raft_voters(r) / 2 + 1;
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

        if (p->voter && p->match > best && raft_quorum(r, peer_has, p->match)) {
            best = p->match;
        }
    }
    return best;
}

static void peer_reset(struct raft *r, struct raft_peer *p)
{
    p->answer = RAFT_NO_ANSWER;
    p->active = p->id == r->config.id;
    p->pace = RAFT_PROBE;
    p->probe_sent = false;
    p->match = p->id == r->config.id ? r->stable : 0;
    p->next = raft_log_last(&r->log) + 1;
    p->read_seen = 0;
    p->flying_head = 0;
    p->flying_count = 0;
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

static void peer_remove(struct raft *r, uint64_t id)
{
    struct raft_peer *p = raft_peer(r, id);

    if (p != NULL) {
        free(p->flying);
        *p = r->peers[--r->peers_count];
    }
}

void raft_change_members(struct raft *r, enum raft_change change, uint64_t id)
{
    struct raft_peer *p;

    CHECK(id != RAFT_NOBODY);
    if (change == RAFT_REMOVE) {
        peer_remove(r, id);
        return;
    }
    p = raft_peer(r, id);
    if (p == NULL) {
        p = peer_add(r, id);
    }
    if (change == RAFT_ADD_VOTER) {
        p->voter = true; /* A voter never becomes a learner again. */
    }
}
