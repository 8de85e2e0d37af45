/*
 * wire.h - cursors over untrusted bytes that cannot run past the end.
 *
 * The first bad read makes the cursor fail and stay failed; later reads return
 * zero. Parse a whole record in a straight line, then ask once with
 * wire_finish(). One read per statement: C fixes no order inside an
 * initialiser list. Integers are little-endian unless the name says be.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/core/bytes.h"

struct wire_reader {
    struct slice rest;
    bool failed;
};

uint8_t wire_u8(struct wire_reader *r);
uint16_t wire_u16be(struct wire_reader *r);
uint32_t wire_u32(struct wire_reader *r);
uint64_t wire_u64(struct wire_reader *r);

/* A protobuf varint of at most ten bytes. */
uint64_t wire_varint(struct wire_reader *r);

/* The next `len` bytes, borrowed; empty when there are fewer. */
struct slice wire_bytes(struct wire_reader *r, uint64_t len);

/* ST_TRUNCATED when any read has failed, else ST_OK. Bytes may be left. */
enum status wire_finish(const struct wire_reader *r);

/* Writers: exactly that many bytes are put at `at`. */
void wire_put_u32(uint8_t *at, uint32_t value);
void wire_put_u64(uint8_t *at, uint64_t value);
void wire_put_u32be(uint8_t *at, uint32_t value);
void wire_put_u64be(uint8_t *at, uint64_t value);

uint32_t wire_get_u32be(const uint8_t *at);
uint64_t wire_get_u64be(const uint8_t *at);
