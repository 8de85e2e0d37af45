#include "base/io/grpc_call.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/limits.h"

/* Call objects kept for reuse, with a block of arena and a small buffer. */
#define SPARE_CALLS_MAX 256
#define SPARE_OUT_BYTES 4096

/* Clients limit header lists to 8 kB. */
#define TEXT_BYTES_MAX ((size_t)4096)

/* ---- the listener's side ---- */

static size_t path_slot(const struct grpc_side *side, struct slice path)
{
    static const struct hash_key key; /* The table is ours, not outsiders'. */

    return (size_t)hash_bytes(key, path) & side->table_mask;
}

struct grpc_side *grpc_side_new(const struct grpc_methods *methods)
{
    struct grpc_side *side = calloc(1, sizeof(*side));
    size_t slots = 4;

    CHECK(side != NULL);
    while (slots < methods->count * 2) {
        slots *= 2;
    }
    side->methods = methods;
    side->table_mask = slots - 1;
    side->table = calloc(slots, sizeof(struct grpc_method *));
    CHECK(side->table != NULL);
    TAILQ_INIT(&side->spare);
    for (size_t i = 0; i < methods->count; i++) {
        const struct grpc_method *method = &methods->methods[i];
        size_t slot = path_slot(side, slice_str(method->path));

        while (side->table[slot] != NULL) {
            slot = (slot + 1) & side->table_mask;
        }
        side->table[slot] = method;
    }
    return side;
}

void grpc_side_free(struct grpc_side *side)
{
    struct grpc_call *call;

    if (side == NULL) {
        return;
    }
    CHECK(side->partial_bytes == 0);
    while ((call = TAILQ_FIRST(&side->spare)) != NULL) {
        TAILQ_REMOVE(&side->spare, call, link);
        arena_release(&call->arena);
        grpc_queue_release(&call->queue);
        free(call);
    }
    free(side->table);
    free(side);
}

const struct grpc_method *side_find(const struct grpc_side *side,
                                    struct slice path)
{
    size_t slot = path_slot(side, path);

    while (side->table[slot] != NULL) {
        if (slice_eq(slice_str(side->table[slot]->path), path)) {
            return side->table[slot];
        }
        slot = (slot + 1) & side->table_mask;
    }
    return NULL;
}

/* ---- birth and death ---- */

struct grpc_call *call_new(struct grpc_session *gs, int32_t stream_id)
{
    struct grpc_side *side = gs->side;
    struct grpc_call *call = TAILQ_FIRST(&side->spare);
    struct grpc_queue queue;
    struct arena arena = {0};

    grpc_queue_init(&queue);
    if (call != NULL) {
        TAILQ_REMOVE(&side->spare, call, link);
        side->spare_count--;
        queue.out = call->queue.out;
        arena = call->arena;
    } else {
        call = malloc(sizeof(*call));
        CHECK(call != NULL);
    }
    *call = (struct grpc_call){.session = gs,
                               .stream_id = stream_id,
                               .deadline_ms = UINT64_MAX,
                               .queue = queue,
                               .arena = arena};
    grpc_reader_init(&call->reader, side->methods->message_bytes_max);
    TAILQ_INSERT_TAIL(&gs->calls, call, link);
    return call;
}

void call_free(struct grpc_call *call)
{
    struct grpc_session *gs = call->session;
    struct grpc_side *side = gs->side;

    TAILQ_REMOVE(&gs->calls, call, link);
    if (call->timed) {
        TAILQ_REMOVE(&gs->timed, call, timed_link);
    }
    if (call->draining) {
        TAILQ_REMOVE(&gs->drained, call, drain_link);
    }
    CHECK(gs->queued_bytes >= grpc_queue_ready(&call->queue));
    gs->queued_bytes -= grpc_queue_ready(&call->queue);
    side->partial_bytes -= call->partial_counted;
    grpc_reader_release(&call->reader);
    if (side->spare_count >= SPARE_CALLS_MAX) {
        arena_release(&call->arena);
        grpc_queue_release(&call->queue);
        free(call);
        return;
    }
    arena_reset(&call->arena);
    buf_clear(&call->queue.out);
    if (call->queue.out.cap > SPARE_OUT_BYTES) {
        grpc_queue_release(&call->queue);
    }
    TAILQ_INSERT_HEAD(&side->spare, call, link);
    side->spare_count++;
}

