/*
 * wait.c - proposals and reads on their way through the node.
 */
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "store/api/core.h"

enum {
    IDLE_MAX = 4096
};

static uint64_t tag_of(const struct wait *w)
{
    return (uint64_t)(uintptr_t)w;
}

static struct wait *wait_of(uint64_t tag)
{
    return (struct wait *)(uintptr_t)tag;
}

/* etcd's time for a proposal or read: 5 s and two elections. */
static uint64_t expiry_of(const struct api *api)
{
    return loop_now_ms(api->config.loop) + 5000 +
           2 * api->config.election_timeout_ms;
}

static struct wait *wait_new(struct api *api, enum wait_kind kind,
                             wait_done_fn *on_done, void *owner)
{
    struct wait *w = TAILQ_FIRST(&api->idle);

    if (w != NULL) {
        TAILQ_REMOVE(&api->idle, w, aged);
        api->idle_count--;
    } else {
        w = malloc(sizeof(*w));
        CHECK(w != NULL);
    }
    *w = (struct wait){.api = api,
                       .kind = kind,
                       .owner = owner,
                       .on_done = on_done,
                       .expires_ms = expiry_of(api)};
    TAILQ_INSERT_TAIL(&api->waits, w, aged);
    api->waits_count++;
    return w;
}

static void wait_unlist(struct wait *w)
{
    struct api *api = w->api;

    if (w->parked) {
        TAILQ_REMOVE(&api->parked, w, in_park);
        api->parked_count--;
        w->parked = false;
    }
    if (w->forwarded) {
        LIST_REMOVE(w, in_forwarded);
        api->forwarded_count--;
        w->forwarded = false;
    }
    buf_release(&w->entry);
}

static void wait_free(struct wait *w)
{
    struct api *api = w->api;

    wait_unlist(w);
    TAILQ_REMOVE(&api->waits, w, aged);
    api->waits_count--;
    if (api->idle_count < IDLE_MAX) {
        TAILQ_INSERT_HEAD(&api->idle, w, aged);
        api->idle_count++;
    } else {
        free(w);
    }
}

/* The node, or whoever stands in for it, has nothing more to say of it. */
static void wait_end(struct wait *w, enum status st,
                     const struct kv_reply *reply)
{
    void *owner = w->owner;

    if (owner != NULL) {
        w->on_done(w, st, reply);
    }
    wait_free(w);
}

/* Its owner is answered now; the node's answer, when it comes, is dropped. */
static void wait_give_up(struct wait *w, enum status st)
{
    if (!w->in_node) {
        wait_end(w, st, NULL);
    } else if (w->owner != NULL) {
        w->on_done(w, st, NULL);
        w->owner = NULL;
    }
}

static bool park(struct wait *w)
{
    struct api *api = w->api;

    if (api->parked_count >= LIMIT_API_PARKED) {
        return false;
    }
    w->parked = true;
    TAILQ_INSERT_TAIL(&api->parked, w, in_park);
    api->parked_count++;
    return true;
}

static struct wait_chain *chain_of(struct api *api, uint64_t id)
{
    return &api->forwarded[id & (WAIT_CHAINS - 1)];
}

/* The node will not say what becomes of it. */
static void note_forwarded(struct wait *w)
{
    w->forwarded = true;
    LIST_INSERT_HEAD(chain_of(w->api, w->id), w, in_forwarded);
    w->api->forwarded_count++;
}

static struct wait *find_forwarded(struct api *api, uint64_t id)
{
    struct wait *w;

    LIST_FOREACH(w, chain_of(api, id), in_forwarded)
    {
        if (w->id == id) {
            return w;
        }
    }
    return NULL;
}

/* Hand it to the node, or let it wait for a leader. */
static enum status submit(struct wait *w, struct slice entry, bool *out_ready)
{
    struct api *api = w->api;
    bool forwarded = false;
    enum status st;

    *out_ready = false;
    if (w->kind == WAIT_READ) {
        st = node_read(api->node, tag_of(w), out_ready);
    } else {
        st = node_propose(api->node, w->type, entry, tag_of(w), &forwarded);
    }
    if (st == ST_OK && forwarded) {
        note_forwarded(w);
    } else if (st == ST_OK) {
        w->in_node = !*out_ready;
    } else if (st == ST_NOT_LEADER) {
        st = park(w) ? ST_OK : ST_BUSY;
    }
    return st;
}

/* Propose what lies in api->entry. */
static struct wait *propose(struct api *api, enum raft_entry_type type,
                            uint64_t id, wait_done_fn *on_done, void *owner,
                            enum status *out_st)
{
    struct wait *w;
    bool ready;

    if (api->stopped) {
        *out_st = ST_CLOSED;
        return NULL;
    }
    if (api->entry.len > api->config.max_request_bytes) {
        *out_st = ST_TOO_BIG;
        return NULL;
    }
    w = wait_new(api, WAIT_PROPOSAL, on_done, owner);
    w->type = type;
    w->id = id;
    *out_st = submit(w, buf_slice(&api->entry), &ready);
    if (*out_st) {
        wait_free(w);
        return NULL;
    }
    if (w->parked) {
        buf_init(&w->entry, SIZE_MAX);
        CHECK(buf_add(&w->entry, buf_slice(&api->entry)) == ST_OK);
    }
    api->config.wake(api->config.ctx);
    return w;
}

