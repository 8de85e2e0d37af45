/*
 * version.c - the version of the cluster: the lowest of its members'.
 *
 * Whoever leads asks all members for their /version, soon after it has begun to
 * lead and every 5 s, and proposes the lowest major.minor of them when that is
 * higher than what holds (etcd: monitorVersions, decideClusterVersion). When
 * one does not answer nothing is decided, but for the first time: then it is
 * etcd's oldest, 3.0.0. A member that is older than the cluster's version ends:
 * it could not understand the log.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/log.h"
#include "base/core/pb.h"
#include "store/api/core.h"

enum {
    ASK_AGAIN_MS = 5000, /* As etcd. */
    ASK_SOON_MS = 500,   /* While nothing is decided, */
    ASK_SOON_COUNT = 10, /* so often. */
    ANSWER_MS = 2000,
    VERSION_BYTES = 32
};

/* "3.5.16" as 3005; 0: it is none. */
static unsigned version_number(const char *text)
{
    unsigned major;
    unsigned minor;

    return sscanf(text, "%5u.%3u", &major, &minor) == 2 ? major * 1000 + minor
                                                        : 0;
}

/* ---- the question ---- */

struct version_round {
    struct api *api;
    size_t waiting;
    unsigned lowest;
    bool incomplete; /* Somebody has not answered. */
};

static void on_versioned(struct wait *w, enum status st,
                         const struct kv_reply *reply)
{
    struct api *api = w->owner;

    api->versioning = NULL;
    if (st == ST_OK && reply->error == KV_OK) {
        log_info("store", "the cluster's version is %s",
                 kv_cluster_version(api->config.kv));
    }
}

static void propose(struct api *api, unsigned version)
{
    struct buf request;
    char text[VERSION_BYTES];
    enum status st;

    (void)snprintf(text, sizeof(text), "%u.%u.0", version / 1000,
                   version % 1000);
    buf_init(&request, LIMIT_HEADER_BYTES);
    pb_bytes(&request, 1, slice_str(text));
    api->versioning = wait_propose(api, KV_CLUSTER_VERSION_SET,
                                   buf_slice(&request), on_versioned, api, &st);
    buf_release(&request);
}

static void round_decide(const struct version_round *r)
{
    struct api *api = r->api;
    unsigned present = version_number(kv_cluster_version(api->config.kv));

    if (api->stopped || api->leader != api->own.member ||
        api->versioning != NULL) {
        return;
    }
    if (!r->incomplete && r->lowest > present) {
        propose(api, r->lowest);
    } else if (present == 0 && r->incomplete &&
               ++api->version.tries >= ASK_SOON_COUNT) {
        propose(api, version_number(API_OLDEST_CLUSTER));
    }
}

static void round_over(struct version_round *r)
{
    if (--r->waiting > 0) {
        return;
    }
    r->api->version.asking = false;
    round_decide(r);
    free(r);
}

/* {"etcdserver":"3.5.16", ...}; 0: there is none. */
static unsigned version_of(struct slice body)
{
    static const char name[] = "\"etcdserver\"";
    char text[256] = "";
    const char *at;

    if (body.len == 0 || body.len >= sizeof(text)) {
        return 0;
    }
    memcpy(text, body.data, body.len);
    at = strstr(text, name);
    if (at == NULL) {
        return 0;
    }
    at += strlen(name);
    at += strspn(at, " :\"");
    return version_number(at);
}

static void on_answer(void *ctx, int status, struct slice body, const char *why)
{
    struct version_round *r = ctx;
    unsigned version = status == 200 ? version_of(body) : 0;

    (void)why;
    if (version == 0) {
        r->incomplete = true;
    } else if (version < r->lowest) {
        r->lowest = version;
    }
    round_over(r);
}

static void round_begin(struct api *api)
{
    struct version_round *r = calloc(1, sizeof(*r));
    size_t count;
    const struct kv_member *members = kv_members(api->config.kv, &count);

    CHECK(r != NULL);
    r->api = api;
    r->lowest = version_number(API_VERSION);
    r->waiting = 1; /* This function itself. */
    api->version.asking = true;
    for (size_t i = 0; i < count; i++) {
        if (members[i].id != api->own.member) {
            r->waiting++;
            api->config.ask(api->config.ctx, members[i].id, "GET", "/version",
                            (struct slice){0}, ANSWER_MS, on_answer, r);
        }
    }
    round_over(r);
}

/* ---- what holds ---- */

/* true: the cluster has left us behind; the owner has been told. */
static bool is_too_old(struct api *api)
{
    const char *cluster = kv_cluster_version(api->config.kv);
    struct err err = {0};

    if (version_number(cluster) <= version_number(API_VERSION)) {
        return false;
    }
    if (!api->version.told) {
        api->version.told = true;
        (void)err_set(&err, ST_UNSUPPORTED,
                      "the cluster's version is %s, and this member can do "
                      "%s only; start a newer program with this data",
                      cluster, API_CLUSTER_VERSION);
        api->config.outdated(api->config.ctx, &err);
    }
    return true;
}

void api_version_tick(struct api *api, uint64_t now_ms)
{
    bool decided = *kv_cluster_version(api->config.kv) != '\0';

    if (api->stopped || is_too_old(api)) {
        return;
    }
    if (api->leader != api->own.member) {
        api->version.due_ms = 0;
        api->version.tries = 0;
        return;
    }
    if (now_ms < api->version.due_ms || api->version.asking ||
        api->versioning != NULL) {
        return;
    }
    api->version.due_ms = now_ms + (decided ? ASK_AGAIN_MS : ASK_SOON_MS);
    round_begin(api);
}
