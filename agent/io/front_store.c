/* Requests that go to the store: confirmations that the replica is where the
 * store is, transactions, and what decides step by step (API_STORE). A client
 * that has left meanwhile is noticed when the answer comes. */

#include "agent/io/front_impl.h"
#include "agent/io/link.h"

/* How often a transaction that lost a race is tried. */
#define TXN_TRIES_MAX 5

#define CONFIRM_MS    7000

/* The same of what decides anew after a guard did not hold: each time somebody
 * else has got on. */
#define STORE_TRIES_MAX 64

static void on_confirmed(void *arg, enum status st)
{
    struct pending *p = arg;

    p->busy = false;
    if (st || !p->exchange) {
        pending_fail(p, 500, "No cluster leader");
        return;
    }
    p->request.confirmed = true;
    pending_ask(p);
}

void front_confirm(struct pending *p)
{
    p->busy = true;
    link_confirm(p->store, CONFIRM_MS, on_confirmed, p);
}

static void on_raced(void *arg, enum status st)
{
    struct pending *p = arg;

    p->busy = false;
    if (st || !p->exchange) {
        pending_fail(p, 500, "No cluster leader");
    } else {
        pending_ask(p);
    }
}

/* It is written, whether the replica has heard of it or not. */
static void on_settled(void *arg, enum status st)
{
    struct pending *p = arg;

    (void)st;
    p->busy = false;
    pending_reply(p);
}

static void on_txn(void *arg, enum sync_result result, int64_t revision)
{
    struct pending *p = arg;
    struct front *f = p->front;
    struct api_view view;
    bool settle;

    (void)revision;
    p->busy = false;
    if (!p->exchange) { /* Of the agent, too, there may be nothing to see. */
        pending_free(p);
        return;
    }
    if (result == SYNC_WRITTEN && p->outcome.txn_again && !f->stopping) {
        p->request.confirmed = true;
        p->busy = true;
        link_confirm(p->store, CONFIRM_MS, on_raced, p);
        return;
    }
    if (result == SYNC_GUARDED && ++p->tries < TXN_TRIES_MAX && !f->stopping) {
        /* Somebody was quicker: look at what is there now. */
        p->busy = true;
        link_confirm(p->store, CONFIRM_MS, on_raced, p);
        return;
    }
    settle = p->outcome.settle && result == SYNC_WRITTEN && !f->stopping;
    f->hooks.view(f->hooks.ctx, FRONT_PLAIN, &view);
    api_txn_done(result, &view, &p->arena, &p->outcome);
    if (settle) { /* Whoever was given a token may use it here at once. */
        p->busy = true;
        link_confirm(p->store, CONFIRM_MS, on_settled, p);
    } else {
        pending_reply(p);
    }
}

void front_txn(struct pending *p)
{
    p->busy = true;
    link_txn(p->store, &p->outcome.txn, on_txn, p);
}

static void on_stored(void *arg, struct store_answer *answer)
{
    struct pending *p = arg;
    bool raced = answer->result == STORE_GUARDED;

    p->busy = false;
    if (!p->exchange) {
        pending_free(p);
    } else if (raced && ++p->tries == STORE_TRIES_MAX) {
        pending_fail(p, 500, "Too many others write the same keys; try again");
    } else if (api_store_answered(&p->flow, answer, &p->seen, &p->done,
                                  &p->outcome)) {
        pending_ask(p);
    } else {
        pending_reply(p);
    }
}

void front_store(struct pending *p)
{
    if (p->outcome.ask.full) {
        pending_fail(p, 413, "The request touches too many keys of the store");
        return;
    }
    p->busy = true;
    link_store(p->store, &p->outcome.ask, on_stored, p);
}

/* What was seen is read again then; it need not be kept meanwhile. */
void front_follow(struct pending *p)
{
    struct front *f = p->front;

    store_answer_release(&p->seen);
    p->flow.seen = NULL;
    if (!parking_follow(&f->parking, p)) {
        pending_fail(p, 429, "Too many requests wait for keys of the store");
    }
}
