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
 * roles.c     becoming something, and what every role does
 * members.c   who votes, and what a majority is
 * election.c  time-outs and votes
 * follow.c    what a follower does with appends and heartbeats
 * lead.c      what a leader sends, and what it commits
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
 *    +------------ a heartbeat's answer ----------+
 */
enum raft_pace {
    RAFT_PROBE,     /* Finding where the logs agree: one message at a time. */
    RAFT_REPLICATE, /* They agree: messages follow each other. */
    RAFT_SNAPSHOT,  /* What comes next for it is not kept any more. */
};

enum raft_answer {
    RAFT_NO_ANSWER,
    RAFT_YES,
    RAFT_NO
};

/* One member, as this one sees it. All but the first three is about the present
 * term and reset with it. */
struct raft_peer {
    uint64_t id;
    bool voter;              /* Else a learner. */
    enum raft_answer answer; /* To our campaign. */
    bool active;             /* Heard since the last look at the quorum. */
    enum raft_pace pace;
    bool probe_sent;    /* PROBE: wait for the answer or a heartbeat's. */
    uint64_t match;     /* Durable there. For ourselves: durable here. */
    uint64_t next;      /* To be sent next. */
    uint64_t read_seen; /* The newest read id it has confirmed. */
    uint64_t *flying;   /* Last indexes of unanswered messages, a ring. */
    size_t flying_head;
    size_t flying_count;
};

struct raft_waiting_read {
    uint64_t id;
    uint64_t index; /* 0: waits for the first commit of the term. */
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

    enum raft_role role;
    uint64_t leader;
    uint64_t heard_ms;    /* Last word of the leader. */
    uint64_t deadline_ms; /* FOLLOWER, candidates: campaign then. */
    uint64_t beat_ms;     /* LEADER: next heartbeat. */
    uint64_t quorum_ms;   /* LEADER: next look at the quorum. */
    size_t uncommitted;   /* LEADER: bytes of entries after hard.commit. */

    struct raft_peer *peers;
    size_t peers_count;
    size_t peers_cap;

    struct raft_waiting_read *waiting; /* In order of id. */
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
void raft_append_own(struct raft *r, struct raft_entry entry);
void raft_cut_log(struct raft *r, uint64_t index);
void raft_set_commit(struct raft *r, uint64_t index);
void raft_ids_add(struct raft_ids *ids, uint64_t id);

/* Queue a message from us in the present term; the caller completes it, at
 * once: the next call may move it. Appends may leave before our disk is done,
 * messages must not. */
struct raft_msg *raft_say_now(struct raft *r, enum raft_msg_type type,
                              uint64_t to);
struct raft_msg *raft_say(struct raft *r, enum raft_msg_type type, uint64_t to);

/* members.c */
struct raft_peer *raft_peer(const struct raft *r, uint64_t id);
size_t raft_voters(const struct raft *r);
bool raft_is_alone(const struct raft *r); /* We are the only voter. */
typedef bool (*raft_peer_fn)(const struct raft_peer *p, uint64_t arg);
/* Does the question hold for a majority of the voters? */
bool raft_quorum(const struct raft *r, raft_peer_fn holds, uint64_t arg);
uint64_t raft_quorum_match(const struct raft *r);
void raft_peers_reset(struct raft *r);
void raft_peers_release(struct raft *r);

/* election.c */
void raft_campaign(struct raft *r);
void raft_own_vote_durable(struct raft *r);
void raft_on_vote(struct raft *r, const struct raft_msg *m);
void raft_on_vote_reply(struct raft *r, const struct raft_msg *m);
bool raft_refuses_to_move(const struct raft *r, const struct raft_msg *m);

/* follow.c */
bool raft_entries_fit(const struct raft_msg *m);
void raft_on_append(struct raft *r, const struct raft_msg *m);
void raft_on_heartbeat(struct raft *r, const struct raft_msg *m);

/* lead.c */
void raft_lead_tick(struct raft *r);
void raft_send_appends(struct raft *r);
void raft_send_heartbeats(struct raft *r);
bool raft_try_commit(struct raft *r);
void raft_on_append_reply(struct raft *r, const struct raft_msg *m);
void raft_on_heartbeat_reply(struct raft *r, const struct raft_msg *m);

/* read.c */
void raft_read_ask(struct raft *r, uint64_t id);
void raft_reads_confirm(struct raft *r);
void raft_reads_begin(struct raft *r); /* The term's first commit is there. */
void raft_reads_lose(struct raft *r);
uint64_t raft_reads_newest(const struct raft *r); /* 0: none. */
