#include "base/core/pb.h"

#include "base/core/check.h"
#include "base/core/wire.h"

/* Room that pb_begin() leaves for the length: most messages need one byte, and
 * pb_end() moves the content when that was a wrong guess. */
enum {
    LEN_GUESS = 1
};

size_t pb_varint_len(uint64_t value)
{
    size_t len = 1;

    while (value >= 0x80) {
        value >>= 7;
        len++;
    }
    return len;
}

uint8_t *pb_varint_at(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *pb_reserve(struct buf *b, size_t len)
{
    uint8_t *space;

    CHECK(buf_reserve(b, len, &space) == ST_OK);
    return space;
}

void pb_varint(struct buf *b, uint64_t value)
{
    uint8_t *at = pb_reserve(b, PB_VARINT_MAX);

    b->len = (size_t)(pb_varint_at(at, value) - b->data);
}

static uint64_t pb_tag(unsigned field, enum pb_wire_type type)
{
    return (uint64_t)field << 3 | (uint64_t)type;
}

void pb_uint(struct buf *b, unsigned field, uint64_t value)
{
    uint8_t *at;

    if (value == 0) {
        return;
    }
    at = pb_reserve(b, PB_TAG_MAX + PB_VARINT_MAX);
    at = pb_varint_at(at, pb_tag(field, PB_VARINT));
    b->len = (size_t)(pb_varint_at(at, value) - b->data);
}

void pb_int(struct buf *b, unsigned field, int64_t value)
{
    pb_uint(b, field, (uint64_t)value);
}

void pb_bool(struct buf *b, unsigned field, bool value)
{
    pb_uint(b, field, value ? 1 : 0);
}

void pb_message_head(struct buf *b, unsigned field, size_t len)
{
    uint8_t *at = pb_reserve(b, PB_TAG_MAX + PB_VARINT_MAX);

    at = pb_varint_at(at, pb_tag(field, PB_BYTES));
    b->len = (size_t)(pb_varint_at(at, len) - b->data);
}

void pb_message(struct buf *b, unsigned field, struct slice encoded)
{
    pb_message_head(b, field, encoded.len);
    CHECK(buf_add(b, encoded) == ST_OK);
}

void pb_bytes(struct buf *b, unsigned field, struct slice value)
{
    if (value.len > 0) {
        pb_message(b, field, value);
    }
}

size_t pb_begin(struct buf *b, unsigned field)
{
    uint8_t *at = pb_reserve(b, PB_TAG_MAX + LEN_GUESS);

    at = pb_varint_at(at, pb_tag(field, PB_BYTES));
    b->len = (size_t)(at - b->data) + LEN_GUESS;
    return b->len;
}

void pb_end(struct buf *b, size_t mark)
{
    size_t len = b->len - mark;
    size_t extra = pb_varint_len(len) - LEN_GUESS;

    if (extra > 0) {
        (void)pb_reserve(b, extra);
        memmove(b->data + mark + extra, b->data + mark, len);
        b->len += extra;
    }
    (void)pb_varint_at(b->data + mark - LEN_GUESS, len);
}

bool pb_next(struct slice *rest, struct pb_field *out_field)
{
    struct wire_reader r = {.rest = *rest};
    struct pb_field field = {0};
    uint64_t tag;

    if (rest->len == 0) {
        return false;
    }
    tag = wire_varint(&r);
    field.number = (unsigned)(tag >> 3);
    switch (tag & 7) {
    case PB_VARINT:
        field.type = PB_VARINT;
        field.value = wire_varint(&r);
        break;
    case PB_FIXED64:
        field.type = PB_FIXED64;
        field.value = wire_u64(&r);
        break;
    case PB_FIXED32:
        field.type = PB_FIXED32;
        field.value = wire_u32(&r);
        break;
    case PB_BYTES:
        field.type = PB_BYTES;
        field.bytes = wire_bytes(&r, wire_varint(&r));
        break;
    default:
        return false;
    }
    if (wire_finish(&r) || field.number == 0) {
        return false;
    }
    *rest = r.rest;
    *out_field = field;
    return true;
}
