/*
 * other.h - links under test, and the other side of them as plain sockets.
 *
 * `us` are links (store/peer) of member 1 with a loop on a thread of its own.
 * The test is member 2, and whoever else it likes: it blocks on sockets, and
 * what does not come within OTHER_PATIENCE_S fails the test. What the links
 * tell their owner is kept as lines of text, see other_await().
 */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/core/bytes.h"
#include "base/core/metrics.h"
#include "store/peer/peers.h"
#include "store/raftpb/frames.h"

#define OTHER_PATIENCE_S 20

#define CLUSTER          UINT64_C(0xc1)
#define CLUSTER_TEXT     "c1"

struct us {
    struct loop *loop;
    struct peers *peers;
    struct metrics metrics;
    char folder[64];
    enum status install; /* How arrivals end. */
    bool keep_arrival;   /* The owner does not answer them by itself. */
    struct peers_arrival *arrival;
};
extern struct us us;

/* Fixture: links that listen, with nobody known. */
void other_begin(void);
void other_end(void);

/* Run on the loop's thread, and wait until it has run. */
void other_on_loop(void (*run)(void *ctx), void *ctx);

/* Tell the links: member `id` is at 127.0.0.1:`port`. */
void other_is_at(uint64_t id, int port);
void other_is_removed(uint64_t id);
void other_send(const struct raft_msg *m);
void other_close_links(void); /* other_end() does it, too. */

/* Wait until the links have told a line that begins so, and forget it. The text
 * is valid until the next call. */
const char *other_await(const char *line);

/* Lines that begin so and have not been awaited. */
unsigned other_heard(const char *line);

/* A number of member `id`'s metrics. */
double other_number(const char *name, const char *id);

/* ---- sockets ---- */

struct other_listener {
    int fd;
    int port;
};
struct other_listener other_listen(void);
int other_accept(const struct other_listener *l);
int other_dial(void); /* To the links. */
void other_write(int fd, const void *bytes, size_t len);
void other_say(int fd, const char *text);

/* Exactly `len` bytes, whatever comes. */
void other_read(int fd, void *out, size_t len);

/* Up to the empty line; `out` ends with '\0'. */
void other_read_head(int fd, char *out, size_t cap);
bool other_is_closed(int fd); /* Waits for it; drops what comes before. */

/* Accept calls until both streams are here, whatever order they come in, and
 * answer them. */
struct other_streams {
    int fds[2]; /* By frames_kind: what we write to the links. */
    char heads[2][1024];
};
struct other_streams other_accept_streams(const struct other_listener *l);
void other_close_streams(struct other_streams *s);

/* Dial a stream of the links as member 2. */
int other_dial_stream(enum frames_kind kind);

/* One chunk of a body. */
void other_write_chunk(int fd, struct slice bytes);

/* The next chunk's bytes, added to `out`. */
void other_read_chunk(int fd, struct buf *out);

/* A request as member 2 of our cluster would make it, and its answer's status
 * and body. `head` are more lines of the head. */
struct other_answer {
    int status;
    char body[512];
};
struct other_answer other_ask(const char *method, const char *path,
                              const char *head, struct slice body);
struct other_answer other_read_answer(int fd);

/* The head of such a request. */
void other_write_head(int fd, const char *method, const char *path,
                      const char *head);
