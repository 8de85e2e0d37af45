/* Keys, layers, errors. */

#include "agent/io/config.h"

#include <stdio.h>
#include <unistd.h>

#include "suite.h"

/* Shown of a finished configuration, so that a row can say what to expect. */
static const char *show(const struct agent_config *c, const char *what,
                        char *out, size_t len)
{
    if (strcmp(what, "node") == 0) {
        return c->node;
    }
    if (strcmp(what, "dc") == 0) {
        return c->datacenter;
    }
    if (strcmp(what, "dns") == 0) {
        (void)snprintf(out, len, "%s", c->dns.count > 0 ? "" : "off ");
        for (size_t i = 0; i < c->dns.count; i++) {
            (void)snprintf(out + strlen(out), len - strlen(out), "%s %u ",
                           c->dns.items[i].host, c->dns.items[i].port);
        }
        out[strlen(out) - 1] = '\0';
    } else if (strcmp(what, "http") == 0) {
        (void)snprintf(out, len, "%s %u", c->http.host ? c->http.host : "off",
                       c->http.port);
    } else if (strcmp(what, "socket") == 0) {
        (void)snprintf(out, len, "%s %o",
                       c->socket_path ? c->socket_path : "off", c->socket_mode);
    } else if (strcmp(what, "lines") == 0) {
        (void)snprintf(out, len, "%s %d", c->line_socket ? c->line_socket : "-",
                       c->line_socket_chosen);
    } else if (strcmp(what, "store") == 0) {
        out[0] = '\0';
        for (size_t i = 0; i < c->store_urls.count; i++) {
            (void)snprintf(out + strlen(out), len - strlen(out), "%s ",
                           c->store_urls.items[i]);
        }
    } else if (strcmp(what, "recursors") == 0) {
        out[0] = '\0';
        for (size_t i = 0; i < c->recursors.count; i++) {
            (void)snprintf(out + strlen(out), len - strlen(out), "%s ",
                           c->recursors.items[i]);
        }
    } else if (strcmp(what, "domains") == 0) {
        (void)snprintf(out, len, "%s,%s", c->domain, c->alt_domain);
    } else if (strcmp(what, "ttl") == 0) {
        (void)snprintf(out, len, "%llu %zu",
                       (unsigned long long)c->dns_config.node_ttl_ms,
                       c->dns_config.service_ttl.count);
    } else if (strcmp(what, "stale") == 0) {
        (void)snprintf(out, len, "%llu %u",
                       (unsigned long long)c->dns_config.max_stale_ms,
                       c->dns_config.udp_answer_limit);
    } else if (strcmp(what, "lease") == 0) {
        (void)snprintf(out, len, "%u %llu %llu", c->lease_ttl_s,
                       (unsigned long long)c->restart_grace_ms,
                       (unsigned long long)c->leave_drain_ms);
    } else if (strcmp(what, "ignored") == 0) {
        (void)snprintf(out, len, "%zu %s", c->ignored.count,
                       c->ignored.count ? c->ignored.items[0] : "");
    } else if (strcmp(what, "dcs") == 0) {
        out[0] = '\0';
        for (size_t i = 0; i < c->datacenters_count; i++) {
            const struct agent_datacenter *d = &c->datacenters[i];

            (void)snprintf(out + strlen(out), len - strlen(out), "%s=%s,%s ",
                           d->name,
                           d->store.count > 0 ? d->store.items[0] : "ours",
                           d->cacert ? d->cacert : "none");
        }
    } else if (strcmp(what, "level") == 0) {
        (void)snprintf(out, len, "%d", (int)c->log_level);
    } else if (strcmp(what, "tls") == 0) {
        (void)snprintf(out, len, "%s %s %s %d", c->tls.ca, c->tls.cert,
                       c->tls.key, c->tls.verify_incoming);
    } else if (strcmp(what, "term") == 0) {
        (void)snprintf(out, len, "%d", c->leave_on_terminate);
    } else {
        ck_abort_msg("no such field: %s", what);
    }
    return out;
}

struct flag {
    const char *name;
    const char *value;
};

