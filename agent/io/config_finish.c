/* From the keys as written to what the agent uses. */

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/io/config_fields.h"
#include "agent/io/config_rules.h"
#include "base/core/check.h"

/* ---- What depends on the host ------------------------------------------ */

static const char *host_label(struct arena *arena)
{
    char name[256];
    size_t len;

    if (gethostname(name, sizeof(name)) || name[0] == '\0') {
        return "localhost";
    }
    name[sizeof(name) - 1] = '\0';
    len = strcspn(name, ".");
    return arena_strdup(arena, slice_of(name, len > 63 ? 63 : len));
}

/* The address from which packets to the world would leave. Connecting a UDP
 * socket sends nothing; the target is a documentation address (RFC 5737). */
static const char *route_address(struct arena *arena)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    char text[INET_ADDRSTRLEN] = "127.0.0.1";
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK(inet_pton(AF_INET, "192.0.2.1", &to.sin_addr) == 1);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
        getsockname(fd, (struct sockaddr *)&from, &len) == 0) {
        (void)inet_ntop(AF_INET, &from.sin_addr, text, sizeof(text));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return arena_strdup(arena, slice_str(text));
}

/* ---- Putting together -------------------------------------------------- */

/* The flag's or key's own text wins over Consul's ports and addresses. */
static struct agent_listen listen_of(struct agent_config *c, const char *own,
                                     int64_t port, const char *address,
                                     uint16_t standard)
{
    struct agent_listen out = {.host = "127.0.0.1", .port = standard};

    if (strcmp(own, "off") == 0) {
        return (struct agent_listen){0};
    }
    if (own[0] != '\0') {
        const char *colon = strrchr(own, ':');
        struct agent_listen parsed;

        CHECK(config_listen_parse(own, &parsed) == ST_OK); /* By its rule. */
        out.port = parsed.port;
        out.host =
            own[0] == '['
                ? arena_strdup(&c->arena,
                               slice_of(own + 1, (size_t)(colon - own) - 2))
                : arena_strdup(&c->arena, slice_of(own, (size_t)(colon - own)));
        return out;
    }
    if (port == -1) {
        return (struct agent_listen){0};
    }
    if (port >= 0) {
        out.port = (uint16_t)port;
    }
    if (address[0] != '\0') {
        out.host = address;
    }
    return out;
}

/* DNS may listen on several. */
static void listen_dns(struct agent_config *c, const struct config_keys *k)
{
    struct texts own = k->dns;
    struct texts addresses = k->addresses.dns;
    size_t count = own.count > 0         ? own.count
                   : addresses.count > 0 ? addresses.count
                                         : 1;

    for (size_t i = 0; i < count; i++) {
        struct agent_listen one = listen_of(
            c, i < own.count ? own.items[i] : "", k->ports.dns,
            i < addresses.count ? addresses.items[i] : k->client_addr, 8600);

        if (one.host) {
            c->dns.items[c->dns.count++] = one;
        }
    }
}

static void listen_take(struct agent_config *c, const struct config_keys *k)
{
    const char *http = k->addresses.http;

    listen_dns(c, k);
    c->http = listen_of(c, k->http, k->ports.http,
                        http[0] != '\0' ? http : k->client_addr, 8500);
    c->https = listen_of(c, k->https, k->ports.https,
                         k->addresses.https[0] != '\0' ? k->addresses.https
                                                       : k->client_addr,
                         8501);
    /* An address or a port switches it on. */
    c->dot = listen_of(
        c, k->dot,
        k->ports.dot == -2 && k->addresses.dot[0] == '\0' ? -1 : k->ports.dot,
        k->addresses.dot[0] != '\0' ? k->addresses.dot : k->client_addr, 853);
    c->store_listen = listen_of(c, k->store_listen, -2, "", 2379);
    c->socket_path = strcmp(k->socket, "off") == 0 ? NULL : k->socket;
    c->unix_sockets = k->unix_sockets;
    c->socket_mode = (unsigned)strtoul(k->unix_sockets.mode, NULL, 8);
}

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

static void store_take(struct agent_config *c, const struct config_keys *k)
{
    static const char *const standard[] = {"http://127.0.0.1:2379", NULL};

    c->store_urls = k->store;
    if (k->store.count == 0) {
        c->store_urls = (struct texts){.items = standard, .count = 1};
    }
    c->store_cacert = or_null(k->store_cacert);
    c->store_cert = or_null(k->store_cert);
    c->store_key = or_null(k->store_key);
    c->lease_ttl_s = (uint32_t)((k->lease_ttl_ms + 999) / 1000);
}

static void keys_take(struct agent_config *c, const struct config_keys *k)
{
    c->dev = k->dev;
    c->node = k->node[0] != '\0' ? k->node : host_label(&c->arena);
    c->datacenter = k->datacenter;
    c->advertise = k->advertise;
    if (c->advertise[0] == '\0') {
        c->advertise = k->dev ? "127.0.0.1" : route_address(&c->arena);
    }
    c->node_meta = k->node_meta;
    c->data_dir = k->data_dir;
    c->services_dir = k->services;
    c->user = k->user;
    c->group = k->group;
    listen_take(c, k);
    store_take(c, k);
    c->domain = k->domain;
    c->alt_domain = k->alt_domain;
    c->recursors = k->recursors;
    c->recursors_for = k->recursors_for;
    c->recursion_from = k->recursion_from;
    c->dns_threads = k->dns_threads;
    c->dns_config = k->dns_config;
    c->enable_script_checks = k->enable_script_checks;
    c->discard_check_output = k->discard_check_output;
    c->enable_local_script_checks = k->enable_local_script_checks;
    c->leave_on_terminate = k->leave_on_terminate;
    c->leave_drain_ms = k->leave_drain_ms;
    c->http_strict_default = k->http_strict_default;
    c->http_max_connections = k->http_max_connections;
    c->api_level = k->api_level;
    c->restart_grace_ms = k->restart_grace_ms;
    c->round_trip_interval_ms = k->round_trip_interval_ms;
    c->reap_ms = k->reap_ms;
    c->guard = k->guard;
    c->guard_mode = k->guard_mode;
    c->projections = (struct projection_settings){
        .skydns = k->skydns_prefix,
        .domain = k->skydns_domain[0] != '\0' ? k->skydns_domain : k->domain,
        .ttl_s = (uint32_t)((k->skydns_ttl_ms + 999) / 1000),
        .grpc = k->grpc_prefix};
    c->guard_serve_passing = k->guard_serve_passing;
    c->log_level = (enum log_level)log_level_parse(k->log_level);
}