bool call_add_header(struct grpc_call *call, struct slice name,
                     struct slice value)
{
    struct call_header *header;

    if (++call->headers_count > LIMIT_HEADER_COUNT) {
        return false;
    }
    header = arena_alloc(&call->arena, sizeof(*header));
    header->name = arena_copy(&call->arena, name);
    header->value = arena_copy(&call->arena, value);
    header->next = call->headers;
    call->headers = header;
    return true;
}

/* ---- what is known about it ---- */

void *grpc_call_ctx(const struct grpc_call *call)
{
    return call->session->side->methods->ctx;
}

const struct grpc_method *grpc_call_method(const struct grpc_call *call)
{
    return call->method;
}

void *grpc_call_data(const struct grpc_call *call)
{
    return call->data;
}

void grpc_call_set_data(struct grpc_call *call, void *data)
{
    call->data = data;
}

struct arena *grpc_call_arena(struct grpc_call *call)
{
    return &call->arena;
}

struct slice grpc_call_metadata(const struct grpc_call *call, const char *name)
{
    struct slice wanted = slice_str(name);
    struct slice found = {0};

    /* Newest first on the list; the first that came is wanted. */
    for (const struct call_header *h = call->headers; h; h = h->next) {
        if (slice_eq(h->name, wanted)) {
            found = h->value;
        }
    }
    return found;
}

const char *grpc_call_peer(const struct grpc_call *call)
{
    return call->session->stream->peer;
}

bool grpc_call_over(const struct grpc_call *call)
{
    return call->over;
}

/* ---- the queue ---- */

size_t grpc_call_queued_bytes(const struct grpc_call *call)
{
    return grpc_queue_ready(&call->queue);
}

struct buf *grpc_call_begin_message(struct grpc_call *call)
{
    return grpc_queue_begin(&call->queue);
}

void grpc_call_abandon_message(struct grpc_call *call)
{
    grpc_queue_abandon(&call->queue);
}

void grpc_call_end_message(struct grpc_call *call)
{
    if (call->over) {
        grpc_queue_abandon(&call->queue);
        return;
    }
    call->session->queued_bytes += grpc_queue_end(&call->queue);
    session_wake_call(call);
}

void grpc_call_sendv(struct grpc_call *call, const struct slice *pieces,
                     size_t count)
{
    size_t len;

    if (call->over) {
        return;
    }
    if (grpc_queue_add(&call->queue, pieces, count, &len)) {
        grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED,
                         "answer is larger than gRPC allows");
        return;
    }
    call->session->queued_bytes += len;
    session_wake_call(call);
}

void grpc_call_send(struct grpc_call *call, struct slice message)
{
    grpc_call_sendv(call, &message, 1);
}

void grpc_call_finish(struct grpc_call *call, enum grpc_code code,
                      const char *text)
{
    size_t room;

    if (call->over) {
        return;
    }
    CHECK(!call->queue.message_open);
    call->finished = true;
    call->over = true;
    call->code = code;
    if (text != NULL && *text != '\0') {
        room = strlen(text) * 3;
        room = room < TEXT_BYTES_MAX ? room : TEXT_BYTES_MAX;
        call->text = arena_alloc(&call->arena, room);
        call->text_len = grpc_text_encode(text, call->text, room);
    }
    session_wake_call(call);
}

void call_taken(struct grpc_call *call, size_t len)
{
    struct grpc_session *gs = call->session;

    gs->queued_bytes -= len;
    if (grpc_queue_taken(&call->queue, len) == GRPC_LEVEL_DRAINED &&
        !call->draining && !call->over) {
        call->draining = true;
        TAILQ_INSERT_TAIL(&gs->drained, call, drain_link);
    }
}
