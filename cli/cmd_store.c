/*
 * cmd_store.c - `muster store`: flags in, a member on the main loop, signals.
 */
#include "cli/cmd_store.h"

#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "base/core/log.h"
#include "base/io/loop.h"
#include "base/io/notify.h"
#include "cli/args.h"
#include "cli/exit.h"
#include "store/io/member.h"

struct store_flags {
    struct member_config config;
    const char *log_level;
    int64_t snapshot_count;
    int64_t max_request_bytes;
    int64_t max_txn_ops;
    int64_t heartbeat_ms;
    int64_t election_ms;
};

static const char about[] =
    "Run one member of the replicated key-value store. It speaks etcd's v3 "
    "API, takes etcd's flags and keeps what it has acknowledged, whatever "
    "happens to the process.";

static const char examples[] =
    "muster store --data-dir /var/lib/muster/store\n"
    "muster store --listen-client-urls http://127.0.0.1:0 "
    "--data-dir /tmp/store\n"
    "muster store --name a --listen-peer-urls http://10.0.0.1:2380 "
    "--initial-advertise-peer-urls http://10.0.0.1:2380 "
    "--initial-cluster a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,"
    "c=http://10.0.0.3:2380\n"
    "ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:2379 muster store\n"
    "etcdctl --endpoints http://127.0.0.1:2379 put greeting hello\n";

