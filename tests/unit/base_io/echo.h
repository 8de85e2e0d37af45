/*
 * echo.h - a service for tests, and what it has seen.
 *
 * begin() starts it on a free port with a channel to it, end() stops all and
 * checks that each call that was opened was closed.
 */
#pragma once

#include <stdlib.h>

#include "world.h"

#define MESSAGE_MAX (2 * 1024 * 1024)

/* ---- the server's methods ---- */

struct seen {
    unsigned opened;
    unsigned closed;
    enum grpc_code last;
    unsigned handled;
    size_t queued_max;
    size_t flood_left;
};

static struct seen seen;

static inline void count_open(struct grpc_call *call)
{
    ck_assert_ptr_null(grpc_call_data(call));
    grpc_call_set_data(call, &seen);
    seen.opened++;
}

static inline void count_closed(struct grpc_call *call)
{
    ck_assert_ptr_eq(grpc_call_data(call), &seen);
    ck_assert(grpc_call_over(call));
    grpc_call_send(call, slice_str("too late, without effect"));
    grpc_call_finish(call, GRPC_OK, NULL);
    seen.closed++;
}

static inline void count_handled(const struct grpc_method *method, void *ctx,
                                 enum grpc_code code)
{
    ck_assert_ptr_nonnull(method);
    ck_assert_ptr_eq(ctx, &seen);
    seen.handled++;
    seen.last = code;
}

static inline void echo(struct grpc_call *call, struct slice message)
{
    grpc_call_send(call, message);
    grpc_call_finish(call, GRPC_OK, NULL);
}

static inline void echo_in_place(struct grpc_call *call, struct slice message)
{
    struct buf *out = grpc_call_begin_message(call);

    ck_assert_int_eq(buf_add_str(out, "taken back"), ST_OK);
    grpc_call_abandon_message(call);
    out = grpc_call_begin_message(call);
    ck_assert_int_eq(buf_add(out, message), ST_OK);
    grpc_call_end_message(call);
    grpc_call_finish(call, GRPC_OK, NULL);
}

static inline void echo_each(struct grpc_call *call, struct slice message)
{
    struct slice pieces[] = {slice_str("<"), message, slice_str(">")};

    grpc_call_sendv(call, pieces, 3);
}

static inline void finish_ok(struct grpc_call *call)
{
    grpc_call_finish(call, GRPC_OK, "");
}

static inline void never(struct grpc_call *call, struct slice message)
{
    (void)message;
    ck_assert_ptr_eq(grpc_call_ctx(call), &seen);
    ck_assert_str_eq(grpc_call_method(call)->path, "/test.Echo/Never");
    world_done(); /* So that a test can act when it has arrived. */
}

static inline void refuse(struct grpc_call *call, struct slice message)
{
    (void)message;
    grpc_call_finish(call, GRPC_NOT_FOUND, "50% of \n nothing \xc3\xa4");
}

static inline void show_metadata(struct grpc_call *call, struct slice message)
{
    struct slice token = grpc_call_metadata(call, "token");

    (void)message;
    ck_assert_ptr_null(grpc_call_metadata(call, "absent").data);
    ck_assert_int_eq(strncmp(grpc_call_peer(call), "127.0.0.1:", 10), 0);
    grpc_call_send(call, token);
    grpc_call_finish(call, GRPC_OK, NULL);
}

#define FLOOD_BYTES (8 * 1024 * 1024)
#define FLOOD_PIECE (32 * 1024)

static inline void flood_on(struct grpc_call *call)
{
    static const uint8_t piece[FLOOD_PIECE];

    while (seen.flood_left > 0 &&
           grpc_call_queued_bytes(call) < GRPC_HIGH_WATER) {
        grpc_call_send(call, slice_of(piece, sizeof(piece)));
        seen.flood_left -= FLOOD_PIECE;
    }
    if (grpc_call_queued_bytes(call) > seen.queued_max) {
        seen.queued_max = grpc_call_queued_bytes(call);
    }
    if (seen.flood_left == 0) {
        grpc_call_finish(call, GRPC_OK, NULL);
    }
}

static inline void flood(struct grpc_call *call, struct slice message)
{
    (void)message;
    seen.flood_left = FLOOD_BYTES;
    flood_on(call);
}

static inline void big(struct grpc_call *call, struct slice message)
{
    uint8_t *bytes = malloc(20 << 20);

    (void)message;
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'b', 20 << 20);
    grpc_call_send(call, slice_of(bytes, 20 << 20));
    grpc_call_finish(call, GRPC_OK, NULL);
    free(bytes);
}

#define MUCH_BYTES (1024 * 1024)

static inline void much(struct grpc_call *call, struct slice message)
{
    static const uint8_t bytes[MUCH_BYTES];

    (void)message;
    grpc_call_send(call, slice_of(bytes, sizeof(bytes)));
}

#define METHOD(name, kind, ...)                                                \
    {                                                                          \
        .path = "/test.Echo/" name, .requests = (kind), .on_open = count_open, \
        .on_closed = count_closed, __VA_ARGS__                                 \
    }

static const struct grpc_method methods[] = {
    METHOD("Echo", GRPC_ONE_REQUEST, .on_message = echo),
    METHOD("InPlace", GRPC_ONE_REQUEST, .on_message = echo_in_place),
    METHOD("Each", GRPC_MANY_REQUESTS, .on_message = echo_each,
           .on_half_closed = finish_ok),
    METHOD("Never", GRPC_ONE_REQUEST, .on_message = never),
    METHOD("Refuse", GRPC_ONE_REQUEST, .on_message = refuse),
    METHOD("Metadata", GRPC_ONE_REQUEST, .on_message = show_metadata),
    METHOD("Flood", GRPC_ONE_REQUEST, .on_message = flood,
           .on_drained = flood_on),
    METHOD("Much", GRPC_MANY_REQUESTS, .on_message = much,
           .on_half_closed = finish_ok),
    METHOD("Big", GRPC_ONE_REQUEST, .on_message = big),
};

static const struct grpc_methods service = {
    .ctx = &seen,
    .methods = methods,
    .count = sizeof(methods) / sizeof(methods[0]),
    .message_bytes_max = MESSAGE_MAX,
    .on_handled = count_handled,
};

static inline void begin(void)
{
    struct grpc_channel_config config = {0};
    struct grpc_channel_hooks hooks = {0};

    seen = (struct seen){0};
    world_init();
    world_serve(&service, NULL, NULL);
    world_open(&config, hooks);
}

static inline void end(void)
{
    world_release();
    ck_assert_uint_eq(seen.opened, seen.closed);
}

static inline struct outcome call(const char *path, struct slice request,
                                  uint64_t timeout_ms)
{
    struct outcome o;

    outcome_init(&o);
    (void)grpc_unary(world.channel, path, request, timeout_ms, on_outcome, &o);
    while (!o.over) {
        world_run();
    }
    return o;
}
