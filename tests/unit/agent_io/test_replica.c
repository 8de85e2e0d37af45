/* What the replica was told it tells again after a restart; what is damaged it
 * throws away. */

#include "agent/io/replica.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/core/log.h"
#include "suite.h"

struct world {
    uv_loop_t loop;
    struct replica *replica;
    struct replica_content content;
    const struct catalog *catalog;
    char dir[64];
    char path[96];
    int lost;
    int closed;
};

static void on_lost(void *arg)
{
    struct world *w = arg;

    w->lost++;
}

static void on_closed(void *arg)
{
    struct world *w = arg;

    w->closed++;
}

static void replica_begin(struct world *w, const char *dc)
{
    struct err err = {""};

    ck_assert_msg(replica_open(&w->loop, w->path, dc, on_lost, w, &w->replica,
                               &err) == ST_OK,
                  "%s", err.text);
    replica_take(w->replica, &w->content);
    w->catalog = w->content.catalog;
}

static void replica_end(struct world *w)
{
    int before = w->closed;

    replica_close(w->replica, on_closed, w);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(w->closed, before + 1);
    catalog_unref(w->catalog);
    arena_release(&w->content.acl_arena);
}

static void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    log_set_level(LOG_ERROR);
    ck_assert_int_eq(uv_loop_init(&w->loop), 0);
    strcpy(w->dir, "/tmp/muster-replica-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w->dir));
    (void)snprintf(w->path, sizeof(w->path), "%s/replica.mdb", w->dir);
    replica_begin(w, "dc1");
}

static void world_release(struct world *w)
{
    char lock[128];

    replica_end(w);
    (void)snprintf(lock, sizeof(lock), "%s-lock", w->path);
    (void)unlink(w->path);
    (void)unlink(lock);
    (void)rmdir(w->dir);
    ck_assert_int_eq(uv_loop_close(&w->loop), 0);
}

/* An instance's event; deleted when `port` is 0. */
static struct catalog_event event_of(struct arena *a, const char *service,
                                     unsigned port, int64_t revision)
{
    struct record_key key = {.kind = RECORD_INSTANCE,
                             .service = service,
                             .node = "n1",
                             .id = service};
    struct instance_record record = {.node = "n1",
                                     .service = service,
                                     .id = service,
                                     .address = "",
                                     .socket_path = "",
                                     .kind = "",
                                     .port = (uint16_t)port,
                                     .weight_passing = 1,
                                     .weight_warning = 1,
                                     .owner = {"n1", "i1"}};
    struct catalog_event event = {.key = record_key_write(a, "dc1", &key),
                                  .deleted = port == 0,
                                  .create_revision = revision,
                                  .mod_revision = revision};
    struct buf value;

    buf_init(&value, LIMIT_RECORD_BYTES);
    ck_assert_int_eq(instance_record_write(&record, &value), ST_OK);
    event.value = arena_copy(a, buf_slice(&value));
    buf_release(&value);
    return event;
}

static void tell(struct world *w, bool full, const struct catalog_event *events,
                 size_t count, int64_t revision)
{
    struct arena arena = {0};
    struct catalog_changes changes = {0};
    const struct catalog *old = w->catalog;
    struct link_update update = {.full = full,
                                 .events = events,
                                 .events_count = count,
                                 .revision = revision,
                                 .cluster_id = 77,
                                 .changes = &changes};

    w->catalog =
        full ? catalog_replace(old, events, count, revision, &arena, &changes)
             : catalog_apply(old, events, count, revision, &arena, &changes);
    replica_update(w->replica, &update);
    catalog_unref(old);
    arena_release(&arena);
}

static void restart(struct world *w, const char *dc)
{
    replica_end(w);
    replica_begin(w, dc);
}

static uint64_t index_of(struct world *w, const char *service)
{
    return catalog_index(w->catalog,
                         (struct catalog_scope){SCOPE_SERVICE, service});
}

START_TEST(restart_knows_what_was_told)
{
    struct arena a = {0};
    struct world w;
    struct catalog_event full[2];
    struct catalog_event later[3];
    uint64_t web_index;
    uint64_t gone_index;

    world_init(&w);
    ck_assert_int_eq(catalog_revision(w.catalog), 0);
    full[0] = event_of(&a, "web", 80, 5);
    full[1] = event_of(&a, "gone", 81, 6);
    tell(&w, true, full, 2, 9);
    later[0] = event_of(&a, "mail", 25, 12);
    later[1] = event_of(&a, "gone", 0, 13);
    later[2] =
        (struct catalog_event){.key = slice_str("/muster/v1/dc1/acl/token/t"),
                               .value = slice_str("{}"),
                               .create_revision = 13,
                               .mod_revision = 13};
    tell(&w, false, later, 3, 13);
    web_index = index_of(&w, "web");
    gone_index = index_of(&w, "gone");
    restart(&w, "dc1");
    ck_assert_int_eq(catalog_revision(w.catalog), 13);
    ck_assert_uint_eq(w.content.cluster_id, 77);
    ck_assert_uint_eq(w.content.keys_count, 3);
    ck_assert_uint_eq(w.content.acl_count, 1);
    ck_assert(slice_eq(w.content.acl[0].value, slice_str("{}")));
    ck_assert_ptr_nonnull(catalog_service(w.catalog, "web"));
    ck_assert_ptr_nonnull(catalog_service(w.catalog, "mail"));
    ck_assert_ptr_null(catalog_service(w.catalog, "gone"));
    ck_assert_uint_eq(index_of(&w, "web"), web_index);
    ck_assert_uint_eq(index_of(&w, "gone"), gone_index);
    ck_assert_uint_eq(index_of(&w, "mail"), 12);
    world_release(&w);
    arena_release(&a);
}
END_TEST

