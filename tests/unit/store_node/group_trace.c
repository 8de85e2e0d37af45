#include "group_trace.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/core/check.h"

void trace_line(const struct group_config *c, const char *format, va_list args)
{
    char text[256];

    if (c->on_line != NULL) {
        (void)vsnprintf(text, sizeof(text), format, args);
        c->on_line(c->line_ctx, text);
    }
}

static void say(const struct group_config *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct group_config *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    trace_line(c, format, args);
    va_end(args);
}

static void say_append(const struct group_config *c, const struct raft_msg *m,
                       const char *fate)
{
    if (m->entries_count == 0) {
        say(c,
            "%" PRIu64 " tells %" PRIu64 " nothing after %" PRIu64
            ", commit %" PRIu64 "%s",
            m->from, m->to, m->pos.index, m->commit, fate);
        return;
    }
    say(c,
        "%" PRIu64 " sends %" PRIu64 " entries %" PRIu64 " to %" PRIu64
        ", commit %" PRIu64 "%s",
        m->from, m->to, m->pos.index + 1, m->pos.index + m->entries_count,
        m->commit, fate);
}

static void say_append_reply(const struct group_config *c,
                             const struct raft_msg *m, const char *fate)
{
    if (m->reject) {
        say(c,
            "%" PRIu64 " tells %" PRIu64 " that %" PRIu64
            " differs, perhaps %" PRIu64 " of term %" PRIu64 "%s",
            m->from, m->to, m->pos.index, m->hint.index, m->hint.term, fate);
    } else {
        say(c, "%" PRIu64 " tells %" PRIu64 " it has %" PRIu64 "%s", m->from,
            m->to, m->pos.index, fate);
    }
}

static void say_read(const struct group_config *c, const struct raft_msg *m,
                     const char *fate)
{
    if (m->type == RAFT_MSG_READ) {
        say(c, "%" PRIu64 " asks %" PRIu64 " for read %" PRIu64 "%s", m->from,
            m->to, m->context, fate);
    } else {
        say(c,
            "%" PRIu64 " tells %" PRIu64 " to read %" PRIu64 " at %" PRIu64
            "%s",
            m->from, m->to, m->context, m->pos.index, fate);
    }
}

void trace_message(const struct group_config *c, const struct raft_msg *m,
                   const char *fate)
{
    switch (m->type) {
    case RAFT_MSG_APPEND:
        say_append(c, m, fate);
        return;
    case RAFT_MSG_APPEND_REPLY:
        say_append_reply(c, m, fate);
        return;
    case RAFT_MSG_VOTE:
    case RAFT_MSG_PRE_VOTE:
        say(c,
            "%" PRIu64 " asks %" PRIu64 " for a %svote in term %" PRIu64 "%s%s",
            m->from, m->to, m->type == RAFT_MSG_VOTE ? "" : "pre-", m->term,
            m->transfer ? ", as it was told to" : "", fate);
        return;
    case RAFT_MSG_VOTE_REPLY:
    case RAFT_MSG_PRE_VOTE_REPLY:
        say(c, "%" PRIu64 " %s %" PRIu64 " a %svote in term %" PRIu64 "%s",
            m->from, m->reject ? "refuses" : "gives", m->to,
            m->type == RAFT_MSG_VOTE_REPLY ? "" : "pre-", m->term, fate);
        return;
    case RAFT_MSG_HEARTBEAT:
        if (m->context != 0) {
            say(c, "%" PRIu64 " asks %" PRIu64 " whether it leads%s", m->from,
                m->to, fate);
        }
        return;
    case RAFT_MSG_HEARTBEAT_REPLY:
        if (m->context != 0) {
            say(c, "%" PRIu64 " confirms %" PRIu64 "%s", m->from, m->to, fate);
        }
        return;
    case RAFT_MSG_PROPOSE:
        say(c, "%" PRIu64 " passes %zu entries on to %" PRIu64 "%s", m->from,
            m->entries_count, m->to, fate);
        return;
    case RAFT_MSG_READ:
    case RAFT_MSG_READ_REPLY:
        say_read(c, m, fate);
        return;
    case RAFT_MSG_TRANSFER:
        say(c, "%" PRIu64 " is asked to hand over to %" PRIu64 "%s", m->to,
            m->from, fate);
        return;
    case RAFT_MSG_TIMEOUT_NOW:
        say(c, "%" PRIu64 " tells %" PRIu64 " to stand%s", m->from, m->to,
            fate);
        return;
    case RAFT_MSG_SNAPSHOT:
        say(c, "%" PRIu64 " sends %" PRIu64 " a snapshot of %" PRIu64 "%s",
            m->from, m->to, m->snapshot == NULL ? 0 : m->snapshot->pos.index,
            fate);
        return;
    }
    UNREACHABLE();
}

void trace_role(const struct group_config *c, uint64_t id,
                const struct raft_status *s)
{
    switch (s->role) {
    case RAFT_FOLLOWER:
        if (s->leader == RAFT_NOBODY) {
            say(c, "%" PRIu64 " follows nobody in term %" PRIu64, id,
                s->hard.term);
        } else {
            say(c, "%" PRIu64 " follows %" PRIu64 " in term %" PRIu64, id,
                s->leader, s->hard.term);
        }
        return;
    case RAFT_PRE_CANDIDATE:
        say(c, "%" PRIu64 " asks around", id);
        return;
    case RAFT_CANDIDATE:
        say(c, "%" PRIu64 " stands in term %" PRIu64, id, s->hard.term);
        return;
    case RAFT_LEADER:
        say(c, "%" PRIu64 " leads term %" PRIu64, id, s->hard.term);
        return;
    }
    UNREACHABLE();
}
