/*
 * gRPC's framing, as anybody may send it. However the bytes are cut into
 * pieces, the same messages come out, and none is longer than allowed. The
 * first byte is the length of the pieces.
 */
#include "base/core/check.h"
#include "base/io/grpc_frame.h"

#include "fuzz.h"

#define BYTES_MAX 1000

/* What came out: each message behind its frame's head. Returns how it ended. */
static enum grpc_take run(struct slice input, size_t piece, struct buf *out)
{
    struct grpc_reader r;
    enum grpc_take took = GRPC_TAKE_MORE;

    grpc_reader_init(&r, BYTES_MAX);
    while (input.len > 0 && took <= GRPC_TAKE_MESSAGE) {
        size_t len = input.len < piece ? input.len : piece;
        struct slice part = slice_of(input.data, len);
        struct slice message;

        input = slice_skip(input, len);
        while ((took = grpc_reader_take(&r, &part, &message)) ==
               GRPC_TAKE_MESSAGE) {
            uint8_t head[GRPC_FRAME_HEAD];

            CHECK(message.len <= BYTES_MAX);
            grpc_frame_head(head, (uint32_t)message.len);
            CHECK(buf_add(out, slice_of(head, sizeof(head))) == ST_OK);
            CHECK(buf_add(out, message) == ST_OK);
        }
        CHECK_IF(took == GRPC_TAKE_MORE, part.len == 0);
        CHECK(r.partial.len <= BYTES_MAX + GRPC_FRAME_HEAD);
    }
    grpc_reader_release(&r);
    return took;
}

static void header_values(struct slice text)
{
    uint64_t ms;
    char plain[200];
    char again[200];
    uint8_t wire[3 * sizeof(plain)];
    size_t len;

    (void)grpc_timeout_parse(text, &ms);
    grpc_text_decode(text, plain, sizeof(plain));
    len = grpc_text_encode(plain, wire, sizeof(wire));
    grpc_text_decode(slice_of(wire, len), again, sizeof(again));
    CHECK(strcmp(plain, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size);
    struct buf whole;
    struct buf pieces;
    size_t piece;

    header_values(input);
    if (size == 0) {
        return 0;
    }
    piece = (size_t)data[0] + 1;
    input = slice_skip(input, 1);
    buf_init(&whole, size);
    buf_init(&pieces, size);
    CHECK(run(input, SIZE_MAX, &whole) == run(input, piece, &pieces));
    CHECK(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    CHECK(slice_starts(input, buf_slice(&whole))); /* As they went in. */
    buf_release(&whole);
    buf_release(&pieces);
    return 0;
}
