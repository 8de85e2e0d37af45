#include "agent/io/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/io/agent_impl.h"
#include "agent/io/listen.h"
#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/log.h"

/* A replica that could not be written is tried again after this. */
#define RELIST_MS 60000

struct local_time agent_time(const struct agent *a)
{
    return (struct local_time){.now_ms = loop_now_ms(a->loop),
                               .wall_ms = (int64_t)loop_wall_ms()};
}

/* ---- What happens while it runs ----------------------------------------- */

bool agent_local_changed(struct agent *a)
{
    bool urgent = state_save(a->state, a->local, agent_time(a));

    if (a->phase != AGENT_RUNS) {
        return urgent;
    }
    if (a->link) {
        link_poke(a->link);
    }
    if (a->projector) {
        projector_poke(a->projector);
    }
    if (a->runner) {
        runner_poke(a->runner);
    }
    if (a->front) {
        front_local_changed(a->front);
    }
    if (a->feed) {
        dnsfeed_local(a->feed, a->local);
    }
    return urgent;
}

static void on_local_changed(void *arg)
{
    (void)agent_local_changed(arg);
}

static void on_arrives(void *ctx)
{
    agent_awake(ctx);
}

static bool on_api_changed(void *ctx)
{
    return agent_local_changed(ctx);
}

/* What the guard keeps from the readers is kept from the disk as well: a
 * restart finds what was known before the store was emptied. */
static void replica_follow(struct agent *a, const struct link_update *update)
{
    bool emptied = sentry_status(a->sentry).store_emptied;

    a->replica_behind = emptied || (a->replica_behind && !update->full);
    if (!a->replica_behind) {
        replica_update(a->replica, update);
    }
}

static enum status on_file(void *arg, const struct definitions *defs,
                           struct err *err)
{
    struct agent *a = arg;

    return access_file(a->access, defs, err);
}

static void on_update(void *ctx, const struct link_update *update)
{
    struct agent *a = ctx;
    const struct catalog *catalog = link_catalog(a->link);
    bool rights_changed;

    sentry_look(a->sentry, update);
    replica_follow(a, update);
    acl_apply(access_table(a->access), update->events, update->events_count,
              update->full);
    access_heard(a->access);
    rights_changed = access_news(a->access);
    if (rights_changed && a->phase == AGENT_RUNS) {
        services_reload(a->services);
        datacenters_feed(a->datacenters);
    }
    if (update->changes->lives.count > 0) {
        reaper_look(a->reaper, catalog, loop_now_ms(a->loop));
    }
    if (local_catalog(a->local, catalog) && a->runner &&
        a->phase == AGENT_RUNS) { /* The link ends later than the runner. */
        runner_poke(a->runner);
    }
    if (a->janitor) {
        janitor_update(a->janitor, update);
    }
    dnsfeed_catalog(a->feed, catalog, rights_changed ? NULL : update->changes);
    if (a->front) {
        front_catalog_changed(a->front);
    }
    lines_changed(a->lines);
    if (a->coords) {
        coords_update(a->coords, update);
    }
    if (a->projector && update->full && !update->aside) {
        projector_forget(a->projector);
    } else if (a->projector) {
        projector_poke(a->projector);
    }
    if (a->front && rights_changed) {
        front_rights_changed(a->front);
    }
    if (!update->aside) {
        sentry_act(a->sentry);
    }
    if (!a->said_ready) {
        agent_notify_look(a);
    }
}

static void on_refill_over(void *ctx)
{
    struct agent *a = ctx;

    link_relist(a->link);
}

static void on_verdict(void *ctx)
{
    struct agent *a = ctx;

    dnsfeed_verdict_changed(a->feed);
}

static void on_contact(void *ctx)
{
    struct agent *a = ctx;

    if (link_current(a->link)) {
        log_debug("agent", "store: the replica is current");
    }
    if (a->front) {
        front_contact_changed(a->front);
    }
    lines_changed(a->lines);
    if (a->coords) {
        coords_contact(a->coords);
    }
    agent_notify_look(a);
}

static bool on_farewell(void *ctx, int64_t lease, struct arena *arena,
                        struct sync_txn *out_txn)
{
    struct agent *a = ctx;

