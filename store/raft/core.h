/*
 * core.h - what the files of this room share: the state, and who changes it.
 *
 *                 time-out                     majority, durable vote
 *   FOLLOWER  ------------->  PRE_CANDIDATE  ------>  CANDIDATE  ------> LEADER
 *       ^                          |    majority          |                 |
 *       |      a higher term, or the leader of this term  |                 |
 *       +--------------------------+----------------------+-----------------+
 *                                                     or no majority heard
 *
 * raft.c      the step function: events in, work out
 * receive.c   a peer's message: believed or not, of which term, to whom
 * roles.c     becoming something, and what every role does
 * members.c   what the members are to each other, and what a majority is
 * change.c    membership changes: one at a time
 * election.c  time-outs and votes
 * transfer.c  leadership handed over
 * propose.c   entries that clients want
 * follow.c    what a follower does with appends, heartbeats and snapshots
 * lead.c      what a leader commits, and what answers tell it
 * flow.c      how much it sends to whom
 * read.c      linearizable reads
 */
#pragma once

#include "base/core/rng.h"
#include "store/raft/log.h"
#include "store/raft/raft.h"

/*              accepted
 *    PROBE ----------------> REPLICATE
 *    ^ | ^                       |
 *    | | +-- refused, or cut off +
 *    | |
 *    | +-- refused at the log's beginning --> SNAPSHOT
 *    |                                            |
 *    +---- it has ended; a heartbeat's answer ----+
 */
enum raft_pace {
    RAFT_PROBE,     /* Finding where the logs agree: one message at a time. */
    RAFT_REPLICATE, /* They agree: messages follow each other. */
    RAFT_SNAPSHOT,  /* What comes next for it is not kept any more. */
};

/* Terms and indexes of a peer beyond this are not believed: no group gets that
 * far, and counting on from there would end in 0. */
#define RAFT_NUMBER_MAX (UINT64_MAX / 2)

enum raft_answer {
    RAFT_NO_ANSWER,
    RAFT_YES,
    RAFT_NO
};

/* An append that has not been answered. */
struct raft_flight {
    uint64_t last; /* Of its entries. */
    size_t bytes;
};

/* One member, as this one sees it. All but the first two is about the present
 * term and reset with it. */
struct raft_peer {
    uint64_t id;
    unsigned roles;          /* Of enum raft_roles. */
    enum raft_answer answer; /* To our campaign. */
    bool active;             /* Heard since the last look at the quorum. */
    enum raft_pace pace;
    bool probe_sent;      /* PROBE: wait for the answer or a heartbeat's. */
    bool snapshot_flying; /* SNAPSHOT: the driver is at it. */
    uint64_t match;       /* Durable there. For ourselves: durable here. */
    uint64_t next;        /* To be sent next. */
    uint64_t read_seen;   /* The newest round that it has confirmed. */
    struct raft_flight *flying; /* A ring. */
    size_t flying_head;
    size_t flying_count;
    size_t flying_bytes;
};

/* LEADER: it waits for a round of heartbeats. FOLLOWER: for the leader. */
struct raft_waiting_read {
    uint64_t id;
    uint64_t peer;  /* LEADER: who has asked; RAFT_NOBODY: we did. */
    uint64_t round; /* LEADER: as heartbeats carry it. */
    uint64_t index; /* LEADER: 0 waits for the first commit of the term. */
};

/* Growing arrays behind struct raft_work, used again at each step. */
struct raft_msgs {
    struct raft_msg *list;
    size_t count;
    size_t cap;
};

struct raft_ids {
    uint64_t *list;
    size_t count;
    size_t cap;
};

struct raft_reads {
    struct raft_read *list;
    size_t count;
    size_t cap;
};

struct raft {
    struct raft_config config;
    struct rng rng;
    bool started;
    uint64_t now_ms;

    struct raft_hard hard;   /* As it is. */
    struct raft_hard issued; /* As it was last handed out to be written. */
    struct raft_log log;
    uint64_t unissued; /* The first entry not handed out to be written. */
    uint64_t stable;   /* The last entry known to be on disk. */
    uint64_t applied;  /* The last entry handed out as committed. */

    struct raft_conf conf;
    uint64_t conf_index; /* Changes up to here are in `conf`. */
    uint64_t last_conf;  /* The newest change in the log; not larger: none that
                            is not in `conf`. */
    struct raft_snapshot snapshot; /* Received last. */
    bool snapshot_new;             /* In this step. */

    enum raft_role role;
    uint64_t leader;
    uint64_t heard_ms;    /* Last word of the leader. */
    bool leader_lost;     /* Its process is gone, it seems. */
    uint64_t deadline_ms; /* FOLLOWER, candidates: campaign then. */
    uint64_t beat_ms;     /* LEADER: next heartbeat. */
    uint64_t quorum_ms;   /* LEADER: next look at the quorum. */
    size_t uncommitted;   /* LEADER: bytes of entries after hard.commit. */
    uint64_t transfer_to; /* LEADER: or RAFT_NOBODY. */
    uint64_t transfer_ms; /* Given up then. */

    struct raft_peer *peers;
    size_t peers_count;
    size_t peers_cap;

    uint64_t read_round;               /* LEADER: of the newest read. */
    struct raft_waiting_read *waiting; /* Oldest first. */
    size_t waiting_count;
    size_t waiting_cap;

    struct raft_msgs appends;
    struct raft_msgs messages;
    struct raft_ids dropped;
    struct raft_ids lost;
    struct raft_reads reads;
};