/* ---- --dev without root ------------------------------------------------ */

/* Whether the folder, or the nearest one above it that exists, is ours to
 * write. */
static bool folder_writable(const char *path)
{
    char part[4096];
    int len = snprintf(part, sizeof(part), "%s", path);

    if (len <= 0 || (size_t)len >= sizeof(part)) {
        return false;
    }
    while (access(part, F_OK) && strrchr(part, '/') &&
           strrchr(part, '/') != part) {
        *strrchr(part, '/') = '\0';
    }
    if (access(part, F_OK)) {
        return access("/", W_OK) == 0;
    }
    return access(part, W_OK) == 0;
}

static const char *user_folder(struct arena *arena)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");

    if (state && state[0] == '/') {
        return arena_printf(arena, "%s/muster", state);
    }
    if (home && home[0] == '/') {
        return arena_printf(arena, "%s/.local/state/muster", home);
    }
    return "muster-dev";
}

/* What was not chosen by anybody moves to where this user may write. */
static void dev_move(struct agent_config *c, const json_t *merged)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    if (!json_object_get(merged, "data_dir") && !folder_writable(c->data_dir)) {
        c->data_dir = user_folder(&c->arena);
    }
    if (json_object_get(merged, "socket") || !c->socket_path ||
        folder_writable("/run/muster")) {
        return;
    }
    c->socket_path =
        runtime && runtime[0] == '/'
            ? arena_printf(&c->arena, "%s/muster/agent.sock", runtime)
            : arena_printf(&c->arena, "%s/agent.sock", c->data_dir);
}

/* Beside the socket, "agent.lines" for "agent.sock". Where that would be too
 * long for a socket's path, it has to be chosen. */
static void line_socket_take(struct agent_config *c, const char *chosen)
{
    const char *path = c->socket_path;
    size_t len = path ? strlen(path) : 0;

    c->line_socket_chosen = chosen[0] != '\0';
    if (c->line_socket_chosen) {
        c->line_socket = strcmp(chosen, "off") == 0 ? NULL : chosen;
        return;
    }
    if (len > 5 && strcmp(path + len - 5, ".sock") == 0) {
        len -= 5;
    }
    c->line_socket =
        path == NULL || len + 6 > LIMIT_UNIX_PATH
            ? NULL
            : arena_printf(&c->arena, "%.*s.lines", (int)len, path);
}

/* ---- The whole --------------------------------------------------------- */

static void ignored_list(struct agent_config *c, json_t *merged)
{
    const char **items =
        arena_zalloc(&c->arena, json_object_size(merged) + 1, sizeof(*items));
    size_t count = 0;
    const char *key;
    json_t *value;

    json_object_foreach(merged, key, value)
    {
        if (config_key_ignored(key)) {
            items[count++] = arena_strdup(&c->arena, slice_str(key));
        }
    }
    c->ignored = (struct texts){.items = items, .count = count};
}

static enum status whole_check(const struct agent_config *c,
                               const json_t *merged, struct err *err)
{
    if (c->dev && json_object_get(merged, "store")) {
        return err_set(err, ST_INVALID,
                       "store: --dev brings its own store; give one of the "
                       "two");
    }
    if (c->dev && !c->store_listen.host) {
        return err_set(err, ST_INVALID,
                       "store_listen: --dev needs a port for its store; 0 "
                       "lets the system choose");
    }
    if ((c->store_cert == NULL) != (c->store_key == NULL)) {
        return err_set(err, ST_INVALID,
                       "store_cert and store_key are given together or not "
                       "at all");
    }
    return ST_OK;
}

enum status agent_config_finish(struct agent_config *c, struct err *out_err)
{
    struct field_reader r = {
        .arena = &c->arena, .unknown = FIELD_UNKNOWN_REFUSED, .err = out_err};
    struct config_keys keys = {0};
    struct json_at root = {0};
    json_t *merged = json_deep_copy(c->files);
    enum status st;

    CHECK(merged != NULL);
    CHECK(json_object_update(merged, c->flags) == 0);
    st = fields_read(&r, &root, &config_fields, merged, &keys);
    if (!st) {
        keys_take(c, &keys);
        ignored_list(c, merged);
        if (c->dev) {
            dev_move(c, merged);
        }
        line_socket_take(c, keys.line_socket);
        st = whole_check(c, merged, out_err);
    }
    if (!st) {
        st = config_datacenters_take(c, &keys, out_err);
    }
    if (!st) {
        config_tls_join(&keys.tls.defaults, &keys.old_tls);
        st = config_access_take(c, &keys.acl, &keys.http_config, &keys.tls,
                                out_err);
    }
    json_decref(merged);
    return st;
}
