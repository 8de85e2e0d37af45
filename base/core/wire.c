#include "base/core/wire.h"

#include <endian.h>

struct slice wire_bytes(struct wire_reader *r, uint64_t len)
{
    struct slice taken;

    if (r->failed || len > r->rest.len) {
        r->failed = true;
        return (struct slice){0};
    }
    taken = slice_of(r->rest.data, (size_t)len);
    r->rest = slice_skip(r->rest, (size_t)len);
    return taken;
}

/* The next `len` bytes copied to `out`, or zeros. */
static void wire_copy(struct wire_reader *r, void *out, size_t len)
{
    struct slice taken = wire_bytes(r, len);

    if (taken.len == len) {
        memcpy(out, taken.data, len);
    } else {
        memset(out, 0, len);
    }
}

uint8_t wire_u8(struct wire_reader *r)
{
    uint8_t value;

    wire_copy(r, &value, sizeof(value));
    return value;
}

uint16_t wire_u16be(struct wire_reader *r)
{
    uint16_t value;

    wire_copy(r, &value, sizeof(value));
    return be16toh(value);
}

uint32_t wire_u32(struct wire_reader *r)
{
    uint32_t value;

    wire_copy(r, &value, sizeof(value));
    return le32toh(value);
}

uint64_t wire_u64(struct wire_reader *r)
{
    uint64_t value;

    wire_copy(r, &value, sizeof(value));
    return le64toh(value);
}

uint64_t wire_varint(struct wire_reader *r)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = wire_u8(r);

        if (shift < 64) {
            value |= (uint64_t)(byte & 0x7f) << shift;
        }
        if ((byte & 0x80) == 0) {
            return r->failed ? 0 : value;
        }
    }
    r->failed = true;
    return 0;
}

enum status wire_finish(const struct wire_reader *r)
{
    return r->failed ? ST_TRUNCATED : ST_OK;
}

void wire_put_u32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

void wire_put_u64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
}

void wire_put_u32be(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof(value));
}

void wire_put_u64be(uint8_t *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof(value));
}

uint32_t wire_get_u32be(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return be32toh(value);
}

uint64_t wire_get_u64be(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}
