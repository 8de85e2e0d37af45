/*
 * snapshot.c - Maintenance.Snapshot: the store as a file, as a stream.
 *
 *   asked -> PREPARING (the owner reads) -> SENDING -> the end
 *
 * The stream is etcd's: pieces of 32 KiB at most, each with the bytes that are
 * still to come, and at last the SHA-256 of all of them. A client that is slow
 * costs what is queued for it and one piece; one that takes nothing for long is
 * given up, because the backend's file grows while an old state is read.
 */
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/pb.h"
#include "store/api/core.h"

enum {
    BLOB_BYTES = 32 * 1024,
    AT_ONCE_MAX = 3, /* Preparing takes one of uv's four threads each. */
    STALLED_MS = 60 * 1000,
};

struct snapshot_call {
    LIST_ENTRY(snapshot_call) link;
    struct api *api;
    struct grpc_call *call; /* NULL: it has gone meanwhile. */
    bool preparing;
    bool has_source;
    struct api_snapshot source;
    bool at_end;      /* The source has given everything. */
    uint64_t left;    /* Bytes that are not sent yet. */
    struct buf piece; /* From the source, */
    size_t piece_at;  /* and how much of it is sent. */
    EVP_MD_CTX *sum;
    uint64_t moved_ms; /* When something was last sent. */
};

/* --- Life --- */

static void drop_source(struct snapshot_call *s)
{
    if (s->has_source) {
        s->has_source = false;
        s->source.release(s->source.ctx);
    }
}

static void snapshot_free(struct snapshot_call *s)
{
    drop_source(s);
    EVP_MD_CTX_free(s->sum);
    buf_release(&s->piece);
    LIST_REMOVE(s, link);
    free(s);
}

static struct snapshot_call *snapshot_new(struct grpc_call *call)
{
    struct snapshot_call *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->api = api_of(call);
    s->call = call;
    s->sum = EVP_MD_CTX_new();
    CHECK(s->sum != NULL);
    CHECK(EVP_DigestInit_ex(s->sum, EVP_sha256(), NULL) == 1);
    buf_init(&s->piece, SIZE_MAX);
    LIST_INSERT_HEAD(&s->api->snapshots, s, link);
    return s;
}

/* The state is let go at once, whenever the client takes the end. */
static void finish(struct snapshot_call *s, enum grpc_code code,
                   const char *text)
{
    drop_source(s);
    grpc_call_finish(s->call, code, text);
}

static void fail(struct snapshot_call *s, enum status st, const struct err *why)
{
    if (st == ST_CLOSED) {
        api_end_failed(s->call, st);
        return;
    }
    log_error("store", "a snapshot for %s ends: %s", grpc_call_peer(s->call),
              why->text);
    finish(s, st == ST_CORRUPT ? GRPC_DATA_LOSS : GRPC_UNAVAILABLE, why->text);
}

/* --- Sending --- */

static void send_blob(struct snapshot_call *s, struct slice blob)
{
    struct buf *out = grpc_call_begin_message(s->call);

    pb_uint(out, 2, s->left);
    pb_bytes(out, 3, blob);
    grpc_call_end_message(s->call);
}

static void send_sum(struct snapshot_call *s)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned len;

    CHECK(s->left == 0);
    CHECK(EVP_DigestFinal_ex(s->sum, sum, &len) == 1);
    send_blob(s, slice_of(sum, len));
    finish(s, GRPC_OK, NULL);
}

static void send_part(struct snapshot_call *s)
{
    struct slice part = slice_skip(buf_slice(&s->piece), s->piece_at);

    part.len = part.len > BLOB_BYTES ? BLOB_BYTES : part.len;
    CHECK(part.len <= s->left);
    s->piece_at += part.len;
    s->left -= part.len;
    CHECK(EVP_DigestUpdate(s->sum, part.data, part.len) == 1);
    send_blob(s, part);
}

static bool has_room(const struct snapshot_call *s)
{
    return s->has_source && !grpc_call_over(s->call) &&
           grpc_call_queued_bytes(s->call) <= GRPC_HIGH_WATER;
}

/* false: it has failed. */
static bool read_piece(struct snapshot_call *s)
{
    struct err err = {0};
    enum status st;

    buf_clear(&s->piece);
    s->piece_at = 0;
    st = s->source.next(s->source.ctx, &s->piece, &s->at_end, &err);
    if (st) {
        fail(s, st, &err);
    }
    return st == ST_OK;
}

/* One piece of the file a turn. */
static void step(struct snapshot_call *s)
{
    if (s->piece_at == s->piece.len && !s->at_end && !read_piece(s)) {
        return;
    }
    s->moved_ms = loop_now_ms(s->api->config.loop);
    while (has_room(s) && s->piece_at < s->piece.len) {
        send_part(s);
    }
    if (s->at_end && s->piece_at == s->piece.len) {
        send_sum(s);
    }
}

bool api_snapshot_pump(struct api *api)
{
    struct snapshot_call *s;
    bool more = false;

    LIST_FOREACH(s, &api->snapshots, link)
    {
        if (has_room(s)) {
            step(s);
            more = more || has_room(s);
        }
    }
    return more;
}

void api_snapshot_expire(struct api *api, uint64_t now_ms)
{
    struct snapshot_call *s;

    LIST_FOREACH(s, &api->snapshots, link)
    {
        if (s->has_source && now_ms >= s->moved_ms + STALLED_MS) {
            log_warn("store",
                     "the snapshot for %s ends: it has taken nothing for %d s",
                     grpc_call_peer(s->call), STALLED_MS / 1000);
            finish(s, GRPC_DEADLINE_EXCEEDED,
                   "etcdserver: the snapshot's reader takes nothing");
        }
    }
}

/* --- The call --- */

static void on_ready(void *ctx, enum status st,
                     const struct api_snapshot *snapshot, const struct err *why)
{
    struct snapshot_call *s = ctx;
    struct api *api = s->api;

    s->preparing = false;
    if (st == ST_OK) {
        s->has_source = true;
        s->source = *snapshot;
        s->left = snapshot->bytes;
        s->moved_ms = loop_now_ms(api->config.loop);
    }
    if (s->call == NULL) {
        snapshot_free(s);
        return;
    }
    if (st) {
        fail(s, st, why);
        return;
    }
    log_info("store", "sending a snapshot of %llu bytes to %s",
             (unsigned long long)s->left, grpc_call_peer(s->call));
    api->config.wake(api->config.ctx);
}

static size_t at_once(const struct api *api)
{
    const struct snapshot_call *s;
    size_t count = 0;

    LIST_FOREACH(s, &api->snapshots, link)
    {
        count += s->preparing || s->has_source;
    }
    return count;
}

void api_snapshot(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);
    struct snapshot_call *s;

    (void)request; /* Has no fields. */
    if (api->stopped) {
        api_end_failed(call, ST_CLOSED);
        return;
    }
    if (at_once(api) >= AT_ONCE_MAX) {
        grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED,
                         "etcdserver: too many requests");
        return;
    }
    s = snapshot_new(call);
    s->preparing = true;
    grpc_call_set_data(call, s);
    api->config.snapshot(api->config.ctx, on_ready, s);
}

void api_snapshot_drained(struct grpc_call *call)
{
    struct api *api = api_of(call);

    api->config.wake(api->config.ctx);
}

void api_snapshot_closed(struct grpc_call *call)
{
    struct snapshot_call *s = grpc_call_data(call);

    if (s == NULL) {
        return; /* Refused. */
    }
    if (s->preparing) {
        s->call = NULL; /* on_ready lets go of what comes. */
    } else {
        snapshot_free(s);
    }
}
