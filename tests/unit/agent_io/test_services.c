/* A real folder: what comes, changes, breaks and goes. */

#include "agent/io/services.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io/loop.h"
#include "suite.h"

struct world {
    struct loop *loop;
    struct local *local;
    struct services *services;
    uv_timer_t limit;
    char dir[64];
    bool (*until)(struct world *w);
    bool reached;
    enum status (*may)(void *arg, const struct definitions *defs,
                       struct err *err);
    uint64_t reached_ms;
};

static void maybe_reached(struct world *w)
{
    if (w->until && w->until(w)) {
        w->until = NULL;
        w->reached = true;
        w->reached_ms = uv_hrtime() / 1000000;
        loop_stop(w->loop);
    }
}

static void on_changed(void *arg)
{
    maybe_reached(arg);
}

static void on_limit(uv_timer_t *timer)
{
    struct world *w = timer->data;

    loop_stop(w->loop);
}

static void on_stopped(void *arg)
{
    struct world *w = arg;

    loop_stop(w->loop);
}

/* Turn until the condition holds; fails after ten seconds. */
static void await(struct world *w, const char *what,
                  bool (*until)(struct world *w))
{
    w->until = until;
    w->reached = false;
    maybe_reached(w);
    if (!w->reached) {
        ck_assert_int_eq(uv_timer_start(&w->limit, on_limit, 10000, 0), 0);
        loop_run(w->loop);
        (void)uv_timer_stop(&w->limit);
    }
    ck_assert_msg(w->reached, "waited in vain: %s", what);
}

