/*
 * members.c - MemberAdd, MemberRemove, MemberUpdate, MemberPromote.
 *
 * The checks are etcd's --strict-reconfig-check: a change must not leave the
 * cluster without a majority of members that run.
 */
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/log.h"
#include "base/core/pb.h"
#include "base/core/wire.h"
#include "store/api/core.h"

enum {
    URLS_MAX = 16,
    CONNECTED_MS = 5000, /* As etcd: so long all must have been heard. */
    SYNC_PERCENT = 90    /* A learner's log, before it gets a vote. */
};

/* In the call's arena. */
struct change_call {
    struct grpc_call *call;
    struct wait *wait;
    uint64_t id;     /* The member's. */
    bool adds;       /* The answer holds the new member first. */
    struct ask *ask; /* The leader is asked to do it. */
};

/* --- Counting --- */

static bool is_active(const struct api *api, uint64_t id, uint64_t *out_since)
{
    if (id == api->own.member) {
        *out_since = 0;
        return true;
    }
    *out_since = api->config.active_since(api->config.ctx, id);
    return *out_since != 0;
}

struct counted {
    size_t voters;
    size_t connected; /* Of them, for CONNECTED_MS. */
    size_t rest;      /* The voters without `except`, */
    size_t started;   /* and of those. */
};

static struct counted count_voters(const struct api *api, uint64_t except)
{
    uint64_t now_ms = loop_now_ms(api->config.loop);
    struct counted c = {0};
    size_t count;
    const struct kv_member *members = kv_members(api->config.kv, &count);

    for (size_t i = 0; i < count; i++) {
        uint64_t since = 0;

        if (members[i].is_learner) {
            continue;
        }
        c.voters++;
        c.connected += is_active(api, members[i].id, &since) &&
                       since + CONNECTED_MS <= now_ms;
        if (members[i].id != except) {
            c.rest++;
            c.started += members[i].name[0] != '\0';
        }
    }
    return c;
}

static enum kv_error check_strictly_add(const struct api *api, bool voter)
{
    struct counted c = count_voters(api, RAFT_NOBODY);
    size_t after = c.voters + 1;
    bool first = c.started == 1 && after == 2; /* One may become two. */

    if (!api->config.strict_reconfig_check) {
        return KV_OK;
    }
    if (voter && !first && c.started < after / 2 + 1) {
        return KV_NOT_ENOUGH_STARTED;
    }
    return c.connected < c.voters ? KV_UNHEALTHY : KV_OK;
}

/* The learner runs: it has our log. */
static enum kv_error check_strictly_promote(const struct api *api)
{
    struct counted c = count_voters(api, RAFT_NOBODY);

    return api->config.strict_reconfig_check &&
                   c.started + 1 < (c.voters + 1) / 2 + 1
               ? KV_NOT_ENOUGH_STARTED
               : KV_OK;
}

static enum kv_error check_strictly_remove(const struct api *api, uint64_t id)
{
    const struct kv_member *m = api_member(api, id);
    struct counted c = count_voters(api, id);
    uint64_t since;

    if (!api->config.strict_reconfig_check || (m != NULL && m->is_learner)) {
        return KV_OK;
    }
    if (c.started < c.rest / 2 + 1) {
        return KV_NOT_ENOUGH_STARTED;
    }
    if (m == NULL || !is_active(api, id, &since)) {
        return KV_OK; /* Nobody counts on it. */
    }
    return c.connected < 2 + (c.voters - 1) / 2 ? KV_UNHEALTHY : KV_OK;
}

/* --- The change, proposed and answered --- */

static void answer(struct change_call *c)
{
    struct api *api = api_of(c->call);
    struct buf *out = grpc_call_begin_message(c->call);
    const struct kv_member *m = api_member(api, c->id);

    api_write_header(api, out, 0);
    if (c->adds && m != NULL) {
        api_put_member(out, 2, m);
    }
    api_put_members(api, out, c->adds ? 3 : 2);
    grpc_call_end_message(c->call);
    grpc_call_finish(c->call, GRPC_OK, NULL);
}

static void on_changed(struct wait *w, enum status st,
                       const struct kv_reply *reply)
{
    struct change_call *c = w->owner;

    c->wait = NULL;
    if (st) {
        api_end_failed(c->call, st);
    } else if (reply->error) {
        api_refuse(c->call, reply->error);
    } else {
        answer(c);
    }
}

static struct change_call *change_of(struct grpc_call *call, uint64_t id)
{
    struct change_call *c = arena_zalloc(grpc_call_arena(call), 1, sizeof(*c));

    c->call = call;
    c->id = id;
    grpc_call_set_data(call, c);
    return c;
}

