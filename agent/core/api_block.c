/*
 * Blocking queries: what every read of the catalogue understands, how long it
 * waits, and for what.
 */
#include "agent/core/api_model.h"
#include "agent/core/duration.h"
#include "base/core/hash.h"

enum {
    WAIT_MS_DEFAULT = 300000,
    WAIT_JITTER = 16, /* Up to a 16th comes on top. */
};

/* ---- Parameters --------------------------------------------------- */

bool api_read_index(struct api_call *call, uint64_t *out_index)
{
    const char *text = api_param(call, "index");
    uint64_t index = 0;

    if (text == NULL || *text == '\0') {
        *out_index = 0;
        return true;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || index > UINT64_MAX / 10 - 10) {
            api_text(call, 400, "Invalid index");
            return false;
        }
        index = index * 10 + (uint64_t)(*text - '0');
    }
    *out_index = index;
    return true;
}

bool api_read_wait(struct api_call *call, uint64_t *out_ms)
{
    const char *text = api_param(call, "wait");
    uint64_t ms = 0;

    if (text != NULL && *text != '\0' && duration_parse(slice_str(text), &ms)) {
        api_text(call, 400, "Invalid wait time");
        return false;
    }
    if (ms == 0) {
        ms = WAIT_MS_DEFAULT;
    }
    *out_ms = ms > API_WAIT_MS_MAX ? API_WAIT_MS_MAX : ms;
    return true;
}

static void query_headers(struct api_call *call, uint64_t index)
{
    const struct api_view *v = call->view;
    bool cached = api_param(call, "cached") != NULL;
    const char *mode = "leader";

    if (api_param(call, "stale") != NULL) {
        mode = "stale";
    } else if (call->request->confirmed) {
        mode = "consistent";
    }
    api_header(call, "X-Consul-Index",
               arena_printf(call->arena, "%llu", (unsigned long long)index));
    api_header(call, "X-Consul-KnownLeader",
               v->known_leader ? "true" : "false");
    api_header(call, "X-Consul-LastContact",
               arena_printf(call->arena, "%llu",
                            (unsigned long long)v->last_contact_ms));
    api_header(call, "X-Consul-Effective-Consistency", mode);
    api_header(call, "X-Consul-Default-ACL-Policy", api_default_policy(call));
    api_header(call, "X-Consul-Query-Backend", "blocking-query");
    if (v->translate_wan) {
        api_header(call, "X-Consul-Translate-Addresses", "true");
    }
    if (cached) {
        api_header(call, "X-Cache", "HIT");
        api_header(call, "Age",
                   arena_printf(call->arena, "%llu",
                                (unsigned long long)v->last_contact_ms / 1000));
    }
}

void api_poll_headers(struct api_call *call, uint64_t index)
{
    query_headers(call, index);
}

/* ?max_stale: how old an answer to ?stale may be. False: the reply is made. */
static bool read_max_stale(struct api_call *call, uint64_t *out_ms)
{
    const char *text = api_param(call, "max_stale");

    *out_ms = UINT64_MAX;
    if (text == NULL || *text == '\0' ||
        duration_parse(slice_str(text), out_ms) == ST_OK) {
        return true;
    }
    api_text(call, 400, "Invalid max_stale value \"%.64s\"", text);
    return false;
}

/* Whether the replica alone may answer. The reply is made if not. */
static bool accept_age(struct api_call *call)
{
    const struct api_view *v = call->view;
    bool stale = api_param(call, "stale") != NULL;
    uint64_t max_ms;

    if (!read_max_stale(call, &max_ms)) {
        return false;
    }
    stale = stale && v->last_contact_ms <= max_ms;
    /* Nothing was ever read: an empty list would be a lie. */
    if (catalog_revision(v->catalog) == 0 ||
        (v->strict_default && !stale && !v->known_leader)) {
        api_text(call, 500, "No cluster leader");
        return false;
    }
    return true;
}

