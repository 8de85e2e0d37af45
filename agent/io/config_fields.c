#include "agent/io/config_fields.h"

#include "agent/core/definition_tables.h"
#include "agent/io/config_rules.h"

enum {
    UDP_ANSWERS_MAX = 8
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define SECOND_MS    1000
#define YEARS_MS     ((uint64_t)87600 * 3600 * 1000)

#define SOA(k)                                      \
    .key = #k, .kind = FIELD_U32, .max = INT32_MAX, \
    .offset = offsetof(struct agent_soa_config, k)

static const struct field soa_items[] = {
    {SOA(refresh)},
    {SOA(retry)},
    {SOA(expire)},
    {SOA(min_ttl)},
};

static void soa_init(void *object)
{
    *(struct agent_soa_config *)object = (struct agent_soa_config){
        .refresh = 3600, .retry = 600, .expire = 86400, .min_ttl = 0};
}

static const struct fields soa_fields = {
    .items = soa_items,
    .count = COUNT(soa_items),
    .size = sizeof(struct agent_soa_config),
    .init = soa_init,
};

#define CACHE(k, member) \
    .key = k, .offset = offsetof(struct agent_cache_config, member)

static const struct field cache_items[] = {
    {CACHE("bytes", bytes), .kind = FIELD_U32, .max = 1 << 30},
    {CACHE("entries", entries), .kind = FIELD_U32, .max = 1 << 24},
    {CACHE("max_ttl", max_ttl_ms), .kind = FIELD_DURATION, .min = SECOND_MS},
    {CACHE("serve_stale", serve_stale), .kind = FIELD_BOOL},
    {CACHE("max_stale", max_stale_ms), .kind = FIELD_DURATION,
     .min = SECOND_MS},
};

static void cache_init(void *object)
{
    *(struct agent_cache_config *)object = (struct agent_cache_config){
        .bytes = 8 << 20,
        .max_ttl_ms = (uint64_t)24 * 3600 * SECOND_MS,
        .max_stale_ms = (uint64_t)24 * 3600 * SECOND_MS};
}

static const struct fields cache_fields = {
    .items = cache_items,
    .count = COUNT(cache_items),
    .size = sizeof(struct agent_cache_config),
    .init = cache_init,
};

static const char *const strategies[] = {"sequential", "random", NULL};
static const char *const none_healthy[] = {"nxdomain", "last_healthy", "all",
                                           NULL};
static const char *const orders[] = {"shuffle", "weighted", "near", NULL};
static const char *const subsets[] = {"by-type", "random", "stable", NULL};

#define DNS(k, member) \
    .key = k, .offset = offsetof(struct agent_dns_config, member)

static const struct field dns_items[] = {
    {DNS("node_ttl", node_ttl_ms), .kind = FIELD_DURATION},
    {DNS("service_ttl", service_ttl), .kind = FIELD_PAIRS, .max = 1024,
     .rule = config_rule_ttls},
    {DNS("only_passing", only_passing), .kind = FIELD_BOOL},
    {DNS("enable_truncate", enable_truncate), .kind = FIELD_BOOL},
    {DNS("always_ra", always_ra), .kind = FIELD_BOOL},
    {DNS("enable_additional_node_meta_txt", node_meta_txt), .kind = FIELD_BOOL},
    {DNS("recursor_strategy", recursor_strategy), .kind = FIELD_WORD,
     .words = strategies},
    {DNS("when_none_healthy", when_none_healthy), .kind = FIELD_WORD,
     .words = none_healthy},
    {DNS("a_record_limit", a_record_limit), .kind = FIELD_U32,
     .max = UINT16_MAX},
    {DNS("udp_answer_limit", udp_answer_limit), .kind = FIELD_U32,
     .max = UINT16_MAX},
    {DNS("edns_udp_size", edns_udp_size), .kind = FIELD_U32, .min = 512,
     .max = 8192},
    {DNS("udp_max_remote", udp_max_remote), .kind = FIELD_U32, .min = 512,
     .max = 65467},
    {DNS("nodata_ttl", nodata_ttl_ms), .kind = FIELD_DURATION},
    {DNS("recursor_timeout", recursor_timeout_ms), .kind = FIELD_DURATION,
     .min = 10},
    {DNS("max_stale", max_stale_ms), .kind = FIELD_DURATION, .min = SECOND_MS},
    {DNS("allow_stale", allow_stale), .kind = FIELD_BOOL},
    {DNS("stale_mark", stale_mark_ms), .kind = FIELD_DURATION},
    {DNS("soa", soa), .kind = FIELD_OBJECT, .sub = &soa_fields},
    {DNS("cookies", cookies), .kind = FIELD_BOOL},
    {DNS("rrl", rrl), .kind = FIELD_OBJECT, .sub = &config_rrl_fields},
    {DNS("tcp", tcp), .kind = FIELD_OBJECT, .sub = &config_tcp_fields},
    {DNS("disable_compression", disable_compression), .kind = FIELD_BOOL},
    {DNS("srv_udp_is_tag", srv_udp_is_tag), .kind = FIELD_BOOL},
    {DNS("order", order), .kind = FIELD_WORD, .words = orders},
    {DNS("subset", subset), .kind = FIELD_WORD, .words = subsets},
    {DNS("near_min_healthy", near_min_healthy), .kind = FIELD_U32,
     .max = 1000000},
    {DNS("near_min_percent", near_min_percent), .kind = FIELD_U32, .max = 100},
    {DNS("self_service", self_service), .kind = FIELD_TEXT,
     .rule = config_rule_label},
    {DNS("cache", cache), .kind = FIELD_OBJECT, .sub = &cache_fields},
    {DNS("transfer", transfer), .kind = FIELD_OBJECT,
     .sub = &config_transfer_fields},
    /* Consul's, of no meaning to an agent that has the whole catalogue. */
    {.key = "use_cache", .kind = FIELD_ANY},
    {.key = "cache_max_age", .kind = FIELD_ANY},
    {.key = "prefer_namespace", .kind = FIELD_ANY},
};

static void dns_init(void *object)
{
    struct agent_dns_config *c = object;

    c->udp_answer_limit = 3;
    c->edns_udp_size = 1232;
    c->udp_max_remote = 1232;
    c->nodata_ttl_ms = (uint64_t)30 * SECOND_MS;
    c->recursor_timeout_ms = (uint64_t)2 * SECOND_MS;
    c->allow_stale = true;
    c->max_stale_ms = YEARS_MS;
    c->stale_mark_ms = (uint64_t)10 * SECOND_MS;
    c->srv_udp_is_tag = true;
    c->cookies = true;
    c->near_min_healthy = 2;
    c->near_min_percent = 30;
    c->self_service = "consul";
}

static enum status dns_finish(struct field_reader *r, const struct json_at *at,
                              void *object)
{
    struct agent_dns_config *c = object;

    (void)r;
    (void)at;
    if (!c->allow_stale) {
        c->max_stale_ms = 1; /* Out of contact is too old. */
    }
    if (c->udp_answer_limit > UDP_ANSWERS_MAX) { /* As Consul does. */
        c->udp_answer_limit = UDP_ANSWERS_MAX;
    }
    return ST_OK;
}

static const struct fields dns_fields = {
    .items = dns_items,
    .count = COUNT(dns_items),
    .size = sizeof(struct agent_dns_config),
    .init = dns_init,
    .finish = dns_finish,
};

#define PORT(k)                                            \
    .key = #k, .kind = FIELD_I64, .min = -1, .max = 65535, \
    .offset = offsetof(struct agent_ports_config, k)

static const struct field ports_items[] = {
    {PORT(dns)},
    {PORT(http)},
    {PORT(https)},
    {PORT(dot)},
    /* What Consul has and we do not listen on. */
    {.key = "grpc", .kind = FIELD_ANY},
    {.key = "grpc_tls", .kind = FIELD_ANY},
    {.key = "server", .kind = FIELD_ANY},
    {.key = "serf_lan", .kind = FIELD_ANY},
    {.key = "serf_wan", .kind = FIELD_ANY},
};

static void ports_init(void *object)
{
    *(struct agent_ports_config *)object = (struct agent_ports_config){
        .dns = -2, .http = -2, .https = -1, .dot = -2};
}

static const struct fields ports_fields = {
    .items = ports_items,
    .count = COUNT(ports_items),
    .size = sizeof(struct agent_ports_config),
    .init = ports_init,
};

static const struct field addresses_items[] = {
    {.key = "dns",
     .kind = FIELD_TEXTS,
     .max = LIMIT_DNS_LISTENS,
     .rule = config_rule_ip_addresses,
     .offset = offsetof(struct agent_addresses_config, dns)},
    {.key = "http",
     .kind = FIELD_TEXT,
     .rule = config_rule_ip_address,
     .offset = offsetof(struct agent_addresses_config, http)},
    {.key = "https",
     .kind = FIELD_TEXT,
     .rule = config_rule_ip_address,
     .offset = offsetof(struct agent_addresses_config, https)},
    {.key = "dot",
     .kind = FIELD_TEXT,
     .rule = rule_address,
     .offset = offsetof(struct agent_addresses_config, dot)},
    {.key = "grpc", .kind = FIELD_ANY},
};

static const struct fields addresses_fields = {
    .items = addresses_items,
    .count = COUNT(addresses_items),
    .size = sizeof(struct agent_addresses_config),
};

static const struct field socket_items[] = {
    {.key = "user",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct agent_socket_config, user)},
    {.key = "group",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct agent_socket_config, group)},
    {.key = "mode",
     .kind = FIELD_TEXT,
     .rule = config_rule_mode,
     .offset = offsetof(struct agent_socket_config, mode)},
};

