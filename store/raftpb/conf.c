#include "base/core/check.h"
#include "base/core/pb.h"
#include "store/raftpb/raftpb.h"

/* raftpb.ConfChange */
enum {
    CHANGE_ID = 1,
    CHANGE_TYPE = 2,
    CHANGE_NODE = 3,
    CHANGE_CONTEXT = 4
};
/* raftpb.ConfChangeV2, and ConfChangeSingle in it */
enum {
    V2_TRANSITION = 1,
    V2_CHANGE = 2
};
enum {
    SINGLE_TYPE = 1,
    SINGLE_NODE = 2
};
enum {
    TYPE_ADD = 0,
    TYPE_REMOVE = 1,
    TYPE_UPDATE = 2,
    TYPE_ADD_LEARNER = 3
};
/* raftpb.ConfState */
enum {
    STATE_VOTERS = 1,
    STATE_LEARNERS = 2,
    STATE_OUTGOING = 3,
    STATE_LEARNERS_NEXT = 4,
    STATE_AUTO_LEAVE = 5
};

/* Which role is said by which field of a ConfState. */
static const struct {
    unsigned field;
    unsigned role;
    const char *name; /* In JSON. */
} state_fields[] = {{STATE_VOTERS, RAFT_VOTER, "voters"},
                    {STATE_LEARNERS, RAFT_LEARNER, "learners"},
                    {STATE_OUTGOING, RAFT_OUTGOING, "voters_outgoing"},
                    {STATE_LEARNERS_NEXT, RAFT_LEARNER_NEXT, "learners_next"}};

enum {
    STATE_FIELDS = sizeof(state_fields) / sizeof(state_fields[0])
};

void raftpb_conf_pack(const struct raft_conf *c, struct buf *out_bytes)
{
    for (size_t f = 0; f < STATE_FIELDS; f++) {
        for (size_t i = 0; i < c->count; i++) {
            if (c->list[i].roles & state_fields[f].role) {
                pb_uint(out_bytes, state_fields[f].field, c->list[i].id);
            }
        }
    }
    pb_bool(out_bytes, STATE_AUTO_LEAVE, c->auto_leave);
}

/* false: a member too many. */
static bool conf_add_role(struct raft_conf *c, uint64_t id, unsigned role)
{
    size_t at = 0;

    while (at < c->count && c->list[at].id < id) {
        at++;
    }
    if (at == c->count || c->list[at].id != id) {
        if (c->count == RAFT_MEMBERS_MAX) {
            return false;
        }
        memmove(&c->list[at + 1], &c->list[at],
                (c->count - at) * sizeof(c->list[0]));
        c->list[at] = (struct raft_conf_member){.id = id};
        c->count++;
    }
    c->list[at].roles |= role;
    return true;
}

static bool conf_take_field(struct raft_conf *c, const struct pb_field *field)
{
    if (field->type != PB_VARINT) {
        return false;
    }
    if (field->number == STATE_AUTO_LEAVE) {
        c->auto_leave = field->value != 0;
        return true;
    }
    for (size_t f = 0; f < STATE_FIELDS; f++) {
        if (state_fields[f].field == field->number) {
            return field->value != RAFT_NOBODY &&
                   conf_add_role(c, field->value, state_fields[f].role);
        }
    }
    return false;
}

enum status raftpb_conf_unpack(struct slice bytes, struct raft_conf *out_conf)
{
    struct raft_conf conf = {0};
    struct pb_field f;

    while (pb_next(&bytes, &f)) {
        if (!conf_take_field(&conf, &f)) {
            return ST_CORRUPT;
        }
    }
    if (bytes.len > 0) {
        return ST_CORRUPT;
    }
    *out_conf = conf;
    return ST_OK;
}

/* ---- ConfState as JSON ---- */

static void ids_to_json(const struct raft_conf *c, size_t field,
                        struct buf *out)
{
    const char *before = "[";

    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i].roles & state_fields[field].role) {
            CHECK(buf_addf(out, "%s%llu", before,
                           (unsigned long long)c->list[i].id) == ST_OK);
            before = ",";
        }
    }
    CHECK(buf_add_str(out, "],") == ST_OK);
}

static bool has_role(const struct raft_conf *c, unsigned role)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i].roles & role) {
            return true;
        }
    }
    return false;
}

void raftpb_conf_to_json(const struct raft_conf *c, struct buf *out)
{
    CHECK(buf_add_str(out, "{") == ST_OK);
    for (size_t f = 0; f < STATE_FIELDS; f++) {
        if (has_role(c, state_fields[f].role)) {
            CHECK(buf_addf(out, "\"%s\":", state_fields[f].name) == ST_OK);
            ids_to_json(c, f, out);
        }
    }
    CHECK(buf_addf(out, "\"auto_leave\":%s}",
                   c->auto_leave ? "true" : "false") == ST_OK);
}

/* The text is flat and its ids need all 64 bits, which JSON libraries do not
 * promise: so it is read by hand, blanks and unknown names not expected. */
static bool take(struct slice *json, const char *text)
{
    if (!slice_starts(*json, slice_str(text))) {
        return false;
    }
    *json = slice_skip(*json, strlen(text));
    return true;
}

static bool take_id(struct slice *json, uint64_t *out_id)
{
    uint64_t id = 0;
    size_t len = 0;

    while (len < json->len && json->data[len] >= '0' &&
           json->data[len] <= '9') {
        uint64_t digit = (uint64_t)(json->data[len] - '0');

        if (id > (UINT64_MAX - digit) / 10) {
            return false;
        }
        id = id * 10 + digit;
        len++;
    }
    *json = slice_skip(*json, len);
    *out_id = id;
    return len > 0;
}

