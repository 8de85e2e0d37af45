/* The lease and the live key: as long as both stand, other hosts see this one
 * as alive.
 *
 *   no lease --grant--> lease --attach--> attached --keep-alive every ttl/3
 *      ^                  |                  |
 *      +---- not found ---+------ lost ------+
 *
 * A renewal gets ttl/6, at least 1 s and at most 2.5 s, to be answered; then
 * the endpoint is dropped and the next one has most of the lease's time left.
 *
 * "Attach" puts the live key if it is absent. If it is there, it may be ours
 * from before (same node id): then it moves to the present lease. If it is
 * somebody else's, two hosts have one name: claim.h says how long the second
 * one waits, which has no lease meanwhile. A lease is asked for only while the
 * catalogue is current, so that whose the name is is known. */

#include "agent/io/link_impl.h"
#include "base/core/check.h"
#include "base/core/log.h"

#define ANSWER_MS_MIN 1000
#define TICK_MS_MAX   2500

static void grant_begin(struct link *l);
static void grant_if_free(struct link *l);
static void attach_first(struct link *l);
static void attach_begin(struct link *l, int64_t expect_mod_revision);

/* ---- Keep-alive -------------------------------------------------------------
 */

static void lease_lost(struct link *l)
{
    l->stats.lease_losses++;
    l->lease.id = 0;
    l->lease.asked_ms = 0;
    if (l->lease.attached) {
        l->lease.attached = false;
        sync_detached(l->sync);
    }
    log_warn("agent", "store: our lease is gone, asking for a new one");
    if (link_ready(l) && !l->lease.call && !l->stopping) {
        grant_if_free(l);
    }
}

static void renewal_open(struct link *l);

static void on_renewed(void *ctx, struct slice message)
{
    struct link *l = ctx;
    struct arena arena = {0};
    Etcdserverpb__LeaseKeepAliveResponse *r = pb_decode(
        &arena, &etcdserverpb__lease_keep_alive_response__descriptor, message);

    if (!r) {
        link_drop(l, "a lease answer that cannot be read");
    } else if (r->id == l->lease.id && l->lease.id != 0) {
        if (r->ttl > 0) {
            l->lease.renewed_ms = l->lease.asked_ms;
            l->lease.asked_ms = 0;
        } else {
            lease_lost(l);
        }
    }
    arena_release(&arena);
}

static void on_renewal_closed(void *ctx, enum grpc_code code, const char *text)
{
    struct link *l = ctx;
    bool again = l->lease.reopen;

    l->lease.stream = NULL;
    l->lease.reopen = false;
    if (!link_ready(l)) {
        return;
    }
    if (again && l->lease.attached) {
        renewal_open(l);
    } else if (!again) {
        link_drop(l, "keep-alive ended: %s (%s)", text, grpc_code_name(code));
    }
}

static void renew(struct link *l)
{
    etcd_lease_id(&l->request, l->lease.id);
    l->lease.asked_ms = loop_now_ms(l->loop);
    grpc_stream_send(l->lease.stream, buf_slice(&l->request));
    link_pulse_quicken(l);
}

static void renewal_open(struct link *l)
{
    static const struct grpc_metadata has_leader = {"hasleader", "true"};
    struct grpc_stream_hooks hooks = {
        .ctx = l, .on_message = on_renewed, .on_closed = on_renewal_closed};

    if (!l->lease.stream) {
        l->lease.stream =
            grpc_stream_open(l->channel, ETCD_KEEPALIVE, &has_leader, 1, hooks);
    }
    renew(l);
}

/* ---- The live key ------------------------------------------------------ */

/* `revision` is the store's when the key was seen to be ours. */
static void attached(struct link *l, int64_t create_revision, int64_t revision)
{
    l->lease.attached = true;
    l->lease.live_create_revision = create_revision;
    l->lease.attached_revision = revision;
    if (claim_won(&l->lease.claim)) {
        log_info("agent", "store: the node name \"%s\" is ours now",
                 l->config.node);
    }
    renewal_open(l);
    sync_attached(l->sync, create_revision, loop_now_ms(l->loop));
    link_maybe_healthy(l);
    link_poke(l);
}

static void claim_tell(const struct link *l, enum claim_news news)
{
    const struct claim *c = &l->lease.claim;

    if (news == CLAIM_IN_USE) {
        log_error(
            "agent",
            "store: the node name \"%s\" is in use by another agent (node "
            "id %s; ours is %s): nothing of this host is registered. Give "
            "this one another name with --node; or stop the other one, "
            "then this one takes over when it has been gone for %llu s",
            c->node, c->other_id, c->node_id,
            (unsigned long long)c->wait_ms / 1000);
    } else if (news == CLAIM_ABANDONED) {
        log_warn(
            "agent",
            "store: the node name \"%s\" was another agent's (node id %s), "
            "which is not alive: it becomes ours in %llu s, unless that "
            "one comes back",
            c->node, c->other_id, (unsigned long long)c->wait_ms / 1000);
    }
}

