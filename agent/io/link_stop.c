/* Saying good-bye.
 *
 *   keep    a lease of restart_grace_s is granted and the live key moved to it,
 *           so that a restart within that time is no event for anybody
 *   leave   own records are deleted, the lease is revoked
 *
 * All of it is tried once, within LINK_STOP_MS; a store that is away cannot
 * hold us up. */

#include "agent/io/link_impl.h"
#include "base/core/check.h"
#include "base/core/log.h"

/* An answer is in. True: it was good. Otherwise the good-bye ends here. */
static bool answered(struct link *l, const char *what, enum grpc_code code,
                     const char *text)
{
    l->farewell = NULL;
    if (code == GRPC_OK && link_ready(l)) {
        return true;
    }
    log_warn("agent", "store: %s: %s (%s); stopping anyway", what, text,
             grpc_code_name(code));
    link_farewell_done(l);
    return false;
}

static void ask(struct link *l, const char *path, grpc_unary_fn *on_done)
{
    CHECK(!l->farewell);
    l->farewell = grpc_unary(l->channel, path, buf_slice(&l->request),
                             LINK_STOP_MS, on_done, l);
}

/* ---- Leave ------------------------------------------------------------- */

static void on_revoked(void *ctx, enum grpc_code code, const char *text,
                       struct slice reply)
{
    struct link *l = ctx;

    (void)reply;
    if (answered(l, "revoking the lease", code, text)) {
        l->lease.id = 0;
        link_farewell_done(l);
    }
}

static void on_deleted(void *ctx, enum grpc_code code, const char *text,
                       struct slice reply)
{
    struct link *l = ctx;
    struct arena arena = {0};
    Etcdserverpb__TxnResponse *r;

    if (!answered(l, "deregistering", code, text)) {
        return;
    }
    r = pb_decode(&arena, &etcdserverpb__txn_response__descriptor, reply);
    if (r && r->header) {
        l->leave_revision = r->header->revision;
        link_farewell_catalog_changed(l);
    } else {
        link_farewell_done(l);
    }
    arena_release(&arena);
}

static void on_rest_deleted(void *ctx, enum grpc_code code, const char *text,
                            struct slice reply);

/* Of what else there is; that may hang on a lease of before a restart. */
static bool leave_rest(const struct link *l, struct arena *arena,
                       struct sync_txn *out_txn)
{
    return l->hooks.on_farewell &&
           l->hooks.on_farewell(l->hooks.ctx, 0, arena, out_txn);
}

static void leave_next(struct link *l)
{
    struct arena arena = {0};
    struct sync_txn txn;

    l->leave_revision = 0;
    if (sync_leave(l->local, l->catalog, &arena, &txn)) {
        etcd_txn(&l->request, &txn);
        ask(l, ETCD_TXN, on_deleted);
    } else if (leave_rest(l, &arena, &txn)) {
        etcd_txn(&l->request, &txn);
        ask(l, ETCD_TXN, on_rest_deleted);
    } else if (l->lease.id != 0) {
        etcd_lease_id(&l->request, l->lease.id);
        ask(l, ETCD_REVOKE, on_revoked);
    } else {
        link_farewell_done(l);
    }
    arena_release(&arena);
}

static void on_rest_deleted(void *ctx, enum grpc_code code, const char *text,
                            struct slice reply)
{
    struct link *l = ctx;

    (void)reply;
    if (answered(l, "deregistering", code, text)) {
        leave_next(l);
    }
}

/* Each batch is what the replica still shows as ours, so it waits until the
 * watch has shown the batch before. */
void link_farewell_catalog_changed(struct link *l)
{
    if (l->stopping && l->leave_revision != 0 && !l->farewell &&
        link_ready(l) && catalog_revision(l->catalog) >= l->leave_revision) {
        leave_next(l);
    }
}

/* ---- Keep -------------------------------------------------------------- */

static void on_moved(void *ctx, enum grpc_code code, const char *text,
                     struct slice reply);

static void move_next(struct link *l)
{
    struct arena arena = {0};
    struct sync_txn txn;

    if (l->hooks.on_farewell &&
        l->hooks.on_farewell(l->hooks.ctx, l->grace_lease, &arena, &txn)) {
        etcd_txn(&l->request, &txn);
        ask(l, ETCD_TXN, on_moved);
    } else {
        link_farewell_done(l);
    }
    arena_release(&arena);
}

static void on_moved(void *ctx, enum grpc_code code, const char *text,
                     struct slice reply)
{
    struct link *l = ctx;

    (void)reply;
    if (answered(l, "moving to the lease for the restart", code, text)) {
        move_next(l);
    }
}

static void on_grace_granted(void *ctx, enum grpc_code code, const char *text,
                             struct slice reply)
{
    struct link *l = ctx;
    struct arena arena = {0};
    Etcdserverpb__LeaseGrantResponse *r;

    if (!answered(l, "lease for the restart", code, text)) {
        return;
    }
    r = pb_decode(&arena, &etcdserverpb__lease_grant_response__descriptor,
                  reply);
    if (r && r->id != 0) {
        l->grace_lease = r->id;
        link_live_value(l, true);
        etcd_put(&l->request, l->live_key, buf_slice(&l->live_value), r->id);
        ask(l, ETCD_PUT, on_moved);
    } else {
        link_farewell_done(l);
    }
    arena_release(&arena);
}

void link_farewell_begin(struct link *l)
{
    if (!link_ready(l) || !l->lease.attached) {
        link_farewell_done(l);
    } else if (l->stop_mode == LINK_STOP_LEAVE) {
        leave_next(l);
    } else {
        etcd_grant(&l->request, l->config.restart_grace_s);
        ask(l, ETCD_GRANT, on_grace_granted);
    }
}