/* Long, but a list: one flag after the other. */
static bool read_flags(struct store_flags *f, struct args *args, int argc,
                       char **argv, int *out_code)
{
    struct member_config *c = &f->config;
    const struct arg_option options[] = {
        {.name = "name",
         .kind = ARG_STRING,
         .string = &c->name,
         .metavar = "NAME",
         .fallback = "default",
         .help = "this member's name"},
        {.name = "data-dir",
         .kind = ARG_STRING,
         .string = &c->data_dir,
         .metavar = "DIR",
         .help = "where everything is kept (NAME.etcd)"},
        {.name = "listen-client-urls",
         .kind = ARG_STRING,
         .string = &c->listen_client_urls,
         .metavar = "URL,...",
         .fallback = "http://localhost:2379",
         .help = "where clients are served; port 0: any free one"},
        {.name = "advertise-client-urls",
         .kind = ARG_STRING,
         .string = &c->advertise_client_urls,
         .metavar = "URL,...",
         .help = "what clients are told instead"},
        {.name = "listen-peer-urls",
         .kind = ARG_STRING,
         .string = &c->listen_peer_urls,
         .metavar = "URL,...",
         .fallback = "http://localhost:2380",
         .help = "where other members are served"},
        {.name = "initial-advertise-peer-urls",
         .kind = ARG_STRING,
         .string = &c->initial_advertise_peer_urls,
         .metavar = "URL,...",
         .fallback = "http://localhost:2380",
         .help = "what other members are told"},
        {.name = "initial-cluster",
         .kind = ARG_STRING,
         .string = &c->initial_cluster,
         .metavar = "NAME=URL,...",
         .help = "the members the cluster begins with (this one alone)"},
        {.name = "initial-cluster-token",
         .kind = ARG_STRING,
         .string = &c->initial_cluster_token,
         .metavar = "TEXT",
         .fallback = "etcd-cluster",
         .help = "keeps clusters with the same URLs apart"},
        {.name = "initial-cluster-state",
         .kind = ARG_STRING,
         .string = &c->initial_cluster_state,
         .metavar = "new|existing",
         .fallback = "new",
         .help = "found a cluster or join one"},
        {.name = "force-new-cluster",
         .kind = ARG_BOOL,
         .boolean = &c->force_new_cluster,
         .help = "go on alone with what this member has: the others are "
                 "removed"},
        {.name = "strict-reconfig-check",
         .kind = ARG_BOOL,
         .boolean = &c->strict_reconfig_check,
         .fallback = "true",
         .help = "refuse changes of members that could cost the majority"},
        {.name = "snapshot-count",
         .kind = ARG_INT,
         .number = &f->snapshot_count,
         .metavar = "N",
         .fallback = "100000",
         .min = 1,
         .max = INT32_MAX,
         .help = "log entries after which the log is cut"},
        {.name = "quota-backend-bytes",
         .kind = ARG_INT,
         .number = &c->quota_backend_bytes,
         .metavar = "BYTES",
         .fallback = "0",
         .min = INT64_MIN,
         .max = INT64_MAX,
         .help = "size at which writes are refused; 0: 2 GiB, -1: none"},
        {.name = "max-request-bytes",
         .kind = ARG_INT,
         .number = &f->max_request_bytes,
         .metavar = "BYTES",
         .fallback = "1572864",
         .min = 1,
         .max = LIMIT_REQUEST_MAX,
         .help = "largest request that is accepted"},
        {.name = "max-txn-ops",
         .kind = ARG_INT,
         .number = &f->max_txn_ops,
         .metavar = "N",
         .fallback = "128",
         .min = 1,
         .max = LIMIT_TXN_OPS_MAX,
         .help = "most operations of a transaction"},
        {.name = "heartbeat-interval",
         .kind = ARG_INT,
         .number = &f->heartbeat_ms,
         .metavar = "MS",
         .fallback = "100",
         .min = 1,
         .max = INT32_MAX,
         .help = "time between heartbeats"},
        {.name = "election-timeout",
         .kind = ARG_INT,
         .number = &f->election_ms,
         .metavar = "MS",
         .fallback = "1000",
         .min = 1,
         .max = INT32_MAX,
         .help = "silence after which a leader is replaced"},
        {.name = "experimental-watch-progress-notify-interval",
         .kind = ARG_DURATION,
         .ms = &c->progress_notify_interval_ms,
         .metavar = "DURATION",
         .fallback = "10m",
         .help = "time between progress notices to watchers"},
        {.name = "cert-file",
         .kind = ARG_STRING,
         .string = &c->cert_file,
         .metavar = "FILE",
         .help = "certificate for https"},
        {.name = "key-file",
         .kind = ARG_STRING,
         .string = &c->key_file,
         .metavar = "FILE",
         .help = "its key"},
        {.name = "client-cert-auth",
         .kind = ARG_BOOL,
         .boolean = &c->client_cert_auth,
         .help = "refuse clients without a certificate"},
        {.name = "trusted-ca-file",
         .kind = ARG_STRING,
         .string = &c->trusted_ca_file,
         .metavar = "FILE",
         .help = "who may have signed clients' certificates"},
        {.name = "peer-cert-file",
         .kind = ARG_STRING,
         .string = &c->peer_cert_file,
         .metavar = "FILE",
         .help = "certificate for https among members"},
        {.name = "peer-key-file",
         .kind = ARG_STRING,
         .string = &c->peer_key_file,
         .metavar = "FILE",
         .help = "its key"},
        {.name = "peer-trusted-ca-file",
         .kind = ARG_STRING,
         .string = &c->peer_trusted_ca_file,
         .metavar = "FILE",
         .help = "who may have signed other members' certificates"},
        {.name = "peer-client-cert-auth",
         .kind = ARG_BOOL,
         .boolean = &c->peer_client_cert_auth,
         .help = "refuse members without a certificate"},
        {.name = "peer-cert-allowed-cn",
         .kind = ARG_STRING,
         .string = &c->peer_cert_allowed_cn,
         .metavar = "NAME",
         .help = "common name that other members' certificates must have"},
        {.name = "log-level",
         .kind = ARG_STRING,
         .string = &f->log_level,
         .metavar = "LEVEL",
         .fallback = "info",
         .help = "debug, info, warn or error"},
        {.name = "unsafe-no-fsync",
         .kind = ARG_BOOL,
         .boolean = &c->unsafe_no_fsync,
         .help = "lose data in a power cut: only for measuring"},
    };
    const struct arg_spec spec = {
        .command = "store",
        .about = about,
        .examples = examples,
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .env_prefix = "ETCD_",
    };

    member_config_init(c);
    if (!args_parse(args, &spec, argc, argv, out_code)) {
        return false;
    }
    c->snapshot_count = (uint64_t)f->snapshot_count;
    c->max_request_bytes = (uint64_t)f->max_request_bytes;
    c->max_txn_ops = (uint64_t)f->max_txn_ops;
    c->heartbeat_interval_ms = (uint64_t)f->heartbeat_ms;
    c->election_timeout_ms = (uint64_t)f->election_ms;
    return true;
}

/* --- Running --- */

struct store {
    struct loop *loop;
    struct notify notify;
    struct member *member;
    uv_signal_t signals[2];
    bool stopping;
    int code;
};

