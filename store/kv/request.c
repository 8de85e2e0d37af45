#include "store/kv/request.h"

#include "base/core/limits.h"
#include "base/core/pb.h"

/* Where a field goes. Each message is a table of these. */
enum target_type {
    INTO_END, /* Ends the table. */
    INTO_I64,
    INTO_I32,
    INTO_BOOL,
    INTO_BYTES,
};

struct target {
    unsigned number;
    enum target_type type;
    size_t offset;
};

#define FIELD(n, kind, type, member)           \
    {                                          \
        n, kind, offsetof(struct type, member) \
    }
#define FIELD_END      \
    {                  \
        0, INTO_END, 0 \
    }

static const struct target range_fields[] = {
    FIELD(1, INTO_BYTES, range_request, key),
    FIELD(2, INTO_BYTES, range_request, range_end),
    FIELD(3, INTO_I64, range_request, limit),
    FIELD(4, INTO_I64, range_request, revision),
    FIELD(5, INTO_I32, range_request, sort_order),
    FIELD(6, INTO_I32, range_request, sort_target),
    FIELD(7, INTO_BOOL, range_request, serializable),
    FIELD(8, INTO_BOOL, range_request, keys_only),
    FIELD(9, INTO_BOOL, range_request, count_only),
    FIELD(10, INTO_I64, range_request, min_mod),
    FIELD(11, INTO_I64, range_request, max_mod),
    FIELD(12, INTO_I64, range_request, min_create),
    FIELD(13, INTO_I64, range_request, max_create),
    FIELD_END,
};

static const struct target put_fields[] = {
    FIELD(1, INTO_BYTES, put_request, key),
    FIELD(2, INTO_BYTES, put_request, value),
    FIELD(3, INTO_I64, put_request, lease),
    FIELD(4, INTO_BOOL, put_request, prev_kv),
    FIELD(5, INTO_BOOL, put_request, ignore_value),
    FIELD(6, INTO_BOOL, put_request, ignore_lease),
    FIELD_END,
};

static const struct target delete_fields[] = {
    FIELD(1, INTO_BYTES, delete_request, key),
    FIELD(2, INTO_BYTES, delete_request, range_end),
    FIELD(3, INTO_BOOL, delete_request, prev_kv),
    FIELD_END,
};

/* The operands 4 to 8 and range_end (64) are handled in compare_parse(). */
static const struct target compare_fields[] = {
    FIELD(1, INTO_I32, compare, result),
    FIELD(2, INTO_I32, compare, target),
    FIELD(3, INTO_BYTES, compare, key),
    FIELD(64, INTO_BYTES, compare, range_end),
    FIELD_END,
};

static const struct target compaction_fields[] = {
    FIELD(1, INTO_I64, compaction_request, revision),
    FIELD(2, INTO_BOOL, compaction_request, physical),
    FIELD_END,
};

static const struct target grant_fields[] = {
    FIELD(1, INTO_I64, lease_request, ttl),
    FIELD(2, INTO_I64, lease_request, id),
    FIELD_END,
};

static const struct target revoke_fields[] = {
    FIELD(1, INTO_I64, lease_request, id),
    FIELD_END,
};

static const struct target time_to_live_fields[] = {
    FIELD(1, INTO_I64, lease_request, id),
    FIELD(2, INTO_BOOL, lease_request, keys),
    FIELD_END,
};

static const struct target alarm_fields[] = {
    FIELD(1, INTO_I32, alarm_request, action),
    FIELD(2, INTO_I64, alarm_request, member_id),
    FIELD(3, INTO_I32, alarm_request, alarm),
    FIELD_END,
};

/* false: the field's wire type is not that of its kind. */
static bool field_store(const struct pb_field *field, enum target_type type,
                        uint8_t *at)
{
    if (type == INTO_BYTES) {
        if (field->type == PB_BYTES) {
            memcpy(at, &field->bytes, sizeof(field->bytes));
        }
        return field->type == PB_BYTES;
    }
    if (field->type != PB_VARINT) {
        return false;
    }
    if (type == INTO_I64) {
        int64_t value = (int64_t)field->value;

        memcpy(at, &value, sizeof(value));
    } else if (type == INTO_I32) {
        int32_t value = (int32_t)field->value;

        memcpy(at, &value, sizeof(value));
    } else {
        bool value = field->value != 0;

        memcpy(at, &value, sizeof(value));
    }
    return true;
}

static bool field_take(const struct target *targets,
                       const struct pb_field *field, void *message)
{
    for (; targets->type != INTO_END; targets++) {
        if (targets->number == field->number) {
            return field_store(field, targets->type,
                               (uint8_t *)message + targets->offset);
        }
    }
    return true;
}

static bool message_parse(struct slice bytes, const struct target *targets,
                          void *message)
{
    struct pb_field field;

    while (pb_next(&bytes, &field)) {
        if (!field_take(targets, &field, message)) {
            return false;
        }
    }
    return bytes.len == 0;
}

bool range_request_parse(struct slice bytes, struct range_request *out)
{
    *out = (struct range_request){0};
    return message_parse(bytes, range_fields, out);
}

bool put_request_parse(struct slice bytes, struct put_request *out)
{
    *out = (struct put_request){0};
    return message_parse(bytes, put_fields, out);
}

