/*
 * exchange.h - one question to one recursor, by c-ares.
 *
 * c-ares sends, repeats once, takes an answer only from the address that was
 * asked (its sockets are connected) and only with our id and question, and
 * gives up in time. Each exchange has a channel, hence a socket and a random
 * port, of its own: c-ares 1.18 has all that a channel has under way share one
 * socket, and whoever guesses answers would have to guess the port only once.
 * Channels are kept for the next exchange; their sockets are not.
 *
 * One thread, one loop. No call calls back from inside.
 */
#pragma once

#include <uv.h>

#include "base/core/bytes.h"

struct exchanges;
struct exchange;

enum exchange_end {
    EXCHANGE_ANSWERED,
    EXCHANGE_SILENT, /* Nothing came in time. */
    EXCHANGE_BROKEN, /* Refused, unreachable, closed, no socket. */
};

/* `packet` is valid until it returns; empty unless something was answered. */
typedef void exchange_fn(void *arg, enum exchange_end end, struct slice packet);

struct exchange_to {
    const char *server; /* "192.0.2.1:53" */
    uint32_t timeout_ms;
    bool tcp;
    bool edns; /* The question has OPT: answers of up to LIMIT_DNS_UDP. */
};

struct exchanges *exchanges_new(uv_loop_t *loop);

/* Give up what is under way, without calling back; the memory goes with the
 * loop's next turns. */
void exchanges_close(struct exchanges *x);

/* `query` is copied. `fn` is called once, later. */
void exchange_start(struct exchanges *x, const struct exchange_to *to,
                    struct slice query, exchange_fn *fn, void *arg);