static void on_stopped(void *ctx)
{
    struct store *s = ctx;

    loop_stop(s->loop);
}

static void store_stop(struct store *s)
{
    if (s->stopping) {
        return;
    }
    s->stopping = true;
    notify_say(&s->notify, "STOPPING=1\nSTATUS=stopping");
    member_stop(s->member, on_stopped, s);
}

static void on_signal(uv_signal_t *signal, int number)
{
    log_info("store", "%s: stopping", number == SIGINT ? "SIGINT" : "SIGTERM");
    store_stop(signal->data);
}

/* The member has said why in the log. */
static void on_fatal(void *ctx, const struct err *why)
{
    struct store *s = ctx;

    (void)why;
    s->code = CLI_FAILED;
    store_stop(s);
}

static void on_removed(void *ctx)
{
    store_stop(ctx); /* As it should be: the end is a good one. */
}

/* One line on stdout, so that scripts learn the ports that were chosen. */
static void print_started(const struct store *s, const char *name)
{
    json_t *urls = json_array();
    char member[17];
    char cluster[17];
    char *line;
    const char *url;

    for (unsigned i = 0; (url = member_client_url(s->member, i)) != NULL; i++) {
        CHECK(json_array_append_new(urls, json_string(url)) == 0);
    }
    (void)snprintf(member, sizeof(member), "%" PRIx64, member_id(s->member));
    (void)snprintf(cluster, sizeof(cluster), "%" PRIx64,
                   member_cluster_id(s->member));

    json_t *started = json_pack("{s:s, s:s, s:o, s:s, s:s}", "event", "started",
                                "name", name, "client_urls", urls, "member_id",
                                member, "cluster_id", cluster);

    CHECK(started != NULL);
    line = json_dumps(started, JSON_PRESERVE_ORDER);
    CHECK(line != NULL);
    (void)printf("%s\n", line);
    (void)fflush(stdout);
    free(line);
    json_decref(started);
}

/* A loop that does not come here is hung. */
static bool on_pulse(void *ctx)
{
    (void)ctx;
    return true;
}

/* systemd and others of Type=notify wait for this. */
static void notify_ready(struct store *s)
{
    char lines[400];

    (void)snprintf(lines, sizeof(lines),
                   "READY=1\nSTATUS=serving clients at %s",
                   member_client_url(s->member, 0));
    notify_say(&s->notify, lines);
    notify_watch(&s->notify, on_pulse, s);
}

static void catch_signals(struct store *s)
{
    const int numbers[] = {SIGINT, SIGTERM};

    (void)signal(SIGXFSZ, SIG_IGN); /* A file size limit is a full disk. */
    for (int i = 0; i < 2; i++) {
        CHECK(uv_signal_init(loop_uv(s->loop), &s->signals[i]) == 0);
        s->signals[i].data = s;
        CHECK(uv_signal_start(&s->signals[i], on_signal, numbers[i]) == 0);
    }
}

static int run(const struct member_config *config)
{
    struct store s = {.loop = loop_new(), .code = CLI_OK};
    struct member_hooks hooks = {
        .ctx = &s, .on_fatal = on_fatal, .on_removed = on_removed};
    struct err err = {""};

    notify_open(&s.notify, s.loop);
    if (member_start(s.loop, config, hooks, &s.member, &err)) {
        (void)fprintf(stderr, "muster store: %s\n", err.text);
        notify_close(&s.notify);
        loop_free(s.loop);
        return CLI_FAILED;
    }
    catch_signals(&s);
    print_started(&s, config->name);
    notify_ready(&s);
    loop_run(s.loop);
    notify_close(&s.notify);
    for (int i = 0; i < 2; i++) {
        uv_close((uv_handle_t *)&s.signals[i], NULL);
    }
    loop_free(s.loop);
    return s.code;
}

int cmd_store(int argc, char **argv)
{
    struct store_flags flags = {0};
    struct args args;
    int level;
    int code;

    if (!read_flags(&flags, &args, argc, argv, &code)) {
        return code;
    }
    level = log_level_parse(flags.log_level);
    if (level < 0) {
        (void)fprintf(stderr,
                      "muster store: --log-level: \"%s\" is not debug, info, "
                      "warn or error\n",
                      flags.log_level);
        code = CLI_USAGE;
    } else {
        log_set_level((enum log_level)level);
        code = run(&flags.config);
    }
    args_release(&args);
    return code;
}