    if (lease == 0) {
        return a->coords && coords_leave(a->coords, arena, out_txn);
    }
    return a->projector &&
           projector_farewell(a->projector, lease, arena, out_txn);
}

static void on_relist(uv_timer_t *timer)
{
    struct agent *a = timer->data;

    if (a->phase == AGENT_RUNS) {
        link_relist(a->link);
    }
}

static void on_replica_lost(void *arg)
{
    struct agent *a = arg;

    if (a->phase == AGENT_RUNS) { /* Later its timer may be closed. */
        CHECK(uv_timer_start(&a->relist, on_relist, RELIST_MS, 0) == 0);
    }
}

static void on_guard(void *ctx, enum guard_mode mode)
{
    struct agent *a = ctx;

    sentry_set_mode(a->sentry, mode);
    datacenters_set_guard(a->datacenters, mode);
}

static void on_leave(void *ctx)
{
    agent_stop(ctx, AGENT_STOP_LEAVE);
}

static struct link *on_link(void *ctx, const char *datacenter)
{
    struct agent *a = ctx;

    return datacenter ? datacenters_link(a->datacenters, datacenter) : a->link;
}

static enum status on_reload(void *ctx, struct err *out_err)
{
    struct agent *a = ctx;

    return a->phase == AGENT_RUNS
               ? agent_reload_now(a, out_err)
               : err_set(out_err, ST_CLOSED, "the agent is ending");
}

void agent_reload(struct agent *agent)
{
    struct err err;

    if (agent->phase == AGENT_RUNS && agent_reload_now(agent, &err)) {
        log_error("agent", "reload: %s; the old configuration stays", err.text);
    }
}

/* ---- Starting, part by part -------------------------------------------- */

/* One agent a data folder. */
static enum status data_open(struct agent *a, struct err *err)
{
    char path[4200];
    enum status st = listen_folder_make(a->config->data_dir, 0755, err);

    if (st) {
        return err_prefix(err, st, "data folder (choose with --data-dir)");
    }
    (void)snprintf(path, sizeof(path), "%s/agent.lock", a->config->data_dir);
    a->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (a->lock_fd < 0) {
        return err_set(err, ST_IO, "%s: %s (choose another with --data-dir)",
                       path, strerror(errno));
    }
    if (flock(a->lock_fd, LOCK_EX | LOCK_NB)) {
        return err_set(err, ST_EXISTS,
                       "data folder %s: another agent is using it (choose "
                       "another with --data-dir)",
                       a->config->data_dir);
    }
    (void)snprintf(path, sizeof(path), "%s/state.mdb", a->config->data_dir);
    return state_open(loop_uv(a->loop), path, &a->state, err);
}

static void local_open(struct agent *a)
{
    const struct agent_config *c = a->config;
    bool v6 = strchr(c->advertise, ':') != NULL;
    struct pair tagged[] = {
        {.key = "lan", .value = c->advertise},
        {.key = v6 ? "lan_ipv6" : "lan_ipv4", .value = c->advertise},
        {.key = "wan", .value = c->advertise},
        {.key = v6 ? "wan_ipv6" : "wan_ipv4", .value = c->advertise},
    };
    struct local_host host = {
        .datacenter = c->datacenter,
        .exec_from_api = c->enable_script_checks,
        .discard_output = c->discard_check_output,
        .exec_from_files = c->enable_local_script_checks,
        .node = {.name = c->node,
                 .id = state_node_id(a->state),
                 .address = c->advertise,
                 .tagged = {.items = tagged,
                            .count = sizeof(tagged) / sizeof(tagged[0])},
                 .meta = c->node_meta,
                 .reap_ms = c->reap_ms,
                 .owner = {.node = c->node,
                           .incarnation = state_incarnation(a->state)}},
    };
    struct hash_key key;

    CHECK(RAND_bytes((unsigned char *)&key, sizeof(key)) == 1);
    a->local = local_new(&host, key);
    state_restore(a->state, a->local, agent_time(a));
}

