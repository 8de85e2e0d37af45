/*
 * rename.h - finds what this host has in the store under an earlier name.
 *
 * An agent that was given another node name still has its node id. Once its
 * records are in the store under the new name, those of the old one are
 * removed, so that its services are never missing. The old name's agent must
 * have ended: its live key is gone, or says that it was left behind. Otherwise
 * the folder with the node id may have been copied, and another host lives with
 * it.
 *
 * Pure.
 */
#pragma once

#include "agent/core/catalog.h"
#include "agent/core/sync.h"

enum rename_state {
    RENAME_NONE,
    RENAME_WAITS, /* *out_node has our id, and its live key stands. */
    RENAME_OVER,  /* *out_txn removes what *out_node has, or a part of it. */
};

/* The name is the catalogue's, the transaction lies in the arena. */
enum rename_state rename_look(const struct catalog *catalog,
                              const struct node_record *own, struct arena *a,
                              const struct catalog_node **out_node,
                              struct sync_txn *out_txn);
