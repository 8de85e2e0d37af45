#include <inttypes.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "store/node/core.h"

static struct raft_change change_adding(const struct node_member *m)
{
    return (struct raft_change){.type = RAFT_ADD_VOTER, .id = m->id};
}

/* One change a member, already committed, in a term of its own. All first
 * members write the same entries, as in etcd, so nobody needs a leader for
 * them. */
enum status node_found(const struct node_config *config, struct disk *disk,
                       struct err *err)
{
    size_t count = config->members_count;
    struct raft_entry *entries = calloc(count + 1, sizeof(*entries));
    struct buf *bodies = calloc(count + 1, sizeof(*bodies));
    struct raft_hard hard = {.term = count > 0 ? 1 : 0, .commit = count};
    struct wal_batch first = {
        .hard = &hard, .entries = entries, .entries_count = count};
    struct wal_ids ids = {.cluster = config->cluster_id,
                          .member = config->raft.id};
    enum status st;

    CHECK(entries != NULL);
    CHECK(bodies != NULL);
    for (size_t i = 0; i < count; i++) {
        struct raft_change change = change_adding(&config->members[i]);

        buf_init(&bodies[i], (size_t)LIMIT_RECORD_BYTES);
        raftpb_change_pack(&change, i + 1, config->members[i].context,
                           &bodies[i]);
        entries[i] = (struct raft_entry){.pos = {.term = 1, .index = i + 1},
                                         .type = RAFT_ENTRY_CONF,
                                         .data = bodies[i].data,
                                         .len = bodies[i].len};
    }
    st = wal_create(disk, &config->wal, ids, &first, err);
    for (size_t i = 0; i < count; i++) {
        buf_release(&bodies[i]);
    }
    free(bodies);
    free(entries);
    return st;
}

enum status node_peek_mark(const struct node_config *config, struct disk *disk,
                           struct raft_pos *out_pos, struct err *err)
{
    struct wal_content content = {0};
    struct wal *wal = NULL;
    bool exists = false;
    enum status st = wal_exists(disk, &exists);

    if (st) {
        return err_set(err, st, "cannot list the log's folder: %s",
                       status_text(st));
    }
    *out_pos = (struct raft_pos){0};
    if (!exists) {
        return ST_OK;
    }
    st = wal_open(disk, &config->wal, &content, &wal, err);
    if (st == ST_OK) {
        *out_pos = content.log.compacted;
    }
    wal_content_release(&content);
    wal_free(wal);
    return st;
}

/* A log that holds less than the state machine has applied has lost entries
 * that were acknowledged; one that begins later cannot be joined to it. */
static enum status boot_check_applied(const struct node_config *config,
                                      const struct wal_content *content,
                                      struct err *err)
{
    uint64_t last = raft_log_last(&content->log);
    uint64_t first = content->log.compacted.index + 1;

    if (config->applied > last) {
        return err_set(err, ST_CORRUPT,
                       "%s: the log ends at offset %" PRIu64
                       " with entry %" PRIu64 ", but entry %" PRIu64
                       " was applied to the store, so what was written behind "
                       "it is damaged or gone; restore this member from a "
                       "backup or a snapshot, or remove it and let it join "
                       "again",
                       content->end_name, content->end_offset, last,
                       config->applied);
    }
    if (config->applied + 1 < first) {
        return err_set(err, ST_CORRUPT,
                       "the log begins at entry %" PRIu64 ", but the store has "
                       "applied only up to %" PRIu64
                       ": the store is older than "
                       "the log; restore both from the same backup",
                       first, config->applied);
    }
    return ST_OK;
}

/* The members as of the log's beginning, and as of what is applied. The state
 * machine's word counts: it may have found a change that it could not follow.
 */
static enum status boot_conf(struct node *n, struct slice mark_state)
{
    uint64_t first = raft_status(n->raft).first_index;
    enum status st = raftpb_conf_unpack(mark_state, &n->conf);

    if (st) {
        return st;
    }
    n->now = n->conf;
    for (uint64_t i = first; i <= n->config.applied; i++) {
        struct raft_changes unused;

        (void)node_conf_follow(&n->now, raft_entry_at(n->raft, i), &unused);
    }
    if (n->config.conf != NULL) {
        n->now = *n->config.conf;
    }
    raft_restore_conf(n->raft, &n->now);
    return ST_OK;
}

static enum status boot_raft(struct node *n, struct wal_content *content,
                             struct err *err)
{
    struct raft_status s;
    enum status st;

    n->config.raft.id = wal_ids(n->wal).member;
    n->raft = raft_new(&n->config.raft);
    raft_restore_log(n->raft, &content->log);
    st = raft_restore_hard(n->raft, content->hard);
    if (st == ST_OK) {
        st = raft_restore_applied(n->raft, n->config.applied);
    }
    if (st == ST_OK) {
        st = boot_conf(n, buf_slice(&content->mark_state));
    }
    if (st) {
        return err_set(err, st,
                       "the log does not make sense: %s; restore this "
                       "member from a backup or a snapshot",
                       status_text(st));
    }
    s = raft_status(n->raft);
    n->persist.term = s.hard.term;
    n->persist.last.index = s.last_index;
    n->persist.last.term = raft_term_at(n->raft, s.last_index);
    n->covered = n->persist;
    n->write_from = s.last_index + 1;
    n->applied = n->config.applied;
    n->durable = n->config.applied;
    n->durable_term = s.hard.term;
    n->told = s;
    return ST_OK;
}

enum status node_boot(struct node *n, struct disk *disk, struct err *err)
{
    struct wal_content content = {0};
    bool exists = false;
    enum status st = wal_exists(disk, &exists);

    if (st) {
        return err_set(err, st, "cannot list the log's folder: %s",
                       status_text(st));
    }
    if (!exists && n->config.applied > 0) {
        return err_set(
            err, ST_CORRUPT,
            "there is no log, but the store has applied entry %" PRIu64
            ": the log's folder is missing; restore it, or remove "
            "the data folder and let this member join again",
            n->config.applied);
    }
    if (!exists) {
        st = node_found(&n->config, disk, err);
    }
    if (st == ST_OK) {
        st = wal_open(disk, &n->config.wal, &content, &n->wal, err);
    }
    if (st == ST_OK) {
        n->torn_bytes = content.torn_bytes;
        st = boot_check_applied(&n->config, &content, err);
    }
    if (st == ST_OK && exists && n->config.force_new_cluster) {
        st = node_stand_alone(n, &content, err);
    }
    if (st == ST_OK) {
        st = boot_raft(n, &content, err);
    }
    wal_content_release(&content);
    return st;
}