static enum status link_open(struct agent *a, struct err *err)
{
    const struct agent_config *c = a->config;
    struct link_config config = {
        .urls = c->store_urls.items,
        .urls_count = c->store_urls.count,
        .cacert = c->store_cacert,
        .cert = c->store_cert,
        .key = c->store_key,
        .datacenter = c->datacenter,
        .node = c->node,
        .node_id = state_node_id(a->state),
        .incarnation = state_incarnation(a->state),
        .lease_ttl_s = c->lease_ttl_s,
        .restart_grace_s = (uint32_t)(c->restart_grace_ms / 1000),
    };
    struct link_hooks hooks = {.ctx = a,
                               .on_update = on_update,
                               .on_contact = on_contact,
                               .on_farewell = on_farewell,
                               .on_members = agent_members_changed};
    struct replica_content content;
    char path[4200];
    enum status st;

    CHECK(RAND_bytes((unsigned char *)&config.seed, sizeof(config.seed)) == 1);
    (void)snprintf(path, sizeof(path), "%s/replica.mdb", c->data_dir);
    st = replica_open(loop_uv(a->loop), path, c->datacenter, on_replica_lost, a,
                      &a->replica, err);
    if (st) {
        return st;
    }
    replica_take(a->replica, &content);
    acl_apply(access_table(a->access), content.acl, content.acl_count, true);
    arena_release(&content.acl_arena);
    reaper_look(a->reaper, content.catalog, loop_now_ms(a->loop));
    st = link_start(a->loop, &config, a->local, content.catalog,
                    content.cluster_id, content.keys_count, hooks, &a->link,
                    err);
    if (!st) {
        log_info("agent", "replica: %zu services on %zu nodes at revision %lld",
                 catalog_services_count(content.catalog),
                 catalog_nodes_count(content.catalog),
                 (long long)catalog_revision(content.catalog));
        (void)local_catalog(a->local, content.catalog);
        dnsfeed_catalog(a->feed, content.catalog, NULL);
        dnsfeed_local(a->feed, a->local);
        dnsfeed_publish(a->feed); /* Nobody is to meet the empty beginning. */
    }
    return st;
}

/* One that nobody has chosen is not worth a failed start. */
static enum status lines_open(struct agent *a, const struct front_hooks *hooks,
                              struct err *err)
{
    const struct agent_config *c = a->config;
    struct lines_config lines = {.path = c->line_socket,
                                 .mode = c->socket_mode,
                                 .conns_max = c->http_max_connections,
                                 .user = c->unix_sockets.user,
                                 .group = c->unix_sockets.group};
    enum status st = lines_start(a->loop, &lines, hooks, &a->lines, err);

    if (st && !c->line_socket_chosen) {
        log_warn("agent", "%s; going on without it", err->text);
        return ST_OK;
    }
    return st;
}

struct front_config agent_front_config(const struct agent *a,
                                       const struct agent_config *c)
{
    return (struct front_config){.server = "muster/" MUSTER_VERSION,
                                 .http = &c->http,
                                 .https = &c->https,
                                 .tls = &c->tls,
                                 .conns_max = c->http_max_connections,
                                 .handed = &a->handed,
                                 .socket_path = c->socket_path,
                                 .socket_mode = c->socket_mode,
                                 .socket_user = c->unix_sockets.user,
                                 .socket_group = c->unix_sockets.group};
}

static enum status front_open(struct agent *a, struct err *err)
{
    const struct agent_config *c = a->config;
    struct front_config config = agent_front_config(a, c);
    struct front_hooks hooks = {.ctx = a,
                                .arrives = on_arrives,
                                .view = agent_view,
                                .link = on_link,
                                .changed = on_api_changed,
                                .metrics = agent_metrics,
                                .explain = agent_explain,
                                .reload = on_reload,
                                .leave = on_leave,
                                .guard = on_guard};
    enum status st =
        front_start(a->loop, &config, a->state, hooks, &a->front, err);

    return st || !c->line_socket ? st : lines_open(a, &hooks, err);
}

static void sentry_open(struct agent *a)
{
    struct sentry_hooks hooks = {.ctx = a,
                                 .title = "guard",
                                 .on_refill_over = on_refill_over,
                                 .on_verdict = on_verdict};

    a->guard_configured = a->config->guard_mode;
    a->sentry = sentry_start(a->loop, a->link, &a->config->guard,
                             a->config->guard_mode, hooks);
}

