#include "history/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/pb.h"

#define KEY_PREFIX "storm/"

uint64_t op_number(struct slice m, unsigned field)
{
    struct pb_field f;
    uint64_t value = 0;

    while (pb_next(&m, &f)) {
        value = f.number == field ? f.value : value;
    }
    return value;
}

struct slice op_bytes(struct slice m, unsigned field)
{
    struct pb_field f;
    struct slice bytes = {0};

    while (pb_next(&m, &f)) {
        bytes = f.number == field && f.type == PB_BYTES ? f.bytes : bytes;
    }
    return bytes;
}

/* A copy that ends, for strtoull. */
static uint64_t number_in(struct slice text)
{
    char copy[32] = "";

    if (text.len > 0) {
        memcpy(copy, text.data,
               text.len < sizeof(copy) ? text.len : sizeof(copy) - 1);
    }
    return strtoull(copy, NULL, 10);
}

unsigned op_key_of(struct slice key)
{
    struct slice prefix = slice_str(KEY_PREFIX);

    return slice_starts(key, prefix)
               ? (unsigned)number_in(slice_skip(key, prefix.len))
               : 0;
}

uint64_t op_value_of(struct slice value)
{
    return number_in(value);
}

static void saw(struct op *op, struct slice range)
{
    struct slice kv = op_bytes(range, 2);

    op->saw = true;
    op->mod = op_number(kv, 3);
    op->seen = op_value_of(op_bytes(kv, 5));
}

void op_understand(struct op *op, struct slice reply)
{
    switch (op->kind) {
    case PUT:
        op->wrote = true;
        return;
    case GET:
        saw(op, reply);
        return;
    case DELETE:
        op->wrote = op_number(reply, 2) > 0;
        if (!op->wrote) {
            op->saw = true; /* That there is nothing. */
        }
        return;
    case CAS:
        op->wrote = op_number(reply, 2) != 0;
        if (!op->wrote) { /* ResponseOp {response_range = 1} */
            saw(op, op_bytes(op_bytes(reply, 3), 1));
        }
        return;
    }
}

void op_put_key(struct buf *out, unsigned field, unsigned key)
{
    char text[16];

    (void)snprintf(text, sizeof(text), KEY_PREFIX "%u", key);
    pb_bytes(out, field, slice_str(text));
}

static void put_put(struct buf *out, const struct op *op)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRIu64, op->value);
    op_put_key(out, 1, op->key);
    pb_bytes(out, 2, slice_str(text));
}

/* TxnRequest {compare, success, failure} */
static void put_cas(struct buf *out, const struct op *op)
{
    size_t mark = pb_begin(out, 1);
    size_t inner;

    pb_uint(out, 2, 2); /* target MOD; result EQUAL is 0 */
    op_put_key(out, 3, op->key);
    if (op->expected > 0) {
        pb_uint(out, 6, op->expected);
    } else {
        pb_varint(out, 6 << 3);
        pb_varint(out, 0);
    }
    pb_end(out, mark);
    mark = pb_begin(out, 2);
    inner = pb_begin(out, 2); /* request_put */
    put_put(out, op);
    pb_end(out, inner);
    pb_end(out, mark);
    mark = pb_begin(out, 3);
    inner = pb_begin(out, 1); /* request_range */
    op_put_key(out, 1, op->key);
    pb_end(out, inner);
    pb_end(out, mark);
}

void op_pack(const struct op *op, struct buf *out)
{
    switch (op->kind) {
    case PUT:
        put_put(out, op);
        return;
    case GET:
    case DELETE:
        op_put_key(out, 1, op->key);
        return;
    case CAS:
        put_cas(out, op);
        return;
    }
}
