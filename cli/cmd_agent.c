/* The one place where the agent and a store meet: with --dev a member runs on a
 * thread and loop of its own, and the agent is given its URL like any other. */

#include "cli/cmd_agent.h"

#include <jansson.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "agent/core/fields.h"
#include "agent/io/agent.h"
#include "agent/io/privileges.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/io/loop.h"
#include "base/io/notify.h"
#include "cli/args.h"
#include "cli/exit.h"
#include "store/io/member_thread.h"

/* ---- Flags ------------------------------------------------------------- */

#define FLAGS_MAX 128

/* Flags in the order in which they were given; files are read before them. */
struct given {
    struct {
        const char *name;
        const char *value;
    } flags[FLAGS_MAX];
    size_t flags_count;
    struct arg_list configs;
    bool dev;
    bool enable_script_checks;
};

static enum status on_flag(void *arg, const char *name, const char *value,
                           struct err *out_err)
{
    struct given *g = arg;

    if (g->flags_count == FLAGS_MAX) {
        return err_set(out_err, ST_TOO_BIG, "too many flags");
    }
    g->flags[g->flags_count].name = name;
    g->flags[g->flags_count++].value = value;
    return ST_OK;
}

static const char examples[] =
    "  muster agent --dev\n"
    "      everything on this machine, with a store inside\n"
    "  muster agent --dev --services ./services.d --dns 127.0.0.1:5300\n"
    "      the same with your own definitions and DNS on another port\n"
    "  muster agent --store https://10.0.0.1:2379,https://[fd00::2]:2379 \\\n"
    "      --store-cacert ca.pem --store-cert host.pem --store-key host.key\n"
    "      against a cluster, muster's or etcd's\n"
    "  muster agent --config /etc/muster/agent.json\n"
    "      Consul's agent configuration keys are understood\n";

static const char about[] =
    "Runs this host's agent: registers the services of the definition files "
    "and of the API, checks their health, keeps the whole catalogue at hand, "
    "and answers for it over DNS and HTTP. Every flag is also a key of the "
    "configuration file, with '_' for '-'.";

#define HANDED(flag, var, text)                                               \
    {                                                                         \
        .name = (flag), .kind = ARG_HANDED, .metavar = (var), .help = (text), \
        .on_value = on_flag, .arg = &g                                        \
    }