struct wait *wait_propose(struct api *api, enum kv_kind kind,
                          struct slice request, wait_done_fn *on_done,
                          void *owner, enum status *out_st)
{
    uint64_t id = api->next_id++;

    buf_clear(&api->entry);
    kv_entry_pack(&api->entry, id, kind, request);
    return propose(api, RAFT_ENTRY_NORMAL, id, on_done, owner, out_st);
}

struct wait *wait_change(struct api *api, const struct raft_change *change,
                         struct slice context, wait_done_fn *on_done,
                         void *owner, enum status *out_st)
{
    uint64_t id = api->next_id++;

    buf_clear(&api->entry);
    raftpb_change_pack(change, id, context, &api->entry);
    return propose(api, RAFT_ENTRY_CONF, id, on_done, owner, out_st);
}

struct wait *wait_read(struct api *api, wait_done_fn *on_done, void *owner,
                       bool *out_ready, enum status *out_st)
{
    struct wait *w;

    *out_ready = false;
    if (api->stopped) {
        *out_st = ST_CLOSED;
        return NULL;
    }
    w = wait_new(api, WAIT_READ, on_done, owner);
    *out_st = submit(w, (struct slice){0}, out_ready);
    if (*out_st || *out_ready) {
        wait_free(w);
        return NULL;
    }
    api->config.wake(api->config.ctx);
    return w;
}

void wait_forget(struct wait *w)
{
    if (w == NULL) {
        return;
    }
    w->owner = NULL;
    if (!w->in_node) {
        wait_free(w);
    }
}

void wait_expire(struct api *api, uint64_t now_ms)
{
    struct wait *w;
    struct wait *next;

    /* In the order of age, so the first that has time left ends the search. */
    for (w = TAILQ_FIRST(&api->waits); w != NULL && w->expires_ms <= now_ms;
         w = next) {
        next = TAILQ_NEXT(w, aged);
        wait_give_up(w, ST_TIMEOUT);
    }
}

void wait_unpark(struct api *api)
{
    struct wait_list woken = TAILQ_HEAD_INITIALIZER(woken);
    struct wait *w;

    TAILQ_CONCAT(&woken, &api->parked, in_park);
    api->parked_count = 0;
    while ((w = TAILQ_FIRST(&woken)) != NULL) {
        bool ready;
        enum status st;

        TAILQ_REMOVE(&woken, w, in_park);
        w->parked = false;
        st = submit(w, buf_slice(&w->entry), &ready);
        if (st || ready) {
            wait_end(w, st, NULL);
        } else if (!w->parked) {
            buf_release(&w->entry);
        }
    }
    api->config.wake(api->config.ctx);
}

void wait_refuse_all(struct api *api)
{
    struct wait *w;
    struct wait *next;

    for (w = TAILQ_FIRST(&api->waits); w != NULL; w = next) {
        next = TAILQ_NEXT(w, aged);
        wait_give_up(w, ST_CLOSED);
    }
}

static void free_list(struct wait_list *list)
{
    struct wait *w;

    while ((w = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, w, aged);
        buf_release(&w->entry);
        free(w);
    }
}

void wait_release_all(struct api *api)
{
    free_list(&api->waits);
    free_list(&api->idle);
}

/* --- What the node says --- */

/* Whoever waits for the entry: by its tag, or by its id if it went round by the
 * leader. */
static struct wait *waiter_of(struct api *api, const struct raft_entry *e)
{
    uint64_t id;

    if (e->tag != 0) {
        return wait_of(e->tag);
    }
    if (api->forwarded_count == 0) {
        return NULL;
    }
    id = e->type == RAFT_ENTRY_NORMAL ? kv_entry_id(raft_entry_data(e))
                                      : raftpb_change_note(e).id;
    return find_forwarded(api, id);
}

static void apply_one(struct api *api, const struct raft_entry *e)
{
    struct wait *w = waiter_of(api, e);
    struct kv_entry entry = {
        .index = e->pos.index, .term = e->pos.term, .data = raft_entry_data(e)};

    kv_apply(api->config.kv, &entry, loop_now_ms(api->config.loop),
             w == NULL ? NULL : &api->reply);
    if (w != NULL) {
        wait_end(w, ST_OK, &api->reply);
    }
}

void wait_apply(struct api *api, const struct raft_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        apply_one(api, &entries[i]);
    }
}

bool wait_apply_conf(struct api *api, const struct node_conf_entry *told)
{
    struct wait *w = waiter_of(api, told->entry);
    enum kv_error error = api_apply_member(api, told);

    if (w != NULL) {
        kv_reply_reset(&api->reply);
        api->reply.error = error;
        wait_end(w, ST_OK, &api->reply);
    }
    return error == KV_OK;
}

void wait_dropped(struct api *api, uint64_t tag, enum status why)
{
    (void)api;
    wait_end(wait_of(tag), why, NULL);
}

void wait_read_ready(struct api *api, uint64_t tag, enum status why)
{
    (void)api;
    wait_end(wait_of(tag), why, NULL);
}
