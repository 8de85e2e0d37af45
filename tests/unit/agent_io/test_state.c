/* Who we are and what was registered survives; a damaged file is moved away. */

#include "agent/io/state.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/core/log.h"
#include "suite.h"

struct world {
    uv_loop_t loop;
    struct state *state;
    struct local *local;
    char dir[64];
    char path[96];
    int durable;
    int closed;
};

static const struct local_time now = {.now_ms = 1000, .wall_ms = 1000000};

static void on_durable(void *arg, enum status st, const struct err *err)
{
    struct world *w = arg;

    ck_assert_msg(st == ST_OK, "%s", err->text);
    w->durable++;
}

static void on_closed(void *arg)
{
    struct world *w = arg;

    w->closed++;
}

static void begin(struct world *w)
{
    struct local_host host = {.datacenter = "dc1",
                              .node = {.name = "n1",
                                       .id = "id",
                                       .address = "127.0.0.1",
                                       .owner = {"n1", "i1"}}};
    struct err err = {""};

    ck_assert_msg(state_open(&w->loop, w->path, &w->state, &err) == ST_OK, "%s",
                  err.text);
    w->local = local_new(&host, (struct hash_key){1, 2});
    state_restore(w->state, w->local, now);
}

static void end(struct world *w)
{
    int before = w->closed;

    state_close(w->state, on_closed, w);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(w->closed, before + 1);
    local_free(w->local);
}

static void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    log_set_level(LOG_ERROR);
    ck_assert_int_eq(uv_loop_init(&w->loop), 0);
    strcpy(w->dir, "/tmp/muster-state-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w->dir));
    (void)snprintf(w->path, sizeof(w->path), "%s/state.mdb", w->dir);
    begin(w);
}

static void world_release(struct world *w)
{
    static const char *const ends[] = {"", "-lock", ".damaged"};
    char path[128];

    end(w);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof(path), "%s%s", w->path, ends[i]);
        (void)unlink(path);
    }
    ck_assert_int_eq(rmdir(w->dir), 0);
    ck_assert_int_eq(uv_loop_close(&w->loop), 0);
}

static void register_web(struct world *w)
{
    struct definitions *defs;
    struct err err = {""};

    ck_assert_msg(
        definitions_parse(DEFINITION_SERVICE, "-",
                          slice_str("{\"Name\": \"web\", \"Port\": 80,"
                                    "\"Check\": {\"TTL\": \"60s\"}}"),
                          &defs, &err) == ST_OK,
        "%s", err.text);
    ck_assert_int_eq(
        local_register_service(w->local, defs, LOCAL_KEEP_CHECKS, now, &err),
        ST_OK);
    definitions_unref(defs);
}

START_TEST(identity_is_made_once)
{
    struct world w;
    char id[40];
    char incarnation[40];

    world_init(&w);
    (void)snprintf(id, sizeof(id), "%s", state_node_id(w.state));
    (void)snprintf(incarnation, sizeof(incarnation), "%s",
                   state_incarnation(w.state));
    ck_assert_uint_eq(strlen(id), 36);
    ck_assert_str_ne(id, incarnation);
    end(&w);
    begin(&w);
    ck_assert_str_eq(state_node_id(w.state), id);
    ck_assert_str_eq(state_incarnation(w.state), incarnation);
    world_release(&w);
}
END_TEST

START_TEST(registration_is_durable_when_we_say_so)
{
    struct world w;
    struct local_service service;
    struct local_check check;

    world_init(&w);
    register_web(&w);
    ck_assert(state_save(w.state, w.local, now)); /* Urgent. */
    state_sync(w.state, on_durable, &w);
    ck_assert_int_eq(w.durable, 0); /* Not from inside the call. */
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(w.durable, 1);
    ck_assert_int_eq(local_ttl_update(w.local, "service:web", CHECK_PASSING,
                                      slice_str("fine"), now),
                     ST_OK);
    ck_assert(state_save(w.state, w.local, now)); /* A new status, too. */
    ck_assert_int_eq(local_ttl_update(w.local, "service:web", CHECK_PASSING,
                                      slice_str("fine"), now),
                     ST_OK);
    ck_assert(!state_save(w.state, w.local, now)); /* It still holds: later. */
    end(&w);
    begin(&w);
    ck_assert(local_service_get(w.local, "web", &service));
    ck_assert_uint_eq(service.def->port, 80);
    ck_assert(local_check_get(w.local, "service:web", &check));
    ck_assert_int_eq(check.status, CHECK_PASSING);
    world_release(&w);
}
END_TEST

static void on_refused(void *arg, enum status st, const struct err *err)
{
    struct world *w = arg;

    ck_assert_int_eq(st, ST_IO);
    ck_assert_str_ne(err->text, "");
    w->durable++;
}

/* As on a full disk: no file may grow beyond what the database has. */
static void disk_full(bool full)
{
    struct rlimit limit = {.rlim_cur = full ? 0 : RLIM_INFINITY,
                           .rlim_max = RLIM_INFINITY};

    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(full_disk_is_told_and_made_up_for)
{
    struct world w;
    struct local_service service;

    world_init(&w);
    (void)uv_run(&w.loop, UV_RUN_DEFAULT); /* Our identity is on disk. */
    register_web(&w);
    disk_full(true);
    ck_assert(state_save(w.state, w.local, now));
    state_sync(w.state, on_refused, &w);
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(w.durable, 1);
    disk_full(false);
    ck_assert(state_save(w.state, w.local, now)); /* Nothing new: the old. */
    state_sync(w.state, on_durable, &w);
    (void)uv_run(&w.loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(w.durable, 2);
    end(&w);
    begin(&w);
    ck_assert(local_service_get(w.local, "web", &service));
    world_release(&w);
}
END_TEST

START_TEST(deregistration_is_kept_too)
{
    struct world w;
    struct local_service service;

    world_init(&w);
    register_web(&w);
    ck_assert(state_save(w.state, w.local, now));
    ck_assert_int_eq(local_deregister_service(w.local, "web", now), ST_OK);
    ck_assert(state_save(w.state, w.local, now));
    end(&w);
    begin(&w);
    ck_assert(!local_service_get(w.local, "web", &service));
    world_release(&w);
}
END_TEST

START_TEST(damaged_file_is_moved_aside)
{
    struct world w;
    char aside[128];
    struct stat st;
    int fd;

    world_init(&w);
    register_web(&w);
    (void)state_save(w.state, w.local, now);
    end(&w);
    fd = open(w.path, O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 6000), 0);
    ck_assert_int_eq(close(fd), 0);
    begin(&w);
    ck_assert_uint_eq(local_services_count(w.local), 0);
    (void)snprintf(aside, sizeof(aside), "%s.damaged", w.path);
    ck_assert_int_eq(stat(aside, &st), 0);
    world_release(&w);
}
END_TEST

UNIT_MAIN("state", {
    tcase_add_test(tc, identity_is_made_once);
    tcase_add_test(tc, registration_is_durable_when_we_say_so);
    tcase_add_test(tc, full_disk_is_told_and_made_up_for);
    tcase_add_test(tc, deregistration_is_kept_too);
    tcase_add_test(tc, damaged_file_is_moved_aside);
})
