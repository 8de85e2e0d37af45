/* Locks of all agents: keys under our lease, put if nobody has them. */

#include <stdlib.h>

#include "agent/io/link_impl.h"
#include "base/core/check.h"
#include "base/core/log.h"

struct locking {
    int64_t lease_id; /* Which the lock is asked for. */
    link_lock_fn *on_done;
    void *arg;
};

static enum link_lock_result answer(const struct locking *k,
                                    const Etcdserverpb__TxnResponse *r,
                                    struct link_lock_holder *out_holder)
{
    const Etcdserverpb__RangeResponse *range = NULL;
    const Mvccpb__KeyValue *kv;

    if (r->succeeded) {
        out_holder->lease_id = k->lease_id;
        out_holder->create_revision = r->header->revision;
        return LINK_LOCK_OURS;
    }
    if (r->n_responses == 1 &&
        r->responses[0]->response_case ==
            ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE) {
        range = r->responses[0]->response_range;
    }
    if (!range || range->n_kvs != 1) {
        return LINK_LOCK_FAILED;
    }
    kv = range->kvs[0];
    out_holder->lease_id = kv->lease;
    out_holder->create_revision = kv->create_revision;
    out_holder->value = slice_of(kv->value.data, kv->value.len);
    /* Ours already: an earlier answer got lost. */
    return kv->lease == k->lease_id ? LINK_LOCK_OURS : LINK_LOCK_OTHERS;
}

static void on_answer(void *ctx, enum grpc_code code, const char *text,
                      struct slice reply)
{
    struct locking *k = ctx;
    struct link_lock_holder holder = {0};
    enum link_lock_result result = LINK_LOCK_FAILED;
    struct arena arena = {0};
    const Etcdserverpb__TxnResponse *r = NULL;

    if (code == GRPC_OK) {
        r = pb_decode(&arena, &etcdserverpb__txn_response__descriptor, reply);
    }
    if (r && r->header) {
        result = answer(k, r, &holder);
    }
    if (code != GRPC_OK) {
        /* Whether the member is to blame is the pulse's to find out. */
        log_debug("agent", "store: lock: %s (%s)", text, grpc_code_name(code));
    }
    k->on_done(k->arg, result, &holder);
    arena_release(&arena);
    free(k);
}

bool link_lock(struct link *l, struct slice key, struct slice value,
               link_lock_fn *on_done, void *arg)
{
    struct locking *k;

    if (!link_ready(l) || !l->lease.attached || l->stopping) {
        return false;
    }
    k = calloc(1, sizeof(*k));
    CHECK(k != NULL);
    *k = (struct locking){
        .lease_id = l->lease.id, .on_done = on_done, .arg = arg};
    etcd_attach(&l->request, key, value, l->lease.id, 0);
    (void)grpc_unary(l->channel, ETCD_TXN, buf_slice(&l->request), LINK_CALL_MS,
                     on_answer, k);
    return true;
}