static const struct {
    const char *name;
    const char *file_a; /* NULL: none. */
    const char *file_b;
    struct flag flags[3];
    const char *what;
    const char *expect;
} good[] = {
    {"defaults: datacenter", NULL, NULL, {{0}}, "dc", "dc1"},
    {"defaults: dns", NULL, NULL, {{0}}, "dns", "127.0.0.1 8600"},
    {"defaults: http", NULL, NULL, {{0}}, "http", "127.0.0.1 8500"},
    {"defaults: socket",
     NULL,
     NULL,
     {{0}},
     "socket",
     "/run/muster/agent.sock 660"},
    {"defaults: store", NULL, NULL, {{0}}, "store", "http://127.0.0.1:2379 "},
    {"defaults: domains",
     NULL,
     NULL,
     {{0}},
     "domains",
     "muster.internal,consul"},
    {"defaults: lease", NULL, NULL, {{0}}, "lease", "15 60000 5000"},
    {"Consul's key", "{\"node_name\": \"a\"}", NULL, {{0}}, "node", "a"},
    {"a level as Consul writes it",
     "{\"log_level\": \"WARN\"}",
     NULL,
     {{0}},
     "level",
     "2"},
    {"and the most it knows",
     "{\"log_level\": \"TRACE\"}",
     NULL,
     {{0}},
     "level",
     "0"},
    {"and the least", "{\"log_level\": \"err\"}", NULL, {{0}}, "level", "3"},
    {"TLS as before Consul 1.12",
     "{\"ca_file\": \"a\", \"cert_file\": \"b\", \"key_file\": \"c\", "
     "\"verify_incoming\": true, \"verify_outgoing\": true, "
     "\"tls_min_version\": \"tls12\"}",
     NULL,
     {{0}},
     "tls",
     "a b c 1"},
    {"TLS of both times: the later one first",
     "{\"ca_file\": \"a\", \"cert_file\": \"b\", "
     "\"verify_incoming_https\": true, "
     "\"tls\": {\"defaults\": {\"cert_file\": \"B\", \"key_file\": \"C\"}}}",
     NULL,
     {{0}},
     "tls",
     "a B C 1"},
    {"case and underscores", "{\"NodeName\": \"a\"}", NULL, {{0}}, "node", "a"},
    {"flag as key", "{\"node\": \"a\"}", NULL, {{0}}, "node", "a"},
    {"a host's name in full",
     "{\"node\": \"a.rack-2.example\"}",
     NULL,
     {{0}},
     "node",
     "a.rack-2.example"},
    {"stale answers, as long as it may be",
     "{\"dns_config\": {\"max_stale\": \"5s\"}}",
     NULL,
     {{0}},
     "stale",
     "5000 3"},
    {"no stale answers",
     "{\"dns_config\": {\"allow_stale\": false}}",
     NULL,
     {{0}},
     "stale",
     "1 3"},
    {"Consul caps it at 8",
     "{\"dns_config\": {\"udp_answer_limit\": 20, \"max_stale\": \"2s\"}}",
     NULL,
     {{0}},
     "stale",
     "2000 8"},
    {"later file wins",
     "{\"datacenter\": \"x\"}",
     "{\"datacenter\": \"y\"}",
     {{0}},
     "dc",
     "y"},
    {"flag wins",
     "{\"datacenter\": \"x\"}",
     NULL,
     {{"datacenter", "z"}},
     "dc",
     "z"},
    {"a later file leaves the rest",
     "{\"leave_on_terminate\": true}",
     "{\"datacenter\": \"y\"}",
     {{0}},
     "term",
     "1"},
    {"objects are merged",
     "{\"dns_config\": {\"node_ttl\": \"5s\"}}",
     "{\"dns_config\": {\"service_ttl\": {\"*\": \"1s\", \"a\": \"2s\"}}}",
     {{0}},
     "ttl",
     "5000 2"},
    {"lists are replaced",
     "{\"recursors\": [\"1.1.1.1\"]}",
     "{\"recursors\": [\"8.8.8.8\", \"9.9.9.9:53\"]}",
     {{0}},
     "recursors",
     "8.8.8.8 9.9.9.9:53 "},
    {"repeated flags add",
     "{\"recursors\": [\"1.1.1.1\"]}",
     NULL,
     {{"recursor", "8.8.8.8"}, {"recursor", "9.9.9.9"}},
     "recursors",
     "8.8.8.8 9.9.9.9 "},
    {"store as one text",
     "{\"store\": \"http://a:1,http://b:2\"}",
     NULL,
     {{0}},
     "store",
     "http://a:1 http://b:2 "},
    {"store as flag",
     NULL,
     NULL,
     {{"store", "http://a:1,http://b:2"}},
     "store",
     "http://a:1 http://b:2 "},
    {"ports",
     "{\"ports\": {\"dns\": 53, \"http\": -1}}",
     NULL,
     {{0}},
     "http",
     "off 0"},
    {"addresses",
     "{\"addresses\": {\"dns\": \"10.0.0.1\"}}",
     NULL,
     {{0}},
     "dns",
     "10.0.0.1 8600"},
    {"addresses as one text",
     "{\"addresses\": {\"dns\": \"10.0.0.1 ::1\"}, \"ports\": {\"dns\": 53}}",
     NULL,
     {{0}},
     "dns",
     "10.0.0.1 53 ::1 53"},
    {"several of its own",
     "{\"dns\": [\"127.0.0.1:53\", \"[::1]:54\"]}",
     NULL,
     {{0}},
     "dns",
     "127.0.0.1 53 ::1 54"},
    {"a repeated flag",
     NULL,
     NULL,
     {{"dns", "127.0.0.1:1"}, {"dns", "127.0.0.2:2"}},
     "dns",
     "127.0.0.1 1 127.0.0.2 2"},
    {"DNS off", NULL, NULL, {{"dns", "off"}}, "dns", "off"},
    {"client_addr",
     "{\"client_addr\": \"10.0.0.2\"}",
     NULL,
     {{0}},
     "http",
     "10.0.0.2 8500"},
    {"own key before ports",
     "{\"ports\": {\"dns\": 53}, \"dns\": \"[::1]:0\"}",
     NULL,
     {{0}},
     "dns",
     "::1 0"},
    {"off", NULL, NULL, {{"http", "off"}}, "http", "off 0"},
    {"line socket",
     NULL,
     NULL,
     {{"socket", "/x/a.sock"}},
     "lines",
     "/x/a.lines 0"},
    {"line socket without .sock",
     NULL,
     NULL,
     {{"socket", "/x/a"}},
     "lines",
     "/x/a.lines 0"},
    {"line socket of no socket",
     NULL,
     NULL,
     {{"socket", "off"}},
     "lines",
     "- 0"},
    {"line socket chosen",
     "{\"line_socket\": \"/y\"}",
     NULL,
     {{"socket", "off"}},
     "lines",
     "/y 1"},
    {"line socket off", NULL, NULL, {{"line-socket", "off"}}, "lines", "- 1"},
    {"socket off", NULL, NULL, {{"socket", "off"}}, "socket", "off 660"},
    {"socket mode",
     "{\"unix_sockets\": {\"mode\": \"0600\"}}",
     NULL,
     {{"socket", "/x"}},
     "socket",
     "/x 600"},
    {"no second domain",
     NULL,
     NULL,
     {{"alt-domain", ""}},
     "domains",
     "muster.internal,"},
    {"other datacenters",
     "{\"remote_datacenters\": {\"dc2\": {\"store\": [\"https://a:1\"], "
     "\"store_cacert\": \"b.pem\"}, \"dc3\": {}}, "
     "\"store_cacert\": \"a.pem\"}",
     NULL,
     {{0}},
     "dcs",
     "dc2=https://a:1,b.pem dc3=ours,a.pem "},
    {"other datacenters of two files",
     "{\"remote_datacenters\": {\"dc2\": {}}}",
     "{\"remote_datacenters\": {\"dc3\": {}}}",
     {{0}},
     "dcs",
     "dc2=ours,none dc3=ours,none "},
    {"keys without meaning",
     "{\"server\": true, \"telemetry\": {\"a\": 1}}",
     NULL,
     {{0}},
     "ignored",
     "2 server"},
};

