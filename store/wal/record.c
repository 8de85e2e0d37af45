#include "store/wal/record.h"

#include "base/core/check.h"
#include "base/core/crc32c.h"
#include "base/core/limits.h"
#include "base/core/wire.h"

#define MAGIC       0x676f6c2d7473756dULL /* "must-log" */
#define VERSION     1
#define ITEM_BYTES  8  /* Length, kind, entry type. */
#define HARD_BYTES  24 /* Term, vote, commit. */
#define POS_BYTES   16 /* Term, index. */
#define HEAD_SUM_AT 20
#define SUM_AT      24

static size_t padded(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

/* The sum covers the whole header, its own field read as zero. */
static uint32_t header_sum(const uint8_t *bytes)
{
    uint8_t copy[WAL_HEADER_BYTES];

    memcpy(copy, bytes, sizeof(copy));
    wire_put_u32(copy + 12, 0);
    return crc32c(0, slice_of(copy, sizeof(copy)));
}

uint32_t wal_header_write(uint8_t *out_bytes, const struct wal_header *h)
{
    uint32_t sum;

    wire_put_u64(out_bytes, MAGIC);
    wire_put_u32(out_bytes + 8, VERSION);
    wire_put_u64(out_bytes + 16, h->seed);
    wire_put_u64(out_bytes + 24, h->sequence);
    wire_put_u64(out_bytes + 32, h->ids.cluster);
    wire_put_u64(out_bytes + 40, h->ids.member);
    wire_put_u64(out_bytes + 48, h->before_end);
    wire_put_u32(out_bytes + 56, h->before_sum);
    wire_put_u32(out_bytes + 60, 0);
    sum = header_sum(out_bytes);
    wire_put_u32(out_bytes + 12, sum);
    return sum;
}

enum status wal_header_read(struct slice bytes, struct wal_header *out_header,
                            uint32_t *out_sum)
{
    struct wire_reader r = {.rest = bytes};
    struct wal_header h;
    uint32_t zero;
    uint64_t magic = wire_u64(&r);
    uint32_t version = wire_u32(&r);
    uint32_t sum = wire_u32(&r);

    h.seed = wire_u64(&r);
    h.sequence = wire_u64(&r);
    h.ids.cluster = wire_u64(&r);
    h.ids.member = wire_u64(&r);
    h.before_end = wire_u64(&r);
    h.before_sum = wire_u32(&r);
    zero = wire_u32(&r);
    if (wire_finish(&r) || magic != MAGIC || zero != 0 ||
        sum != header_sum(bytes.data)) {
        return ST_CORRUPT;
    }
    if (version != VERSION) {
        return ST_UNSUPPORTED;
    }
    *out_header = h;
    *out_sum = sum;
    return ST_OK;
}

enum status wal_head_read(struct slice bytes, uint64_t seed, uint64_t offset,
                          uint32_t *out_length)
{
    struct wire_reader r = {.rest = bytes};
    uint64_t their_seed = wire_u64(&r);
    uint64_t their_offset = wire_u64(&r);
    uint32_t length = wire_u32(&r);
    uint32_t head_sum = wire_u32(&r);
    uint32_t zero;

    (void)wire_u32(&r);
    zero = wire_u32(&r);
    if (wire_finish(&r) || their_seed != seed || their_offset != offset ||
        zero != 0 || length % 8 != 0 || length > LIMIT_WAL_RECORD ||
        head_sum != crc32c(0, slice_of(bytes.data, HEAD_SUM_AT))) {
        return ST_CORRUPT;
    }
    *out_length = length;
    return ST_OK;
}

static uint32_t record_sum(const uint8_t *record, size_t len, uint32_t before)
{
    uint32_t sum = crc32c(before, slice_of(record, SUM_AT));

    return crc32c(sum, slice_of(record + WAL_HEAD_BYTES, len - WAL_HEAD_BYTES));
}

enum status wal_record_check(struct slice record, struct wal_place place,
                             uint32_t *out_sum)
{
    struct wire_reader sum_at = {.rest = record};
    uint32_t length;
    uint32_t sum;

    if (wal_head_read(record, place.seed, place.offset, &length)) {
        return ST_CORRUPT;
    }
    if (record.len != WAL_HEAD_BYTES + (size_t)length) {
        return ST_TRUNCATED;
    }
    (void)wire_bytes(&sum_at, SUM_AT);
    sum = wire_u32(&sum_at);
    if (sum != record_sum(record.data, record.len, place.sum)) {
        return ST_CORRUPT;
    }
    *out_sum = sum;
    return ST_OK;
}

uint32_t wal_record_seal(uint8_t *record, size_t len, struct wal_place place)
{
    uint32_t sum;

    CHECK(len >= WAL_HEAD_BYTES);
    CHECK(len % 8 == 0);
    CHECK(len - WAL_HEAD_BYTES <= LIMIT_WAL_RECORD);
    wire_put_u64(record, place.seed);
    wire_put_u64(record + 8, place.offset);
    wire_put_u32(record + 16, (uint32_t)(len - WAL_HEAD_BYTES));
    wire_put_u32(record + HEAD_SUM_AT,
                 crc32c(0, slice_of(record, HEAD_SUM_AT)));
    sum = record_sum(record, len, place.sum);
    wire_put_u32(record + SUM_AT, sum);
    wire_put_u32(record + SUM_AT + 4, 0);
    return sum;
}

/* ---- items ---- */

static struct raft_pos pos_read(struct wire_reader *r)
{
    struct raft_pos pos;

    pos.term = wire_u64(r);
    pos.index = wire_u64(r);
    return pos;
}

/* `fields` is what the item's length covers. */
static enum status item_fields(struct slice fields, uint8_t entry_type,
                               struct wal_item *item)
{
    struct wire_reader r = {.rest = fields};

    switch (item->kind) {
    case WAL_HARD:
        item->hard.term = wire_u64(&r);
        item->hard.vote = wire_u64(&r);
        item->hard.commit = wire_u64(&r);
        return wire_finish(&r) || r.rest.len > 0 ? ST_CORRUPT : ST_OK;
    case WAL_ENTRY:
        item->entry.pos = pos_read(&r);
        item->entry.type = (enum raft_entry_type)entry_type;
        /* Borrowed; whoever keeps it makes a copy. */
        item->entry.data = r.rest.len > 0 ? (uint8_t *)r.rest.data : NULL;
        item->entry.len = r.rest.len;
        return wire_finish(&r) || entry_type > RAFT_ENTRY_CONF_V2 ? ST_CORRUPT
                                                                  : ST_OK;
    case WAL_MARK:
    case WAL_RESTART:
        item->mark.restart = item->kind == WAL_RESTART;
        item->mark.pos = pos_read(&r);
        item->mark.state = r.rest;
        return wire_finish(&r) ? ST_CORRUPT : ST_OK;
    }
    UNREACHABLE();
}

static bool all_zero(struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.data[i] != 0) {
            return false;
        }
    }
    return true;
}

