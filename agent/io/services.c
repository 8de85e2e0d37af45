#include "agent/io/services.h"

#include <stdlib.h>
#include <uv.h>

#include "agent/io/scan.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/loop.h"

/* An editor's save is several events; look once they have calmed down. Within
 * the 100 ms in which a change must reach the store. */
#define SETTLE_MS 25

/* Without inotify, or with the folder missing, changes are found by looking. */
#define LOOK_MS 5000

enum file_state {
    FILE_GOOD,
    FILE_BAD,
    FILE_WAITS, /* Another file has an id of its, or none yet the service of one
                   of its checks; read at every look. */
};

struct known {
    struct scan_known *items; /* In order of path. */
    size_t count;
    enum file_state *states; /* Beside items. */
};

struct services {
    struct loop *loop;
    char *dir;
    struct local *local;
    struct services_gate gate;
    services_changed_fn *on_changed;
    void *arg;
    uv_fs_event_t watch;
    bool watching;
    uv_timer_t settle;
    uv_timer_t look;
    uv_work_t work;
    bool scanning;
    bool again; /* Something happened while scanning. */
    struct scan_result result;
    struct known known;
    enum status dir_status;
    bool dir_absent; /* So that a state is logged once. */
    uint64_t scans;
    unsigned open_handles;
    services_stopped_fn *on_stopped;
    void *stopped_arg;
};

static void scan_begin(struct services *s);
static void watch_begin(struct services *s);

/* ---- What we know of each file ----------------------------------------- */

static size_t known_place(const struct known *k, const char *path, bool *found)
{
    size_t low = 0;
    size_t high = k->count;

    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(path, k->items[middle].path);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static void known_set(struct known *k, const char *path, struct scan_mark mark,
                      enum file_state state)
{
    bool found;
    size_t at = known_place(k, path, &found);

    if (!found) {
        k->items = realloc(k->items, (k->count + 1) * sizeof(*k->items));
        k->states = realloc(k->states, (k->count + 1) * sizeof(*k->states));
        CHECK(k->items != NULL);
        CHECK(k->states != NULL);
        memmove(&k->items[at + 1], &k->items[at],
                (k->count - at) * sizeof(*k->items));
        memmove(&k->states[at + 1], &k->states[at],
                (k->count - at) * sizeof(*k->states));
        k->items[at].path = strdup(path);
        CHECK(k->items[at].path != NULL);
        k->count++;
    }
    k->items[at].mark = mark;
    k->states[at] = state;
}

static void known_remove(struct known *k, const char *path)
{
    bool found;
    size_t at = known_place(k, path, &found);

    if (!found) {
        return;
    }
    free(k->items[at].path);
    k->count--;
    memmove(&k->items[at], &k->items[at + 1],
            (k->count - at) * sizeof(*k->items));
    memmove(&k->states[at], &k->states[at + 1],
            (k->count - at) * sizeof(*k->states));
}

/* ---- Taking over a scan ---------------------------------------------------
 */

static struct local_time time_now(struct services *s)
{
    return (struct local_time){.now_ms = loop_now_ms(s->loop),
                               .wall_ms = (int64_t)loop_wall_ms()};
}

/* The text goes to the log once; afterwards the state has it. What could not be
 * opened or waits has no mark: it is looked at again and again, and only
 * another text is news. */
static void take_fault(struct services *s, struct scan_item *item,
                       enum file_state state)
{
    bool news = local_file_fault(s->local, item->path, item->err.text);

    if (news || item->mark.inode != 0) {
        log_error("agent", "%s; keeping what the file registered before",
                  item->err.text);
    }
    known_set(&s->known, item->path, item->mark, state);
}

/* False: an id belongs to another file, which may be about to give it up; or a
 * check's service is not here, but may be in another file. */
static bool take_loaded(struct services *s, struct scan_item *item)
{
    enum status st = ST_OK;

    if (s->gate.may) {
        st = s->gate.may(s->gate.arg, item->definitions, &item->err);
    }
    if (st) {
        st = err_prefix(&item->err, st, "%s", item->path);
    } else {
        st = local_load_file(s->local, item->path, item->definitions,
                             time_now(s), &item->err);
    }
    if (st == ST_EXISTS || st == ST_NOT_FOUND) {
        return false;
    }
    if (st) {
        take_fault(s, item, FILE_BAD);
        return true;
    }
    for (size_t i = 0; i < definitions_warnings_count(item->definitions); i++) {
        log_warn("agent", "%s", definitions_warning(item->definitions, i));
    }
    log_info("agent", "%s: loaded", item->path);
    known_set(&s->known, item->path, item->mark, FILE_GOOD);
    return true;
}

/* Files that wait for another one are tried again as long as others move. What
 * is left then is a fault; with a zero mark it is read again at the next look.
 */
static void take_loads(struct services *s, struct scan_result *r)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (size_t i = 0; i < r->count; i++) {
            struct scan_item *item = &r->items[i];

            if (item->change == SCAN_LOADED && item->definitions &&
                take_loaded(s, item)) {
                definitions_unref(item->definitions);
                item->definitions = NULL;
                moved = true;
            }
        }
    }
    for (size_t i = 0; i < r->count; i++) {
        struct scan_item *item = &r->items[i];

        if (item->change == SCAN_LOADED && item->definitions) {
            item->mark = (struct scan_mark){0};
            take_fault(s, item, FILE_WAITS);
        }
    }
}

