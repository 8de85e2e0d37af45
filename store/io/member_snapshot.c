/*
 * Snapshots: sent to a member that the log does not reach any more, and taken
 * in from a leader.
 *
 * Taking one in, so that a crash at any point leaves the old state or the new:
 *   1. the file arrives whole (store/peer) in incoming/
 *   2. it is imported into backend.new/, synced
 *   3. raft accepts it, and the log's mark "the log begins behind it" is synced
 *   4. backend/ and backend.new/ change places
 * A crash before 3: backend.new/ is of no use and removed at the next start. A
 * crash after 3: the start finds that the log begins where backend.new/ ends
 * while backend/ is older, and does 4.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/core/check.h"
#include "base/core/wire.h"
#include "store/io/folder.h"
#include "store/io/member_impl.h"
#include "store/io/snapshot.h"

enum {
    PAUSE_FIRST_MS = 250,
    PAUSE_MAX_MS = 8000
};

/* --- Not again at once ---
 *
 * Whoever cannot take a snapshot, its disk being full for one, would be sent
 * another with the next heartbeat, whole, for as long as that lasts. */

static struct sending_pause *pause_of(struct member *m, uint64_t peer)
{
    for (size_t i = 0; i < MEMBER_PAUSES; i++) {
        if (m->pauses[i].peer == peer) {
            return &m->pauses[i];
        }
    }
    return NULL;
}

/* Without a free place the one that ends first makes room. */
static struct sending_pause *pause_new(struct member *m, uint64_t peer)
{
    struct sending_pause *best = &m->pauses[0];

    for (size_t i = 1; i < MEMBER_PAUSES; i++) {
        if (m->pauses[i].ends_ms < best->ends_ms) {
            best = &m->pauses[i];
        }
    }
    *best = (struct sending_pause){.peer = peer};
    return best;
}

static void pause_begins(struct member *m, uint64_t peer)
{
    struct sending_pause *p = pause_of(m, peer);
    uint64_t ms;

    p = p != NULL ? p : pause_new(m, peer);
    ms = p->pause_ms == 0 ? PAUSE_FIRST_MS : p->pause_ms * 2;
    p->pause_ms = ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
    p->ends_ms = loop_now_ms(m->loop) + p->pause_ms;
    log_warn("store",
             "member %" PRIx64 " has not taken the snapshot, its log may say "
             "why; the next is sent in %" PRIu64 " ms",
             peer, p->pause_ms);
}

static bool pauses(struct member *m, uint64_t peer)
{
    const struct sending_pause *p = pause_of(m, peer);

    return p != NULL && loop_now_ms(m->loop) < p->ends_ms;
}

/* --- Sending --- */

struct sending {
    struct member *member;
    struct raft_msg message;
    struct snapshot_source *source; /* NULL: given to the peers. */
    struct loop_task given_up;      /* Posted. */
};

static void tell_node(struct member *m, uint64_t peer, uint64_t index, bool ok)
{
    if (m->running && !m->failed) {
        (void)node_snapshot_ended(m->node, peer, index, ok,
                                  loop_now_ms(m->loop));
        member_wake(m);
    }
}

void member_snapshot_sent(void *ctx, uint64_t peer, uint64_t index, bool ok)
{
    struct member *m = ctx;
    struct sending_pause *p = pause_of(m, peer);

    if (!ok && m->running) {
        pause_begins(m, peer);
    } else if (p != NULL) {
        *p = (struct sending_pause){0};
    }
    tell_node(m, peer, index, ok);
}

static void sending_end(struct sending *s, bool ok, uint64_t index)
{
    struct member *m = s->member;

    tell_node(m, s->message.to, index, ok);
    snapshot_source_free(s->source);
    free(s);
    m->works_open--;
    member_stop_step(m);
}

static void on_given_up(struct loop_task *task)
{
    sending_end(
        (struct sending *)((char *)task - offsetof(struct sending, given_up)),
        false, 0);
}

static enum status source_next(void *ctx, struct buf *out, bool *out_end)
{
    struct err err = {0};
    enum status st = snapshot_source_next(ctx, out, out_end, &err);

    if (st) {
        log_error("store", "a snapshot cannot be sent on: %s", err.text);
    }
    return st;
}

static void source_release(void *ctx)
{
    snapshot_source_free(ctx);
}

/* The state that was read must say who the members are: it is young enough
 * only if the last change of them is in it. */
static void on_ready(void *ctx, struct snapshot_source *source, enum status st,
                     const struct err *why)
{
    struct sending *s = ctx;
    struct member *m = s->member;
    struct raft_snapshot state = snapshot_source_state(source);
    struct peers_source bytes = {
        .ctx = source, .next = source_next, .release = source_release};

    s->source = source;
    if (st) {
        log_error("store", "a snapshot cannot be made: %s", why->text);
    }
    if (st || m->peers == NULL || !m->running || state.conf.count == 0) {
        sending_end(s, false, 0);
        return;
    }
    log_info("store",
             "sending a snapshot of entry %" PRIu64 ", %" PRIu64
             " bytes, to member %" PRIx64,
             state.pos.index, snapshot_source_bytes(source), s->message.to);
    s->message.snapshot = &state;
    peers_send_snapshot(m->peers, &s->message, bytes);
    free(s); /* The end comes from the peers. */
    m->works_open--;
}