static bool flags_read(struct args *args, int argc, char **argv,
                       struct given *out_given, int *out_code)
{
    static struct given g;
    const struct arg_option options[] = {
        {.name = "dev",
         .kind = ARG_BOOL,
         .boolean = &g.dev,
         .help = "run a store of one member inside; nothing else to start"},
        {.name = "config",
         .kind = ARG_LIST,
         .list = &g.configs,
         .metavar = "FILE|DIR",
         .help = "read JSON configuration; flags win over files"},
        HANDED("services", "DIR",
               "folder of service definitions, watched "
               "(/etc/muster/services.d)"),
        HANDED("store", "URL[,URL]",
               "all members of the store (http://127.0.0.1:2379)"),
        HANDED("store-cacert", "FILE",
               "who has signed the store's certificates"),
        HANDED("store-cert", "FILE", "our certificate for the store"),
        HANDED("store-key", "FILE", "its key"),
        HANDED("store-listen", "ADDR:PORT",
               "where the store of --dev listens (127.0.0.1:2379)"),
        HANDED("node", "NAME", "this host's name (the host name)"),
        HANDED("datacenter", "NAME",
               "the datacenter (dc1). In files also remote_datacenters: "
               "{NAME: {\"store\": [URL]}}, others to answer for"),
        HANDED("advertise", "ADDR",
               "the address that services without their own have"),
        HANDED("data-dir", "DIR",
               "what must survive a restart (/var/lib/muster)"),
        HANDED("user", "NAME|UID",
               "whom to become when root has started it and the ports are "
               "bound"),
        HANDED("group", "NAME|GID", "the same of the group (the user's)"),
        HANDED("dns", "ADDR:PORT|off",
               "DNS, UDP and TCP; may be repeated (127.0.0.1:8600)"),
        HANDED("dot", "ADDR:PORT|off",
               "DNS over TLS, with tls.defaults.cert_file and key_file (off)"),
        HANDED("http", "ADDR:PORT|off", "HTTP (127.0.0.1:8500)"),
        HANDED("https", "ADDR:PORT|off",
               "HTTPS, with tls.defaults.cert_file and key_file (off)"),
        HANDED("socket", "PATH|off",
               "HTTP on a Unix socket (/run/muster/agent.sock)"),
        HANDED("line-socket", "PATH|off",
               "lines for scripts on another one (beside it, agent.lines); "
               "see muster lookup"),
        HANDED("round-trip-interval", "DURATION",
               "how often round trips to the store are measured, for ?near= "
               "(5m; 0s: never)"),
        HANDED("skydns-prefix", "KEY",
               "write this host's services as SkyDNS's keys, too, which "
               "CoreDNS reads, such as /skydns (off)"),
        HANDED("skydns-domain", "NAME", "what their names end with (--domain)"),
        HANDED("skydns-ttl", "DURATION", "of these records (5s)"),
        HANDED("grpc-prefix", "KEY",
               "write them as endpoints of etcd's gRPC naming, too, such as "
               "/grpc (off)"),
        HANDED("domain", "NAME", "DNS domain (muster.internal)"),
        HANDED("alt-domain", "NAME", "second DNS domain (consul)"),
        HANDED("recursor", "ADDR[:PORT]",
               "where other names are asked for; repeatable. In files also "
               "recursors_for: {DOMAIN: [ADDR]}"),
        HANDED("recursion-from", "CIDR[,CIDR]",
               "networks whose clients may ask for other names, besides "
               "loopback; repeatable"),
        HANDED("dns-threads", "N", "DNS threads; 0: one a processor (0)"),
        {.name = "enable-script-checks",
         .kind = ARG_BOOL,
         .boolean = &g.enable_script_checks,
         .help = "let the HTTP API register checks that run programs"},
        HANDED("log-level", "LEVEL", "debug, info, warn, error (info)"),
    };
    const struct arg_spec spec = {
        .command = "agent",
        .about = about,
        .examples = examples,
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
    };

    memset(&g, 0, sizeof(g));
    if (!args_parse(args, &spec, argc, argv, out_code)) {
        return false;
    }
    *out_given = g;
    return true;
}

static enum status config_make(const struct given *g, struct agent_config *c,
                               struct err *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < g->configs.count && !st; i++) {
        st = agent_config_load(c, g->configs.items[i], err);
    }
    for (size_t i = 0; i < g->flags_count && !st; i++) {
        st = agent_config_flag(c, g->flags[i].name, g->flags[i].value, err);
        if (st) {
            st = err_prefix(err, st, "flag --%s", g->flags[i].name);
        }
    }
    if (!st && g->dev) {
        st = agent_config_flag(c, "dev", "true", err);
    }
    if (!st && g->enable_script_checks) {
        st = agent_config_flag(c, "enable-script-checks", "true", err);
    }
    return st ? st : agent_config_finish(c, err);
}

/* ---- One run ----------------------------------------------------------- */

struct session {
    struct loop *loop;
    struct agent_config config;
    struct privileges privileges;
    struct notify notify;
    struct agent *agent;
    struct member_thread *member; /* NULL without --dev. */
    const char *member_url;       /* Of config.store_urls. */
    struct loop_task member_failed;
    struct err member_why;
    uv_signal_t signals[3];
    unsigned signals_open;
    bool ended;
    int code;
};

static void maybe_over(struct session *s)
{
    if (s->ended && s->signals_open == 0) {
        loop_stop(s->loop);
    }
}

static void on_signal_closed(uv_handle_t *handle)
{
    struct session *s = handle->data;

    s->signals_open--;
    maybe_over(s);
}