/* Parameters that every read of the catalogue understands. */
static bool accept_read(struct api_call *call)
{
    bool consistent = api_param(call, "consistent") != NULL;

    if (consistent && (api_param(call, "stale") != NULL ||
                       api_param(call, "cached") != NULL)) {
        api_text(call, 400,
                 "Cannot specify ?consistent together with ?stale or ?cached");
        return false;
    }
    if (consistent && !call->request->confirmed) {
        if (call->view->known_leader) {
            call->outcome->kind = API_CONFIRM;
        } else {
            api_text(call, 500, "No cluster leader");
        }
        return false;
    }
    return accept_age(call);
}

static uint64_t highest_index(const struct catalog *catalog)
{
    return catalog_index(catalog, (struct catalog_scope){.kind = SCOPE_NONE});
}

/* Index and end of a wait; false: the reply is made. */
bool api_ready(struct api_call *call, struct catalog_scope scope)
{
    const struct catalog *catalog = call->view->catalog;
    uint64_t asked;
    uint64_t wait_ms;

    if (!accept_read(call) || !api_read_index(call, &asked) ||
        !api_read_wait(call, &wait_ms)) {
        return false;
    }
    call->scope = scope;
    call->index = catalog_index(catalog, scope);
    call->deadline_ms = call->request->arrived_ms + wait_ms +
                        call->request->jitter % (wait_ms / WAIT_JITTER + 1);
    /* An index beyond the store's revision is from another store. */
    call->may_wait = asked > 0 && asked <= highest_index(catalog) &&
                     call->view->now.now_ms < call->deadline_ms;
    if (call->may_wait && call->index <= asked && !call->answer_now) {
        call->outcome->kind = API_WAIT;
        call->outcome->scope = scope;
        call->outcome->index = asked;
        call->outcome->deadline_ms = call->deadline_ms;
        return false;
    }
    query_headers(call, call->index);
    return true;
}

/* ---- Narrowed polls ------------------------------------------------ */

/* Parameters that choose: not every change of the scope changes the reply. */
static bool is_narrowed(const struct api_call *call)
{
    static const char *const names[] = {"filter", "passing", "tag", "node-meta",
                                        "near"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (api_param(call, names[i]) != NULL) {
            return true;
        }
    }
    return call->scope.kind == SCOPE_STATE;
}

static uint64_t hash_reply(const struct api_outcome *o)
{
    static const struct hash_key key = {0x6e6172726f776564, 0x7265706c79000001};
    uint64_t hash = hash_bytes(key, buf_slice(&o->body));

    return hash == 0 ? 1 : hash; /* 0 stands for none. */
}

static void wait_on(struct api_call *call, uint64_t index, uint64_t seen)
{
    struct api_outcome *o = call->outcome;

    buf_release(&o->body);
    *o = (struct api_outcome){.kind = API_WAIT,
                              .scope = call->scope,
                              .index = index,
                              .deadline_ms = call->deadline_ms,
                              .seen = seen};
}

void api_settle_wait(struct api_call *call, api_handler handle)
{
    struct api_outcome *o = call->outcome;
    uint64_t asked = o->index;

    if (!call->may_wait || !is_narrowed(call)) {
        return;
    }
    if (o->kind == API_WAIT) {
        /* The client has what would be said now. */
        call->answer_now = true;
        call->filter = NULL;
        call->turn = 0;
        api_outcome_init(o);
        handle(call);
        wait_on(call, asked, hash_reply(o));
    } else if (o->kind == API_REPLY && o->status == 200 &&
               call->request->seen != 0 &&
               call->request->seen == hash_reply(o)) {
        wait_on(call, call->index, call->request->seen);
    }
}

bool api_should_wake(const struct api_outcome *waiting,
                     const struct catalog *catalog)
{
    return waiting->index > highest_index(catalog) ||
           catalog_index(catalog, waiting->scope) > waiting->index;
}