START_TEST(layers_follow_row)
{
    struct agent_config c;
    struct err err = {""};
    char room[512];
    const char *shown;

    agent_config_init(&c);
    if (good[_i].file_a) {
        ck_assert_msg(agent_config_parse(&c, "a", slice_str(good[_i].file_a),
                                         &err) == ST_OK,
                      "%s: %s", good[_i].name, err.text);
    }
    if (good[_i].file_b) {
        ck_assert_msg(agent_config_parse(&c, "b", slice_str(good[_i].file_b),
                                         &err) == ST_OK,
                      "%s: %s", good[_i].name, err.text);
    }
    for (size_t i = 0; i < 3 && good[_i].flags[i].name; i++) {
        ck_assert_msg(agent_config_flag(&c, good[_i].flags[i].name,
                                        good[_i].flags[i].value, &err) == ST_OK,
                      "%s: %s", good[_i].name, err.text);
    }
    ck_assert_msg(agent_config_finish(&c, &err) == ST_OK, "%s: %s",
                  good[_i].name, err.text);
    shown = show(&c, good[_i].what, room, sizeof(room));
    ck_assert_msg(strcmp(shown, good[_i].expect) == 0, "%s: \"%s\"",
                  good[_i].name, shown);
    agent_config_release(&c);
}
END_TEST

