#include "agent/core/rename.h"

#include <string.h>
#include <strings.h>

#include "agent/core/reaper.h"

struct search {
    const struct node_record *own;
    const struct catalog_node *over;
    const struct catalog_node *waits;
};

static bool look_at(void *ctx, const struct catalog_node *n)
{
    struct search *s = ctx;

    if (n->ghost || n->record.external ||
        strcmp(n->record.id, s->own->id) != 0 ||
        strcasecmp(n->record.name, s->own->name) == 0) {
        return true;
    }
    if (!n->live || (n->live_record.stopped &&
                     strcmp(n->live_record.node_id, s->own->id) == 0)) {
        s->over = n;
        return false;
    }
    s->waits = n;
    return true;
}

enum rename_state rename_look(const struct catalog *catalog,
                              const struct node_record *own, struct arena *a,
                              const struct catalog_node **out_node,
                              struct sync_txn *out_txn)
{
    struct search s = {.own = own};

    catalog_each_node(catalog, look_at, &s);
    if (s.over != NULL) {
        *out_node = s.over;
        (void)reaper_removal(catalog, s.over, a, out_txn);
        return RENAME_OVER;
    }
    if (s.waits != NULL) {
        *out_node = s.waits;
        return RENAME_WAITS;
    }
    return RENAME_NONE;
}
