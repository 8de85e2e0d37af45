/* The round:
 *
 *   elected -> list -> follow both ranges -> look -> end one -> look ...
 *               ^          | something has changed, or was ended
 *               +----------+ (a pause in between)
 *
 * A change of the catalogue, too, is a reason to look. */

#include "agent/io/sessions.h"

#include <stdlib.h>
#include <uv.h>

#include "agent/core/api.h"
#include "agent/core/session_end.h"
#include "agent/io/link.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/loop.h"

enum {
    LIST_PAUSE_MS = 200,  /* Between two lists, however much happens. */
    RETRY_MS = 1000,      /* After a failure. */
    LIST_EVERY_MS = 60000 /* Whatever happens or not. */
};

struct sessions {
    struct loop *loop;
    struct link *link;
    struct arena names;
    const char *dc;
    struct store_read sess; /* The two ranges. */
    struct store_read alive;

    bool ours;      /* We are the janitor. */
    bool in_flight; /* An ask of ours. */
    bool stale;     /* The list has to be read again. */
    bool listing;   /* The ask is the list's. */
    struct store_answer list;
    struct session *known; /* In list's arena. */
    size_t known_count;
    struct link_follow *follows[2];

    /* The session that is being ended. */
    struct session_end end;
    char *end_id;
    struct api_flow flow;
    struct store_answer seen;
    struct store_answer done;

    uv_timer_t timer;
    uint64_t listed_ms;
    uint64_t pause_until_ms; /* After a failure. */
    struct sessions_stats stats;
    bool stopping;
    void (*on_stopped)(void *arg);
    void *arg;
};

static void go_on(struct sessions *s);

static void on_timer(uv_timer_t *timer)
{
    go_on(timer->data);
}

static void go_on_in(struct sessions *s, uint64_t ms)
{
    if (!s->stopping) {
        CHECK(uv_timer_start(&s->timer, on_timer, ms, 0) == 0);
    }
}

/* ---- Ending one -------------------------------------------------------- */

static void end_over(struct sessions *s)
{
    store_answer_release(&s->seen);
    store_answer_release(&s->done);
    s->flow = (struct api_flow){0};
    free(s->end_id);
    s->end_id = NULL;
}

static void on_stored(void *arg, struct store_answer *answer);

static void end_step(struct sessions *s)
{
    struct arena arena = {0};
    struct store_ask ask = {0};
    enum session_end_next next =
        session_end_step(&s->end, &arena, s->dc, link_catalog(s->link),
                         s->flow.seen, s->flow.done, &ask);

    if (next == SESSION_END_ASK && !ask.full) {
        s->in_flight = true;
        link_store(s->link, &ask, on_stored, s);
    } else {
        if (next == SESSION_END_GONE) {
            s->stats.ended++;
            log_info("agent", "janitor: session %s is over: ended", s->end_id);
        }
        end_over(s);
        s->stale = true;
        go_on_in(s, 0);
    }
    arena_release(&arena);
}

static void end_begin(struct sessions *s, const struct session *session)
{
    s->end_id = strdup(session->id);
    CHECK(s->end_id != NULL);
    s->end = (struct session_end){.id = s->end_id, .why = SESSION_END_IF_OVER};
    end_step(s);
}

/* ---- The list ---------------------------------------------------------- */

static void on_changed(void *arg);

static void unfollow(struct sessions *s)
{
    for (size_t i = 0; i < 2; i++) {
        if (s->follows[i]) {
            link_unfollow(s->follows[i]);
            s->follows[i] = NULL;
        }
    }
}

static void follow(struct sessions *s)
{
    int64_t from = s->list.revision + 1;

    unfollow(s);
    s->follows[0] = link_follow(s->link, &s->sess, from, on_changed, s);
    s->follows[1] = link_follow(s->link, &s->alive, from, on_changed, s);
}

static void on_changed(void *arg)
{
    struct sessions *s = arg;

    unfollow(s);
    s->stale = true;
    go_on_in(s, 0);
}

static void take_list(struct sessions *s)
{
    const struct store_range *r = store_range_of(&s->list, s->sess.key);
    struct err err;

    s->known_count = 0;
    s->known = arena_zalloc(&s->list.arena, r->count, sizeof(*s->known));
    for (size_t i = 0; i < r->count; i++) {
        struct session *session = &s->known[s->known_count];

        if (session_read(&s->list.arena, s->dc, &r->items[i], session, &err)) {
            log_warn("agent", "janitor: a session that cannot be read: %s",
                     err.text);
        } else {
            s->known_count++;
        }
    }
    s->stats.known = s->known_count;
    follow(s);
}

static void list_begin(struct sessions *s)
{
    struct arena arena = {0};
    struct store_ask ask;

    s->stale = false;
    s->listing = true;
    s->in_flight = true;
    s->listed_ms = loop_now_ms(s->loop);
    store_txn(&ask, &arena);
    store_read_range(&ask, s->sess.key, s->sess.end, 0, false);
    store_read_range(&ask, s->alive.key, s->alive.end, 0, true);
    link_store(s->link, &ask, on_stored, s);
    arena_release(&arena);
}

/* ---- Looking ----------------------------------------------------------- */

