/*
 * ?sync=DURATION: a registration is answered when the store has it too, or with
 * 202 when it has not in that time. Either way it is registered here, and goes
 * to the store sooner or later.
 *
 * The request is handled once to register, then again to look, whenever
 * something of this node changes in the replica; the flow says which it is.
 */
#include "agent/core/api_model.h"
#include "agent/core/duration.h"
#include "base/core/check.h"

enum step {
    STEP_BEGINS,
    STEP_LOOKS
};

bool api_sync_read(struct api_call *call, uint64_t *out_ms)
{
    const char *text = api_param(call, "sync");

    *out_ms = 0;
    if (text == NULL) {
        return true;
    }
    if (duration_parse(slice_str(text), out_ms) || *out_ms > API_WAIT_MS_MAX) {
        api_text(call, 400,
                 "Invalid sync time \"%.64s\"; use a duration like 5s, 10m at "
                 "most",
                 text);
        return false;
    }
    return true;
}

bool api_sync_looks(const struct api_call *call)
{
    return call->request->flow != NULL &&
           call->request->flow->step == STEP_LOOKS;
}

/* ---- Whether the store has it -------------------------------------- */

struct search {
    struct api_call *call;
    struct slice key;
    bool found;
};

static bool has_tags(const struct search *s, const struct local_record *r,
                     const struct catalog_instance *i)
{
    struct buf value;
    bool same;

    buf_init(&value, LIMIT_RECORD_BYTES);
    same = local_record_retag(s->call->view->local, r->id, i->record.tags,
                              &value) == ST_OK &&
           catalog_hash(buf_slice(&value)) == i->value_hash;
    buf_release(&value);
    return same;
}

struct held {
    const struct search *search;
    const struct local_record *wanted;
    bool same;
};

static bool match_instance(void *ctx, const struct catalog_instance *i)
{
    struct held *h = ctx;

    if (!slice_eq(i->key, h->wanted->key)) {
        return true;
    }
    h->same = i->value_hash == h->wanted->hash ||
              (h->wanted->tag_override && has_tags(h->search, h->wanted, i));
    return false;
}

static bool match_check(void *ctx, const struct catalog_node_check *k)
{
    struct held *h = ctx;

    if (!slice_eq(k->key, h->wanted->key)) {
        return true;
    }
    h->same = k->value_hash == h->wanted->hash;
    return false;
}

static bool look_at(void *ctx, const struct local_record *r)
{
    struct search *s = ctx;
    struct held h = {.search = s, .wanted = r};
    const char *node = local_host(s->call->view->local)->node.name;

    if (!slice_eq(r->key, s->key)) {
        return true;
    }
    if (r->id != NULL) {
        catalog_each_node_instance(s->call->view->catalog, node, match_instance,
                                   &h);
    } else {
        catalog_each_node_check(s->call->view->catalog, node, match_check, &h);
    }
    s->found = h.same;
    return false;
}

/* The record that a service, or a check by its id, is a part of. */
static bool find_key(struct api_call *call, const char *service_id,
                     const char *check_id, struct record_key *out)
{
    const struct local *l = call->view->local;
    struct local_check c;
    struct local_service s;

    *out = (struct record_key){.node = local_host(l)->node.name};
    if (check_id != NULL) {
        if (!local_check_get(l, check_id, &c)) {
            return false;
        }
        service_id = c.def->service_id;
    }
    if (*service_id == '\0') {
        out->kind = RECORD_NODE_CHECK;
        out->id = check_id;
        return true;
    }
    if (!local_service_get(l, service_id, &s)) {
        return false;
    }
    out->kind = RECORD_INSTANCE;
    out->service = s.def->name;
    out->id = s.def->id;
    return true;
}

/* ---- The reply ----------------------------------------------------- */

static void wait_more(struct api_call *call, uint64_t deadline_ms)
{
    struct api_outcome *o = call->outcome;

    o->kind = API_WAIT;
    o->scope = (struct catalog_scope){
        .kind = SCOPE_NODE, .name = local_host(call->view->local)->node.name};
    o->index = catalog_index(call->view->catalog, o->scope);
    o->deadline_ms = deadline_ms;
    call->request->flow->step = STEP_LOOKS;
}

void api_sync_reply(struct api_call *call, uint64_t ms, const char *service_id,
                    const char *check_id)
{
    uint64_t deadline_ms = call->request->arrived_ms + ms;
    struct record_key key;
    struct search s = {.call = call};

    if (api_param(call, "sync") == NULL || call->request->flow == NULL ||
        !find_key(call, service_id, check_id, &key)) {
        api_done(call); /* Or it was deregistered meanwhile. */
        return;
    }
    s.key = record_key_write(call->arena, call->dc, &key);
    local_each_record(call->view->local, look_at, &s);
    if (s.found) {
        api_done(call);
    } else if (call->view->now.now_ms < deadline_ms) {
        wait_more(call, deadline_ms);
    } else {
        api_text(call, 202,
                 "Registered here; the store does not have it yet, and will "
                 "when it can");
    }
}
