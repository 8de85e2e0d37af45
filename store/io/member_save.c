/*
 * member_save.c - snapshots for clients (the port of store/api/api.h).
 *
 *   asked -> waits until the backend shows all that was applied by then
 *         -> its source prepares on a thread (snapshot.h) -> given to store/api
 */
#include <stdlib.h>

#include "base/core/check.h"
#include "store/io/member_impl.h"
#include "store/io/snapshot.h"

struct saving {
    TAILQ_ENTRY(saving) link; /* While it waits. */
    struct member *member;
    api_snapshot_fn *on_ready;
    void *ctx;
    uint64_t index; /* To be in it. */
};

static enum status source_next(void *ctx, struct buf *out, bool *out_end,
                               struct err *err)
{
    return snapshot_source_next(ctx, out, out_end, err);
}

static void source_release(void *ctx)
{
    snapshot_source_free(ctx);
}

static void saving_end(struct saving *s, enum status st,
                       const struct api_snapshot *snapshot,
                       const struct err *why)
{
    struct member *m = s->member;

    s->on_ready(s->ctx, st, snapshot, why);
    free(s);
    m->works_open--;
    member_stop_step(m);
}

static void on_prepared(void *ctx, struct snapshot_source *source,
                        enum status st, const struct err *why)
{
    struct api_snapshot snapshot = {.ctx = source,
                                    .bytes = snapshot_source_bytes(source),
                                    .next = source_next,
                                    .release = source_release};

    if (st) {
        snapshot_source_free(source);
    }
    saving_end(ctx, st, &snapshot, why);
}

static void prepare(struct saving *s)
{
    struct member *m = s->member;
    struct snapshot_source *source; /* Comes again with on_prepared. */
    struct err err = {0};
    enum status st = snapshot_source_open(m->loop, m->backend, on_prepared, s,
                                          &source, &err);

    if (st) {
        saving_end(s, st, NULL, &err);
    }
}

void member_save_step(struct member *m)
{
    struct saving *s;

    while ((s = TAILQ_FIRST(&m->savings)) != NULL &&
           s->index <= m->written_index) {
        TAILQ_REMOVE(&m->savings, s, link);
        prepare(s);
    }
    if (s != NULL) {
        member_write_batch(m);
    }
}

void member_save_stop(struct member *m)
{
    struct err why = {0};
    struct saving *s;

    (void)err_set(&why, ST_CLOSED, "the member stops");
    while ((s = TAILQ_FIRST(&m->savings)) != NULL) {
        TAILQ_REMOVE(&m->savings, s, link);
        saving_end(s, ST_CLOSED, NULL, &why);
    }
}

/* To begin with on_turn's next step: not from inside. */
void member_snapshot(struct member *m, api_snapshot_fn *on_ready, void *ctx)
{
    struct saving *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    *s = (struct saving){.member = m,
                         .on_ready = on_ready,
                         .ctx = ctx,
                         .index = kv_index(m->kv)};
    TAILQ_INSERT_TAIL(&m->savings, s, link);
    m->works_open++;
    member_wake(m);
}