static void put(struct world *w, const char *name, const char *text)
{
    char path[128];
    char aside[160];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
    (void)snprintf(aside, sizeof(aside), "%s.tmp", path);
    f = fopen(aside, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(rename(aside, path), 0);
}

static void drop(struct world *w, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", w->dir, name);
    ck_assert_int_eq(unlink(path), 0);
}

static void world_init(struct world *w)
{
    struct local_host host = {
        .datacenter = "dc1",
        .node = {.name = "n1",
                 .id = "id",
                 .address = "127.0.0.1",
                 .owner = {.node = "n1", .incarnation = "i"}}};

    memset(w, 0, sizeof(*w));
    w->loop = loop_new();
    strcpy(w->dir, "/tmp/muster-services-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w->dir));
    w->local = local_new(&host, (struct hash_key){1, 2});
    local_restored(w->local, (struct local_time){1, 1});
    ck_assert_int_eq(uv_timer_init(loop_uv(w->loop), &w->limit), 0);
    w->limit.data = w;
}

static void world_start(struct world *w)
{
    w->services =
        services_start(w->loop, w->dir, w->local,
                       (struct services_gate){.may = w->may}, on_changed, w);
}

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void world_release(struct world *w)
{
    services_stop(w->services, on_stopped, w);
    loop_run(w->loop);
    uv_close((uv_handle_t *)&w->limit, NULL);
    local_free(w->local);
    loop_free(w->loop);
    (void)nftw(w->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static uint16_t port_of(struct world *w, const char *id)
{
    struct local_service s;

    return local_service_get(w->local, id, &s) ? s.def->port : 0;
}

static bool web_is_80(struct world *w)
{
    return port_of(w, "web") == 80;
}

static bool web_is_81(struct world *w)
{
    return port_of(w, "web") == 81;
}

static bool web_is_gone(struct world *w)
{
    return port_of(w, "web") == 0;
}

static bool one_is_faulty(struct world *w)
{
    return services_stats(w->services).faulty == 1;
}

static bool none_is_faulty(struct world *w)
{
    return services_stats(w->services).faulty == 0;
}

START_TEST(folder_is_read_at_start)
{
    struct world w;

    world_init(&w);
    put(&w, "web.json", "{\"service\": {\"name\": \"web\", \"port\": 80}}");
    put(&w, "note.txt", "not for us");
    put(&w, ".hidden.json", "nor this");
    world_start(&w);
    ck_assert_uint_eq(port_of(&w, "web"), 80);
    ck_assert_uint_eq(services_stats(w.services).files, 1);
    world_release(&w);
}
END_TEST

START_TEST(changes_are_seen_soon)
{
    struct world w;
    uint64_t begin;

    world_init(&w);
    world_start(&w);
    begin = uv_hrtime() / 1000000;
    put(&w, "web.json", "{\"service\": {\"name\": \"web\", \"port\": 80}}");
    await(&w, "a new file", web_is_80);
    /* The promise is 100 ms to the store; a loaded machine gets a second. */
    ck_assert_uint_lt(w.reached_ms - begin, 1000);
    put(&w, "web.json", "{\"service\": {\"name\": \"web\", \"port\": 81}}");
    await(&w, "a changed file", web_is_81);
    drop(&w, "web.json");
    await(&w, "a removed file", web_is_gone);
    world_release(&w);
}
END_TEST

static enum status no_web(void *arg, const struct definitions *defs,
                          struct err *err)
{
    (void)arg;
    return strcmp(definitions_service(defs, 0)->name, "web") == 0
               ? err_set(err, ST_DENIED, "it may not")
               : ST_OK;
}

static void on_fault(void *ctx, const char *file, const char *text)
{
    char *out = ctx;

    (void)file;
    (void)snprintf(out, 512, "%s", text);
}

START_TEST(file_without_the_right_is_a_fault)
{
    struct world w;
    char fault[512] = "";

    world_init(&w);
    w.may = no_web;
    put(&w, "web.json", "{\"service\": {\"name\": \"web\", \"port\": 80}}");
    put(&w, "db.json", "{\"service\": {\"name\": \"db\", \"port\": 81}}");
    world_start(&w);
    ck_assert(web_is_gone(&w));
    ck_assert_uint_eq(port_of(&w, "db"), 81);
    local_each_fault(w.local, on_fault, fault);
    ck_assert_msg(strstr(fault, "web.json: it may not") != NULL, "%s", fault);
    world_release(&w);
}
END_TEST

START_TEST(bad_file_keeps_the_last_good)
{
    struct world w;
    char fault[512] = "";

    world_init(&w);
    put(&w, "web.json", "{\"service\": {\"name\": \"web\", \"port\": 80}}");
    world_start(&w);
    put(&w, "web.json", "{\"service\": {\"name\": \"web\",\n\"port\": 99999}}");
    await(&w, "the fault", one_is_faulty);
    ck_assert_uint_eq(port_of(&w, "web"), 80);
    local_each_fault(w.local, on_fault, fault);
    ck_assert_msg(strstr(fault, "web.json:2: service \"web\": port") != NULL,
                  "%s", fault);
    put(&w, "web.json", "{\"service\": {\"name\": \"web\", \"port\": 81}}");
    await(&w, "the repair", none_is_faulty);
    ck_assert_uint_eq(port_of(&w, "web"), 81);
    world_release(&w);
}
END_TEST

START_TEST(dangling_link_keeps_the_last_good)
{
    struct world w;
    char path[128];
    char fault[512] = "";

    world_init(&w);
    put(&w, "web.json", "{\"service\": {\"name\": \"web\", \"port\": 80}}");
    world_start(&w);
    drop(&w, "web.json");
    (void)snprintf(path, sizeof(path), "%s/web.json", w.dir);
    ck_assert_int_eq(symlink("/nowhere/web.json", path), 0);
    await(&w, "the fault", one_is_faulty);
    ck_assert_uint_eq(port_of(&w, "web"), 80);
    local_each_fault(w.local, on_fault, fault);
    ck_assert_ptr_nonnull(strstr(fault, "No such file or directory"));
    world_release(&w);
}
END_TEST

START_TEST(same_id_in_two_files_names_both)
{
    struct world w;
    char fault[512] = "";

    world_init(&w);
    put(&w, "a.json", "{\"service\": {\"name\": \"web\", \"port\": 80}}");
    put(&w, "b.json", "{\"service\": {\"name\": \"web\", \"port\": 81}}");
    world_start(&w);
    ck_assert_uint_eq(port_of(&w, "web"), 80);
    ck_assert_uint_eq(services_stats(w.services).faulty, 1);
    local_each_fault(w.local, on_fault, fault);
    ck_assert_ptr_nonnull(strstr(fault, "a.json"));
    ck_assert_ptr_nonnull(strstr(fault, "b.json"));
    drop(&w, "a.json");
    await(&w, "the other file's turn", web_is_81);
    ck_assert_uint_eq(services_stats(w.services).faulty, 0);
    world_release(&w);
}
END_TEST

START_TEST(service_may_move_to_another_file)
{
    struct world w;

    world_init(&w);
    put(&w, "b.json", "{\"service\": {\"name\": \"web\", \"port\": 80}}");
    world_start(&w);
    put(&w, "a.json", "{\"service\": {\"name\": \"web\", \"port\": 81}}");
    put(&w, "b.json", "{\"service\": {\"name\": \"other\", \"port\": 1}}");
    await(&w, "the service in its new file", web_is_81);
    await(&w, "no fault", none_is_faulty);
    world_release(&w);
}
END_TEST

static bool disk_is_there(struct world *w)
{
    struct local_check c;

    return local_check_get(w->local, "disk", &c);
}

START_TEST(check_may_be_of_another_file)
{
    struct world w;
    char fault[512] = "";

    world_init(&w);
    put(&w, "a.json",
        "{\"check\": {\"id\": \"disk\", \"service_id\": \"web\", \"ttl\": "
        "\"1h\"}}");
    put(&w, "b.json", "{\"service\": {\"name\": \"web\", \"port\": 80}}");
    world_start(&w);
    ck_assert_uint_eq(port_of(&w, "web"), 80);
    ck_assert(disk_is_there(&w));
    ck_assert_uint_eq(services_stats(w.services).faulty, 0);
    put(&w, "c.json",
        "{\"check\": {\"id\": \"room\", \"service_id\": \"db\", \"ttl\": "
        "\"1h\"}}");
    await(&w, "a check of no service", one_is_faulty);
    local_each_fault(w.local, on_fault, fault);
    ck_assert_msg(strstr(fault, "\"db\" is not registered here") != NULL, "%s",
                  fault);
    put(&w, "d.json", "{\"service\": {\"name\": \"db\", \"port\": 1}}");
    await(&w, "its service", none_is_faulty);
    world_release(&w);
}
END_TEST

START_TEST(folder_may_come_later)
{
    struct world w;

    world_init(&w);
    ck_assert_int_eq(rmdir(w.dir), 0);
    world_start(&w);
    ck_assert_int_eq(mkdir(w.dir, 0700), 0);
    put(&w, "web.json", "{\"service\": {\"name\": \"web\", \"port\": 80}}");
    await(&w, "a folder that came later", web_is_80);
    world_release(&w);
}
END_TEST

UNIT_MAIN("services", {
    tcase_add_test(tc, folder_is_read_at_start);
    tcase_add_test(tc, changes_are_seen_soon);
    tcase_add_test(tc, file_without_the_right_is_a_fault);
    tcase_add_test(tc, bad_file_keeps_the_last_good);
    tcase_add_test(tc, dangling_link_keeps_the_last_good);
    tcase_add_test(tc, same_id_in_two_files_names_both);
    tcase_add_test(tc, service_may_move_to_another_file);
    tcase_add_test(tc, check_may_be_of_another_file);
    tcase_add_test(tc, folder_may_come_later);
})
