/*
 * watch.c - service etcdserverpb.Watch.
 *
 * One stream carries any number of watchers. The store queues for them
 * (store/kv/watch.h); here they are asked at the end of each turn, as long as
 * the client takes what it is sent: a stream whose client is slow is paused as
 * a whole and goes on when the connection has drained.
 */
#include <stdlib.h>
#include <uthash.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/pb.h"
#include "base/proto/pb_arena.h"
#include "base/proto/rpc.pb-c.h"
#include "store/api/core.h"

enum {
    NOTICES_A_TURN = 4096 /* And rows of history read for them. */
};

/* One watcher of a stream. */
struct stream_watch {
    struct watch_stream *stream;
    struct watcher *watcher;
    int64_t id;
    bool notify;   /* progress_notify */
    bool fragment; /* Large responses may be split. */
    bool told;     /* Something was sent since the last progress round. */
    UT_hash_handle hh;
};

struct watch_stream {
    LIST_ENTRY(watch_stream) link;
    struct grpc_call *call;
    struct stream_watch *watches; /* By id. */
    int64_t next_id;
    bool paused;          /* The client is slow. */
    bool progress_wanted; /* It has asked, and not all were synced. */
};

/* --- Responses --- */

static struct buf *begin(struct watch_stream *s, int64_t revision, int64_t id)
{
    struct buf *out = grpc_call_begin_message(s->call);

    api_write_header(api_of(s->call), out, revision);
    pb_int(out, 2, id);
    return out;
}

static int64_t revision_now(const struct watch_stream *s)
{
    return kv_revision(api_of(s->call)->config.kv);
}

static void send_created(struct watch_stream *s, int64_t id)
{
    pb_bool(begin(s, revision_now(s), id), 3, true);
    grpc_call_end_message(s->call);
}

static void send_refused(struct watch_stream *s, const char *reason)
{
    struct buf *out = begin(s, revision_now(s), -1);

    pb_bool(out, 3, true);
    pb_bool(out, 4, true);
    pb_bytes(out, 6, slice_str(reason));
    grpc_call_end_message(s->call);
}

static void send_canceled(struct watch_stream *s, int64_t id)
{
    pb_bool(begin(s, revision_now(s), id), 4, true);
    grpc_call_end_message(s->call);
}

static void send_compacted(struct watch_stream *s, int64_t id,
                           int64_t compact_revision)
{
    struct buf *out = begin(s, 0, id);

    pb_bool(out, 4, true);
    pb_int(out, 5, compact_revision);
    grpc_call_end_message(s->call);
}

static void send_progress(struct watch_stream *s, int64_t id)
{
    (void)begin(s, revision_now(s), id);
    grpc_call_end_message(s->call);
}

/* One response with events from *at on, as many as may be in one. */
static void send_part(struct stream_watch *sw, const struct watch_notice *n,
                      size_t *at)
{
    struct watch_stream *s = sw->stream;
    struct api *api = api_of(s->call);
    size_t room = sw->fragment
                      ? api->config.max_request_bytes + LIMIT_GRPC_OVERHEAD
                      : SIZE_MAX;
    struct buf *out = begin(s, n->revision, sw->id);
    size_t last = *at;
    size_t bytes = 0;

    while (last < n->events_count &&
           (last == *at || bytes + n->events[last].len < room)) {
        bytes += n->events[last++].len;
    }
    pb_bool(out, 7, last < n->events_count);
    for (size_t i = *at; i < last; i++) {
        CHECK(buf_add(out, n->events[i]) == ST_OK);
    }
    grpc_call_end_message(s->call);
    api->numbers.events.value += (double)(last - *at);
    *at = last;
}

/* --- Watchers --- */

static void watch_end(struct stream_watch *sw)
{
    HASH_DEL(sw->stream->watches, sw);
    watch_free(sw->watcher);
    free(sw);
}

static struct stream_watch *watch_find(struct watch_stream *s, int64_t id)
{
    struct stream_watch *sw;

    HASH_FIND(hh, s->watches, &id, sizeof(id), sw);
    return sw;
}

