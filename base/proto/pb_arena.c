#include "base/proto/pb_arena.h"

#include "base/core/check.h"

static void *on_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void on_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory; /* Goes with the arena. */
}

void *pb_decode(struct arena *arena, const ProtobufCMessageDescriptor *type,
                struct slice bytes)
{
    ProtobufCAllocator allocator = {
        .alloc = on_alloc, .free = on_free, .allocator_data = arena};

    return protobuf_c_message_unpack(type, &allocator, bytes.len, bytes.data);
}

void pb_encode(struct buf *b, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *space;

    CHECK(buf_reserve(b, len, &space) == ST_OK);
    b->len += protobuf_c_message_pack(message, space);
}
