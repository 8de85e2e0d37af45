#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"

/* ---- changes ---- */

static bool change_type(char c, enum raft_change_type *out_type)
{
    switch (c) {
    case '+':
        *out_type = RAFT_ADD_VOTER;
        return true;
    case '~':
        *out_type = RAFT_ADD_LEARNER;
        return true;
    case '-':
        *out_type = RAFT_REMOVE;
        return true;
    case '=':
        *out_type = RAFT_UPDATE;
        return true;
    default:
        return false;
    }
}

static bool change_list(const char *text, struct raft_changes *c)
{
    while (*text != '\0') {
        char *end;

        if (!change_type(*text, &c->list[c->count].type)) {
            return false;
        }
        c->list[c->count++].id = strtoull(text + 1, &end, 10);
        if (end == text + 1) {
            return false;
        }
        text = end + strspn(end, " ");
    }
    return c->count > 0;
}

bool words_changes(const char *text, struct raft_changes *out_changes)
{
    static const struct {
        const char *word;
        enum raft_transition transition;
    } kinds[] = {{"auto ", RAFT_TRANSITION_AUTO},
                 {"implicit ", RAFT_TRANSITION_IMPLICIT},
                 {"explicit ", RAFT_TRANSITION_EXPLICIT}};

    *out_changes = (struct raft_changes){.count = 0};
    if (strcmp(text, "leave") == 0) {
        out_changes->v2 = true;
        return true;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len = strlen(kinds[i].word);

        if (strncmp(text, kinds[i].word, len) == 0) {
            out_changes->v2 = true;
            out_changes->transition = kinds[i].transition;
            text += len;
            break;
        }
    }
    return change_list(text, out_changes);
}

void words_changes_text(const struct raft_entry *e, char *out_text, size_t size)
{
    CHECK(e->type != RAFT_ENTRY_NORMAL);
    CHECK(e->len < size);
    if (e->len == 0) {
        (void)snprintf(out_text, size, "leave");
        return;
    }
    memcpy(out_text, e->data, e->len);
    out_text[e->len] = '\0';
}

/* ---- configurations ---- */

static size_t add_members(const struct raft_conf *conf, unsigned role,
                          const char *name, char *text, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < conf->count; i++) {
        if (conf->list[i].roles & role) {
            len += (size_t)snprintf(text + len, size - len, "%s %" PRIu64,
                                    len == 0 ? name : "", conf->list[i].id);
        }
    }
    return len;
}

void words_conf(const struct raft_conf *conf, char *out_text, size_t size)
{
    size_t len = add_members(conf, RAFT_VOTER, "voters", out_text, size);

    len += add_members(conf, RAFT_OUTGOING, ", outgoing", out_text + len,
                       size - len);
    len += add_members(conf, RAFT_LEARNER, ", learners", out_text + len,
                       size - len);
    len += add_members(conf, RAFT_LEARNER_NEXT, ", learners next",
                       out_text + len, size - len);
    (void)snprintf(out_text + len, size - len, "%s",
                   conf->auto_leave ? ", left by itself" : "");
}

/* ---- messages ---- */

static bool message_type(const char *word, enum raft_msg_type *out_type)
{
    static const struct {
        const char *word;
        enum raft_msg_type type;
    } types[] = {{"Prop", RAFT_MSG_PROPOSE},
                 {"App", RAFT_MSG_APPEND},
                 {"AppResp", RAFT_MSG_APPEND_REPLY},
                 {"Vote", RAFT_MSG_VOTE},
                 {"VoteResp", RAFT_MSG_VOTE_REPLY},
                 {"Snap", RAFT_MSG_SNAPSHOT},
                 {"Heartbeat", RAFT_MSG_HEARTBEAT},
                 {"HeartbeatResp", RAFT_MSG_HEARTBEAT_REPLY},
                 {"TransferLeader", RAFT_MSG_TRANSFER},
                 {"TimeoutNow", RAFT_MSG_TIMEOUT_NOW},
                 {"ReadIndex", RAFT_MSG_READ},
                 {"ReadIndexResp", RAFT_MSG_READ_REPLY},
                 {"PreVote", RAFT_MSG_PRE_VOTE},
                 {"PreVoteResp", RAFT_MSG_PRE_VOTE_REPLY}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(word, types[i].word) == 0) {
            *out_type = types[i].type;
            return true;
        }
    }
    return false;
}

static bool position(const char *word, struct raft_pos *out_pos)
{
    return sscanf(word, "%" SCNu64 "/%" SCNu64, &out_pos->term,
                  &out_pos->index) == 2;
}

static bool number(const char *word, uint64_t *out_number)
{
    return sscanf(word, "%" SCNu64, out_number) == 1;
}

static bool flag(const char *word, struct raft_msg *m)
{
    if (strcmp(word, "reject") == 0) {
        m->reject = true;
    } else if (strcmp(word, "transfer") == 0) {
        m->transfer = true;
    } else {
        return false;
    }
    return true;
}

static bool field(const char *name, const char *value, struct raft_msg *m)
{
    if (strcmp(name, "term") == 0) {
        return number(value, &m->term);
    }
    if (strcmp(name, "commit") == 0) {
        return number(value, &m->commit);
    }
    if (strcmp(name, "context") == 0) {
        return number(value, &m->context);
    }
    if (strcmp(name, "at") == 0) {
        return position(value, &m->pos);
    }
    return strcmp(name, "hint") == 0 && position(value, &m->hint);
}

static bool entries(char *const *words, size_t count, struct words_message *m)
{
    if (count > WORDS_ENTRIES_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        m->entries[i] =
            (struct raft_entry){.pos.index = m->msg.pos.index + 1 + i};
        if (!number(words[i], &m->entries[i].pos.term)) {
            return false;
        }
    }
    m->msg.entries = m->entries;
    m->msg.entries_count = count;
    return true;
}

bool words_message(char *const *words, size_t count,
                   const struct raft_conf *conf, struct words_message *m)
{
    if (count == 0 || !message_type(words[0], &m->msg.type)) {
        return false;
    }
    for (size_t i = 1; i < count; i++) {
        if (strcmp(words[i], "entries") == 0) {
            return entries(words + i + 1, count - i - 1, m);
        }
        if (flag(words[i], &m->msg)) {
            continue;
        }
        if (i + 1 == count || !field(words[i], words[i + 1], &m->msg)) {
            return false;
        }
        i++;
    }
    m->snapshot = (struct raft_snapshot){.pos = m->msg.pos, .conf = *conf};
    m->msg.snapshot = m->msg.type == RAFT_MSG_SNAPSHOT ? &m->snapshot : NULL;
    return true;
}