static int64_t pick_id(struct watch_stream *s)
{
    while (watch_find(s, s->next_id) != NULL) {
        s->next_id++;
    }
    return s->next_id++;
}

static bool filters_have(const Etcdserverpb__WatchCreateRequest *r, int filter)
{
    for (size_t i = 0; i < r->n_filters; i++) {
        if ((int)r->filters[i] == filter) {
            return true;
        }
    }
    return false;
}

static struct slice slice_of_pb(ProtobufCBinaryData data)
{
    return slice_of(data.data, data.len);
}

static struct watch_spec spec_of(const Etcdserverpb__WatchCreateRequest *r)
{
    struct slice key = slice_of_pb(r->key);

    return (struct watch_spec){
        .key = key.len == 0 ? slice_of("", 1) : key, /* From the zero byte. */
        .range_end = slice_of_pb(r->range_end),
        .start_revision = r->start_revision,
        .no_put = filters_have(r, 0),
        .no_delete = filters_have(r, 1),
        .prev_kv = r->prev_kv,
    };
}

/* NULL, or why not. */
static const char *refusal(struct watch_stream *s,
                           const Etcdserverpb__WatchCreateRequest *r,
                           const struct watch_spec *spec)
{
    if (!watch_range_ok(spec->key, spec->range_end)) {
        return "mvcc: watcher range is empty";
    }
    if (r->watch_id != 0 && watch_find(s, r->watch_id) != NULL) {
        return "mvcc: duplicate watch ID provided on the WatchStream";
    }
    if (HASH_COUNT(s->watches) >= LIMIT_STREAM_WATCHES) {
        return "etcdserver: too many watchers on one stream";
    }
    return NULL;
}

static void create(struct watch_stream *s,
                   const Etcdserverpb__WatchCreateRequest *r)
{
    struct watch_spec spec = spec_of(r);
    const char *reason = refusal(s, r, &spec);
    struct stream_watch *sw;

    if (reason != NULL) {
        send_refused(s, reason);
        return;
    }
    sw = calloc(1, sizeof(*sw));
    CHECK(sw != NULL);
    sw->stream = s;
    sw->id = r->watch_id != 0 ? r->watch_id : pick_id(s);
    sw->notify = r->progress_notify;
    sw->fragment = r->fragment;
    HASH_ADD(hh, s->watches, id, sizeof(sw->id), sw);
    send_created(s, sw->id);

    spec.owner = sw;
    sw->watcher = watch_add(api_of(s->call)->config.kv, &spec);
    if (s->paused) {
        watch_pause(sw->watcher);
    }
}

static void cancel(struct watch_stream *s, int64_t id)
{
    struct stream_watch *sw = watch_find(s, id);

    if (sw != NULL) {
        watch_end(sw);
        send_canceled(s, id);
    }
}

/* --- The stream --- */

static void wake(struct watch_stream *s)
{
    struct api *api = api_of(s->call);

    api->config.wake(api->config.ctx);
}

void api_watch_open(struct grpc_call *call)
{
    struct watch_stream *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->call = call;
    LIST_INSERT_HEAD(&api_of(call)->streams, s, link);
    grpc_call_set_data(call, s);
    if (api_of(call)->stopped) {
        api_end_failed(call, ST_CLOSED);
    } else if (api_may_learner(call, false)) {
        (void)api_has_leader(call);
    }
}

void api_watch_message(struct grpc_call *call, struct slice message)
{
    struct watch_stream *s = grpc_call_data(call);
    struct arena arena = {0};
    const Etcdserverpb__WatchRequest *r =
        pb_decode(&arena, &etcdserverpb__watch_request__descriptor, message);

    if (r == NULL) {
        api_refuse(call, KV_MALFORMED);
    } else if (r->request_union_case ==
               ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST) {
        create(s, r->create_request);
    } else if (r->request_union_case ==
               ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CANCEL_REQUEST) {
        cancel(s, r->cancel_request->watch_id);
    } else if (r->request_union_case ==
               ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_PROGRESS_REQUEST) {
        s->progress_wanted = true;
        api_of(call)->progress_wanted = true;
    }
    arena_release(&arena);
    wake(s);
}

