/*
 * knock.h - knocks at the doors of instances whose nodes are held by the guard.
 *
 * Nobody knows whether they live. When somebody asks for their name, a TCP
 * connection tells: a door that is shut means out, one that does not answer is
 * the last resort. An answer is good for KNOCK_FRESH_MS; meanwhile, and while
 * the next one is waited for, it stands. At most KNOCKS_MAX are under way.
 *
 * Pure: who wants to know and what came of it go in; whom to try comes out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KNOCKS_MAX     50
#define KNOCK_FRESH_MS 5000

enum knock_verdict {
    KNOCK_UNKNOWN, /* Not tried, or it could not be. */
    KNOCK_OPEN,
    KNOCK_SHUT,   /* Refused, or no way there. */
    KNOCK_SILENT, /* No answer in time. */
};

struct knocks;

struct knocks *knocks_new(void);
void knocks_free(struct knocks *k); /* NULL is fine. */

/* Somebody asks for an instance at this address (text) and port. Fine at any
 * rate: it is tried if nothing fresh is known. Port 0 cannot be tried. */
void knocks_want(struct knocks *k, const char *address, uint16_t port,
                 uint64_t now_ms);

/* Whom to try now; false: nobody, or enough are under way. The address is valid
 * until knocks_done() of it. `id` is for that. */
struct knock_target {
    uint64_t id;
    const char *address;
    uint16_t port;
};

bool knocks_next(struct knocks *k, struct knock_target *out_target);

/* What came of it. True: the verdict is another one than before. */
bool knocks_done(struct knocks *k, uint64_t id, enum knock_verdict verdict,
                 uint64_t now_ms);

enum knock_verdict knocks_verdict(const struct knocks *k, const char *address,
                                  uint16_t port);

/* Nobody is held any more: forget what is not under way. */
void knocks_clear(struct knocks *k);

size_t knocks_under_way(const struct knocks *k);
uint64_t knocks_total(const struct knocks *k); /* Tried so far. */
