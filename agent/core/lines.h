/*
 * lines.h - the line form of the catalogue, for scripts and C callers.
 *
 *     LOOKUP <service> [tag=<tag>]... [passing] [token=<secret>]
 *     WATCH  <service> the same
 *
 * The answer is a block: one line an instance, by node name, then instance id,
 *
 *     <ip> <port> <weight> <status> <node> <id>
 *
 * and an empty line. The address is the instance's, else its node's; a host
 * name stands there as it was registered. The weight is that for its status,
 * and 0 when nothing is to be sent there (critical, maintenance). An error is
 * the one line "error: ..." and an empty line.
 *
 * Words are separated by single blanks. A blank, a control character or a "%"
 * within a word is percent-encoded, in requests and in answers; a "/" or any
 * other character may be.
 */
#pragma once

#include "agent/core/api.h"

#define LIMIT_LINE_BYTES 4096 /* Of a request. */
#define LIMIT_LINE_TAGS  32

enum lines_verb {
    LINES_LOOKUP, /* One block. */
    LINES_WATCH   /* One, and another whenever it has changed. */
};

struct lines_request {
    enum lines_verb verb;
    const char *service;
    struct texts tags; /* All of them, in any case. */
    bool passing;
    struct slice token; /* Empty: none. */
};

/* Read a line without its end. ST_INVALID: err says what a request looks like.
 * Strings from the arena. */
enum status lines_read(struct arena *a, struct slice line,
                       struct lines_request *out_request, struct err *err);

/* Append the block for what the caller may see; `caller` is who the socket says
 * it is, and the request's token goes before that. */
void lines_write(const struct lines_request *request,
                 const struct acl_caller *caller, const struct api_view *view,
                 struct buf *out);

/* Append "error: <text>" and the empty line. */
void lines_write_error(const char *text, struct buf *out);

/* What a block depends on; equal marks, equal blocks. */
struct lines_mark {
    uint64_t index;
    uint64_t rights;
    bool answers; /* The replica may answer. */
};

struct lines_mark lines_mark(const struct lines_request *request,
                             const struct api_view *view);
bool lines_mark_equal(struct lines_mark a, struct lines_mark b);