START_TEST(full_update_forgets_the_rest)
{
    struct arena a = {0};
    struct world w;
    struct catalog_event event;

    world_init(&w);
    event = event_of(&a, "old", 80, 5);
    tell(&w, true, &event, 1, 5);
    event = event_of(&a, "new", 80, 8);
    tell(&w, true, &event, 1, 8);
    restart(&w, "dc1");
    ck_assert_ptr_null(catalog_service(w.catalog, "old"));
    ck_assert_ptr_nonnull(catalog_service(w.catalog, "new"));
    world_release(&w);
    arena_release(&a);
}
END_TEST

START_TEST(other_datacenter_starts_empty)
{
    struct arena a = {0};
    struct world w;
    struct catalog_event event;

    world_init(&w);
    event = event_of(&a, "web", 80, 5);
    tell(&w, true, &event, 1, 5);
    restart(&w, "dc2");
    ck_assert_int_eq(catalog_revision(w.catalog), 0);
    ck_assert_uint_eq(w.content.cluster_id, 0);
    world_release(&w);
    arena_release(&a);
}
END_TEST

START_TEST(damage_is_dropped_and_rebuilt)
{
    struct arena a = {0};
    struct world w;
    struct catalog_event event;
    int fd;

    world_init(&w);
    event = event_of(&a, "web", 80, 5);
    tell(&w, true, &event, 1, 5);
    replica_end(&w);
    fd = open(w.path, O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 5000), 0);
    ck_assert_int_eq(close(fd), 0);
    log_set_level(LOG_ERROR);
    replica_begin(&w, "dc1");
    ck_assert_int_eq(catalog_revision(w.catalog), 0);
    tell(&w, true, &event, 1, 5);
    restart(&w, "dc1");
    ck_assert_int_eq(catalog_revision(w.catalog), 5);
    world_release(&w);
    arena_release(&a);
}
END_TEST

/* Events that come before the first full read are of a store that the file does
 * not know: they must not make up a catalogue. */
START_TEST(events_alone_are_not_kept)
{
    struct arena a = {0};
    struct world w;
    struct catalog_event event;

    world_init(&w);
    event = event_of(&a, "web", 80, 5);
    tell(&w, false, &event, 1, 5);
    restart(&w, "dc1");
    ck_assert_int_eq(catalog_revision(w.catalog), 0);
    world_release(&w);
    arena_release(&a);
}
END_TEST

/* ---- A disk that hangs ------------------------------------------------- */

enum {
    POOL_MAX = 64 /* Threads of libuv's pool, at most. */
};

static void on_hang(uv_work_t *work)
{
    uv_sem_wait(work->data);
}

static void on_hung(uv_work_t *work, int canceled)
{
    (void)work;
    ck_assert_int_eq(canceled, 0);
}

/* What waits for it is bounded; once it works again, all is asked for anew. */
START_TEST(hanging_disk_takes_no_more_memory)
{
    static uv_work_t works[POOL_MAX];
    struct catalog_event big = {.key = slice_str("/muster/v1/dc1/acl/token/t"),
                                .mod_revision = 6};
    size_t size = LIMIT_REPLICA_BACKLOG / 4;
    char *bytes = calloc(1, size);
    struct arena a = {0};
    uv_sem_t hang;
    struct world w;
    struct catalog_event event;

    world_init(&w);
    event = event_of(&a, "web", 80, 5);
    tell(&w, true, &event, 1, 5);
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_sem_init(&hang, 0), 0);
    for (size_t i = 0; i < POOL_MAX; i++) {
        works[i].data = &hang;
        ck_assert_int_eq(uv_queue_work(&w.loop, &works[i], on_hang, on_hung),
                         0);
    }
    big.value = slice_of(bytes, size);
    for (int64_t revision = 6; revision < 20; revision++) {
        big.mod_revision = revision;
        tell(&w, revision == 19, &big, 1, revision);
    }
    event = event_of(&a, "mail", 25, 20);
    tell(&w, false, &event, 1, 20);
    ck_assert_int_eq(w.lost, 0);
    for (size_t i = 0; i < POOL_MAX; i++) {
        uv_sem_post(&hang);
    }
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(w.lost, 1);
    restart(&w, "dc1");
    ck_assert_int_lt(catalog_revision(w.catalog), 19);
    ck_assert_ptr_null(catalog_service(w.catalog, "mail"));
    tell(&w, true, &event, 1, 20);
    restart(&w, "dc1");
    ck_assert_ptr_nonnull(catalog_service(w.catalog, "mail"));
    world_release(&w);
    uv_sem_destroy(&hang);
    arena_release(&a);
    free(bytes);
}
END_TEST

UNIT_MAIN("replica", {
    tcase_add_test(tc, restart_knows_what_was_told);
    tcase_add_test(tc, full_update_forgets_the_rest);
    tcase_add_test(tc, other_datacenter_starts_empty);
    tcase_add_test(tc, damage_is_dropped_and_rebuilt);
    tcase_add_test(tc, events_alone_are_not_kept);
    tcase_add_test(tc, hanging_disk_takes_no_more_memory);
})