void member_send_snapshot(struct member *m, const struct raft_msg *message)
{
    struct sending *s = calloc(1, sizeof(*s));
    struct snapshot_source *source;
    struct err err = {0};

    CHECK(s != NULL);
    s->member = m;
    s->message = *message;
    s->given_up.run = on_given_up;
    m->works_open++;
    if (pauses(m, message->to)) {
        loop_post(m->loop, &s->given_up); /* Raft asks again, soon enough. */
        return;
    }
    if (snapshot_source_open(m->loop, m->backend, on_ready, s, &source, &err)) {
        log_error("store", "a snapshot cannot be made: %s", err.text);
        loop_post(m->loop, &s->given_up);
    }
}

/* --- Taking in --- */

struct arriving {
    struct member *member;
    struct peers_arrival *arrival;
    struct raft_msg message;
    struct raft_snapshot snapshot;
    char *path;
    bool offered; /* To raft: its files may be what the next start needs. */
    uv_work_t work;
    struct snapshot_facts facts;
    enum status st;
    struct err err;
};

static void arriving_end(struct arriving *a, enum status st)
{
    struct member *m = a->member;

    m->arriving = NULL;
    peers_arrival_done(a->arrival, st);
    free(a->path);
    free(a);
}

/* It has been refused, or was not needed. */
static void throw_away(struct arriving *a, enum status st, const char *why)
{
    struct err err = {0};

    if (why != NULL) {
        log_error("store", "the snapshot of entry %" PRIu64 " is not used: %s",
                  a->snapshot.pos.index, why);
    }
    if (folder_remove(a->member->dir.backend_new, &err)) {
        log_error("store", "%s", err.text);
    }
    arriving_end(a, st);
}

static bool is_what_was_said(const struct arriving *a)
{
    return a->facts.pos.index == a->snapshot.pos.index &&
           a->facts.pos.term == a->snapshot.pos.term &&
           raft_conf_eq(&a->facts.conf, &a->snapshot.conf);
}

static void offer(struct arriving *a)
{
    struct member *m = a->member;
    uint64_t index = a->snapshot.pos.index;
    enum status st;

    a->message.snapshot = &a->snapshot;
    a->offered = true;
    st = node_receive(m->node, &a->message, loop_now_ms(m->loop));
    member_wake(m);
    if (m->arriving == NULL) {
        return; /* It is installed already, or the member has failed. */
    }
    if (st || node_installing(m->node).index != index) {
        throw_away(a, st, st ? status_text(st) : NULL);
    }
}

static void on_imported(uv_work_t *work, int error)
{
    struct arriving *a = work->data;
    struct member *m = a->member;

    CHECK(error == 0); /* Nobody cancels it. */
    (void)unlink(a->path);
    m->works_open--;
    if (!m->running || m->failed) {
        throw_away(a, ST_CLOSED, NULL);
    } else if (a->st) {
        throw_away(a, a->st, a->err.text);
    } else if (!is_what_was_said(a)) {
        throw_away(a, ST_CORRUPT,
                   "its content is of another entry than its "
                   "message says");
    } else {
        offer(a);
    }
    member_stop_step(m);
}

static void on_import(uv_work_t *work)
{
    struct arriving *a = work->data;

    a->st = snapshot_import(a->path, a->member->dir.backend_new,
                            SNAPSHOT_INSTALL, &a->facts, &a->err);
}

void member_on_snapshot(void *ctx, const struct raft_msg *message,
                        const char *path, struct peers_arrival *arrival)
{
    struct member *m = ctx;
    struct arriving *a = calloc(1, sizeof(*a));

    CHECK(a != NULL);
    CHECK(m->arriving == NULL);
    a->member = m;
    a->arrival = arrival;
    a->message = *message;
    a->snapshot = *message->snapshot;
    a->path = strdup(path);
    CHECK(a->path != NULL);
    a->work.data = a;
    m->arriving = a;
    m->works_open++;
    CHECK(uv_queue_work(loop_uv(m->loop), &a->work, on_import, on_imported) ==
          0);
}

/* Nothing is installed any more. What was offered to raft stays where it is:
 * if its mark is on disk, the next start goes on with it. */
void member_abandon_arriving(struct member *m)
{
    if (m->arriving != NULL && m->arriving->offered) {
        arriving_end(m->arriving, ST_IO);
    }
}

/* --- Putting it in its place --- */