static void on_coords(void *ctx, const struct coords *known)
{
    struct agent *a = ctx;

    dnsfeed_coords(a->feed, known);
}

static void coords_open(struct agent *a)
{
    struct coords_config config = {.datacenter = a->config->datacenter,
                                   .node = a->config->node,
                                   .every_ms =
                                       a->config->round_trip_interval_ms,
                                   .on_asked = agent_member_asked,
                                   .on_known = on_coords,
                                   .ctx = a};

    a->coords = coords_start(a->loop, a->link, &config);
}

/* Everything in the order in which it is needed. */
static enum status parts_open(struct agent *a, struct err *err)
{
    enum status st = data_open(a, err);

    if (st) {
        return st;
    }
    local_open(a);
    a->access = access_new(a->config);
    a->services = services_start(
        a->loop, a->config->services_dir, a->local,
        (struct services_gate){.may = on_file, .arg = a}, on_local_changed, a);
    (void)state_save(a->state, a->local, agent_time(a));
    st = activation_take(&a->handed, err);
    if (!st) {
        st = agent_dns_open(a, a->config, err);
    }
    if (!st) {
        st = agent_feed_open(a, err);
    }
    if (!st) {
        st = link_open(a, err);
    }
    if (!st) {
        st = agent_datacenters_open(a, err);
    }
    if (!st) {
        sentry_open(a);
        agent_duties_open(a);
        coords_open(a);
        st = front_open(a, err);
    }
    if (!st) {
        a->runner = runner_start(a->loop, a->local, on_local_changed, a);
    }
    return st;
}

/* Thousands of checks and polls may be open at the same time, and the soft
 * limit of 1024 is there for programs that use select(2). */
static void files_raise(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 &&
        files.rlim_cur < LIMIT_OPEN_FILES && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max < LIMIT_OPEN_FILES ? files.rlim_max
                                                           : LIMIT_OPEN_FILES;
        if (setrlimit(RLIMIT_NOFILE, &files)) {
            log_warn("agent", "open files stay limited: %s", strerror(errno));
        }
    }
}

/* A start that failed is over when everything that was opened is closed. */
static void on_failed_start_ended(struct agent *a, void *arg)
{
    (void)arg;
    loop_stop(a->loop);
}

enum status agent_start(struct loop *loop, const struct agent_config *config,
                        agent_ended_fn *on_ended, void *arg,
                        struct agent **out_agent, struct err *out_err)
{
    struct agent *a = calloc(1, sizeof(*a));
    enum status st;

    CHECK(a != NULL);
    a->loop = loop;
    a->config = config;
    a->on_ended = on_ended;
    a->arg = arg;
    a->lock_fd = -1;
    a->strict_default = config->http_strict_default;
    agent_view_set_level(a, config->api_level);
    a->translate_wan = config->translate_wan_addrs;
    listen_raise_files();
    a->reaper = reaper_new();
    a->members = members_new(config->dns_config.self_service);
    CHECK(uv_timer_init(loop_uv(loop), &a->relist) == 0);
    a->relist.data = a;
    CHECK(uv_timer_init(loop_uv(loop), &a->drain) == 0);
    a->drain.data = a;
    agent_suspend_open(a);
    files_raise();
    st = parts_open(a, out_err);
    if (st) {
        a->on_ended = on_failed_start_ended;
        agent_stop(a, AGENT_STOP_KEEP);
        loop_run(loop);
        agent_free(a);
        return st;
    }
    *out_agent = a;
    return ST_OK;
}

struct agent_ports agent_ports(const struct agent *a)
{
    struct agent_ports ports = {
        .http = front_port(a->front),
        .https = front_https_port(a->front),
        .dot = a->dns ? dns_server_tls_port(a->dns, 0) : 0,
        .http_address = front_address(a->front),
        .https_address = front_https_address(a->front),
        .socket_path = front_socket_path(a->front),
        .line_socket = a->lines ? a->config->line_socket : NULL,
    };

    for (size_t i = 0; a->dns && i < LIMIT_DNS_LISTENS; i++) {
        ports.dns[i] = dns_server_port(a->dns, i);
    }
    return ports;
}
