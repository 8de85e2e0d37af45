/*
 * grpc_frame.h - gRPC messages in a stream of bytes.
 *
 * On the wire a message is: compressed flag u8 | length u32be | bytes; it may
 * begin and end anywhere in the pieces that HTTP/2 brings. Both sides use this
 * reader. A message that lies whole in one piece is handed out without a copy;
 * the memory for others grows with what really arrives, not with what was
 * announced.
 */
#pragma once

#include "base/core/bytes.h"

#define GRPC_FRAME_HEAD 5

struct grpc_reader {
    size_t bytes_max;   /* Of one message. */
    struct buf partial; /* The beginning of an unfinished one, head included. */
    uint32_t announced; /* After GRPC_TAKE_TOO_BIG: what it would have been. */
};

enum grpc_take {
    GRPC_TAKE_MORE,       /* *input is empty; no message is whole yet. */
    GRPC_TAKE_MESSAGE,    /* *out_message; call again for the next. */
    GRPC_TAKE_TOO_BIG,    /* Over bytes_max: give the stream up. */
    GRPC_TAKE_COMPRESSED, /* Flag 1, which nobody has agreed to: give up. */
    GRPC_TAKE_BAD         /* The flag is neither 0 nor 1: give up. */
};

void grpc_reader_init(struct grpc_reader *r, size_t bytes_max);
void grpc_reader_release(struct grpc_reader *r);

/* Take the next message off *input. *out_message is borrowed from *input or
 * from the reader until the next call. */
enum grpc_take grpc_reader_take(struct grpc_reader *r, struct slice *input,
                                struct slice *out_message);

/* True in the middle of a message. */
bool grpc_reader_is_partial(const struct grpc_reader *r);

/* Write a message's head at `at`, which has room for GRPC_FRAME_HEAD. */
void grpc_frame_head(uint8_t *at, uint32_t len);

/* grpc-timeout, "<1 to 8 digits><H|M|S|m|u|n>", in milliseconds, rounded up.
 * ST_INVALID: anything else. */
enum status grpc_timeout_parse(struct slice text, uint64_t *out_ms);

/* grpc-message: bytes outside 0x20..0x7e and % become %XX, into `out`, which is
 * cut at `cap` bytes (never within an escape). Returns the length. */
size_t grpc_text_encode(const char *text, uint8_t *out, size_t cap);

/* The other way; broken escapes stay as they are. NUL-terminated, cut. */
void grpc_text_decode(struct slice text, char *out, size_t cap);
