#include "store/node/core.h"

static struct raft_changes no_change(void)
{
    return (struct raft_changes){
        .count = 1, .list = {{.type = RAFT_UPDATE, .id = RAFT_NOBODY}}};
}

/* What cannot be read or followed changes nothing: every member sees the same
 * bytes, so every member goes on with the same configuration. */
bool node_conf_follow(struct raft_conf *c, const struct raft_entry *e,
                      struct raft_changes *out_changes)
{
    if (raftpb_changes_of(e, out_changes) == ST_OK &&
        (e->type == RAFT_ENTRY_NORMAL ||
         raft_conf_apply(c, out_changes) == ST_OK)) {
        return true;
    }
    *out_changes = no_change();
    return false;
}
