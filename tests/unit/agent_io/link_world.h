/*
 * link_world.h - two hosts and a real etcd-server, Debian's.
 */
#pragma once

#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/io/link.h"
#include "base/core/log.h"
#include "base/io/loop.h"
#include "suite.h"

/* ---- The store --------------------------------------------------------- */

struct etcd {
    pid_t pid;
    char dir[64];
    int port;
    int peer_port;
    char url[64];
};

static inline int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

static inline void etcd_start(struct etcd *e)
{
    char client[64];
    char peer[64];
    char cluster[80];
    char data[96];

    (void)snprintf(client, sizeof(client), "http://127.0.0.1:%d", e->port);
    (void)snprintf(peer, sizeof(peer), "http://127.0.0.1:%d", e->peer_port);
    (void)snprintf(cluster, sizeof(cluster), "e=%s", peer);
    (void)snprintf(data, sizeof(data), "%s/data", e->dir);
    e->pid = fork();
    if (e->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* When a test fails. */
        (void)!freopen("/dev/null", "w", stderr);
        (void)!freopen("/dev/null", "w", stdout);
        execlp("etcd", "etcd", "--name", "e", "--data-dir", data,
               "--listen-client-urls", client, "--advertise-client-urls",
               client, "--listen-peer-urls", peer,
               "--initial-advertise-peer-urls", peer, "--initial-cluster",
               cluster, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_gt(e->pid, 0);
}

static inline void etcd_init(struct etcd *e)
{
    *e = (struct etcd){.port = free_port(), .peer_port = free_port()};
    strcpy(e->dir, "/tmp/muster-link-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(e->dir));
    (void)snprintf(e->url, sizeof(e->url), "http://127.0.0.1:%d", e->port);
    etcd_start(e);
}

static inline void etcd_kill(struct etcd *e)
{
    int status;

    ck_assert_int_eq(kill(e->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(e->pid, &status, 0), e->pid);
}

static inline int remove_entry(const char *path, const struct stat *st,
                               int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void etcd_release(struct etcd *e)
{
    etcd_kill(e);
    (void)nftw(e->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- Hosts ------------------------------------------------------------- */

struct world;

struct host {
    struct world *world;
    const char *name;
    struct local *local;
    struct link *link; /* NULL: not running. */
    uint32_t lease_ttl_s;
    unsigned fulls;
    unsigned updates;
};

struct world {
    struct loop *loop;
    struct etcd etcd;
    struct host a;
    struct host b;
    uv_timer_t tick;
    uint64_t limit_ms;
    bool (*until)(struct world *w);
    bool reached;
    unsigned stopped;
    enum status confirmed;
    int64_t removed_revision;
    enum sync_result txn_result;
    bool answered;
};

static inline void on_update(void *ctx, const struct link_update *update)
{
    struct host *h = ctx;

    h->updates++;
    h->fulls += update->full;
}

static inline void on_contact(void *ctx)
{
    (void)ctx;
}

static inline void host_init(struct world *w, struct host *h, const char *name)
{
    struct local_host host = {
        .datacenter = "dc1",
        .node = {.name = name,
                 .id = name,
                 .address = "127.0.0.1",
                 .owner = {.node = name, .incarnation = name}}};

    *h = (struct host){.world = w, .name = name, .lease_ttl_s = 5};
    h->local = local_new(&host, (struct hash_key){1, 2});
    local_restored(h->local, (struct local_time){1, 1});
}

static inline void host_register(struct host *h, const char *service)
{
    struct local_time now = {loop_now_ms(h->world->loop), 1};
    struct definitions *defs;
    struct err err = {""};
    char text[256];

    (void)snprintf(text, sizeof(text),
                   "{\"name\": \"%s\", \"port\": 80, \"id\": \"%s-%s\"}",
                   service, service, h->name);
    ck_assert_msg(definitions_parse(DEFINITION_SERVICE, "-", slice_str(text),
                                    &defs, &err) == ST_OK,
                  "%s", err.text);
    ck_assert_int_eq(
        local_register_service(h->local, defs, LOCAL_KEEP_CHECKS, now, &err),
        ST_OK);
    definitions_unref(defs);
    if (h->link) {
        link_poke(h->link);
    }
}

/* As `node`, which is the host's own name in all tests but one. */
static inline void host_start_as(struct host *h, const char *node,
                                 const char *const *urls, size_t urls_count)
{
    struct link_config config = {.urls = urls,
                                 .urls_count = urls_count,
                                 .datacenter = "dc1",
                                 .node = node,
                                 .node_id = h->name,
                                 .incarnation = h->name,
                                 .lease_ttl_s = h->lease_ttl_s,
                                 .restart_grace_s = 60,
                                 .seed = 4711};
    struct link_hooks hooks = {
        .ctx = h, .on_update = on_update, .on_contact = on_contact};
    struct err err = {""};

    ck_assert_msg(link_start(h->world->loop, &config, h->local,
                             catalog_new("dc1"), 0, 0, hooks, &h->link,
                             &err) == ST_OK,
                  "%s", err.text);
}

static inline void host_start(struct host *h)
{
    const char *url = h->world->etcd.url;

    host_start_as(h, h->name, &url, 1);
}

/* ---- Waiting ----------------------------------------------------------- */

static inline void on_tick(uv_timer_t *timer)
{
    struct world *w = timer->data;

    if (w->until(w)) {
        w->reached = true;
        loop_stop(w->loop);
    } else if (loop_now_ms(w->loop) > w->limit_ms) {
        loop_stop(w->loop);
    }
}

static inline void await(struct world *w, const char *what,
                         bool (*until)(struct world *w))
{
    w->until = until;
    w->reached = false;
    w->limit_ms = loop_now_ms(w->loop) + 30000;
    ck_assert_int_eq(uv_timer_start(&w->tick, on_tick, 0, 10), 0);
    loop_run(w->loop);
    (void)uv_timer_stop(&w->tick);
    ck_assert_msg(w->reached, "waited in vain: %s", what);
}

static inline void world_init(struct world *w)
{
    log_set_level(LOG_ERROR);
    memset(w, 0, sizeof(*w));
    w->loop = loop_new();
    ck_assert_int_eq(uv_timer_init(loop_uv(w->loop), &w->tick), 0);
    w->tick.data = w;
    etcd_init(&w->etcd);
    host_init(w, &w->a, "a");
    host_init(w, &w->b, "b");
}

static inline void on_stopped(void *arg)
{
    struct host *h = arg;

    h->link = NULL;
    h->world->stopped++;
}

static inline bool is_stopped(struct world *w)
{
    return w->stopped == 1;
}

static inline void host_stop(struct host *h, enum link_stop_mode mode)
{
    h->world->stopped = 0;
    link_stop(h->link, mode, on_stopped, h);
    await(h->world, "the stop", is_stopped);
}

static inline void world_release(struct world *w)
{
    if (w->a.link) {
        host_stop(&w->a, LINK_STOP_KEEP);
    }
    if (w->b.link) {
        host_stop(&w->b, LINK_STOP_KEEP);
    }
    local_free(w->a.local);
    local_free(w->b.local);
    uv_close((uv_handle_t *)&w->tick, NULL);
    loop_free(w->loop);
    etcd_release(&w->etcd);
}

static inline size_t seen(struct host *h, const char *service)
{
    const struct catalog_service *s =
        catalog_service(link_catalog(h->link), service);

    return s ? catalog_service_size(s) : 0;
}

static inline bool live(struct host *h, const char *node)
{
    const struct catalog_node *n = catalog_node(link_catalog(h->link), node);

    return n && n->live;
}

static inline bool both_see_both(struct world *w)
{
    return seen(&w->a, "web") == 2 && seen(&w->b, "web") == 2 &&
           live(&w->a, "b") && live(&w->b, "a") && link_current(w->a.link) &&
           link_current(w->b.link);
}

static inline void start_both(struct world *w)
{
    host_register(&w->a, "web");
    host_register(&w->b, "web");
    host_start(&w->a);
    host_start(&w->b);
    await(w, "both to see both", both_see_both);
}
