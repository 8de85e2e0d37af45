#include <pthread.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "dns/io/upstream.h"
#include "dns/io/worker.h"

/* A worker's side of forwarding: it sends errands to the upstream thread and
 * answers its clients when they come back. */
struct forwarder {
    struct worker *worker;
    struct upstream *upstream;
    uv_async_t wake;
    pthread_mutex_t lock;
    struct errands inbox;        /* Errands that are done. */
    struct recursion *recursion; /* The rules; what the responder looks at. */
    struct recursion *wanted;    /* Newer ones; NULL: none. */
    bool closing;
};

static void send_back(const struct errand *e, struct slice response)
{
    if (e->origin.udp != NULL) {
        udp_send_late(&e->origin, response);
    } else {
        tcp_send_late(e->origin.conn, response);
    }
}

/* The only question of a query that is not about a name of ours. */
static size_t relay(struct responder *r, const struct query *query,
                    const struct dns_question *q,
                    const struct errand_part *part, uint8_t *out)
{
    struct dns_cached found = {.reply = slice_of(part->reply, part->reply_len),
                               .age_s = part->age_s};

    switch (part->outcome) {
    case ERRAND_HEARD:
        return responder_relay(r, query, q, &found, part->stale, out);
    case ERRAND_TRUNCATED:
        return responder_truncated(r, query, q, out);
    case ERRAND_UNROUTED:
        return responder_fail(r, query, q, DNS_REFUSED, out);
    case ERRAND_FAILED:
        count(&r->counts->forward_failed);
        return responder_failure(r, query, q, part->extended_error, out);
    }
    UNREACHABLE();
}

static size_t chased(struct worker *w, const struct query *query,
                     const struct dns_question *q, const struct errand *e,
                     uint8_t *out)
{
    struct dns_heard heard[DNS_WANTS_MAX];
    const struct dns_zone *zone;
    size_t len;

    for (size_t i = 0; i < e->parts_count; i++) {
        const struct errand_part *part = &e->parts[i];

        heard[i] =
            (struct dns_heard){.name = dns_name_slice(&part->name),
                               .type = part->type,
                               .reply = slice_of(part->reply, part->reply_len),
                               .age_s = part->age_s,
                               .stale = part->stale};
        if (part->outcome == ERRAND_FAILED) {
            count(&w->counts.forward_failed);
        }
    }
    zone = reader_enter(&w->reader, w->publisher);
    len = responder_chased(&w->responder, zone, query, q, heard, e->parts_count,
                           out);
    reader_leave(&w->reader);
    return len;
}

static void respond(struct forwarder *f, const struct errand *e)
{
    uint8_t out[RESPONSE_BYTES_MAX];
    struct worker *w = f->worker;
    struct query query =
        origin_query(&e->origin, slice_of(e->packet, e->packet_len));
    struct dns_question q;
    enum dns_rcode rcode;
    size_t len;

    /* It was parsed when it came; it still is what it was. */
    CHECK(dns_question_parse(query.packet, &q, &rcode) == DNS_PARSE_OK);
    if (e->refused) {
        len = responder_fail(&w->responder, &query, &q, DNS_SERVFAIL, out);
    } else if (e->kind == RESPONSE_FORWARD) {
        len = relay(&w->responder, &query, &q, &e->parts[0], out);
    } else {
        len = chased(w, &query, &q, e, out);
    }
    send_back(e, slice_of(out, len));
}

static void errand_free(struct errand *e)
{
    if (e->origin.conn != NULL) {
        tcp_drop(e->origin.conn);
    } else {
        udp_drop(e->origin.udp);
    }
    for (size_t i = 0; i < e->parts_count; i++) {
        free(e->parts[i].reply);
    }
    free(e);
}

void errand_done(struct errand *e)
{
    struct forwarder *f = e->from;

    CHECK(pthread_mutex_lock(&f->lock) == 0);
    STAILQ_INSERT_TAIL(&f->inbox, e, link);
    CHECK(uv_async_send(&f->wake) == 0);
    CHECK(pthread_mutex_unlock(&f->lock) == 0);
}

static void adopt(struct forwarder *f, struct recursion *r)
{
    recursion_unref(f->recursion);
    f->recursion = r;
    f->worker->responder.rules = r;
    f->worker->responder.recursion = r->count > 0;
}