enum status wal_item_next(struct slice *rest, struct wal_item *out_item)
{
    struct wire_reader r = {.rest = *rest};
    struct wal_item item = {0};
    uint32_t length;
    uint8_t kind;
    uint8_t entry_type;
    struct slice reserved;
    struct slice fields;
    struct slice padding;

    if (rest->len == 0) {
        return ST_NOT_FOUND;
    }
    length = wire_u32(&r);
    kind = wire_u8(&r);
    entry_type = wire_u8(&r);
    reserved = wire_bytes(&r, 2);
    fields = wire_bytes(&r, length);
    padding = wire_bytes(&r, padded(length) - length);
    if (wire_finish(&r) || kind < WAL_HARD || kind > WAL_RESTART ||
        !all_zero(reserved) || !all_zero(padding) ||
        (kind != WAL_ENTRY && entry_type != 0)) {
        return ST_CORRUPT;
    }
    item.kind = (enum wal_item_kind)kind;
    if (item_fields(fields, entry_type, &item)) {
        return ST_CORRUPT;
    }
    *rest = r.rest;
    *out_item = item;
    return ST_OK;
}

static size_t item_length(const struct wal_item *item)
{
    switch (item->kind) {
    case WAL_HARD:
        return HARD_BYTES;
    case WAL_ENTRY:
        return POS_BYTES + item->entry.len;
    case WAL_MARK:
    case WAL_RESTART:
        return POS_BYTES + item->mark.state.len;
    }
    UNREACHABLE();
}

size_t wal_item_size(const struct wal_item *item)
{
    return ITEM_BYTES + padded(item_length(item));
}

static uint8_t *pos_write(uint8_t *at, struct raft_pos pos)
{
    wire_put_u64(at, pos.term);
    wire_put_u64(at + 8, pos.index);
    return at + POS_BYTES;
}

static uint8_t *bytes_write(uint8_t *at, struct slice bytes)
{
    size_t padding = padded(bytes.len) - bytes.len;

    if (bytes.len > 0) {
        memcpy(at, bytes.data, bytes.len);
    }
    memset(at + bytes.len, 0, padding);
    return at + bytes.len + padding;
}

uint8_t *wal_item_write(uint8_t *at, const struct wal_item *item)
{
    wire_put_u32(at, (uint32_t)item_length(item));
    at[4] = (uint8_t)item->kind;
    at[5] = item->kind == WAL_ENTRY ? (uint8_t)item->entry.type : 0;
    at[6] = 0;
    at[7] = 0;
    at += ITEM_BYTES;
    switch (item->kind) {
    case WAL_HARD:
        wire_put_u64(at, item->hard.term);
        wire_put_u64(at + 8, item->hard.vote);
        wire_put_u64(at + 16, item->hard.commit);
        return at + HARD_BYTES;
    case WAL_ENTRY:
        at = pos_write(at, item->entry.pos);
        return bytes_write(at, raft_entry_data(&item->entry));
    case WAL_MARK:
    case WAL_RESTART:
        at = pos_write(at, item->mark.pos);
        return bytes_write(at, item->mark.state);
    }
    UNREACHABLE();
}