static void on_agent_ended(struct agent *agent, void *arg)
{
    struct session *s = arg;

    (void)agent;
    s->ended = true;
    notify_close(&s->notify);
    for (size_t i = 0; i < 3; i++) {
        uv_close((uv_handle_t *)&s->signals[i], on_signal_closed);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct session *s = handle->data;

    if (number == SIGHUP) {
        agent_reload(s->agent);
        return;
    }
    agent_stop(s->agent, s->config.leave_on_terminate ? AGENT_STOP_LEAVE
                                                      : AGENT_STOP_KEEP);
}

static void signals_open(struct session *s)
{
    static const int numbers[3] = {SIGTERM, SIGINT, SIGHUP};

    (void)signal(SIGXFSZ, SIG_IGN); /* A file size limit is a full disk. */
    for (size_t i = 0; i < 3; i++) {
        CHECK(uv_signal_init(loop_uv(s->loop), &s->signals[i]) == 0);
        s->signals[i].data = s;
        CHECK(uv_signal_start(&s->signals[i], on_signal, numbers[i]) == 0);
        s->signals_open++;
    }
}

/* ---- The store inside -------------------------------------------------- */

/* On the agent's loop. */
static void on_member_failed(struct loop_task *task)
{
    struct session *s =
        (struct session *)(void *)((char *)task -
                                   offsetof(struct session, member_failed));

    log_error("agent", "the store inside has stopped: %s", s->member_why.text);
    s->code = CLI_FAILED;
    if (s->agent) {
        agent_stop(s->agent, AGENT_STOP_KEEP);
    }
}

/* On the member's thread: hand the news over. Comes at most once. */
static void on_member_fatal(void *ctx, const struct err *why)
{
    struct session *s = ctx;

    s->member_why = *why;
    loop_post(s->loop, &s->member_failed);
}

static enum status member_open(struct session *s, struct err *err)
{
    struct agent_config *c = &s->config;
    struct member_config config;
    struct member_hooks hooks = {.ctx = s, .on_fatal = on_member_fatal};
    bool v6 = strchr(c->store_listen.host, ':') != NULL;
    enum status st;

    member_config_init(&config);
    config.name = c->node;
    config.data_dir = arena_printf(&c->arena, "%s/store", c->data_dir);
    config.listen_peer_urls = NULL; /* It is alone. */
    config.listen_client_urls =
        arena_printf(&c->arena, "http://%s%s%s:%u", v6 ? "[" : "",
                     c->store_listen.host, v6 ? "]" : "", c->store_listen.port);
    st = member_thread_start(&config, hooks, &s->member, err);
    if (st) {
        return err_prefix(err, st,
                          "the store inside (choose its port with "
                          "--store-listen)");
    }
    s->member_url = member_thread_client_url(s->member);
    c->store_urls = (struct texts){.items = &s->member_url, .count = 1};
    return ST_OK;
}

/* ---- What people and scripts are told ---------------------------------- */

static const char *without_scheme(const char *url)
{
    const char *after = strstr(url, "://");

    return after ? after + 3 : url;
}

static json_t *address_json(const char *host, uint16_t port)
{
    if (!host) {
        return json_null();
    }
    return json_sprintf(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

static json_t *dns_all_json(const struct agent_config *c,
                            const struct agent_ports *ports)
{
    json_t *all = json_array();

    for (size_t i = 0; i < c->dns.count; i++) {
        CHECK(json_array_append_new(
                  all, address_json(c->dns.items[i].host, ports->dns[i])) == 0);
    }
    return all;
}

static void say_started(const struct session *s)
{
    const struct agent_config *c = &s->config;
    struct agent_ports ports = agent_ports(s->agent);
    json_t *line = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:s?, s:s?, s:s?, s:s?, s:s}", "event",
        "started", "node", c->node, "datacenter", c->datacenter, "dns",
        address_json(c->dns.items[0].host, ports.dns[0]), "dot",
        address_json(c->dot.host, ports.dot), "http", ports.http_address,
        "https", ports.https_address, "socket", ports.socket_path,
        "line_socket", ports.line_socket, "store",
        without_scheme(c->store_urls.items[0]));
    char *text;

    if (c->dns.count > 1) {
        CHECK(json_object_set_new(line, "dns_all", dns_all_json(c, &ports)) ==
              0);
    }
    text = json_dumps(line, JSON_COMPACT);

    CHECK(text != NULL);
    (void)printf("%s\n", text);
    (void)fflush(stdout);
    free(text);
    json_decref(line);
}

static void say_hints(const struct session *s)
{
    const struct agent_config *c = &s->config;
    struct agent_ports ports = agent_ports(s->agent);

    (void)fprintf(stderr,
                  "\nmuster runs. Put definitions into %s, then try:\n\n",
                  c->services_dir);
    if (c->dns.count > 0) {
        (void)fprintf(stderr, "  dig -p %u @%s NAME.service.%s SRV\n",
                      ports.dns[0], c->dns.items[0].host, c->domain);
    }
    if (ports.http_address) {
        (void)fprintf(stderr, "  curl http://%s/v1/catalog/services\n",
                      ports.http_address);
    }
    if (ports.socket_path) {
        (void)fprintf(stderr, "  muster services --socket %s\n",
                      ports.socket_path);
    }
    (void)fprintf(stderr,
                  "  ETCDCTL_API=3 etcdctl --endpoints %s get --prefix "
                  "/muster/v1\n\n",
                  without_scheme(c->store_urls.items[0]));
}

/* ---- Consul's keys ----------------------------------------------------- */

static const struct {
    const char *key;
    const char *instead;
} elsewhere[] = {
    {"retry_join", "agents meet in the store: name it with \"store\""},
    {"start_join", "agents meet in the store: name it with \"store\""},
    {"server", "the store is a program of its own: muster store"},
    {"bootstrap", "the store is a program of its own: muster store"},
    {"bootstrap_expect", "the store is a program of its own: muster store"},
    {"bind_addr", "there is no gossip; \"advertise\" is this host's address"},
    {"encrypt", "there is no gossip; \"store_cacert\", \"store_cert\" and "
                "\"store_key\" encrypt what goes to the store"},
    {"log_file", "the log is standard error"},
    {"telemetry", "metrics are at /v1/metrics"},
};

static void warn_ignored(const char *key)
{
    const char *instead = NULL;

    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
        if (field_key_equal(elsewhere[i].key, key)) {
            instead = elsewhere[i].instead;
        }
    }
    log_warn("agent", "configuration: \"%s\" has no meaning here%s%s", key,
             instead != NULL ? ": " : "", instead != NULL ? instead : "");
}