static void propose(struct change_call *c, enum raft_change_type type,
                    struct slice context)
{
    struct raft_change change = {.type = type, .id = c->id};
    enum status st;

    c->wait =
        wait_change(api_of(c->call), &change, context, on_changed, c, &st);
    if (c->wait == NULL) {
        api_end_failed(c->call, st);
    }
}

void api_change_closed(struct grpc_call *call)
{
    struct change_call *c = grpc_call_data(call);

    if (c != NULL) {
        wait_forget(c->wait);
        ask_forget(c->ask);
    }
}

/* --- Reading requests --- */

struct urls {
    const char *list[URLS_MAX];
    size_t count;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Neither what ends a line of HTTP nor what JSON could not hold. */
static bool is_printable(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

/* false: more than there may be, no text of a URL, or not decodable. Sorted. */
static bool take_urls(struct grpc_call *call, struct slice request,
                      unsigned field, struct urls *out)
{
    struct pb_field f;

    out->count = 0;
    while (pb_next(&request, &f)) {
        if (f.number != field || f.type != PB_BYTES) {
            continue;
        }
        if (out->count == URLS_MAX || f.bytes.len > LIMIT_URL_BYTES ||
            !is_printable(f.bytes)) {
            return false;
        }
        out->list[out->count++] = arena_strdup(grpc_call_arena(call), f.bytes);
    }
    qsort(out->list, out->count, sizeof(out->list[0]), by_text);
    return request.len == 0;
}

static uint64_t take_number(struct slice request, unsigned field)
{
    struct pb_field f;
    uint64_t value = 0;

    while (pb_next(&request, &f)) {
        if (f.number == field && f.type == PB_VARINT) {
            value = f.value;
        }
    }
    return value;
}

static bool url_is_good(const char *url)
{
    const char *host = strstr(url, "://");
    const char *port = strrchr(url, ':');

    if (strncmp(url, "unix://", 7) == 0 || strncmp(url, "unixs://", 8) == 0) {
        return true;
    }
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        return false;
    }
    return port > host + 3 && strchr(host + 3, '/') == NULL &&
           strspn(port + 1, "0123456789") == strlen(port + 1) &&
           port[1] != '\0' && strtoul(port + 1, NULL, 10) <= UINT16_MAX;
}

static bool urls_are_good(const struct urls *urls)
{
    for (size_t i = 0; i < urls->count; i++) {
        if (!url_is_good(urls->list[i])) {
            return false;
        }
    }
    return urls->count > 0;
}

/* The JSON that goes with the entry. */
static struct slice context_of(struct grpc_call *call,
                               const struct kv_member *m)
{
    struct buf json;
    struct slice copy;

    buf_init(&json, SIZE_MAX);
    kv_member_json(m, &json);
    copy = arena_copy(grpc_call_arena(call), buf_slice(&json));
    buf_release(&json);
    return copy;
}

/* etcd's id of a member that is added at run time: by URLs, cluster and second.
 */
static uint64_t new_id(const struct api *api, const struct urls *urls)
{
    uint8_t digest[SHA_DIGEST_LENGTH];
    struct buf bytes;

    buf_init(&bytes, SIZE_MAX);
    for (size_t i = 0; i < urls->count; i++) {
        CHECK(buf_add_str(&bytes, urls->list[i]) == ST_OK);
    }
    CHECK(buf_add_str(&bytes, api->config.cluster_token) == ST_OK);
    CHECK(buf_addf(&bytes, "%" PRIu64, loop_wall_ms() / 1000) == ST_OK);
    (void)SHA1(bytes.data, bytes.len, digest);
    buf_release(&bytes);
    return wire_get_u64be(digest);
}

/* --- The services --- */

void api_member_add(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);
    bool learner = take_number(request, 2) != 0;
    enum raft_change_type type = learner ? RAFT_ADD_LEARNER : RAFT_ADD_VOTER;
    struct kv_membership change = {.change = learner ? KV_MEMBER_ADD_LEARNER
                                                     : KV_MEMBER_ADD};
    char no_name[] = "";
    struct kv_member m = {.name = no_name, .is_learner = learner};
    struct change_call *c;
    struct urls urls;
    enum kv_error error;

    if (!api_may_learner(call, false) || !api_has_leader(call)) {
        return;
    }
    if (!take_urls(call, request, 1, &urls) || !urls_are_good(&urls)) {
        api_refuse(call, KV_BAD_MEMBER_URLS);
        return;
    }
    m.id = new_id(api, &urls);
    m.peer_urls = (char **)urls.list;
    m.peer_urls_count = urls.count;
    change.id = m.id;
    change.context = context_of(call, &m);
    error = check_strictly_add(api, !learner);
    error = error ? error : kv_check_member(api->config.kv, &change);
    if (error) {
        api_refuse(call, error);
        return;
    }
    c = change_of(call, m.id);
    c->adds = true;
    propose(c, type, change.context);
}

