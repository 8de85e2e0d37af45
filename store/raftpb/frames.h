/*
 * frames.h - messages on a stream between two members, both ways.
 *
 * The message stream is a row of frames: eight bytes of length, a
 * raftpb.Message. The append stream is etcd's msgappv2, which leaves out what
 * the frame before has said:
 *
 *   0                                          the link is alive
 *   1  count, count times (length, Entry), commit   goes on where the last
 *                                              frame ended, in its term
 *   2  length, Message                         a whole one
 *
 * Numbers have eight bytes, big-endian. On a message stream a heartbeat of
 * nobody to nobody says that the link is alive.
 */
#pragma once

#include "store/raftpb/raftpb.h"

/* Of one frame. etcd's limit is 512 MiB; no message of ours comes near. */
#define FRAME_BYTES_MAX ((size_t)64 * 1024 * 1024)

enum frames_kind {
    FRAMES_MESSAGES,
    FRAMES_APPENDS
};

/* What the last frame of an append stream has said. */
struct frames_place {
    uint64_t term;
    uint64_t index;
};

/* ---- writing ---- */

struct frames_writer {
    enum frames_kind kind;
    struct frames_place place;
};

size_t frames_bound(const struct raft_msg *m); /* Bytes at most. */
void frames_put(struct frames_writer *w, const struct raft_msg *m,
                struct buf *out);
void frames_put_alive(const struct frames_writer *w, struct buf *out);

/* ---- reading ---- */

struct frames_reader {
    enum frames_kind kind;
    uint64_t from; /* APPENDS: the two ends, which frames of type 1 omit. */
    uint64_t to;
    struct frames_place place;
    struct raftpb_space space;
    struct buf rest; /* The beginning of a frame. */
};

void frames_reader_init(struct frames_reader *r, enum frames_kind kind,
                        uint64_t from, uint64_t to);
void frames_reader_release(struct frames_reader *r);

/* Take bytes as they come; `on_message` is called for each whole message, which
 * is borrowed for the call. Messages of types that we do not know are skipped.
 * ST_CORRUPT, ST_TOO_BIG: the stream makes no sense; close it. */
typedef void frames_message_fn(void *ctx, const struct raft_msg *m);
enum status frames_feed(struct frames_reader *r, struct slice bytes,
                        frames_message_fn *on_message, void *ctx);
