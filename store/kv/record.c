#include "store/kv/record.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "base/core/wire.h"

/* Field numbers of KeyValue, Event and WatchResponse. */
enum {
    KV_KEY = 1,
    KV_CREATE = 2,
    KV_MOD = 3,
    KV_VERSION = 4,
    KV_VALUE = 5,
    KV_LEASE = 6,
    EVENT_TYPE = 1,
    EVENT_KV = 2,
    EVENT_PREV = 3,
    WATCH_EVENT = 11,
    TYPE_DELETE = 1,
};

enum {
    /* Two tags, two lengths below 2^32, and the type. */
    EVENT_HEAD_MAX = 1 + 5 + 2 + 1 + 5,
    /* Six one-byte tags, two lengths, four numbers. */
    KV_OVERHEAD_MAX = 6 + 2 * 5 + 4 * PB_VARINT_MAX,
};

struct rev_key rev_key_pack(struct kv_rev rev, bool tombstone)
{
    struct rev_key k = {.len = tombstone ? REV_KEY_MAX : REV_KEY_LEN};

    wire_put_u64be(k.bytes, (uint64_t)rev.main);
    k.bytes[8] = '_';
    wire_put_u64be(k.bytes + 9, (uint64_t)rev.sub);
    k.bytes[17] = 't';
    return k;
}

bool rev_key_parse(struct slice bytes, struct kv_rev *out_rev,
                   bool *out_tombstone)
{
    struct kv_rev rev;
    bool tombstone = bytes.len == REV_KEY_MAX;

    if (!tombstone && bytes.len != REV_KEY_LEN) {
        return false;
    }
    if (bytes.data[8] != '_' || (tombstone && bytes.data[17] != 't')) {
        return false;
    }
    rev.main = (int64_t)wire_get_u64be(bytes.data);
    rev.sub = (int64_t)wire_get_u64be(bytes.data + 9);
    if (rev.main <= 0 || rev.sub < 0 || rev.sub > INT32_MAX) {
        return false;
    }
    *out_rev = rev;
    *out_tombstone = tombstone;
    return true;
}

static void kv_field_note(struct kv_fields *f, const struct pb_field *field)
{
    switch (field->number) {
    case KV_KEY:
        f->key = field->bytes;
        break;
    case KV_CREATE:
        f->create = (int64_t)field->value;
        break;
    case KV_MOD:
        f->mod = (int64_t)field->value;
        break;
    case KV_VERSION:
        f->version = (int64_t)field->value;
        break;
    case KV_VALUE:
        f->value = field->bytes;
        break;
    case KV_LEASE:
        f->lease = (int64_t)field->value;
        break;
    default:
        break;
    }
}

bool kv_fields_parse(struct slice bytes, struct kv_fields *out_fields)
{
    struct kv_fields f = {0};
    struct pb_field field;

    while (pb_next(&bytes, &field)) {
        kv_field_note(&f, &field);
    }
    if (bytes.len > 0 || f.key.len == 0) {
        return false;
    }
    *out_fields = f;
    return true;
}

bool kv_fields_key(struct slice bytes, struct slice *out_key)
{
    struct pb_field field;

    if (!pb_next(&bytes, &field) || field.number != KV_KEY ||
        field.type != PB_BYTES || field.bytes.len == 0) {
        return false;
    }
    *out_key = field.bytes;
    return true;
}

void kv_fields_without_value(struct buf *out, struct slice bytes)
{
    struct slice rest = bytes;
    struct pb_field field;

    while (pb_next(&rest, &field)) {
        if (field.number == KV_VALUE) {
            /* Everything before its tag (one byte), everything behind it. */
            size_t len = 1 + pb_varint_len(field.bytes.len) + field.bytes.len;
            size_t head = bytes.len - rest.len - len;

            CHECK(buf_add(out, slice_of(bytes.data, head)) == ST_OK);
            CHECK(buf_add(out, rest) == ST_OK);
            return;
        }
    }
    CHECK(buf_add(out, bytes) == ST_OK);
}

/* One-byte tags; zero values are left out, as everywhere in proto3. */
static uint8_t *put_int(uint8_t *at, unsigned field, int64_t value)
{
    if (value == 0) {
        return at;
    }
    *at++ = (uint8_t)(field << 3 | PB_VARINT);
    return pb_varint_at(at, (uint64_t)value);
}

static uint8_t *put_bytes(uint8_t *at, unsigned field, struct slice value)
{
    if (value.len == 0) {
        return at;
    }
    *at++ = (uint8_t)(field << 3 | PB_BYTES);
    at = pb_varint_at(at, value.len);
    memcpy(at, value.data, value.len);
    return at + value.len;
}

/* Write the event's head; it ends where the KeyValue of `kv_len` begins.
 * `more_len` bytes follow that. Returns the head's end. */