static enum status rename_failed(const char *path, struct err *err)
{
    return err_set(err, ST_IO, "cannot rename %s: %s", path,
                   strerrordesc_np(errno));
}

static enum status exchange(const struct data_dir *dir, struct err *err)
{
    enum status st;

    if (access(dir->backend_new, F_OK) != 0) {
        return err_set(err, ST_IO, "%s: %s; there is nothing to put in place",
                       dir->backend_new, strerrordesc_np(errno));
    }
    st = folder_remove(dir->backend_old, err);
    if (st) {
        return st;
    }
    if (rename(dir->backend, dir->backend_old) != 0 && errno != ENOENT) {
        return rename_failed(dir->backend, err);
    }
    if (rename(dir->backend_new, dir->backend) != 0) {
        return rename_failed(dir->backend_new, err);
    }
    st = folder_sync(dir->member, err);
    return st ? st : folder_remove(dir->backend_old, err);
}

/* A batch that was waited for is not told again, and the end may wait for it.
 */
static void on_batch_gone(struct loop_task *task)
{
    member_stop_step(
        (struct member *)((char *)task - offsetof(struct member, batch_gone)));
}

/* What is on its way into the old state is of no use any more. */
static enum status end_write(struct member *m, struct err *err)
{
    if (!backend_is_writing(m->backend)) {
        return ST_OK;
    }
    if (backend_wait(m->backend)) {
        *err = *backend_error(m->backend);
        return ST_IO;
    }
    kv_done(m->kv);
    m->batch_gone.run = on_batch_gone;
    loop_post(m->loop, &m->batch_gone); /* Behind the backend's own news. */
    return ST_OK;
}

enum status member_install(struct member *m, struct raft_pos pos,
                           struct err *err)
{
    enum status st = end_write(m, err);

    api_finish_slow(m->api);
    if (st == ST_OK) {
        backend_suspend(m->backend);
        st = exchange(&m->dir, err);
    }
    if (st == ST_OK) {
        st = backend_resume(m->backend, err);
    }
    if (st == ST_OK) {
        st = kv_reopen(m->kv, backend_table(m->backend), err);
    }
    if (st) {
        return st;
    }
    CHECK(kv_index(m->kv) == pos.index);
    m->written_index = pos.index;
    member_save_step(m);
    log_info("store",
             "the snapshot of entry %" PRIu64 " is in place, "
             "revision %lld",
             pos.index, (long long)kv_revision(m->kv));
    member_follow_members(m);
    if (m->arriving != NULL) {
        arriving_end(m->arriving, ST_OK);
    }
    return ST_OK;
}

/* --- At start --- */

/* The position of a backend in `path`; index 0: there is none. */
static enum status backend_pos(struct member *m, const char *path,
                               struct raft_pos *out_pos, struct err *err)
{
    struct backend_config config = {
        .loop = m->loop, .path = path, .map_bytes = MEMBER_MAP_BYTES};
    struct backend_view *view = NULL;
    struct backend *b;
    struct slice value;
    enum status st;

    *out_pos = (struct raft_pos){0};
    if (access(path, F_OK) != 0) {
        return ST_OK;
    }
    st = backend_open(&config, &b, err);
    if (st) {
        return st;
    }
    st = backend_view_open(b, &view, err);
    if (st == ST_OK &&
        backend_view_get(view, TABLE_META, slice_str("consistent_index"),
                         &value) == ST_OK &&
        value.len == 8) {
        out_pos->index = wire_get_u64be(value.data);
    }
    if (st == ST_OK &&
        backend_view_get(view, TABLE_META, slice_str("term"), &value) ==
            ST_OK &&
        value.len == 8) {
        out_pos->term = wire_get_u64be(value.data);
    }
    backend_view_close(view);
    backend_close(b);
    return st;
}

static bool same(struct raft_pos a, struct raft_pos b)
{
    return a.index == b.index && a.term == b.term;
}

enum status member_finish_install(struct member *m, struct err *err)
{
    struct node_config config = node_config_default();
    struct raft_pos mark;
    struct raft_pos old;
    struct raft_pos new;
    enum status st = folder_remove(m->dir.backend_old, err);

    if (st || access(m->dir.backend_new, F_OK) != 0) {
        return st;
    }
    st = node_peek_mark(&config, file_disk_port(m->disk), &mark, err);
    if (st == ST_OK) {
        st = backend_pos(m, m->dir.backend, &old, err);
    }
    if (st == ST_OK) {
        st = backend_pos(m, m->dir.backend_new, &new, err);
    }
    if (st) {
        return st;
    }
    if (new.index > 0 && same(new, mark) && old.index < mark.index) {
        log_info("store",
                 "putting the snapshot of entry %" PRIu64
                 " in place, which a crash has prevented",
                 mark.index);
        return exchange(&m->dir, err);
    }
    return folder_remove(m->dir.backend_new, err);
}
