#include <stdlib.h>

#include "base/core/check.h"
#include "store/api/core.h"

enum {
    ASK_MS = 5000 /* As etcd, for a lease's renewal; and two elections. */
};

struct ask {
    TAILQ_ENTRY(ask) link;
    struct api *api;
    const char *path;
    struct buf body;
    ask_said_fn *on_said;
    void *owner; /* NULL: nobody cares any more. */
    bool flying;
    uint64_t gives_up_ms;
};

static void ask_end(struct ask *a, int status, struct slice answer)
{
    if (a->owner != NULL) {
        a->on_said(a->owner, status, answer);
    }
    TAILQ_REMOVE(&a->api->asks, a, link);
    buf_release(&a->body);
    free((char *)a->path);
    free(a);
}

/* 5xx: it does not lead any more, or could not yet. */
static bool is_final(int status)
{
    return status >= 200 && status < 500;
}

static void on_answer(void *ctx, int status, struct slice body, const char *why)
{
    struct ask *a = ctx;
    bool late = loop_now_ms(a->api->config.loop) >= a->gives_up_ms;

    (void)why;
    a->flying = false;
    if (is_final(status)) {
        ask_end(a, status, body);
    } else if (late || a->owner == NULL || a->api->stopped) {
        ask_end(a, 0, (struct slice){0});
    }
}

static void ask_send(struct ask *a)
{
    struct api *api = a->api;

    if (api->stopped || api->leader == RAFT_NOBODY ||
        api->leader == api->own.member) {
        return; /* Perhaps at the next tick. */
    }
    a->flying = true;
    api->config.ask(api->config.ctx, api->leader, "POST", a->path,
                    buf_slice(&a->body), ASK_MS, on_answer, a);
}

struct ask *ask_leader(struct api *api, const char *path, struct slice body,
                       ask_said_fn *on_said, void *owner)
{
    struct ask *a = calloc(1, sizeof(*a));

    CHECK(a != NULL);
    a->api = api;
    a->path = strdup(path);
    CHECK(a->path != NULL);
    buf_init(&a->body, SIZE_MAX);
    CHECK(buf_add(&a->body, body) == ST_OK);
    a->on_said = on_said;
    a->owner = owner;
    a->gives_up_ms = loop_now_ms(api->config.loop) + ASK_MS +
                     2 * api->config.election_timeout_ms;
    TAILQ_INSERT_TAIL(&api->asks, a, link);
    ask_send(a);
    return a;
}

void ask_forget(struct ask *a)
{
    if (a != NULL) {
        a->owner = NULL;
    }
}

void ask_tick(struct api *api, uint64_t now_ms)
{
    struct ask *a;
    struct ask *next;

    for (a = TAILQ_FIRST(&api->asks); a != NULL; a = next) {
        next = TAILQ_NEXT(a, link);
        if (a->flying) {
            continue;
        }
        if (now_ms >= a->gives_up_ms || a->owner == NULL) {
            ask_end(a, 0, (struct slice){0});
        } else {
            ask_send(a);
        }
    }
}

/* What flies has come back: the peers are closed before. */
void ask_release_all(struct api *api)
{
    struct ask *a;

    while ((a = TAILQ_FIRST(&api->asks)) != NULL) {
        CHECK(!a->flying);
        a->owner = NULL;
        ask_end(a, 0, (struct slice){0});
    }
}