static const struct {
    const char *name;
    const char *file;
    const char *text; /* Must be in the error. */
} bad_files[] = {
    {"not JSON", "{\n\"node\": ,\n}", "agent.json:2: not JSON"},
    {"unknown key", "{\n\"datacentre\": \"x\"}",
     "agent.json:2: datacentre: unknown field; did you mean \"datacenter\"?"},
    {"meta that nobody can ask for", "{\"node_meta\": {\n\"a b\": \"c\"}}",
     "agent.json:2: node_meta.a b: the key may hold letters, digits"},
    {"meta that is reserved", "{\"node_meta\": {\"consul-x\": \"c\"}}",
     "keys beginning with consul- are reserved"},
    {"wrong type", "{\n\n\"node\": 5}", "agent.json:3: node: must be a string"},
    {"port out of range", "{\"ports\": {\n\"dns\": 70000}}",
     "agent.json:2: ports.dns: 70000 is not within"},
    {"no port", "{\"dns\": \"127.0.0.1\"}", "dns: \"127.0.0.1\" is not"},
    {"off and on", "{\"dns\": \"off,127.0.0.1:53\"}",
     "dns: \"off\" stands alone"},
    {"a name for an address", "{\"http\": \"localhost:80\"}",
     "http: \"localhost:80\" is not"},
    {"IPv6 without brackets", "{\"http\": \"::1:80\"}", "is not ADDRESS:PORT"},
    {"advertise", "{\"advertise\": \"here\"}", "advertise: \"here\" is not"},
    {"advertise all", "{\"advertise\": \"0.0.0.0\"}",
     "advertise: \"0.0.0.0\" is no address that others can reach"},
    {"log level", "{\"log_level\": \"loud\"}", "log_level: \"loud\" is not"},
    {"mode", "{\"unix_sockets\": {\"mode\": \"rw\"}}",
     "unix_sockets.mode: \"rw\" is not"},
    {"node name", "{\"node\": \"a..b\"}", "node: \"a..b\" is not a name"},
    {"node name's end", "{\"node\": \"a.\"}", "node: \"a.\" is not a name"},
    {"letters of a node name", "{\"node\": \"a b\"}", "node: \"a b\" is not a"},
    {"not a version", "{\"api_level\": \"1.16\"}",
     "api_level: \"1.16\" is not a version like \"1.16.0\""},
    {"short lease", "{\"lease_ttl\": \"1s\"}",
     "lease_ttl: is below the minimum of 5s"},
    {"ttl", "{\"dns_config\": {\"service_ttl\": {\"web\": \"soon\"}}}",
     "dns_config.service_ttl.web: \"soon\" is not a duration"},
    {"transfer key without a name",
     "{\"dns_config\": {\"transfer\": {\"keys\": [{\"secret\": \"x\"}]}}}",
     "dns_config.transfer.keys[0]: name is missing"},
    {"transfer key with two secrets",
     "{\"dns_config\": {\"transfer\": {\"keys\": [{\"name\": \"k\","
     "\"secret\": \"x\", \"secret_file\": \"y\"}]}}}",
     "give one of secret and secret_file"},
    {"transfer with another key",
     "{\"dns_config\": {\"transfer\": {\"allow\": [{\"network\": []}]}}}",
     "did you mean \"networks\"?"},
    {"projections without a slash", "{\"skydns_prefix\": \"skydns\"}",
     "skydns_prefix: \"skydns\" is not a prefix of keys"},
    {"projections with one too many", "{\n\"grpc_prefix\": \"/grpc/\"}",
     ":2: grpc_prefix: \"/grpc/\" is not a prefix of keys"},
    {"projections among our records", "{\"grpc_prefix\": \"/muster/v1/x\"}",
     "is where muster's own records are"},
    {"datacenter that is no label", "{\"remote_datacenters\": {\"a.b\": {}}}",
     "remote_datacenters: \"a.b\" is not a name of up to 63"},
    {"datacenter with a capital", "{\"remote_datacenters\": {\"DC2\": {}}}",
     "lower-case letters"},
    {"datacenter with a name of DNS",
     "{\"remote_datacenters\": {\n\"service\": {}}}",
     "\"service\" has a meaning of its own in DNS names"},
    {"datacenter with half a certificate",
     "{\"remote_datacenters\": {\"dc2\": {\"store_cert\": \"a\"}}}",
     "store_cert and store_key are given together"},
    {"datacenter with another key",
     "{\"remote_datacenters\": {\"dc2\": {\"stor\": \"a\"}}}",
     "did you mean \"store\"?"},
    {"not an object", "[]", "must be an object"},
};

