/*
 * loop_impl.h - memory that the streams of one loop share.
 *
 * For base/io only. A connection that is quiet owns no buffers: it reads into
 * the loop's, and borrows one to write from while it has something to write.
 */
#pragma once

#include "base/core/bytes.h"
#include "base/io/loop.h"

#define LOOP_READ_BYTES  ((size_t)64 * 1024)
#define LOOP_PLAIN_BYTES ((size_t)16 * 1024) /* A TLS record's content. */

/* Where sockets are read into; what it holds is dead after the read callback.
 * The other one is for what was decrypted from it. */
uint8_t *loop_read_space(struct loop *loop);
uint8_t *loop_plain_space(struct loop *loop);

/* Make *b an empty buffer with `limit`, with memory if some lies spare; and put
 * it back (b is left zeroed but for its limit). */
void loop_lend(struct loop *loop, struct buf *b, size_t limit);
void loop_return(struct loop *loop, struct buf *b);