static bool take_ids(struct slice *json, unsigned role, struct raft_conf *c)
{
    uint64_t id;

    if (take(json, "null") || take(json, "[]")) {
        return true;
    }
    if (!take(json, "[")) {
        return false;
    }
    do {
        if (!take_id(json, &id) || id == RAFT_NOBODY ||
            !conf_add_role(c, id, role)) {
            return false;
        }
    } while (take(json, ","));
    return take(json, "]");
}

static bool take_member(struct slice *json, struct raft_conf *c)
{
    if (!take(json, "\"")) {
        return false;
    }
    for (size_t f = 0; f < STATE_FIELDS; f++) {
        struct slice rest = *json;

        if (take(&rest, state_fields[f].name) && take(&rest, "\":")) {
            *json = rest;
            return take_ids(json, state_fields[f].role, c);
        }
    }
    if (!take(json, "auto_leave\":")) {
        return false;
    }
    c->auto_leave = take(json, "true");
    return c->auto_leave || take(json, "false");
}

enum status raftpb_conf_from_json(struct slice json, struct raft_conf *out_conf)
{
    struct raft_conf c = {0};

    if (!take(&json, "{")) {
        return ST_CORRUPT;
    }
    do {
        if (!take_member(&json, &c)) {
            return ST_CORRUPT;
        }
    } while (take(&json, ","));
    if (!take(&json, "}") || json.len > 0) {
        return ST_CORRUPT;
    }
    *out_conf = c;
    return ST_OK;
}

/* ---- changes ---- */

void raftpb_change_pack(const struct raft_change *change, uint64_t id,
                        struct slice context, struct buf *out_bytes)
{
    static const uint64_t types[] = {[RAFT_ADD_VOTER] = TYPE_ADD,
                                     [RAFT_ADD_LEARNER] = TYPE_ADD_LEARNER,
                                     [RAFT_REMOVE] = TYPE_REMOVE,
                                     [RAFT_UPDATE] = TYPE_UPDATE};

    pb_uint(out_bytes, CHANGE_ID, id);
    pb_uint(out_bytes, CHANGE_TYPE, types[change->type]);
    pb_uint(out_bytes, CHANGE_NODE, change->id);
    pb_bytes(out_bytes, CHANGE_CONTEXT, context);
}

static enum status change_from(uint64_t type, uint64_t id,
                               struct raft_change *out_change)
{
    static const enum raft_change_type types[] = {[TYPE_ADD] = RAFT_ADD_VOTER,
                                                  [TYPE_REMOVE] = RAFT_REMOVE,
                                                  [TYPE_UPDATE] = RAFT_UPDATE,
                                                  [TYPE_ADD_LEARNER] =
                                                      RAFT_ADD_LEARNER};

    if (type > TYPE_ADD_LEARNER) {
        return ST_CORRUPT;
    }
    /* Nobody's change: it was refused when it was proposed. */
    out_change->type = id == RAFT_NOBODY ? RAFT_UPDATE : types[type];
    out_change->id = id;
    return ST_OK;
}

/* The two numbers of a change, in fields that differ by message. */
static enum status change_parse(struct slice bytes, unsigned type_field,
                                struct raft_change *out_change)
{
    struct pb_field f;
    uint64_t type = TYPE_ADD;
    uint64_t id = RAFT_NOBODY;

    while (pb_next(&bytes, &f)) {
        if (f.number == type_field) {
            type = f.value;
        } else if (f.number == type_field + 1) {
            id = f.value;
        }
    }
    return bytes.len > 0 ? ST_CORRUPT : change_from(type, id, out_change);
}

static enum status changes_parse_v2(struct slice bytes,
                                    struct raft_changes *out_changes)
{
    struct raft_changes c = {.v2 = true};
    struct pb_field f;

    while (pb_next(&bytes, &f)) {
        enum status st = ST_OK;

        if (f.number == V2_TRANSITION) {
            st = f.value > RAFT_TRANSITION_EXPLICIT ? ST_CORRUPT : ST_OK;
            c.transition = (enum raft_transition)f.value;
        } else if (f.number == V2_CHANGE && c.count == RAFT_MEMBERS_MAX) {
            st = ST_CORRUPT;
        } else if (f.number == V2_CHANGE) {
            st = change_parse(f.bytes, SINGLE_TYPE, &c.list[c.count++]);
        }
        if (st) {
            return st;
        }
    }
    if (bytes.len > 0) {
        return ST_CORRUPT;
    }
    *out_changes = c;
    return ST_OK;
}

enum status raftpb_changes_of(const struct raft_entry *e,
                              struct raft_changes *out_changes)
{
    *out_changes = (struct raft_changes){.count = 0};
    switch (e->type) {
    case RAFT_ENTRY_NORMAL:
        return ST_OK;
    case RAFT_ENTRY_CONF:
        out_changes->count = 1;
        return change_parse(raft_entry_data(e), CHANGE_TYPE,
                            &out_changes->list[0]);
    case RAFT_ENTRY_CONF_V2:
        return changes_parse_v2(raft_entry_data(e), out_changes);
    }
    return ST_CORRUPT;
}

struct raftpb_change_note raftpb_change_note(const struct raft_entry *e)
{
    struct raftpb_change_note note = {0};
    struct slice bytes = raft_entry_data(e);
    struct pb_field f;

    if (e->type != RAFT_ENTRY_CONF) {
        return note;
    }
    while (pb_next(&bytes, &f)) {
        if (f.number == CHANGE_ID && f.type == PB_VARINT) {
            note.id = f.value;
        } else if (f.number == CHANGE_CONTEXT && f.type == PB_BYTES) {
            note.context = f.bytes;
        }
    }
    return note;
}