/* ---- The command ------------------------------------------------------- */

/* Large blocks are the system's again when they are freed. Left alone, the
 * allocator would raise its idea of "large" with each that is, and keep them.
 */
#define LARGE_BLOCK_BYTES (256 * 1024)

static enum status session_start(struct session *s, struct err *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < s->config.ignored.count; i++) {
        warn_ignored(s->config.ignored.items[i]);
    }
    if (s->config.dev) {
        st = member_open(s, err);
    }
    if (!st) {
        st =
            agent_start(s->loop, &s->config, on_agent_ended, s, &s->agent, err);
    }
    return st;
}

/* Whatever came of the start: nothing goes on with what root lent it. */
static enum status session_start_lowered(struct session *s, struct err *err)
{
    struct err why;
    enum status st = session_start(s, err);
    enum status dropped = privileges_drop(&s->privileges, st ? &why : err);

    return st ? st : dropped;
}

static int session_run(struct session *s)
{
    struct err err;

    notify_open(&s->notify, s->loop);
    if (session_start_lowered(s, &err)) {
        (void)fprintf(stderr, "muster agent: %s\n", err.text);
        notify_close(&s->notify);
        return CLI_FAILED;
    }
    signals_open(s);
    say_started(s);
    agent_notify(s->agent, &s->notify);
    if (s->config.dev) {
        say_hints(s);
    }
    loop_run(s->loop);
    agent_free(s->agent);
    return s->code;
}

int cmd_agent(int argc, char **argv)
{
    struct session s = {.code = CLI_OK,
                        .member_failed = {.run = on_member_failed}};
    struct given given;
    struct args args;
    struct err err;
    int code;

    if (!flags_read(&args, argc, argv, &given, &code)) {
        return code;
    }
    agent_config_init(&s.config);
    if (config_make(&given, &s.config, &err)) {
        (void)fprintf(stderr, "muster agent: %s\n", err.text);
        code = CLI_USAGE;
    } else if (privileges_lower(&s.config, &s.privileges, &err)) {
        (void)fprintf(stderr, "muster agent: %s\n", err.text);
        code = CLI_FAILED;
    } else {
        log_set_level(s.config.log_level);
        (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
        s.loop = loop_new();
        code = session_run(&s);
        member_thread_stop(s.member);
        loop_free(s.loop);
    }
    agent_config_release(&s.config);
    args_release(&args);
    return code;
}