START_TEST(bad_file_is_refused)
{
    struct agent_config c;
    struct err err = {""};

    agent_config_init(&c);
    ck_assert_msg(agent_config_parse(&c, "agent.json",
                                     slice_str(bad_files[_i].file),
                                     &err) == ST_INVALID,
                  "%s", bad_files[_i].name);
    ck_assert_msg(strstr(err.text, bad_files[_i].text) != NULL, "%s: \"%s\"",
                  bad_files[_i].name, err.text);
    agent_config_release(&c);
}
END_TEST

static const struct {
    const char *name;
    struct flag flags[2];
    const char *text;
} bad_flags[] = {
    {"port", {{"dns", "127.0.0.1:99999"}}, "dns: \"127.0.0.1:99999\" is not"},
    {"number", {{"dns-threads", "many"}}, "\"many\" is not a number"},
    {"range", {{"dns-threads", "1000"}}, "dns_threads: 1000 is not within"},
    {"no text", {{"node", "a\xff"}}, "is not UTF-8"},
    {"no list of texts", {{"recursor", "a,\xff"}}, "is not UTF-8"},
    {"no store", {{"store", ""}}, "is empty; leave the flag out"},
    {"no store either", {{"store", ","}}, "is empty; leave the flag out"},
    {"two stores",
     {{"dev", "true"}, {"store", "http://a:1"}},
     "--dev brings its own store"},
    {"dev without port",
     {{"dev", "true"}, {"store-listen", "off"}},
     "--dev needs a port"},
    {"certificate without key", {{"store-cert", "x"}}, "given together"},
};

START_TEST(bad_flag_is_refused)
{
    struct agent_config c;
    struct err err = {""};
    enum status st = ST_OK;

    agent_config_init(&c);
    for (size_t i = 0; i < 2 && bad_flags[_i].flags[i].name && !st; i++) {
        st = agent_config_flag(&c, bad_flags[_i].flags[i].name,
                               bad_flags[_i].flags[i].value, &err);
    }
    if (!st) {
        st = agent_config_finish(&c, &err);
    }
    ck_assert_msg(st == ST_INVALID, "%s", bad_flags[_i].name);
    ck_assert_msg(strstr(err.text, bad_flags[_i].text) != NULL, "%s: \"%s\"",
                  bad_flags[_i].name, err.text);
    agent_config_release(&c);
}
END_TEST

static void file_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(folder_is_read_in_order_and_again)
{
    char dir[] = "/tmp/muster-config-XXXXXX";
    char a[64];
    char b[64];
    char other[64];
    struct agent_config c;
    struct agent_config again;
    struct err err;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(a, sizeof(a), "%s/10.json", dir);
    (void)snprintf(b, sizeof(b), "%s/20.json", dir);
    (void)snprintf(other, sizeof(other), "%s/README", dir);
    file_write(a, "{\"datacenter\": \"one\", \"node\": \"n\"}");
    file_write(b, "{\"datacenter\": \"two\"}");
    file_write(other, "not JSON");
    agent_config_init(&c);
    ck_assert_int_eq(agent_config_load(&c, dir, &err), ST_OK);
    ck_assert_int_eq(agent_config_flag(&c, "http", "off", &err), ST_OK);
    ck_assert_int_eq(agent_config_finish(&c, &err), ST_OK);
    ck_assert_str_eq(c.datacenter, "two");
    ck_assert_str_eq(c.node, "n");

    file_write(b, "{\"datacenter\": \"three\"}");
    ck_assert_int_eq(agent_config_reread(&c, &again, &err), ST_OK);
    ck_assert_str_eq(again.datacenter, "three");
    ck_assert_ptr_null(again.http.host);
    agent_config_release(&again);

    file_write(b, "{\"datacenter\": 3}");
    ck_assert_int_eq(agent_config_reread(&c, &again, &err), ST_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "20.json:1: datacenter"));
    agent_config_release(&c);
    (void)unlink(a);
    (void)unlink(b);
    (void)unlink(other);
    ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

UNIT_MAIN("agent_config", {
    tcase_add_loop_test(tc, layers_follow_row, 0, COUNT_OF(good));
    tcase_add_loop_test(tc, bad_file_is_refused, 0, COUNT_OF(bad_files));
    tcase_add_loop_test(tc, bad_flag_is_refused, 0, COUNT_OF(bad_flags));
    tcase_add_test(tc, folder_is_read_in_order_and_again);
})