void api_member_remove(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);
    struct kv_membership change = {.change = KV_MEMBER_REMOVE,
                                   .id = take_number(request, 1)};
    enum kv_error error;

    if (!api_may_learner(call, false) || !api_has_leader(call)) {
        return;
    }
    error = check_strictly_remove(api, change.id);
    error = error ? error : kv_check_member(api->config.kv, &change);
    if (error) {
        api_refuse(call, error);
    } else {
        propose(change_of(call, change.id), RAFT_REMOVE, (struct slice){0});
    }
}

void api_member_update(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);
    struct kv_membership change = {.change = KV_MEMBER_UPDATE,
                                   .id = take_number(request, 1)};
    char no_name[] = "";
    struct kv_member m = {.id = change.id, .name = no_name};
    struct urls urls;
    enum kv_error error;

    if (!api_may_learner(call, false) || !api_has_leader(call)) {
        return;
    }
    if (!take_urls(call, request, 2, &urls) || !urls_are_good(&urls)) {
        api_refuse(call, KV_BAD_MEMBER_URLS);
        return;
    }
    m.peer_urls = (char **)urls.list;
    m.peer_urls_count = urls.count;
    change.context = context_of(call, &m);
    error = kv_check_member(api->config.kv, &change);
    if (error) {
        api_refuse(call, error);
    } else {
        propose(change_of(call, change.id), RAFT_UPDATE, change.context);
    }
}

/* Whether the learner has nearly all that we have. Only a leader knows. */
static bool is_in_sync(const struct api *api, uint64_t id)
{
    uint64_t last = node_status(api->node).last_index;
    struct raft_progress progress;

    return node_progress(api->node, id, &progress) &&
           progress.match * 100 >= last * SYNC_PERCENT;
}

enum kv_error api_check_promotion(struct api *api, uint64_t id)
{
    const struct kv_member *m = api_member(api, id);

    if (m == NULL) {
        return KV_MEMBER_NOT_FOUND;
    }
    if (!m->is_learner) {
        return KV_MEMBER_NOT_LEARNER;
    }
    if (!is_in_sync(api, id)) {
        return KV_LEARNER_NOT_READY;
    }
    return check_strictly_promote(api);
}

struct wait *api_promote(struct api *api, uint64_t id, wait_done_fn *on_done,
                         void *owner, enum status *out_st)
{
    static const char more[] = ",\"isPromote\":true}";
    struct raft_change change = {.type = RAFT_ADD_VOTER, .id = id};
    const struct kv_member *m = api_member(api, id);
    struct wait *w;
    struct buf json;

    CHECK(m != NULL);
    buf_init(&json, SIZE_MAX);
    kv_member_json(m, &json);
    json.len--;
    CHECK(buf_add_str(&json, more) == ST_OK);
    w = wait_change(api, &change, buf_slice(&json), on_done, owner, out_st);
    buf_release(&json);
    return w;
}

static void promote_here(struct grpc_call *call, uint64_t id)
{
    struct api *api = api_of(call);
    enum kv_error error = api_check_promotion(api, id);
    struct change_call *c;
    enum status st;

    if (error) {
        api_refuse(call, error);
        return;
    }
    c = change_of(call, id);
    c->wait = api_promote(api, id, on_changed, c, &st);
    if (c->wait == NULL) {
        api_end_failed(call, st);
    }
}

/* The leader's refusals have etcd's texts. */
static void on_leader_said(void *owner, int status, struct slice body)
{
    struct change_call *c = owner;
    enum kv_error error = kv_error_of_text(body);

    c->ask = NULL;
    if (status == 200) {
        answer(c);
    } else if (error != KV_OK) {
        api_refuse(c->call, error);
    } else {
        api_end_failed(c->call, ST_TIMEOUT);
    }
}

static void promote_there(struct grpc_call *call, uint64_t id)
{
    struct change_call *c = change_of(call, id);
    char path[64];

    (void)snprintf(path, sizeof(path), "/members/promote/%" PRIu64, id);
    c->ask =
        ask_leader(api_of(call), path, (struct slice){0}, on_leader_said, c);
}

void api_member_promote(struct grpc_call *call, struct slice request)
{
    struct api *api = api_of(call);
    uint64_t id = take_number(request, 1);

    if (!api_may_learner(call, false) || !api_has_leader(call)) {
        return;
    }
    if (api->leader == api->own.member) {
        promote_here(call, id);
    } else if (api->leader == RAFT_NOBODY) {
        api_end_failed(call, ST_NO_LEADER);
    } else {
        promote_there(call, id);
    }
}