static uint8_t *put_event_head(uint8_t *at, bool tombstone, size_t kv_len,
                               size_t more_len)
{
    size_t type_len = tombstone ? 2 : 0;

    *at++ = WATCH_EVENT << 3 | PB_BYTES;
    at = pb_varint_at(at,
                      type_len + 1 + pb_varint_len(kv_len) + kv_len + more_len);
    if (tombstone) {
        *at++ = EVENT_TYPE << 3 | PB_VARINT;
        *at++ = TYPE_DELETE;
    }
    *at++ = EVENT_KV << 3 | PB_BYTES;
    return pb_varint_at(at, kv_len);
}

static struct record *record_new(struct kv_rev rev, bool tombstone,
                                 size_t payload)
{
    struct record *r =
        malloc(sizeof(*r) + EVENT_HEAD_MAX + KV_OVERHEAD_MAX + payload);

    CHECK(r != NULL);
    *r = (struct record){.refs = 1,
                         .tombstone = tombstone,
                         .row_key = rev_key_pack(rev, tombstone),
                         .rev = rev,
                         .kv_at = EVENT_HEAD_MAX};
    return r;
}

/* The KeyValue is written; put the head in front of it. */
static void record_finish(struct record *r, size_t key_len, const uint8_t *end)
{
    uint8_t head[EVENT_HEAD_MAX];
    size_t len;

    r->event_end = (uint32_t)(end - r->bytes);
    r->key_at = (uint32_t)(r->kv_at + 1 + pb_varint_len(key_len));
    r->key_len = (uint32_t)key_len;
    len = (size_t)(put_event_head(head, r->tombstone, r->event_end - r->kv_at,
                                  0) -
                   head);
    r->event_at = (uint32_t)(r->kv_at - len);
    memcpy(r->bytes + r->event_at, head, len);
}

struct record *record_put(struct kv_rev rev, const struct kv_fields *fields)
{
    struct record *r =
        record_new(rev, false, fields->key.len + fields->value.len);
    uint8_t *at = r->bytes + r->kv_at;

    at = put_bytes(at, KV_KEY, fields->key);
    at = put_int(at, KV_CREATE, fields->create);
    at = put_int(at, KV_MOD, rev.main);
    at = put_int(at, KV_VERSION, fields->version);
    at = put_bytes(at, KV_VALUE, fields->value);
    at = put_int(at, KV_LEASE, fields->lease);
    r->row_end = (uint32_t)(at - r->bytes);
    record_finish(r, fields->key.len, at);
    return r;
}

struct record *record_copy(struct kv_rev rev, struct slice key,
                           struct slice row)
{
    struct record *r = record_new(rev, false, row.len);

    memcpy(r->bytes + r->kv_at, row.data, row.len);
    r->row_end = (uint32_t)(r->kv_at + row.len);
    record_finish(r, key.len, r->bytes + r->row_end);
    return r;
}

struct record *record_tombstone(struct kv_rev rev, struct slice key)
{
    struct record *r = record_new(rev, true, key.len);
    uint8_t *at = put_bytes(r->bytes + r->kv_at, KV_KEY, key);

    r->row_end = (uint32_t)(at - r->bytes);
    record_finish(r, key.len, put_int(at, KV_MOD, rev.main));
    return r;
}

struct record *record_ref(struct record *r)
{
    r->refs++;
    return r;
}

void record_unref(struct record *r)
{
    CHECK(r->refs > 0);
    if (--r->refs == 0) {
        free((void *)r->with_prev.data);
        free(r);
    }
}

void event_append(struct buf *out, struct kv_rev rev, bool tombstone,
                  struct slice row, struct slice prev)
{
    uint8_t tail[1 + PB_VARINT_MAX];
    size_t tail_len =
        tombstone ? (size_t)(put_int(tail, KV_MOD, rev.main) - tail) : 0;
    size_t prev_len =
        prev.len == 0 ? 0 : 1 + pb_varint_len(prev.len) + prev.len;
    uint8_t *at;

    CHECK(buf_reserve(out,
                      EVENT_HEAD_MAX + row.len + sizeof(tail) + 1 +
                          PB_VARINT_MAX + prev.len,
                      &at) == ST_OK);
    at = put_event_head(at, tombstone, row.len + tail_len, prev_len);
    memcpy(at, row.data, row.len);
    memcpy(at + row.len, tail, tail_len);
    at = put_bytes(at + row.len + tail_len, EVENT_PREV, prev);
    out->len = (size_t)(at - out->data);
}

void record_set_prev(struct record *r, struct slice prev)
{
    struct buf b;

    if (r->with_prev.len > 0) {
        return;
    }
    buf_init(&b, SIZE_MAX);
    event_append(&b, r->rev, r->tombstone, record_row(r), prev);
    r->with_prev = buf_slice(&b); /* The record's now. */
}
