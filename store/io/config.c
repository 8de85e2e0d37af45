#include "store/io/config.h"

#include <string.h>

#include "base/core/limits.h"
#include "base/core/utf8.h"
#include "store/io/data_dir.h"

enum {
    ELECTION_TIMEOUT_MS_MAX = 50000,
    HEARTBEATS_MIN = 5,
    NAME_MAX_LEN = 255
};

/* Seven days: no client waits longer for a sign of life. */
enum {
    PROGRESS_INTERVAL_MS_MIN = 100,
    PROGRESS_INTERVAL_MS_MAX = 604800000
};

void member_config_init(struct member_config *config)
{
    *config = (struct member_config){
        .name = "default",
        .listen_client_urls = "http://localhost:2379",
        .listen_peer_urls = "http://localhost:2380",
        .initial_advertise_peer_urls = "http://localhost:2380",
        .initial_cluster_token = "etcd-cluster",
        .initial_cluster_state = "new",
        .snapshot_count = 100000,
        .max_request_bytes = LIMIT_REQUEST_BYTES,
        .max_txn_ops = LIMIT_TXN_OPS,
        .heartbeat_interval_ms = 100,
        .election_timeout_ms = 1000,
        .progress_notify_interval_ms = 600000,
        .strict_reconfig_check = true,
    };
}

static enum status check_times(const struct member_config *c, struct err *err)
{
    if (c->heartbeat_interval_ms == 0) {
        return err_set(err, ST_INVALID,
                       "--heartbeat-interval: it must be at least 1 ms");
    }
    if (c->election_timeout_ms / HEARTBEATS_MIN < c->heartbeat_interval_ms) {
        return err_set(err, ST_INVALID,
                       "--election-timeout[%llums] should be at least as %d "
                       "times as --heartbeat-interval[%llums]",
                       (unsigned long long)c->election_timeout_ms,
                       HEARTBEATS_MIN,
                       (unsigned long long)c->heartbeat_interval_ms);
    }
    if (c->election_timeout_ms > ELECTION_TIMEOUT_MS_MAX) {
        return err_set(err, ST_INVALID,
                       "--election-timeout[%llums] is too long, and should be "
                       "set less than %dms",
                       (unsigned long long)c->election_timeout_ms,
                       ELECTION_TIMEOUT_MS_MAX);
    }
    if (c->progress_notify_interval_ms < PROGRESS_INTERVAL_MS_MIN ||
        c->progress_notify_interval_ms > PROGRESS_INTERVAL_MS_MAX) {
        return err_set(err, ST_INVALID,
                       "--experimental-watch-progress-notify-interval: it "
                       "must be from %dms to 168h",
                       PROGRESS_INTERVAL_MS_MIN);
    }
    return ST_OK;
}

static enum status check_limits(const struct member_config *c, struct err *err)
{
    if (c->max_request_bytes == 0 || c->max_request_bytes > LIMIT_REQUEST_MAX) {
        return err_set(err, ST_INVALID,
                       "--max-request-bytes: it must be from 1 to %lu",
                       LIMIT_REQUEST_MAX);
    }
    if (c->max_txn_ops == 0 || c->max_txn_ops > LIMIT_TXN_OPS_MAX) {
        return err_set(err, ST_INVALID,
                       "--max-txn-ops: it must be from 1 to %d",
                       LIMIT_TXN_OPS_MAX);
    }
    if (c->snapshot_count == 0) {
        return err_set(err, ST_INVALID,
                       "--snapshot-count: it must be at least 1");
    }
    return ST_OK;
}

static enum status check_words(const struct member_config *c, struct err *err)
{
    if (c->name[0] == '\0' || strlen(c->name) > NAME_MAX_LEN ||
        strpbrk(c->name, ",=") != NULL || !utf8_is(slice_str(c->name))) {
        return err_set(err, ST_INVALID,
                       "--name: \"%.64s\" must have 1 to %d letters of UTF-8, "
                       "without ',' and '='",
                       c->name, NAME_MAX_LEN);
    }
    if (strcmp(c->initial_cluster_state, "new") != 0 &&
        strcmp(c->initial_cluster_state, "existing") != 0) {
        return err_set(err, ST_INVALID,
                       "--initial-cluster-state: \"%s\" must be \"new\" or "
                       "\"existing\"",
                       c->initial_cluster_state);
    }
    return ST_OK;
}

static enum status check_tls(const struct member_plan *plan, struct err *err)
{
    const struct member_config *c = &plan->config;
    bool tls = false;

    for (size_t i = 0; i < plan->client_urls.count; i++) {
        tls = tls || plan->client_urls.urls[i].tls;
    }
    if (tls && (c->cert_file == NULL || c->key_file == NULL)) {
        return err_set(err, ST_INVALID,
                       "--listen-client-urls: https needs --cert-file and "
                       "--key-file");
    }
    if ((c->cert_file == NULL) != (c->key_file == NULL)) {
        return err_set(err, ST_INVALID,
                       "--cert-file and --key-file: both or none are needed");
    }
    if (c->client_cert_auth && c->trusted_ca_file == NULL) {
        return err_set(err, ST_INVALID,
                       "--client-cert-auth needs --trusted-ca-file");
    }
    return ST_OK;
}

static enum status check_peer_tls(const struct member_plan *plan,
                                  struct err *err)
{
    const struct member_config *c = &plan->config;
    bool tls = false;

