/* A whole agent without a store: what it answers, what it keeps, how it ends.
 * (With a store it is tested end to end.) */

#include "agent/io/agent.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/core/log.h"
#include "base/io/loop.h"
#include "suite.h"

struct world {
    struct loop *loop;
    struct agent_config config;
    struct agent *agent;
    bool ended;
    char dir[64];
    char services[80];
    char socket[80];
    char reply[65536];
    const char *request;
    struct loop_task answered;
};

static struct world world;

/* ---- One request at a time, from another thread ------------------------ */

static void on_answered(struct loop_task *task)
{
    (void)task;
    loop_stop(world.loop);
}

static void client_main(void *arg)
{
    struct world *w = arg;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t len = 0;
    ssize_t count;

    strcpy(to.sun_path, w->socket);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
        write(fd, w->request, strlen(w->request)) > 0) {
        while (len < sizeof(w->reply) - 1 &&
               (count = read(fd, w->reply + len, sizeof(w->reply) - 1 - len)) >
                   0) {
            len += (size_t)count;
        }
    }
    w->reply[len] = '\0';
    (void)close(fd);
    loop_post(w->loop, &w->answered);
}

/* The whole reply, head and body. */
static const char *ask(const char *method, const char *path, const char *body)
{
    struct world *w = &world;
    char request[2048];
    uv_thread_t thread;

    (void)snprintf(request, sizeof(request),
                   "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   method, path, strlen(body), body);
    w->request = request;
    w->answered = (struct loop_task){.run = on_answered};
    ck_assert_int_eq(uv_thread_create(&thread, client_main, w), 0);
    loop_run(w->loop);
    ck_assert_int_eq(uv_thread_join(&thread), 0);
    return w->reply;
}

static bool has_status(const char *reply, int status)
{
    char start[32];

    (void)snprintf(start, sizeof(start), "HTTP/1.1 %d ", status);
    return strncmp(reply, start, strlen(start)) == 0;
}

/* ---- The agent --------------------------------------------------------- */

static void on_ended(struct agent *agent, void *arg)
{
    struct world *w = arg;

    (void)agent;
    w->ended = true;
    loop_stop(w->loop);
}

static void flag(struct agent_config *c, const char *name, const char *value)
{
    struct err err = {""};

    ck_assert_msg(agent_config_flag(c, name, value, &err) == ST_OK, "%s",
                  err.text);
}

static void config_make(struct world *w, struct agent_config *c)
{
    struct err err = {""};
    char data[96];

    (void)snprintf(data, sizeof(data), "%s/data", w->dir);
    agent_config_init(c);
    flag(c, "node", "n1");
    flag(c, "log-level", "error");
    flag(c, "advertise", "127.0.0.1");
    flag(c, "data-dir", data);
    flag(c, "services", w->services);
    flag(c, "socket", w->socket);
    flag(c, "dns", "127.0.0.1:0");
    flag(c, "dns-threads", "1");
    flag(c, "http", "127.0.0.1:0");
    flag(c, "store", "http://127.0.0.1:1"); /* Nobody is there. */
    ck_assert_msg(agent_config_finish(c, &err) == ST_OK, "%s", err.text);
}

static void agent_begin(struct world *w)
{
    struct err err = {""};

    w->ended = false;
    ck_assert_msg(
        agent_start(w->loop, &w->config, on_ended, w, &w->agent, &err) == ST_OK,
        "%s", err.text);
}

static void agent_end(struct world *w)
{
    agent_stop(w->agent, AGENT_STOP_KEEP);
    if (!w->ended) {
        loop_run(w->loop);
    }
    ck_assert(w->ended);
    agent_free(w->agent);
}

static void world_init(void)
{
    struct world *w = &world;

    memset(w, 0, sizeof(*w));
    log_set_level(LOG_ERROR);
    w->loop = loop_new();
    strcpy(w->dir, "/tmp/muster-agent-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w->dir));
    (void)snprintf(w->services, sizeof(w->services), "%.60s/services", w->dir);
    (void)snprintf(w->socket, sizeof(w->socket), "%.60s/run/agent.sock",
                   w->dir);
    ck_assert_int_eq(mkdir(w->services, 0700), 0);
    config_make(w, &w->config);
    agent_begin(w);
}

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void world_release(void)
{
    struct world *w = &world;

    agent_config_release(&w->config);
    loop_free(w->loop);
    (void)nftw(w->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- Tests ------------------------------------------------------------- */

static const struct {
    const char *method;
    const char *path;
    const char *body;
    int status;
    const char *text;
} rows[] = {
    {"GET", "/v1/agent/self", "", 200, "\"NodeName\":\"n1\""},
    {"GET", "/v1/agent/self", "", 200, "replica_age_ms"},
    {"GET", "/v1/agent/services", "", 200, "{}"},
    {"GET", "/v1/catalog/services", "", 500, "No cluster leader"},
    {"GET", "/v1/health/service/web?consistent", "", 500, "No cluster leader"},
    {"GET", "/v1/status/leader", "", 200, "\"\""},
    {"GET", "/v1/metrics", "", 200, "muster_store_current 0"},
    {"PUT", "/v1/agent/reload", "", 200, ""},
    {"PUT", "/v1/agent/service/register", "{", 400, ""},
    {"PUT", "/v1/agent/service/register",
     "{\"Name\":\"x\",\"Check\":{\"Args\":[\"true\"],\"Interval\":\"1s\"}}",
     403, "enable_script_checks"},
    {"GET", "/v1/nothing", "", 404, ""},
};

START_TEST(answers_without_a_store)
{
    world_init();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *reply = ask(rows[i].method, rows[i].path, rows[i].body);

        ck_assert_msg(has_status(reply, rows[i].status), "%s: %s", rows[i].path,
                      reply);
        ck_assert_msg(strstr(reply, rows[i].text) != NULL, "%s: %s",
                      rows[i].path, reply);
    }
    agent_end(&world);
    world_release();
}
END_TEST

START_TEST(registration_survives_a_restart)
{
    world_init();
    ck_assert(has_status(ask("PUT", "/v1/agent/service/register",
                             "{\"Name\":\"web\",\"Port\":80,"
                             "\"Check\":{\"TTL\":\"60s\"}}"),
                         200));
    ck_assert(
        has_status(ask("PUT", "/v1/agent/check/pass/service:web", ""), 200));
    agent_end(&world);
    agent_begin(&world);
    ck_assert_ptr_nonnull(
        strstr(ask("GET", "/v1/agent/services", ""), "\"Port\":80"));
    ck_assert_ptr_nonnull(
        strstr(ask("GET", "/v1/agent/checks", ""), "\"Status\":\"passing\""));
    agent_end(&world);
    world_release();
}
END_TEST

START_TEST(data_folder_has_one_agent)
{
    struct agent_config config;
    struct agent *second;
    struct loop *loop;
    struct err err = {""};

    world_init();
    loop = loop_new();
    config_make(&world, &config);
    ck_assert_int_eq(
        agent_start(loop, &config, on_ended, &world, &second, &err), ST_EXISTS);
    ck_assert_msg(strstr(err.text, "another agent is using it") != NULL, "%s",
                  err.text);
    agent_config_release(&config);
    loop_free(loop);
    agent_end(&world);
    world_release();
}
END_TEST

/* What a start opens before it fails is closed again: the data folder can be
 * used at once. */
static const struct {
    const char *flag;
    const char *value; /* "%": the port that the first agent's HTTP has. */
    const char *text;
} taken[] = {
    {"http", "127.0.0.1:%", "http"},
    {"dns", "203.0.113.1:5353", "dns (choose with --dns,"},
    {"socket", "/proc/nowhere/agent.sock", "choose with --socket"},
    {"domain", "a..b", "domain"},
    {"store", "http://127.0.0.1", "no port"},
};

START_TEST(failed_start_leaves_nothing)
{
    struct agent_config config;
    struct agent *second;
    struct loop *loop;
    struct err err = {""};
    char value[128];
    char data[96];

    world_init();
    loop = loop_new();
    (void)snprintf(value, sizeof(value), "%s", taken[_i].value);
    if (strchr(value, '%')) {
        (void)snprintf(strchr(value, '%'), 8, "%u",
                       agent_ports(world.agent).http);
    }
    (void)snprintf(data, sizeof(data), "%s/second", world.dir);
    for (int turn = 0; turn < 2; turn++) {
        agent_config_init(&config);
        flag(&config, "data-dir", data);
        flag(&config, "services", world.services);
        flag(&config, "socket", "off");
        flag(&config, "dns", "127.0.0.1:0");
        flag(&config, "http", "127.0.0.1:0");
        if (strcmp(taken[_i].flag, "store") != 0) {
            flag(&config, "store", "http://127.0.0.1:1");
        }
        flag(&config, taken[_i].flag, value);
        ck_assert_int_eq(agent_config_finish(&config, &err), ST_OK);
        ck_assert_int_ne(
            agent_start(loop, &config, on_ended, &world, &second, &err), ST_OK);
        ck_assert_msg(strstr(err.text, taken[_i].text) != NULL, "%s", err.text);
        agent_config_release(&config);
    }
    loop_free(loop);
    agent_end(&world);
    world_release();
}
END_TEST

START_TEST(leave_ends_the_agent)
{
    world_init();
    ck_assert(has_status(ask("PUT", "/v1/agent/leave", ""), 200));
    agent_end(&world);
    world_release();
}
END_TEST

UNIT_MAIN("agent", {
    tcase_add_test(tc, answers_without_a_store);
    tcase_add_test(tc, registration_survives_a_restart);
    tcase_add_test(tc, data_folder_has_one_agent);
    tcase_add_loop_test(tc, failed_start_leaves_nothing, 0, COUNT_OF(taken));
    tcase_add_test(tc, leave_ends_the_agent);
})