static void take_dir_status(struct services *s, struct scan_result *r)
{
    if (r->st != s->dir_status && r->st) {
        log_error("agent", "services folder: %s; looking again every %d s",
                  r->err.text, LOOK_MS / 1000);
    }
    s->dir_status = r->st;
    if (r->absent && !s->dir_absent) {
        log_info("agent",
                 "services folder: %s is not there; its files are read when it "
                 "is",
                 s->dir);
    }
    s->dir_absent = r->absent;
}

static void take_result(struct services *s)
{
    struct scan_result *r = &s->result;

    s->scans++;
    take_dir_status(s, r);
    for (size_t i = 0; i < r->count; i++) {
        struct scan_item *item = &r->items[i];

        if (item->change == SCAN_GONE) {
            log_info("agent", "%s: gone, deregistering", item->path);
            local_forget_file(s->local, item->path, time_now(s));
            known_remove(&s->known, item->path);
        } else if (item->change == SCAN_BAD) {
            take_fault(s, item, FILE_BAD);
        }
    }
    take_loads(s, r);
    scan_result_release(r);
}

/* ---- Watching ---------------------------------------------------------------
 */

static void on_event(uv_fs_event_t *watch, const char *file, int events,
                     int error)
{
    struct services *s = watch->data;

    (void)file;
    (void)events;
    (void)error;
    /* The first event of a burst sets the time: a folder that never calms down
     * is still looked at. */
    if (!uv_is_active((uv_handle_t *)&s->settle)) {
        CHECK(uv_timer_again(&s->settle) == 0);
    }
}

static void on_settled(uv_timer_t *timer)
{
    (void)uv_timer_stop(timer);
    scan_begin(timer->data);
}

static void on_look(uv_timer_t *timer)
{
    struct services *s = timer->data;

    watch_begin(s);
    scan_begin(s);
}

/* (Re)attach inotify to the folder as it is now: it may have come, or have been
 * replaced by another of the same name. */
static void watch_begin(struct services *s)
{
    if (s->watching) {
        (void)uv_fs_event_stop(&s->watch);
    }
    s->watching = uv_fs_event_start(&s->watch, on_event, s->dir, 0) == 0;
}

/* ---- Scanning ---------------------------------------------------------- */