bool delete_request_parse(struct slice bytes, struct delete_request *out)
{
    *out = (struct delete_request){0};
    return message_parse(bytes, delete_fields, out);
}

bool compaction_request_parse(struct slice bytes,
                              struct compaction_request *out)
{
    *out = (struct compaction_request){0};
    return message_parse(bytes, compaction_fields, out);
}

bool lease_grant_parse(struct slice bytes, struct lease_request *out)
{
    *out = (struct lease_request){0};
    return message_parse(bytes, grant_fields, out);
}

bool lease_revoke_parse(struct slice bytes, struct lease_request *out)
{
    *out = (struct lease_request){0};
    return message_parse(bytes, revoke_fields, out);
}

bool lease_time_to_live_parse(struct slice bytes, struct lease_request *out)
{
    *out = (struct lease_request){0};
    return message_parse(bytes, time_to_live_fields, out);
}

bool alarm_request_parse(struct slice bytes, struct alarm_request *out)
{
    *out = (struct alarm_request){0};
    return message_parse(bytes, alarm_fields, out);
}

/* The oneof: whichever comes last replaces what was there. */
static bool compare_operand(const struct pb_field *field, struct compare *c)
{
    bool is_value = field->number == 7;

    if (field->type != (is_value ? PB_BYTES : PB_VARINT)) {
        return false;
    }
    c->operand = field->number;
    c->number = is_value ? 0 : (int64_t)field->value;
    c->value = is_value ? field->bytes : slice_of(NULL, 0);
    return true;
}

static bool compare_parse(struct slice bytes, struct compare *out)
{
    struct pb_field field;

    *out = (struct compare){0};
    while (pb_next(&bytes, &field)) {
        bool fine = field.number >= 4 && field.number <= 8
                        ? compare_operand(&field, out)
                        : field_take(compare_fields, &field, out);

        if (!fine) {
            return false;
        }
    }
    return bytes.len == 0;
}

static bool txn_parse(struct arena *arena, struct slice bytes, unsigned depth,
                      struct txn_request *out);

static bool op_member_parse(struct arena *arena, const struct pb_field *field,
                            unsigned depth, struct request_op *out)
{
    *out = (struct request_op){.type = (enum request_op_type)field->number};
    switch (out->type) {
    case OP_RANGE:
        return range_request_parse(field->bytes, &out->range);
    case OP_PUT:
        return put_request_parse(field->bytes, &out->put);
    case OP_DELETE_RANGE:
        return delete_request_parse(field->bytes, &out->delete_range);
    case OP_TXN:
        out->txn = arena_zalloc(arena, 1, sizeof(*out->txn));
        return txn_parse(arena, field->bytes, depth + 1, out->txn);
    case OP_NONE:
        break;
    }
    return false;
}

/* The oneof again: only the last member is looked into, so that the work is
 * bounded by the bytes. */
static bool op_parse(struct arena *arena, struct slice bytes, unsigned depth,
                     struct request_op *out)
{
    struct pb_field member = {0};
    struct pb_field field;

    while (pb_next(&bytes, &field)) {
        if (field.number <= OP_TXN) {
            if (field.type != PB_BYTES) {
                return false;
            }
            member = field;
        }
    }
    if (bytes.len > 0) {
        return false;
    }
    if (member.number == 0) {
        *out = (struct request_op){.type = OP_NONE};
        return true;
    }
    return op_member_parse(arena, &member, depth, out);
}

/* How often each of the fields 1 to 3 comes. false: damaged. */
static bool txn_count(struct slice bytes, size_t counts[4])
{
    struct pb_field field;

    while (pb_next(&bytes, &field)) {
        if (field.number <= 3) {
            if (field.type != PB_BYTES) {
                return false;
            }
            counts[field.number]++;
        }
    }
    return bytes.len == 0;
}

static bool txn_parse(struct arena *arena, struct slice bytes, unsigned depth,
                      struct txn_request *out)
{
    struct txn_request t = {0};
    size_t counts[4] = {0};
    struct pb_field field;
    bool fine = true;

    if (depth > LIMIT_TXN_DEPTH || !txn_count(bytes, counts)) {
        return false;
    }
    t.compares = arena_zalloc(arena, counts[1], sizeof(*t.compares));
    t.success.list = arena_zalloc(arena, counts[2], sizeof(*t.success.list));
    t.failure.list = arena_zalloc(arena, counts[3], sizeof(*t.failure.list));
    while (fine && pb_next(&bytes, &field)) {
        switch (field.number) {
        case 1:
            fine = compare_parse(field.bytes, &t.compares[t.compares_count++]);
            break;
        case 2:
            fine = op_parse(arena, field.bytes, depth,
                            &t.success.list[t.success.count++]);
            break;
        case 3:
            fine = op_parse(arena, field.bytes, depth,
                            &t.failure.list[t.failure.count++]);
            break;
        default:
            break;
        }
    }
    *out = t;
    return fine;
}

bool txn_request_parse(struct arena *arena, struct slice bytes,
                       struct txn_request *out)
{
    return txn_parse(arena, bytes, 1, out);
}

struct key_range key_range_of(struct slice key, struct slice range_end)
{
    return (struct key_range){
        .from = key,
        .to = range_end,
        .single = range_end.len == 0,
        .open = range_end.len == 1 && range_end.data[0] == 0,
    };
}
