#include "agent/core/claim.h"

#include <stdio.h>
#include <string.h>

enum {
    WAIT_TTLS = 2,
};

void claim_init(struct claim *c, const char *node, const char *node_id,
                uint64_t lease_ttl_ms)
{
    *c = (struct claim){
        .node = node, .node_id = node_id, .wait_ms = WAIT_TTLS * lease_ttl_ms};
}

static enum claim_news becomes(struct claim *c, bool alive, const char *id,
                               uint64_t now_ms)
{
    bool news = !c->taken || c->alive != alive;

    if (id != NULL) {
        (void)snprintf(c->other_id, sizeof(c->other_id), "%s", id);
    }
    if (alive || news) {
        c->since_ms = now_ms;
    }
    c->taken = true;
    c->alive = alive;
    if (!news) {
        return CLAIM_SAME;
    }
    return alive ? CLAIM_IN_USE : CLAIM_ABANDONED;
}

enum claim_news claim_look(struct claim *c, const struct catalog *catalog,
                           uint64_t now_ms)
{
    const struct catalog_node *n = catalog_node(catalog, c->node);

    if (n != NULL && n->live) {
        const char *id = n->live_record.node_id;

        return strcmp(id, c->node_id) != 0 ? becomes(c, true, id, now_ms)
                                           : CLAIM_SAME;
    }
    if (n != NULL && n->known && !n->record.external &&
        strcmp(n->record.id, c->node_id) != 0) {
        return becomes(c, false, n->record.id, now_ms);
    }
    /* It has left, or the store has lost it. */
    return c->taken ? becomes(c, false, NULL, now_ms) : CLAIM_SAME;
}

enum claim_news claim_refused(struct claim *c, const char *other_id,
                              uint64_t now_ms)
{
    return becomes(c, true, other_id, now_ms);
}

void claim_contact(struct claim *c, uint64_t now_ms)
{
    c->since_ms = now_ms;
}

bool claim_may(const struct claim *c, uint64_t now_ms)
{
    return !c->taken || (!c->alive && now_ms - c->since_ms >= c->wait_ms);
}

bool claim_won(struct claim *c)
{
    bool taken = c->taken;

    c->taken = false;
    c->alive = false;
    return taken;
}