/* On a thread of the pool: `known` and `result` are this scan's alone. */
static void on_scan(uv_work_t *work)
{
    struct services *s = work->data;

    scan_dir(s->dir, s->known.items, s->known.count, &s->result);
}

static void maybe_stopped(struct services *s)
{
    services_stopped_fn *on_stopped = s->on_stopped;
    void *arg = s->stopped_arg;

    if (!on_stopped || s->open_handles > 0 || s->scanning) {
        return;
    }
    while (s->known.count > 0) {
        known_remove(&s->known, s->known.items[0].path);
    }
    free(s->known.items);
    free(s->known.states);
    free(s->dir);
    free(s);
    on_stopped(arg);
}

static void on_scanned(uv_work_t *work, int canceled)
{
    struct services *s = work->data;
    bool changed;

    CHECK(canceled == 0);
    s->scanning = false;
    if (s->on_stopped) {
        scan_result_release(&s->result);
        maybe_stopped(s);
        return;
    }
    changed = s->result.count > 0;
    take_result(s);
    if (changed) {
        s->on_changed(s->arg);
    }
    if (s->again) {
        s->again = false;
        scan_begin(s);
    }
}

static void scan_begin(struct services *s)
{
    if (s->scanning) {
        s->again = true;
        return;
    }
    s->scanning = true;
    CHECK(uv_queue_work(loop_uv(s->loop), &s->work, on_scan, on_scanned) == 0);
}

void services_reload(struct services *s)
{
    if (s->scanning) {
        /* Marks are in use; events during this scan are looked at after it. */
        s->again = true;
        return;
    }
    for (size_t i = 0; i < s->known.count; i++) {
        s->known.items[i].mark = (struct scan_mark){0};
    }
    scan_begin(s);
}

/* ---- Start, stop ------------------------------------------------------- */

struct services *services_start(struct loop *loop, const char *dir,
                                struct local *local, struct services_gate gate,
                                services_changed_fn *on_changed, void *arg)
{
    struct services *s = calloc(1, sizeof(*s));

    CHECK(s != NULL);
    s->loop = loop;
    s->dir = strdup(dir);
    CHECK(s->dir != NULL);
    s->local = local;
    s->gate = gate;
    s->on_changed = on_changed;
    s->arg = arg;
    s->watch.data = s;
    s->settle.data = s;
    s->look.data = s;
    s->work.data = s;
    CHECK(uv_fs_event_init(loop_uv(loop), &s->watch) == 0);
    CHECK(uv_timer_init(loop_uv(loop), &s->settle) == 0);
    CHECK(uv_timer_init(loop_uv(loop), &s->look) == 0);
    s->open_handles = 3;
    watch_begin(s); /* Before looking, so that nothing falls between. */
    scan_dir(s->dir, NULL, 0, &s->result);
    take_result(s);
    CHECK(uv_timer_start(&s->settle, on_settled, SETTLE_MS, SETTLE_MS) == 0);
    CHECK(uv_timer_stop(&s->settle) == 0);
    CHECK(uv_timer_start(&s->look, on_look, LOOK_MS, LOOK_MS) == 0);
    return s;
}

static void on_closed(uv_handle_t *handle)
{
    struct services *s = handle->data;

    s->open_handles--;
    maybe_stopped(s);
}

void services_stop(struct services *s, services_stopped_fn *on_stopped,
                   void *arg)
{
    s->on_stopped = on_stopped;
    s->stopped_arg = arg;
    uv_close((uv_handle_t *)&s->watch, on_closed);
    uv_close((uv_handle_t *)&s->settle, on_closed);
    uv_close((uv_handle_t *)&s->look, on_closed);
}

struct services_stats services_stats(const struct services *s)
{
    struct services_stats stats = {.scans = s->scans, .files = s->known.count};

    for (size_t i = 0; i < s->known.count; i++) {
        stats.faulty += s->known.states[i] != FILE_GOOD;
    }
    return stats;
}