static const struct fields socket_fields = {
    .items = socket_items,
    .count = COUNT(socket_items),
    .size = sizeof(struct agent_socket_config),
};

/* We speak TLS 1.2 and 1.3, whatever is older than that. */
static const char *const old_versions[] = {"tls10", "tls11", "tls12", NULL};

/* As enum guard_mode. */
static const char *const guard_modes[] = {"auto", "on", "off", NULL};

#define KEY(k, member) .key = k, .offset = offsetof(struct config_keys, member)

static const struct field items[] = {
    {KEY("dev", dev), .kind = FIELD_BOOL},
    {KEY("services", services), .kind = FIELD_TEXT},
    {KEY("store", store), .kind = FIELD_TEXTS, .max = 16},
    {KEY("store_cacert", store_cacert), .kind = FIELD_TEXT},
    {KEY("store_cert", store_cert), .kind = FIELD_TEXT},
    {KEY("store_key", store_key), .kind = FIELD_TEXT},
    {KEY("node", node), .kind = FIELD_TEXT, .rule = config_rule_node},
    {KEY("node_name", node), .kind = FIELD_TEXT, .rule = config_rule_node},
    {KEY("datacenter", datacenter), .kind = FIELD_TEXT,
     .rule = config_rule_label},
    {KEY("advertise", advertise), .kind = FIELD_TEXT,
     .rule = config_rule_advertise},
    {KEY("advertise_addr", advertise), .kind = FIELD_TEXT,
     .rule = config_rule_advertise},
    {KEY("data_dir", data_dir), .kind = FIELD_TEXT},
    {KEY("dns", dns), .kind = FIELD_TEXTS, .max = LIMIT_DNS_LISTENS,
     .rule = config_rule_listens},
    {KEY("http", http), .kind = FIELD_TEXT, .rule = config_rule_listen},
    {KEY("socket", socket), .kind = FIELD_TEXT, .max = 107},
    {KEY("line_socket", line_socket), .kind = FIELD_TEXT, .max = 107},
    {KEY("domain", domain), .kind = FIELD_TEXT, .max = 255},
    {KEY("alt_domain", alt_domain), .kind = FIELD_TEXT, .max = 255},
    {KEY("recursor", recursors), .kind = FIELD_TEXTS, .max = 8},
    {KEY("recursors", recursors), .kind = FIELD_TEXTS, .max = 8},
    {KEY("dns_threads", dns_threads), .kind = FIELD_U32, .max = 64},
    {KEY("store_listen", store_listen), .kind = FIELD_TEXT,
     .rule = config_rule_listen},
    {KEY("log_level", log_level), .kind = FIELD_TEXT,
     .rule = config_rule_log_level},
    {KEY("node_meta", node_meta), .kind = FIELD_PAIRS, .rule = rule_meta},
    {KEY("client_addr", client_addr), .kind = FIELD_TEXT,
     .rule = config_rule_ip_address},
    {KEY("ports", ports), .kind = FIELD_OBJECT, .sub = &ports_fields},
    {KEY("addresses", addresses), .kind = FIELD_OBJECT,
     .sub = &addresses_fields},
    {KEY("unix_sockets", unix_sockets), .kind = FIELD_OBJECT,
     .sub = &socket_fields},
    {KEY("dns_config", dns_config), .kind = FIELD_OBJECT, .sub = &dns_fields},
    {KEY("enable_script_checks", enable_script_checks), .kind = FIELD_BOOL},
    {KEY("discard_check_output", discard_check_output), .kind = FIELD_BOOL},
    {KEY("enable_local_script_checks", enable_local_script_checks),
     .kind = FIELD_BOOL},
    {KEY("leave_on_terminate", leave_on_terminate), .kind = FIELD_BOOL},
    {KEY("leave_drain_time", leave_drain_ms), .kind = FIELD_DURATION},
    {KEY("http_strict_default", http_strict_default), .kind = FIELD_BOOL},
    {KEY("api_level", api_level), .kind = FIELD_TEXT, .max = 32,
     .rule = config_rule_api_level},
    {KEY("http_max_connections", http_max_connections), .kind = FIELD_U32,
     .min = 1, .max = LIMIT_CONNS},
    {KEY("lease_ttl", lease_ttl_ms), .kind = FIELD_DURATION,
     .min = 5 * SECOND_MS},
    {KEY("round_trip_interval", round_trip_interval_ms),
     .kind = FIELD_DURATION},
    {KEY("restart_grace", restart_grace_ms), .kind = FIELD_DURATION,
     .min = 5 * SECOND_MS},
    {KEY("guard", guard_mode), .kind = FIELD_WORD, .words = guard_modes},
    {KEY("guard_min_nodes", guard.min_nodes), .kind = FIELD_U32, .min = 1,
     .max = 100000},
    {KEY("guard_percent", guard.percent), .kind = FIELD_U32, .min = 1,
     .max = 100},
    {KEY("guard_window", guard.window_ms), .kind = FIELD_DURATION,
     .min = SECOND_MS},
    {KEY("guard_max", guard.max_ms), .kind = FIELD_DURATION, .min = SECOND_MS},
    {KEY("guard_serve_passing", guard_serve_passing), .kind = FIELD_BOOL},
    {KEY("reconnect_timeout", reap_ms), .kind = FIELD_DURATION,
     .min = 60 * SECOND_MS},
    {KEY("advertise_reconnect_timeout", reap_ms), .kind = FIELD_DURATION,
     .min = 60 * SECOND_MS},
    {KEY("https", https), .kind = FIELD_TEXT, .rule = config_rule_listen},
    {KEY("dot", dot), .kind = FIELD_TEXT, .rule = config_rule_listen},
    {KEY("acl", acl), .kind = FIELD_OBJECT, .sub = &config_acl_fields},
    {KEY("http_config", http_config), .kind = FIELD_OBJECT,
     .sub = &config_http_fields},
    {KEY("tls", tls), .kind = FIELD_OBJECT, .sub = &config_tls_fields},
    {KEY("ca_file", old_tls.ca_file), .kind = FIELD_TEXT},
    {KEY("cert_file", old_tls.cert_file), .kind = FIELD_TEXT},
    {KEY("key_file", old_tls.key_file), .kind = FIELD_TEXT},
    {KEY("verify_incoming", old_tls.verify_incoming), .kind = FIELD_BOOL},
    {KEY("verify_incoming_https", tls.https.verify_incoming),
     .kind = FIELD_BOOL},
    {KEY("tls_min_version", old_tls.version), .kind = FIELD_WORD,
     .words = old_versions},
    {KEY("recursors_for", recursors_for), .kind = FIELD_HEADERS, .max = 256},
    {KEY("recursion_from", recursion_from), .kind = FIELD_TEXTS, .max = 64},
    {KEY("user", user), .kind = FIELD_TEXT, .max = 63},
    {KEY("group", group), .kind = FIELD_TEXT, .max = 63},
    {KEY("remote_datacenters", datacenters), .kind = FIELD_MAP,
     .max = LIMIT_DATACENTERS,
     .count_offset = offsetof(struct config_keys, datacenters_count),
     .sub = &config_datacenter_fields, .rule = config_rule_datacenters},
    {KEY("translate_wan_addrs", translate_wan_addrs), .kind = FIELD_BOOL},
    {KEY("skydns_prefix", skydns_prefix), .kind = FIELD_TEXT, .max = 128,
     .rule = config_rule_prefix},
    {KEY("skydns_domain", skydns_domain), .kind = FIELD_TEXT, .max = 255},
    {KEY("skydns_ttl", skydns_ttl_ms), .kind = FIELD_DURATION,
     .min = SECOND_MS},
    {KEY("grpc_prefix", grpc_prefix), .kind = FIELD_TEXT, .max = 128,
     .rule = config_rule_prefix},
    /* Consul's keys for its servers, gossip and logs: understood, so that its
     * files can be used as they are, and without effect. */
    {.key = "auto_encrypt", .kind = FIELD_ANY},
    {.key = "auto_reload_config", .kind = FIELD_ANY},
    {.key = "autopilot", .kind = FIELD_ANY},
    {.key = "bind_addr", .kind = FIELD_ANY},
    {.key = "bootstrap", .kind = FIELD_ANY},
    {.key = "bootstrap_expect", .kind = FIELD_ANY},
    {.key = "check_update_interval", .kind = FIELD_ANY},
    {.key = "connect", .kind = FIELD_ANY},
    {.key = "disable_anonymous_signature", .kind = FIELD_ANY},
    {.key = "disable_host_node_id", .kind = FIELD_ANY},
    {.key = "disable_keyring_file", .kind = FIELD_ANY},
    {.key = "disable_remote_exec", .kind = FIELD_ANY},
    {.key = "disable_update_check", .kind = FIELD_ANY},
    {.key = "enable_central_service_config", .kind = FIELD_ANY},
    {.key = "enable_debug", .kind = FIELD_ANY},
    {.key = "enable_syslog", .kind = FIELD_ANY},
    {.key = "encrypt", .kind = FIELD_ANY},
    {.key = "encrypt_verify_incoming", .kind = FIELD_ANY},
    {.key = "encrypt_verify_outgoing", .kind = FIELD_ANY},
    {.key = "gossip_lan", .kind = FIELD_ANY},
    {.key = "gossip_wan", .kind = FIELD_ANY},
    {.key = "limits", .kind = FIELD_ANY},
    {.key = "log_file", .kind = FIELD_ANY},
    {.key = "log_json", .kind = FIELD_ANY},
    {.key = "log_rotate_bytes", .kind = FIELD_ANY},
    {.key = "log_rotate_duration", .kind = FIELD_ANY},
    {.key = "log_rotate_max_files", .kind = FIELD_ANY},
    {.key = "non_voting_server", .kind = FIELD_ANY},
    {.key = "performance", .kind = FIELD_ANY},
    {.key = "pid_file", .kind = FIELD_ANY},
    {.key = "primary_datacenter", .kind = FIELD_ANY},
    {.key = "protocol", .kind = FIELD_ANY},
    {.key = "raft_protocol", .kind = FIELD_ANY},
    {.key = "raft_snapshot_interval", .kind = FIELD_ANY},
    {.key = "raft_snapshot_threshold", .kind = FIELD_ANY},
    {.key = "raft_trailing_logs", .kind = FIELD_ANY},
    {.key = "reconnect_timeout_wan", .kind = FIELD_ANY},
    {.key = "rejoin_after_leave", .kind = FIELD_ANY},
    {.key = "retry_interval", .kind = FIELD_ANY},
    {.key = "retry_interval_wan", .kind = FIELD_ANY},
    {.key = "retry_join", .kind = FIELD_ANY},
    {.key = "retry_join_wan", .kind = FIELD_ANY},
    {.key = "retry_max", .kind = FIELD_ANY},
    {.key = "retry_max_wan", .kind = FIELD_ANY},
    {.key = "serf_lan", .kind = FIELD_ANY},
    {.key = "serf_wan", .kind = FIELD_ANY},
    {.key = "server", .kind = FIELD_ANY},
    {.key = "server_name", .kind = FIELD_ANY},
    {.key = "skip_leave_on_interrupt", .kind = FIELD_ANY},
    {.key = "start_join", .kind = FIELD_ANY},
    {.key = "start_join_wan", .kind = FIELD_ANY},
    {.key = "syslog_facility", .kind = FIELD_ANY},
    {.key = "telemetry", .kind = FIELD_ANY},
    {.key = "tls_cipher_suites", .kind = FIELD_ANY},
    {.key = "tls_prefer_server_cipher_suites", .kind = FIELD_ANY},
    {.key = "ui", .kind = FIELD_ANY},
    {.key = "ui_config", .kind = FIELD_ANY},
    {.key = "ui_dir", .kind = FIELD_ANY},
    {.key = "verify_incoming_rpc", .kind = FIELD_ANY},
    {.key = "verify_outgoing", .kind = FIELD_ANY},
    {.key = "verify_server_hostname", .kind = FIELD_ANY},
};

