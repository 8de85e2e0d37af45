#include <stdlib.h>

#include "base/core/check.h"
#include "store/peer/core.h"

struct fetch {
    struct peers *all;
    struct peer_errand errand;
    struct loop_task hopeless; /* Posted, when there is nobody to ask. */
    peers_answer_fn *on_answer;
    void *ctx;
    int status;
    struct buf body;
};

static void fetch_end(struct fetch *f, int status, const char *why)
{
    struct peers *p = f->all;

    errand_over(&f->errand);
    f->on_answer(f->ctx, status, buf_slice(&f->body), why);
    buf_release(&f->body);
    free(f);
    peers_call_ended(p);
}

static void on_head(void *ctx, int status)
{
    ((struct fetch *)ctx)->status = status;
}

static void on_body(void *ctx, struct slice bytes)
{
    struct fetch *f = ctx;

    if (buf_add(&f->body, bytes)) {
        http_call_cancel(f->errand.call);
    }
}

static void on_end(void *ctx, enum status st, const char *why)
{
    struct fetch *f = ctx;

    fetch_end(f, st == ST_OK ? f->status : 0, why);
}

static void on_hopeless(struct loop_task *task)
{
    struct fetch *f =
        (struct fetch *)((char *)task - offsetof(struct fetch, hopeless));

    fetch_end(f, 0, "no such member is known");
}

void peers_fetch(struct peers *p, uint64_t id, const char *method,
                 const char *path, struct slice body, uint64_t timeout_ms,
                 peers_answer_fn *on_answer, void *ctx)
{
    struct fetch *f = calloc(1, sizeof(*f));
    struct peer *peer = peers_find(p, id);
    struct http_header type = {slice_str("Content-Type"),
                               slice_str("application/protobuf")};
    struct http_call_config config = {.method = method,
                                      .path = path,
                                      .headers = &type,
                                      .headers_count = 1,
                                      .body = body,
                                      .connect_ms = timeout_ms,
                                      .silence_ms = timeout_ms,
                                      .total_ms = timeout_ms};

    CHECK(f != NULL);
    f->all = p;
    f->on_answer = on_answer;
    f->ctx = ctx;
    f->hopeless.run = on_hopeless;
    buf_init(&f->body, PEER_FETCH_BYTES);
    if (peer == NULL || peer->urls_count == 0 || p->closing) {
        p->calls_open++;
        loop_post(p->config.loop, &f->hopeless);
        return;
    }
    errand_start(&f->errand, peer, config,
                 (struct http_call_hooks){.ctx = f,
                                          .on_head = on_head,
                                          .on_body = on_body,
                                          .on_end = on_end});
}