    for (size_t i = 0; i < plan->peer_urls.count; i++) {
        tls = tls || plan->peer_urls.urls[i].tls;
    }
    if ((c->peer_cert_file == NULL) != (c->peer_key_file == NULL)) {
        return err_set(err, ST_INVALID,
                       "--peer-cert-file and --peer-key-file: both or none are "
                       "needed");
    }
    if (tls && c->peer_cert_file == NULL) {
        return err_set(err, ST_INVALID,
                       "--listen-peer-urls: https needs --peer-cert-file and "
                       "--peer-key-file");
    }
    if (c->peer_client_cert_auth && c->peer_trusted_ca_file == NULL) {
        return err_set(err, ST_INVALID,
                       "--peer-client-cert-auth needs --peer-trusted-ca-file");
    }
    if (c->peer_cert_allowed_cn != NULL && !c->peer_client_cert_auth) {
        return err_set(err, ST_INVALID,
                       "--peer-cert-allowed-cn needs --peer-client-cert-auth");
    }
    return ST_OK;
}

static enum status read_urls(struct member_plan *plan, struct err *err)
{
    const struct member_config *c = &plan->config;
    enum status st =
        url_list_parse(&plan->arena, "listen-client-urls",
                       c->listen_client_urls, &plan->client_urls, err);

    if (!st && c->advertise_client_urls != NULL) {
        st = url_list_parse(&plan->arena, "advertise-client-urls",
                            c->advertise_client_urls, &plan->advertised, err);
    }
    if (!st && c->listen_peer_urls != NULL) {
        st = url_list_parse(&plan->arena, "listen-peer-urls",
                            c->listen_peer_urls, &plan->peer_urls, err);
    }
    return st;
}

static enum status read_founding(struct member_plan *plan, struct err *err)
{
    struct member_config *c = &plan->config;

    if (c->initial_cluster == NULL) {
        struct url_list peers;
        struct buf text;
        enum status st =
            url_list_parse(&plan->arena, "initial-advertise-peer-urls",
                           c->initial_advertise_peer_urls, &peers, err);

        if (st) {
            return st;
        }
        buf_init(&text, LIMIT_URL_BYTES);
        for (size_t i = 0; i < peers.count && !st; i++) {
            st = buf_addf(&text, "%s%s=%s", i > 0 ? "," : "", c->name,
                          peers.urls[i].text);
        }
        c->initial_cluster = arena_strdup(&plan->arena, buf_slice(&text));
        buf_release(&text);
        if (st) {
            return err_set(err, ST_TOO_BIG,
                           "--initial-advertise-peer-urls: too long");
        }
    }
    return founding_parse(&plan->arena, c->initial_cluster,
                          c->initial_cluster_token, c->name,
                          c->initial_advertise_peer_urls, &plan->founding, err);
}

static void own(struct arena *arena, const char **text)
{
    if (*text != NULL) {
        *text = arena_strdup(arena, slice_str(*text));
    }
}

static void own_all(struct member_plan *plan)
{
    struct member_config *c = &plan->config;
    struct arena *a = &plan->arena;

    own(a, &c->name);
    own(a, &c->data_dir);
    own(a, &c->listen_client_urls);
    own(a, &c->advertise_client_urls);
    own(a, &c->listen_peer_urls);
    own(a, &c->initial_advertise_peer_urls);
    own(a, &c->initial_cluster);
    own(a, &c->initial_cluster_token);
    own(a, &c->initial_cluster_state);
    own(a, &c->cert_file);
    own(a, &c->key_file);
    own(a, &c->trusted_ca_file);
    own(a, &c->peer_cert_file);
    own(a, &c->peer_key_file);
    own(a, &c->peer_trusted_ca_file);
    own(a, &c->peer_cert_allowed_cn);
    if (c->data_dir == NULL) {
        c->data_dir = arena_printf(a, "%s.etcd", c->name);
    }
}

enum status member_plan_make(struct member_plan *plan,
                             const struct member_config *config,
                             struct err *err)
{
    enum status st;

    *plan = (struct member_plan){.config = *config};
    own_all(plan);
    st = check_words(&plan->config, err);
    if (!st) {
        st = check_times(&plan->config, err);
    }
    if (!st) {
        st = check_limits(&plan->config, err);
    }
    if (!st) {
        st = read_urls(plan, err);
    }
    if (!st) {
        st = check_tls(plan, err);
    }
    if (!st) {
        st = check_peer_tls(plan, err);
    }
    if (!st && !data_dir_has_log(plan->config.data_dir)) {
        st = read_founding(plan, err); /* A restart does not ask for it. */
    }
    return st;
}

struct node_config member_plan_node(struct member_plan *plan)
{
    const struct member_config *c = &plan->config;
    const struct founding *f = &plan->founding;
    struct node_member *members =
        arena_zalloc(&plan->arena, f->founders_count, sizeof(*members));
    struct node_config config = node_config_default();

    for (size_t i = 0; i < f->founders_count; i++) {
        members[i].id = f->founders[i].id;
        members[i].context = founder_json(&plan->arena, &f->founders[i]);
    }
    config.raft.id = f->founders_count == 0 ? 1 : f->founders[f->self].id;
    config.raft.heartbeat_ms = c->heartbeat_interval_ms;
    config.raft.election_ms = c->election_timeout_ms;
    config.cluster_id = f->cluster_id;
    config.members = members;
    config.members_count = plan->joins ? 0 : f->founders_count;
    config.force_new_cluster = c->force_new_cluster;
    config.snapshot_count = c->snapshot_count;
    return config;
}

void member_plan_release(struct member_plan *plan)
{
    arena_release(&plan->arena);
    *plan = (struct member_plan){0};
}
