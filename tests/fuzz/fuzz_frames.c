/*
 * A peer may send any bytes. Reading them must not crash, whatever the pieces
 * they come in, and what is accepted can be written and read again.
 *
 * First byte: the kind of stream; second: the size of the pieces.
 */
#include "fuzz.h"

#include "base/core/check.h"
#include "store/raftpb/frames.h"

static void on_again(void *ctx, const struct raft_msg *m)
{
    (void)m;
    ++*(size_t *)ctx;
}

static void on_message(void *ctx, const struct raft_msg *m)
{
    struct frames_writer w = {.kind = FRAMES_MESSAGES};
    struct frames_reader r;
    struct buf bytes;
    size_t seen = 0;

    buf_init(&bytes, SIZE_MAX);
    frames_put(&w, m, &bytes);
    CHECK(bytes.len <= frames_bound(m));
    frames_reader_init(&r, FRAMES_MESSAGES, 1, 2);
    CHECK(frames_feed(&r, buf_slice(&bytes), on_again, &seen) == ST_OK);
    CHECK(seen == 1);
    frames_reader_release(&r);
    buf_release(&bytes);
    ++*(size_t *)ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frames_reader r;
    size_t step;
    size_t seen = 0;

    if (size < 2) {
        return 0;
    }
    step = (size_t)data[1] + 1;
    frames_reader_init(&r, data[0] & 1 ? FRAMES_APPENDS : FRAMES_MESSAGES, 1,
                       2);
    for (size_t at = 2; at < size; at += step) {
        size_t len = size - at < step ? size - at : step;

        if (frames_feed(&r, slice_of(data + at, len), on_message, &seen)) {
            break;
        }
    }
    frames_reader_release(&r);
    return 0;
}