/* Our lease is given up: it would hold nothing. */
static void name_taken(struct link *l, const struct live_record *other)
{
    l->lease.id = 0;
    l->lease.asked_ms = 0;
    claim_tell(l, claim_refused(&l->lease.claim, other->node_id,
                                loop_now_ms(l->loop)));
}

/* The live key exists; `kv` is what is there at `revision`. */
static void attach_over(struct link *l, const Mvccpb__KeyValue *kv,
                        int64_t revision)
{
    struct arena arena = {0};
    struct live_record other;
    bool readable =
        live_record_read(&arena, slice_of(kv->value.data, kv->value.len),
                         &other, NULL) == ST_OK;

    if (readable && strcmp(other.node_id, l->config.node_id) != 0) {
        name_taken(l, &other);
    } else if (readable && kv->lease == l->lease.id &&
               slice_eq(slice_of(kv->value.data, kv->value.len),
                        buf_slice(&l->live_value))) {
        attached(l, kv->create_revision, revision);
    } else {
        /* Ours from before, or nobody's. */
        l->lease.live_create_revision = kv->create_revision;
        attach_begin(l, kv->mod_revision);
    }
    arena_release(&arena);
}

static void attach_answer(struct link *l, const Etcdserverpb__TxnResponse *r)
{
    const Etcdserverpb__RangeResponse *range = NULL;

    if (r->succeeded) {
        int64_t created = l->lease.live_create_revision;

        attached(l, created != 0 ? created : r->header->revision,
                 r->header->revision);
        return;
    }
    if (r->n_responses == 1 &&
        r->responses[0]->response_case ==
            ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE) {
        range = r->responses[0]->response_range;
    }
    if (range && range->n_kvs == 1) {
        attach_over(l, range->kvs[0], r->header->revision);
    } else {
        l->lease.live_create_revision = 0;
        attach_begin(l, 0);
    }
}

static void on_attached(void *ctx, enum grpc_code code, const char *text,
                        struct slice reply)
{
    struct link *l = ctx;
    struct arena arena = {0};
    Etcdserverpb__TxnResponse *r;
    bool lost = l->lease.call_lost;

    l->lease.call = NULL;
    l->lease.call_lost = false;
    if (!link_ready(l) || l->stopping) {
        return;
    }
    if (code == GRPC_NOT_FOUND) {
        lease_lost(l);
        return;
    }
    if (code == GRPC_CANCELLED && lost) {
        attach_first(l);
        return;
    }
    if (code != GRPC_OK) {
        link_call_failed(l, "live key", code, text);
        return;
    }
    r = pb_decode(&arena, &etcdserverpb__txn_response__descriptor, reply);
    if (r && r->header) {
        attach_answer(l, r);
    } else {
        link_drop(l, "an answer that cannot be read");
    }
    arena_release(&arena);
}

static void attach_begin(struct link *l, int64_t expect_mod_revision)
{
    CHECK(!l->lease.call);
    etcd_attach(&l->request, l->live_key, buf_slice(&l->live_value),
                l->lease.id, expect_mod_revision);
    l->lease.call = grpc_unary(l->channel, ETCD_TXN, buf_slice(&l->request),
                               LINK_CALL_MS, on_attached, l);
    link_pulse_quicken(l);
}

static void attach_first(struct link *l)
{
    l->lease.live_create_revision = 0;
    attach_begin(l, 0);
}

static bool live_key_is_ours(const struct link *l)
{
    const struct catalog_node *n = catalog_node(l->catalog, l->config.node);

    return n != NULL && n->live &&
           n->live_create_revision == l->lease.live_create_revision &&
           strcmp(n->live_record.node_id, l->config.node_id) == 0;
}

/* Somebody may remove or replace the live key though our lease stands. Without
 * it no write of ours passes its guard, and no renewal would bring it back. */
void link_lease_catalog_changed(struct link *l)
{
    if (!l->lease.attached || !link_ready(l) || l->stopping ||
        catalog_revision(l->catalog) < l->lease.attached_revision ||
        live_key_is_ours(l)) {
        return;
    }
    log_warn("agent", "store: our live key was removed or replaced by somebody "
                      "else, putting it back");
    l->lease.attached = false;
    sync_detached(l->sync);
    attach_first(l);
}

/* ---- Granting ---------------------------------------------------------- */

static void on_granted(void *ctx, enum grpc_code code, const char *text,
                       struct slice reply)
{
    struct link *l = ctx;
    struct arena arena = {0};
    Etcdserverpb__LeaseGrantResponse *r;
    bool lost = l->lease.call_lost;

