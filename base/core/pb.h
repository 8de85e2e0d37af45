/*
 * pb.h - writing protobuf fields straight into a buffer.
 *
 * For the hot answers, where a generated packer would copy a value that already
 * lies encoded in the store. As in proto3, zero and empty values are left out,
 * except by the functions that say otherwise. Reading is done with the
 * generated code (base/proto); pb_next() is for looking at bytes before that.
 *
 * Every writer needs room below the buffer's limit and CHECKs that it is
 * there: size such buffers by what the request may ask, not by luck.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/bytes.h"

enum pb_wire_type {
    PB_VARINT = 0,
    PB_FIXED64 = 1,
    PB_BYTES = 2,
    PB_FIXED32 = 5,
};

/* Longest encodings, in bytes. */
#define PB_VARINT_MAX 10
#define PB_TAG_MAX    5

size_t pb_varint_len(uint64_t value);

/* Encode at `at`, which must have room for PB_VARINT_MAX; returns its end. */
uint8_t *pb_varint_at(uint8_t *at, uint64_t value);

void pb_varint(struct buf *b, uint64_t value);
void pb_uint(struct buf *b, unsigned field, uint64_t value);
void pb_int(struct buf *b, unsigned field, int64_t value);
void pb_bool(struct buf *b, unsigned field, bool value);
void pb_bytes(struct buf *b, unsigned field, struct slice value);

/* As pb_bytes, but written when empty too: an embedded message's presence is
 * information, and so is an element of a repeated field. */
void pb_message(struct buf *b, unsigned field, struct slice encoded);

/* Tag and length of an embedded message whose `len` bytes the caller adds. */
void pb_message_head(struct buf *b, unsigned field, size_t len);

/* Write an embedded message of yet unknown length: what is added between begin
 * and end becomes field `field`. Nest freely, end in reverse order.
 *
 *     size_t mark = pb_begin(b, 4);
 *     pb_int(b, 1, revision);
 *     pb_end(b, mark);
 */
size_t pb_begin(struct buf *b, unsigned field);
void pb_end(struct buf *b, size_t mark);

/* One field of an encoded message. */
struct pb_field {
    unsigned number;
    enum pb_wire_type type;
    uint64_t value;     /* PB_VARINT, PB_FIXED64, PB_FIXED32 */
    struct slice bytes; /* PB_BYTES, borrowed */
};

/* Take the next field off *rest. false: the end (then *rest is empty) or
 * damage (then it is not). Groups count as damage. */
bool pb_next(struct slice *rest, struct pb_field *out_field);