static void on_wake(uv_async_t *wake)
{
    struct forwarder *f = wake->data;
    struct errands done;
    struct recursion *wanted;
    struct errand *e;

    STAILQ_INIT(&done);
    CHECK(pthread_mutex_lock(&f->lock) == 0);
    STAILQ_CONCAT(&done, &f->inbox);
    wanted = f->wanted;
    f->wanted = NULL;
    CHECK(pthread_mutex_unlock(&f->lock) == 0);
    if (wanted != NULL) {
        adopt(f, wanted);
    }
    while ((e = STAILQ_FIRST(&done)) != NULL) {
        STAILQ_REMOVE_HEAD(&done, link);
        if (!f->closing) {
            respond(f, e);
        }
        errand_free(e);
    }
}

/* It has been here, or round too many others. */
static bool is_loop(const struct upstream *u, struct slice path)
{
    struct slice id = upstream_id(u);

    for (size_t at = 0; at + id.len <= path.len; at += id.len) {
        if (memcmp(path.data + at, id.data, id.len) == 0) {
            return true;
        }
    }
    return path.len % id.len != 0 || path.len + id.len > UPSTREAM_PATH_MAX;
}

static struct errand *errand_new(const struct taken *taken, struct slice packet)
{
    size_t parts = taken->wants_count * sizeof(struct errand_part);
    struct errand *e = calloc(1, sizeof(*e) + parts + packet.len);
    const struct dns_edns *edns = &taken->question.edns;

    CHECK(e != NULL);
    e->packet = (uint8_t *)e->parts + parts;
    e->packet_len = packet.len;
    memcpy(e->packet, packet.data, packet.len);
    e->dnssec_ok = edns->dnssec_ok;
    e->checking_disabled = (taken->question.flags & DNS_FLAG_CD) != 0;
    if (edns->path.len > 0) {
        e->path_at = (size_t)(edns->path.data - packet.data);
        e->path_len = edns->path.len;
    }
    e->parts_count = taken->wants_count;
    e->waiting = taken->wants_count;
    for (size_t i = 0; i < taken->wants_count; i++) {
        e->parts[i].errand = e;
        e->parts[i].type = taken->wants[i].type;
        CHECK(dns_name_add_wire(&e->parts[i].name, taken->wants[i].name));
    }
    return e;
}

bool forwarder_ask(struct forwarder *f, enum response kind,
                   const struct taken *taken, struct slice packet,
                   const struct origin *origin)
{
    struct errand *e;

    if (is_loop(f->upstream, taken->question.edns.path)) {
        count(&f->worker->counts.forward_loops);
        return false;
    }
    e = errand_new(taken, packet);
    e->from = f;
    e->origin = *origin;
    e->kind = kind;
    e->tcp = origin->conn != NULL;
    if (origin->conn != NULL) {
        tcp_hold(origin->conn);
    } else {
        udp_hold(origin->udp);
    }
    if (!upstream_ask(f->upstream, e)) {
        errand_free(e);
        return false;
    }
    count(&f->worker->counts.forwarded);
    return true;
}

void forwarder_set(struct forwarder *f, struct recursion *r)
{
    struct recursion *before;

    CHECK(pthread_mutex_lock(&f->lock) == 0);
    before = f->wanted;
    f->wanted = recursion_ref(r);
    CHECK(uv_async_send(&f->wake) == 0);
    CHECK(pthread_mutex_unlock(&f->lock) == 0);
    recursion_unref(before);
}

struct forwarder *forwarder_new(struct worker *w, struct upstream *upstream,
                                struct recursion *r)
{
    struct forwarder *f = calloc(1, sizeof(*f));

    CHECK(f != NULL);
    f->worker = w;
    f->upstream = upstream;
    STAILQ_INIT(&f->inbox);
    CHECK(pthread_mutex_init(&f->lock, NULL) == 0);
    CHECK(uv_async_init(&w->loop, &f->wake, on_wake) == 0);
    f->wake.data = f;
    w->responder.cache = upstream_cache(upstream);
    adopt(f, recursion_ref(r));
    return f;
}

static void on_closed(uv_handle_t *handle)
{
    struct forwarder *f = handle->data;

    recursion_unref(f->recursion);
    recursion_unref(f->wanted);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
}

void forwarder_close(struct forwarder *f)
{
    f->closing = true;
    on_wake(&f->wake); /* The upstream thread has ended: these are the last. */
    uv_close((uv_handle_t *)&f->wake, on_closed);
}