    l->lease.call = NULL;
    l->lease.call_lost = false;
    if (!link_ready(l) || l->stopping) {
        return;
    }
    if (code == GRPC_CANCELLED && lost) {
        grant_begin(l); /* A lease that it may have granted just ends. */
        return;
    }
    if (code != GRPC_OK) {
        l->lease.asked_ms = 0;
        link_call_failed(l, "lease", code, text);
        return;
    }
    r = pb_decode(&arena, &etcdserverpb__lease_grant_response__descriptor,
                  reply);
    if (r && r->id != 0 && r->ttl > 0) {
        l->lease.id = r->id;
        l->lease.ttl_ms = (uint64_t)r->ttl * 1000;
        l->lease.renewed_ms = l->lease.asked_ms;
        l->lease.asked_ms = 0;
        l->stats.lease_grants++;
        attach_first(l);
    } else {
        link_drop(l, "a lease answer that cannot be read");
    }
    arena_release(&arena);
}

static void grant_begin(struct link *l)
{
    CHECK(!l->lease.call);
    etcd_grant(&l->request, l->config.lease_ttl_s);
    l->lease.asked_ms = loop_now_ms(l->loop);
    l->lease.call = grpc_unary(l->channel, ETCD_GRANT, buf_slice(&l->request),
                               LINK_CALL_MS, on_granted, l);
    link_pulse_quicken(l);
}

/* The name may be somebody else's, which the catalogue tells once it is
 * current. */
static void grant_if_free(struct link *l)
{
    uint64_t now = loop_now_ms(l->loop);

    if (!link_current(l)) {
        return; /* link_lease_contact() comes. */
    }
    claim_tell(l, claim_look(&l->lease.claim, l->catalog, now));
    if (claim_may(&l->lease.claim, now)) {
        grant_begin(l);
    } else {
        link_maybe_healthy(l);
    }
}

void link_lease_contact(struct link *l)
{
    claim_contact(&l->lease.claim, loop_now_ms(l->loop));
    if (link_ready(l) && l->lease.id == 0 && !l->lease.call && !l->stopping) {
        grant_if_free(l);
    }
}

/* ---- The clock --------------------------------------------------------- */

static uint64_t tick_ms(const struct link *l)
{
    uint64_t ms = (uint64_t)l->config.lease_ttl_s * 1000 / 6;

    return ms < TICK_MS_MAX ? ms : TICK_MS_MAX;
}

static void renew_on_time(struct link *l, uint64_t now)
{
    uint64_t every = (uint64_t)l->config.lease_ttl_s * 1000 / 3;
    uint64_t patience = tick_ms(l);

    if (l->lease.asked_ms == 0) {
        /* The tick that is nearest. */
        if (now - l->lease.renewed_ms + tick_ms(l) / 2 >= every) {
            renew(l);
        }
        return;
    }
    patience = patience > ANSWER_MS_MIN ? patience : ANSWER_MS_MIN;
    if (now - l->lease.asked_ms >= patience) {
        link_drop(l, "no answer to a keep-alive for %llu ms",
                  (unsigned long long)(now - l->lease.asked_ms));
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct link *l = timer->data;
    uint64_t now = loop_now_ms(l->loop);

    if (!link_ready(l) || l->stopping || l->lease.call) {
        return; /* A call has its own deadline. */
    }
    if (l->lease.id == 0) {
        grant_if_free(l);
    } else if (now - l->lease.renewed_ms >= l->lease.ttl_ms) {
        lease_lost(l);
    } else if (!l->lease.attached) {
        attach_first(l);
        if (l->lease.stream && l->lease.asked_ms == 0) {
            renew(l);
        }
    } else if (l->lease.stream) {
        renew_on_time(l, now);
    } /* Else it is being opened anew. */
}

bool link_lease_waits(const struct link *l)
{
    return l->lease.call != NULL || l->lease.asked_ms != 0;
}

/* The old leader may have had our question and be dead or deposed. */
void link_lease_leader_changed(struct link *l)
{
    if (l->lease.call) {
        l->lease.call_lost = true;
        grpc_stream_cancel(l->lease.call); /* Goes on when it has ended. */
    }
    if (l->lease.stream && l->lease.asked_ms != 0) {
        l->lease.asked_ms = 0;
        l->lease.reopen = true;
        grpc_stream_cancel(l->lease.stream);
    }
}

void link_lease_init(struct link *l)
{
    claim_init(&l->lease.claim, l->config.node, l->config.node_id,
               (uint64_t)l->config.lease_ttl_s * 1000);
    link_timer_init(l, &l->lease.timer);
}

void link_lease_begin(struct link *l)
{
    uint64_t every_ms = tick_ms(l);

    l->lease.asked_ms = 0;
    l->lease.reopen = false;
    l->lease.call_lost = false;
    CHECK(uv_timer_start(&l->lease.timer, on_timer, every_ms, every_ms) == 0);
    if (l->lease.id != 0) {
        attach_first(l); /* It may have outlived the break. */
    }
}

void link_lease_end(struct link *l)
{
    (void)uv_timer_stop(&l->lease.timer);
    if (l->lease.attached) {
        l->lease.attached = false;
        sync_detached(l->sync);
    }
}
