#include <inttypes.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "core.h"
#include "store/raftpb/raftpb.h"

void parcel_free(struct parcel *p)
{
    if (p == NULL) {
        return;
    }
    if (p->content != NULL) {
        memory_table_release(p->content);
        free(p->content);
    }
    buf_release(&p->bytes);
    free(p);
}

static void trace_message(struct sim *s, const struct raft_msg *m,
                          const char *fate)
{
    static const char *const names[] = {
        [RAFT_MSG_PROPOSE] = "propose",
        [RAFT_MSG_APPEND] = "append",
        [RAFT_MSG_APPEND_REPLY] = "append-reply",
        [RAFT_MSG_VOTE] = "vote",
        [RAFT_MSG_VOTE_REPLY] = "vote-reply",
        [RAFT_MSG_SNAPSHOT] = "snapshot",
        [RAFT_MSG_HEARTBEAT] = "heartbeat",
        [RAFT_MSG_HEARTBEAT_REPLY] = "heartbeat-reply",
        [RAFT_MSG_TRANSFER] = "transfer",
        [RAFT_MSG_TIMEOUT_NOW] = "timeout-now",
        [RAFT_MSG_READ] = "read",
        [RAFT_MSG_READ_REPLY] = "read-reply",
        [RAFT_MSG_PRE_VOTE] = "pre-vote",
        [RAFT_MSG_PRE_VOTE_REPLY] = "pre-vote-reply",
    };

    sim_trace(s,
              "%" PRIu64 " -> %" PRIu64 " %s term %" PRIu64 " at %" PRIu64
              "/%" PRIu64 " +%zu commit %" PRIu64 "%s%s",
              m->from, m->to, names[m->type], m->term, m->pos.index,
              m->pos.term, m->entries_count, m->commit,
              m->reject ? " REJECT" : "", fate);
}

static struct parcel *pack(struct member *from, const struct raft_msg *message)
{
    struct parcel *p = calloc(1, sizeof(*p));

    CHECK(p != NULL);
    p->from = from->id;
    p->from_life = from->life;
    buf_init(&p->bytes, SIZE_MAX);
    raftpb_message_pack(message, &p->bytes);
    return p;
}

/* Streams keep their order, but there are several between two members, and
 * where order is not kept, some messages come when nobody thinks of them any
 * more. */
static uint64_t delay_of(struct sim *s, uint64_t from, uint64_t to)
{
    uint64_t delay = 50 + sim_upto(s, s->profile->delay_us);
    uint64_t *last = &s->link_us[from][to];

    if (s->profile->reorder) {
        return delay + (sim_chance(s, 10) ? sim_upto(s, 1000000) : 0);
    }
    if (s->now_us + delay < *last) {
        delay = *last - s->now_us;
    }
    *last = s->now_us + delay;
    return delay;
}

static void post(struct member *from, const struct raft_msg *message,
                 struct memory_table *content)
{
    struct sim *s = from->sim;
    uint64_t delay = delay_of(s, from->id, message->to);
    struct event *e;

    if (content != NULL) {
        delay += sim_upto(s, 200000);
    }
    e = sim_at(s, delay, EVENT_MESSAGE);
    e->member = message->to;
    e->parcel = pack(from, message);
    e->parcel->content = content;
}

/* Requests that are passed on are never doubled: what carries them, a stream,
 * does not, and the log would hold them twice. */
static bool may_come_twice(const struct raft_msg *m)
{
    return m->type != RAFT_MSG_PROPOSE && m->type != RAFT_MSG_SNAPSHOT;
}

void network_send(struct member *from, const struct raft_msg *message,
                  struct memory_table *content)
{
    struct sim *s = from->sim;
    bool lost = message->to > MEMBERS_MAX || s->cut[from->id][message->to] ||
                sim_chance(s, s->loss);

    trace_message(s, message, lost ? " (lost)" : "");
    if (!lost) {
        post(from, message, content);
        if (may_come_twice(message) && sim_chance(s, s->profile->twice)) {
            post(from, message, NULL);
        }
    } else if (content != NULL) {
        memory_table_release(content);
        free(content);
    }
    if (lost && message->type == RAFT_MSG_SNAPSHOT) {
        snapshot_ended(s, from->id, from->life, message->to, 0, false);
    }
}

/* A member that was removed is not heard by those who know. */
static bool is_removed(const struct member *m, uint64_t id)
{
    size_t count;
    const uint64_t *removed = kv_members_removed(m->kv, &count);

    for (size_t i = 0; i < count; i++) {
        if (removed[i] == id) {
            return true;
        }
    }
    return false;
}

void network_miss(struct sim *s, const struct event *e)
{
    if (e->parcel != NULL && e->parcel->content != NULL) {
        snapshot_ended(s, e->parcel->from, e->parcel->from_life, e->member, 0,
                       false);
    }
}

void network_arrive(struct sim *s, struct event *e)
{
    struct member *m = sim_member(s, e->member);
    struct raftpb_space space = {0};
    struct raft_msg message;

    CHECK(raftpb_message_unpack(buf_slice(&e->parcel->bytes), &space,
                                &message) == ST_OK);
    if (s->cut[message.from][m->id] || is_removed(m, message.from)) {
        trace_message(s, &message, " (lost on its way)");
        network_miss(s, e);
    } else if (message.type == RAFT_MSG_SNAPSHOT) {
        snapshot_arrive(m, &message, e->parcel);
    } else {
        trace_message(s, &message, " (arrives)");
        (void)node_receive(m->node, &message, member_ms(m));
    }
    raftpb_space_release(&space);
}
