/*
 * live.h - a member on a thread of its own and a client to it.
 *
 * Calls block: each sends what it is told and runs the client's loop until the
 * answer is there.
 */
#pragma once

#include "base/core/arena.h"
#include "base/core/bytes.h"
#include "base/io/grpc_code.h"

struct live;
struct live_stream;

/* With limits lower than by default: 64 kB a request, 16 operations. */
struct live *live_new(void);
void live_free(struct live *l);

/* Stop the member in order and start it again on the same data. */
void live_restart(struct live *l);

/* One answer; text and bytes live until the next call. */
struct live_answer {
    enum grpc_code code;
    const char *text;
    struct slice bytes;
};
struct live_answer live_call(struct live *l, const char *path,
                             struct slice request);

/* A two-way stream. */
struct live_stream *live_open(struct live *l, const char *path);
void live_send(struct live_stream *s, struct slice message);

/* The next message, or (ended) an empty slice; fails the test after 10 s. Valid
 * until the next call. */
struct slice live_next(struct live_stream *s);

/* No message is there now and none comes while `request`, a call of its own,
 * is made and answered. */
void live_expect_silence(struct live_stream *s);
void live_half_close(struct live_stream *s);
enum grpc_code live_end(struct live_stream *s); /* Waits for the end. */
void live_cancel(struct live_stream *s);

/* GET `path` over HTTP/1: status and body ("200 {...}"), valid until the next.
 */
const char *live_get(struct live *l, const char *method, const char *path);

/* Fields of a message: "1.3" is field 3 of the message in field 1. Absent
 * integers are 0, absent bytes NULL data. The last one wins. */
int64_t pick_int(struct slice message, const char *field);
struct slice pick_bytes(struct slice message, const char *field);
size_t pick_count(struct slice message, unsigned field);
