/*
 * request.h - an operation as etcd's request, and what the answer says.
 */
#pragma once

#include "base/core/bytes.h"
#include "history/history.h"

#define OP_REQUEST_BYTES 1024 /* At most. */

/* The key as text. */
void op_put_key(struct buf *out, unsigned field, unsigned key);

/* The number of the key and of the value; 0: it is none of ours. */
unsigned op_key_of(struct slice key);
uint64_t op_value_of(struct slice value);

/* PutRequest, RangeRequest, DeleteRangeRequest or TxnRequest, by op->kind. */
void op_pack(const struct op *op, struct buf *out);

/* Note what the answer says, all but its revision. */
void op_understand(struct op *op, struct slice reply);

/* The last varint, or the last bytes, of a field; 0 or empty: not there. */
uint64_t op_number(struct slice message, unsigned field);
struct slice op_bytes(struct slice message, unsigned field);