/* roles.c */
void raft_become_follower(struct raft *r, uint64_t term, uint64_t leader);
void raft_become_pre_candidate(struct raft *r);
void raft_become_candidate(struct raft *r);
void raft_become_leader(struct raft *r);
void raft_defer_election(struct raft *r); /* A fresh random deadline. */
void raft_append(struct raft *r, struct raft_entry entry);
void raft_append_own(struct raft *r, struct raft_entry entry);
void raft_cut_log(struct raft *r, uint64_t index);
void raft_drop_tags(struct raft *r, uint64_t from);
void raft_set_commit(struct raft *r, uint64_t index);
void raft_ids_add(struct raft_ids *ids, uint64_t id);

/* Queue a message from us in the present term; the caller completes it, at
 * once: the next call may move it. Appends may leave before our disk is done,
 * messages must not. */
struct raft_msg *raft_say_now(struct raft *r, enum raft_msg_type type,
                              uint64_t to);
struct raft_msg *raft_say(struct raft *r, enum raft_msg_type type, uint64_t to);

/* receive.c */
enum status raft_receive(struct raft *r, const struct raft_msg *m);

/* members.c */
struct raft_peer *raft_peer(const struct raft *r, uint64_t id);
bool raft_has_vote(const struct raft_peer *p);
size_t raft_voters(const struct raft *r); /* Of either half. */
bool raft_is_alone(const struct raft *r); /* We are the only voter. */
typedef bool (*raft_peer_fn)(const struct raft_peer *p, uint64_t arg);
/* Does the question hold for a majority of the voters, of both halves? */
bool raft_quorum(const struct raft *r, raft_peer_fn holds, uint64_t arg);
uint64_t raft_quorum_match(const struct raft *r);
void raft_peers_follow_conf(struct raft *r);
void raft_peers_reset(struct raft *r);
void raft_peers_release(struct raft *r);

/* change.c */
void raft_find_last_conf(struct raft *r);
bool raft_may_change(const struct raft *r);
bool raft_change_is_committed(const struct raft *r); /* And not applied. */
void raft_leave_joint(struct raft *r);               /* When it is due. */
void raft_on_conf_applied(struct raft *r, const struct raft_changes *changes);

/* election.c */
void raft_campaign(struct raft *r);
void raft_campaign_at_once(struct raft *r); /* The leader has asked for it. */
void raft_own_vote_durable(struct raft *r);
void raft_on_vote(struct raft *r, const struct raft_msg *m);
void raft_refuse_vote(const struct raft *r, struct raft_msg *reply);
void raft_on_vote_reply(struct raft *r, const struct raft_msg *m);
bool raft_refuses_to_move(const struct raft *r, const struct raft_msg *m);
void raft_on_peer_lost(struct raft *r, uint64_t id);

/* transfer.c */
enum status raft_transfer(struct raft *r, uint64_t to);
void raft_on_transfer(struct raft *r, const struct raft_msg *m);
void raft_transfer_go(struct raft *r); /* If its target has everything. */
void raft_step_aside(struct raft *r);  /* We have no vote any more. */

/* propose.c */
enum status raft_propose(struct raft *r, const struct raft_proposal *p);
void raft_on_propose(struct raft *r, const struct raft_msg *m);

/* follow.c */
bool raft_entries_fit(const struct raft_msg *m);
bool raft_snapshot_fits(const struct raft *r, const struct raft_msg *m);
void raft_on_append(struct raft *r, const struct raft_msg *m);
void raft_on_heartbeat(struct raft *r, const struct raft_msg *m);
void raft_on_snapshot(struct raft *r, const struct raft_msg *m);

/* lead.c */
void raft_lead_tick(struct raft *r);
void raft_send_heartbeats(struct raft *r);
bool raft_try_commit(struct raft *r);
void raft_on_append_reply(struct raft *r, const struct raft_msg *m);
void raft_on_heartbeat_reply(struct raft *r, const struct raft_msg *m);

/* flow.c */
enum raft_if_empty {
    SEND_IF_EMPTY,
    SKIP_IF_EMPTY
};
bool raft_must_wait(const struct raft *r, const struct raft_peer *p);
/* Returns whether a message was queued. */
bool raft_send_append(struct raft *r, struct raft_peer *p,
                      enum raft_if_empty if_empty);
void raft_send_appends(struct raft *r);
void raft_send_snapshot(struct raft *r, struct raft_peer *p);
void raft_probe_from(struct raft_peer *p, uint64_t index);
void raft_replicate_from(struct raft_peer *p, uint64_t index);
void raft_flight_landed(const struct raft *r, struct raft_peer *p,
                        uint64_t index);
void raft_flight_presumed_lost(const struct raft *r, struct raft_peer *p);
void raft_on_snapshot_ended(struct raft *r,
                            const struct raft_snapshot_end *end);

/* read.c */
bool raft_knows_commit(const struct raft *r); /* An entry of our term is. */
enum status raft_read_ask(struct raft *r, uint64_t id);
void raft_on_read(struct raft *r, const struct raft_msg *m);
void raft_on_read_reply(struct raft *r, const struct raft_msg *m);
void raft_reads_confirm(struct raft *r);
void raft_reads_begin(struct raft *r); /* The term's first commit is there. */
void raft_reads_lose(struct raft *r);
uint64_t raft_reads_round(const struct raft *r); /* 0: nobody waits. */
