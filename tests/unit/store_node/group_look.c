/* Looking into a group. */
#include "group_impl.h"

uint64_t group_leader(const struct group *g)
{
    uint64_t term = 0;
    uint64_t leader = 0;

    for (uint64_t id = 1; id <= g->config.members_count; id++) {
        struct raft_status s;

        if (!group_is_up(g, id)) {
            continue;
        }
        s = group_status(g, id);
        if (s.role == RAFT_LEADER && s.hard.term > term) {
            term = s.hard.term;
            leader = id;
        }
    }
    return leader;
}

struct raft_status group_status(const struct group *g, uint64_t id)
{
    return node_status(member(g, id)->node);
}

size_t group_answered(const struct group *g)
{
    return g->answered;
}

size_t group_reads_answered(const struct group *g)
{
    return g->reads_answered;
}

bool group_agrees(const struct group *g)
{
    for (uint64_t id = 1; id <= g->config.members_count; id++) {
        const struct member *m = member(g, id);

        if (m->node != NULL &&
            (m->applied != g->applied_last || m->applied < g->answered_last)) {
            return false;
        }
    }
    return true;
}