_Static_assert(COUNT(items) <= FIELDS_MAX, "the table reader's limit");

static void keys_init(void *object)
{
    struct config_keys *k = object;

    k->datacenter = "dc1";
    k->data_dir = "/var/lib/muster";
    k->services = "/etc/muster/services.d";
    k->socket = "/run/muster/agent.sock";
    k->http_max_connections = LIMIT_CONNS;
    k->api_level = "1.16.0";
    k->store_listen = "127.0.0.1:2379";
    k->domain = "muster.internal";
    k->alt_domain = "consul";
    k->log_level = "info";
    k->unix_sockets.mode = "0660";
    /* Who may write the files may run programs anyway. */
    k->enable_local_script_checks = true;
    k->lease_ttl_ms = (uint64_t)15 * SECOND_MS;
    k->restart_grace_ms = (uint64_t)60 * SECOND_MS;
    k->round_trip_interval_ms = (uint64_t)300 * SECOND_MS;
    k->leave_drain_ms = (uint64_t)5 * SECOND_MS;
    k->skydns_ttl_ms = (uint64_t)5 * SECOND_MS;
    k->guard = guard_limits_default;
    k->reap_ms = (uint64_t)72 * 3600 * SECOND_MS;
}

const struct fields config_fields = {
    .items = items,
    .count = COUNT(items),
    .size = sizeof(struct config_keys),
    .init = keys_init,
};

bool config_key_ignored(const char *key)
{
    for (size_t i = 0; i < COUNT(items); i++) {
        if (items[i].kind == FIELD_ANY && field_key_equal(items[i].key, key)) {
            return true;
        }
    }
    return false;
}
