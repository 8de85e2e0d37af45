/*
 * http_parse.h - one HTTP/1 request after the other out of a byte stream.
 *
 * For base/io only. The grammar is http_parser's; here are the limits, and the
 * rules of RFC 9112 that it leaves to its user. Pure: bytes in, a request out.
 */
#pragma once

#include <http_parser.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/core/bytes.h"
#include "base/core/limits.h"

/* Where a name and its value lie in `text`. */
struct http_field {
    uint32_t name;
    uint32_t name_len;
    uint32_t value;
    uint32_t value_len;
};

struct http_parse {
    http_parser parser;
    struct buf target; /* As sent. */
    struct buf text;   /* Names and values of header fields, back to back. */
    struct buf body;
    struct http_field fields[LIMIT_HEADER_COUNT];
    unsigned fields_count;
    struct slice path;  /* Of target. Valid when complete. */
    struct slice query; /* Behind the "?". */
    struct slice host;  /* Whom the client means: of the target, or the
                           Host field; with the port if it was sent. */
    uint8_t last;       /* The byte fed before; 0: none of this request. */
    bool in_chunk;      /* Data of a chunk follows. */
    bool in_value;      /* The last piece belonged to a value. */
    bool begun;         /* Some of a request has arrived. */
    const char *streamed_path; /* Bodies sent there have no limit; the caller
                                  takes them out of `body` after each feed. */
    bool streamed;             /* This one is such a request. */
    bool headers_done;
    bool complete;
    bool wants_continue; /* Expect: 100-continue, not answered yet. */
    bool keep_alive;     /* The client would like to go on. */
    int refusal;         /* HTTP status, 0: none. */
    const char *refusal_text;
};

void http_parse_init(struct http_parse *p);
void http_parse_release(struct http_parse *p);

/* Get ready for the next request. */
void http_parse_reset(struct http_parse *p);

/* Feed bytes until a request is complete or refused; returns how many were
 * used. After a refusal nothing more may be fed. */
size_t http_parse_feed(struct http_parse *p, struct slice bytes);

/* "GET"; only when the request line has been read. */
struct slice http_parse_method(const struct http_parse *p);
bool http_parse_is_head(const struct http_parse *p);

/* The first field of that name, in any case. NULL data: absent. */
struct slice http_parse_field(const struct http_parse *p, const char *name);