static bool has_lease(struct sessions *s, const struct session *session)
{
    struct slice key = session_alive_key(&s->list.arena, s->dc, session->id);
    const struct store_range *r = store_range_of(&s->list, s->alive.key);

    for (size_t low = 0, high = r->count; low < high;) {
        size_t middle = low + (high - low) / 2;
        int order = slice_cmp(r->items[middle].key, key);

        if (order == 0) {
            return true;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return false;
}

static bool is_over(struct sessions *s, const struct session *session)
{
    const struct catalog *catalog = link_catalog(s->link);

    return session->ending || (session->ttl_ms > 0 && !has_lease(s, session)) ||
           (catalog_revision(catalog) >= session->create_index &&
            session_is_over(session, catalog));
}

/* Whether one was found that is over. */
static bool look(struct sessions *s)
{
    for (size_t i = 0; i < s->known_count; i++) {
        if (is_over(s, &s->known[i])) {
            end_begin(s, &s->known[i]);
            return true;
        }
    }
    return false;
}

static void go_on(struct sessions *s)
{
    uint64_t now = loop_now_ms(s->loop);

    if (s->stopping || !s->ours || s->in_flight || s->end_id) {
        return;
    }
    if (!link_current(s->link)) {
        go_on_in(s, RETRY_MS);
    } else if (now < s->pause_until_ms) {
        go_on_in(s, s->pause_until_ms - now);
    } else if (!s->stale && now - s->listed_ms < LIST_EVERY_MS) {
        if (!look(s)) {
            go_on_in(s, LIST_EVERY_MS);
        }
    } else if (now - s->listed_ms < LIST_PAUSE_MS) {
        go_on_in(s, LIST_PAUSE_MS - (now - s->listed_ms));
    } else {
        list_begin(s);
    }
}

static void on_answer(struct sessions *s, struct store_answer *answer)
{
    struct api_outcome failure = {0};

    if (s->listing) {
        store_answer_release(&s->list);
        s->list = *answer;
        *answer = (struct store_answer){0};
        take_list(s);
        return;
    }
    if (api_store_answered(&s->flow, answer, &s->seen, &s->done, &failure)) {
        end_step(s);
    }
    api_outcome_release(&failure);
}

static void on_stored(void *arg, struct store_answer *answer)
{
    struct sessions *s = arg;
    bool good = answer->result == STORE_DONE || answer->result == STORE_GUARDED;

    s->in_flight = false;
    if (s->stopping || !s->ours || !good) {
        end_over(s);
        s->listing = false;
        s->stale = true;
        s->pause_until_ms = loop_now_ms(s->loop) + RETRY_MS;
        go_on_in(s, RETRY_MS);
        return;
    }
    on_answer(s, answer);
    s->listing = false;
    go_on_in(s, 0);
}

/* ---- A duty ------------------------------------------------------------ */

static void forget(struct sessions *s)
{
    unfollow(s);
    store_answer_release(&s->list);
    s->known = NULL;
    s->known_count = 0;
    s->stats.known = 0;
    s->stale = true;
}

static void on_elected(void *ctx, bool ours, uint64_t now_ms)
{
    struct sessions *s = ctx;

    (void)now_ms;
    s->ours = ours;
    forget(s);
    go_on_in(s, 0);
}

/* Asked whenever the catalogue has changed; what there is to write goes its own
 * way. */
static bool on_next(void *ctx, uint64_t now_ms, struct arena *a,
                    struct sync_txn *out_txn, uint64_t *out_wake_ms)
{
    struct sessions *s = ctx;

    (void)now_ms;
    (void)a;
    (void)out_txn;
    *out_wake_ms = UINT64_MAX;
    go_on_in(s, 0);
    return false;
}

static void on_done(void *ctx, enum sync_result result, uint64_t now_ms)
{
    (void)ctx;
    (void)result;
    (void)now_ms;
    UNREACHABLE(); /* on_next() gives no transaction. */
}

struct janitor_duty sessions_duty(struct sessions *s)
{
    return (struct janitor_duty){.name = "sessions",
                                 .ctx = s,
                                 .elected = on_elected,
                                 .next = on_next,
                                 .done = on_done};
}

struct sessions_stats sessions_stats(const struct sessions *s)
{
    return s->stats;
}

/* ---- Start, stop ------------------------------------------------------- */

struct sessions *sessions_start(struct loop *loop, struct link *link,
                                const char *datacenter)
{
    struct sessions *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->loop = loop;
    s->link = link;
    s->stale = true;
    s->dc = arena_strdup(&s->names, slice_str(datacenter));
    s->sess.key = session_key(&s->names, s->dc, "");
    s->sess.end = store_prefix_end(&s->names, s->sess.key);
    s->alive.key = session_alive_key(&s->names, s->dc, "");
    s->alive.end = store_prefix_end(&s->names, s->alive.key);
    CHECK(uv_timer_init(loop_uv(loop), &s->timer) == 0);
    s->timer.data = s;
    return s;
}

static void on_closed(uv_handle_t *handle)
{
    struct sessions *s = handle->data;

    s->on_stopped(s->arg);
}

void sessions_stop(struct sessions *s, void (*on_stopped)(void *arg), void *arg)
{
    CHECK(!s->stopping);
    s->stopping = true;
    s->on_stopped = on_stopped;
    s->arg = arg;
    unfollow(s);
    uv_close((uv_handle_t *)&s->timer, on_closed);
}

void sessions_free(struct sessions *s)
{
    if (!s) {
        return;
    }
    CHECK(s->stopping);
    CHECK(!s->in_flight);
    end_over(s);
    store_answer_release(&s->list);
    arena_release(&s->names);
    free(s);
}