static void resume_all(struct watch_stream *s)
{
    struct stream_watch *sw;
    struct stream_watch *next;

    HASH_ITER(hh, s->watches, sw, next)
    {
        watch_resume(sw->watcher);
    }
}

void api_watch_drained(struct grpc_call *call)
{
    struct watch_stream *s = grpc_call_data(call);

    if (s->paused) {
        s->paused = false;
        resume_all(s);
        wake(s);
    }
}

void api_watch_closed(struct grpc_call *call)
{
    struct watch_stream *s = grpc_call_data(call);
    struct stream_watch *sw;
    struct stream_watch *next;

    HASH_ITER(hh, s->watches, sw, next)
    {
        watch_end(sw);
    }
    LIST_REMOVE(s, link);
    free(s);
}

/* --- Feeding --- */

static bool has_room(const struct watch_stream *s)
{
    return !grpc_call_over(s->call) &&
           grpc_call_queued_bytes(s->call) <= GRPC_HIGH_WATER;
}

/* Returns what it cost, see NOTICES_A_TURN. */
static size_t deliver(struct stream_watch *sw)
{
    struct watch_notice notice;
    size_t at = 0;

    watch_next(sw->watcher, &notice);
    switch (notice.type) {
    case WATCH_NOTHING:
        return 1 + notice.rows_read;
    case WATCH_EVENTS:
        sw->told = true;
        while (at < notice.events_count) {
            send_part(sw, &notice, &at);
        }
        return 1 + notice.rows_read;
    case WATCH_COMPACTED:
        send_compacted(sw->stream, sw->id, notice.compact_revision);
        watch_end(sw);
        return 1 + notice.rows_read;
    }
    UNREACHABLE();
}

static bool all_synced(const struct watch_stream *s)
{
    struct stream_watch *sw;
    struct stream_watch *next;

    HASH_ITER(hh, s->watches, sw, next)
    {
        if (!watch_synced(sw->watcher)) {
            return false;
        }
    }
    return s->watches != NULL;
}

/* Answers to progress requests follow every event up to their revision. */
static void answer_progress(struct api *api)
{
    struct watch_stream *s;

    api->progress_wanted = false;
    LIST_FOREACH(s, &api->streams, link)
    {
        if (s->progress_wanted && all_synced(s)) {
            s->progress_wanted = false;
            send_progress(s, -1);
        }
        api->progress_wanted = api->progress_wanted || s->progress_wanted;
    }
}

bool api_watch_pump(struct api *api)
{
    struct watcher *w = NULL;
    size_t cost = 0;

    while (cost < NOTICES_A_TURN) {
        struct stream_watch *sw;

        w = watch_ready(api->config.kv);
        if (w == NULL) {
            break;
        }
        sw = watch_owner(w);
        if (has_room(sw->stream)) {
            cost += deliver(sw);
        } else {
            sw->stream->paused = true;
            watch_pause(w);
            cost++;
        }
    }
    if (w == NULL && api->progress_wanted) {
        answer_progress(api);
    }
    return w != NULL;
}

/* A round of progress_notify: those who have heard nothing since the last. */
static void notify_stream(struct watch_stream *s)
{
    struct stream_watch *sw;
    struct stream_watch *next;

    HASH_ITER(hh, s->watches, sw, next)
    {
        if (sw->notify && !sw->told && has_room(s) &&
            watch_synced(sw->watcher)) {
            send_progress(s, sw->id);
        }
        sw->told = false;
    }
}

void api_watch_progress(struct api *api)
{
    struct watch_stream *s;

    LIST_FOREACH(s, &api->streams, link)
    {
        notify_stream(s);
    }
}

double api_watch_streams(const struct api *api)
{
    const struct watch_stream *s;
    double count = 0;

    LIST_FOREACH(s, &api->streams, link)
    {
        count++;
    }
    return count;
}
