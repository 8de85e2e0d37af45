#include "agent/core/definition.h"

#include <stdio.h>
#include <stdlib.h>

#include "suite.h"

/* Sidecar files that must be refused, and the very words. */
static const struct {
    const char *name;
    const char *text;
    const char *error;
} bad[] = {
    {"syntax", "{\"service\": {\"name\": \"web\", port: 1}}",
     "web.json:1: not JSON: string or '}' expected near 'port' (column 32)"},
    {"port range", "{\"service\": {\"name\": \"web\",\n\n \"port\": 70000}}",
     "web.json:3: service \"web\": port: 70000 is not within 0 to 65535"},
    {"port type", "{\"service\": {\"name\": \"web\",\n \"port\": \"80\"}}",
     "web.json:2: service \"web\": port: must be a whole number, not a string"},
    {"name", "{\"services\": [\n {\"name\": \"a\"},\n {\"port\": 80}]}",
     "web.json:3: services[1]: name is missing"},
    {"unknown near", "{\"service\": {\"name\": \"web\",\n \"prot\": 80}}",
     "web.json:2: service \"web\": prot: unknown field; did you mean "
     "\"port\"?"},
    {"unknown far", "{\"service\": {\"name\": \"web\",\n \"colour\": 1}}",
     "web.json:2: service \"web\": colour: unknown field; remove it, or see "
     "checks.md for those that there are"},
    {"bare service", "{\"name\": \"web\", \"port\": 80}",
     "web.json:1: a definition stands under \"service\" or \"check\": "
     "{\"service\": {\"name\": ...}}"},
    {"given twice", "{\"service\": {\"name\": \"web\",\n \"Name\": \"x\"}}",
     "web.json:2: service \"web\": Name: given twice"},
    {"wildcard address",
     "{\"service\": {\"name\": \"web\", \"address\": \"0.0.0.0\"}}",
     "web.json:1: service \"web\": address: \"0.0.0.0\" is no address that "
     "others can reach; leave it out to use the node's"},
    {"no name for DNS",
     "{\"service\": {\"name\": \"web\", \"address\": \"a..b\"}}",
     "web.json:1: service \"web\": address: \"a..b\" is neither an IP address "
     "nor a host name"},
    {"address with port",
     "{\"service\": {\"name\": \"web\", \"address\": \"10.0.0.1:80\"}}",
     "web.json:1: service \"web\": address: \"10.0.0.1:80\" is neither an IP "
     "address nor a host name"},
    {"address out of range",
     "{\"service\": {\"name\": \"web\", \"address\": \"10.0.0.256\"}}",
     "web.json:1: service \"web\": address: \"10.0.0.256\" is neither an IP "
     "address nor a host name"},
    {"empty file", "", "web.json: is empty"},
    {"line after a byte order mark",
     "\xef\xbb\xbf{\"service\":\n {\"name\": 1}}",
     "web.json:2: service.name: must be a string, not a number"},
    {"port and ports",
     "{\"service\": {\"name\": \"web\", \"port\": 1,\n"
     " \"ports\": [{\"name\": \"a\", \"port\": 2}]}}",
     "web.json:2: service \"web\": ports: port and ports exclude each other; "
     "keep one"},
    {"two defaults",
     "{\"service\": {\"name\": \"web\", \"ports\": ["
     "{\"name\": \"a\", \"port\": 2, \"default\": true},"
     "{\"name\": \"b\", \"port\": 2, \"default\": true}]}}",
     "web.json:1: service \"web\": ports: more than one port is the default"},
    {"meta key",
     "{\"service\": {\"name\": \"web\", \"meta\": {\n\"a b\": \"c\"}}}",
     "web.json:2: service \"web\": meta.a b: the key may hold letters, digits "
     "and _-. only"},
    {"reserved meta",
     "{\"service\": {\"name\": \"web\", \"meta\": {\"consul-x\": \"c\"}}}",
     "web.json:1: service \"web\": meta.consul-x: keys beginning with consul- "
     "are reserved"},
    {"weight",
     "{\"service\": {\"name\": \"web\", \"weights\": {\"passing\": 0}}}",
     "web.json:1: service \"web\": weights.passing: 0 is not within 1 to "
     "65535"},
    {"no check type",
     "{\"service\": {\"name\": \"web\",\n \"check\": {\"interval\": \"1s\"}}}",
     "web.json:2: service \"web\": check: no type; a check has exactly one of "
     "http, tcp, udp, grpc, h2ping, ttl, args, os_service and alias_service"},
    {"two check types",
     "{\"service\": {\"name\": \"web\", \"check\": {\"interval\": \"1s\", "
     "\"tcp\": \"a:1\", \"http\": \"http://a\"}}}",
     "web.json:1: service \"web\": check: more than one type; a check has "
     "exactly one of http, tcp, udp, grpc, h2ping, ttl, args, os_service and "
     "alias_service"},
    {"no interval",
     "{\"service\": {\"name\": \"web\", \"check\": {\"id\": \"up\", "
     "\"tcp\": \"a:1\"}}}",
     "web.json:1: service \"web\": check \"up\": interval is missing; add one "
     "like \"10s\""},
    {"bad duration",
     "{\"service\": {\"name\": \"web\", \"checks\": [\n"
     "{\"tcp\": \"a:1\",\n \"interval\": \"fast\"}]}}",
     "web.json:3: service \"web\": checks[0].interval: \"fast\" is not a "
     "duration; write it like \"10s\", \"500ms\" or \"1m30s\""},
    {"ttl with interval",
     "{\"check\": {\"name\": \"up\", \"ttl\": \"5s\",\n \"interval\": "
     "\"1s\"}}",
     "web.json:2: check \"up\": interval: a ttl check has no interval; remove "
     "one"},
    {"script", "{\"check\": {\"name\": \"up\", \"script\": \"x\"}}",
     "web.json:1: check \"up\": script: not supported, because it needs a "
     "shell; use args, like [\"/bin/sh\", \"-c\", \"...\"]"},
    {"docker",
     "{\"check\": {\"name\": \"up\", \"docker_container_id\": \"a\"}}",
     "web.json:1: check \"up\": docker_container_id: this type of check is not "
     "supported; use args to run a program that looks into the container"},
    {"grpc", "{\"check\": {\"name\": \"up\", \"grpc\": \"a/b:1\"}}",
     "web.json:1: check \"up\": grpc: \"a\" is not host:port, like "
     "\"127.0.0.1:5432\""},
    {"udp", "{\"check\": {\"name\": \"up\", \"udp\": \"a b:1\"}}",
     "web.json:1: check \"up\": udp: \"a b:1\" is not host:port, like "
     "\"127.0.0.1:5432\""},
    {"h2ping", "{\"check\": {\"name\": \"up\", \"h2ping\": \"a:65536\"}}",
     "web.json:1: check \"up\": h2ping: \"a:65536\" is not host:port, like "
     "\"127.0.0.1:5432\""},
    {"a pattern of units",
     "{\"check\": {\"name\": \"up\", \"os_service\": \"ssh*\"}}",
     "web.json:1: check \"up\": os_service: \"ssh*\" is not the name of one "
     "systemd unit, like \"nginx.service\""},
    {"success codes",
     "{\"check\": {\"name\": \"up\", \"http\": \"http://a\",\n"
     "\"success_codes\": [\"200\", \"299-200\"]}}",
     "web.json:2: check \"up\": success_codes[1]: \"299-200\" is not a status "
     "or a range of them, like \"204\" or \"200-299\""},
    {"statuses of tcp",
     "{\"check\": {\"name\": \"up\", \"tcp\": \"a:1\", "
     "\"success_codes\": [\"200\"]}}",
     "web.json:1: check \"up\": success_codes: only http checks have "
     "statuses"},
    {"CA file", "{\"check\": {\"name\": \"up\", \"tls_ca_file\": \"ca.pem\"}}",
     "web.json:1: check \"up\": tls_ca_file: \"ca.pem\" must be a whole path, "
     "beginning with /"},
    {"flap without max",
     "{\"check\": {\"name\": \"up\", \"ttl\": \"5s\", \"flap_hold\": "
     "\"1m\"}}",
     "web.json:1: check \"up\": flap_window and flap_hold need flap_max: how "
     "many changes of status are not yet flapping"},
    {"flap max",
     "{\"check\": {\"name\": \"up\", \"ttl\": \"5s\", \"flap_max\": 17}}",
     "web.json:1: check \"up\": flap_max: 17 is not within 0 to 16"},
    {"alias and tcp",
     "{\"check\": {\"name\": \"up\", \"tcp\": \"a:1\", "
     "\"alias_service\": \"db\"}}",
     "web.json:1: check \"up\": more than one type; a check has exactly one of "
     "http, tcp, udp, grpc, h2ping, ttl, args, os_service and "
     "alias_service"},
    {"another namespace",
     "{\"check\": {\"name\": \"up\", \"namespace\": \"red\"}}",
     "web.json:1: check \"up\": namespace: only \"default\" exists here"},
    {"misspelt in a check",
     "{\"service\": {\"name\": \"web\", \"check\":\n"
     "{\"htpp\": \"http://a\"}}}",
     "web.json:2: service \"web\": check.htpp: unknown field; did you mean "
     "\"http\"?"},
    {"url", "{\"check\": {\"name\": \"up\", \"http\": \"a:1\"}}",
     "web.json:1: check \"up\": http: \"a:1\" is not a URL; it must begin "
     "with http:// or https:// and a host, like \"http://[::1]:80/\""},
    {"tcp",
     "{\"check\": {\"name\": \"up\", \"interval\": \"1s\",\n \"tcp\": "
     "\"host\"}}",
     "web.json:2: check \"up\": tcp: \"host\" is not host:port, like "
     "\"127.0.0.1:5432\""},
    {"status", "{\"check\": {\"name\": \"up\", \"status\": \"green\"}}",
     "web.json:1: check \"up\": status: \"green\" is not one of \"passing\", "
     "\"warning\", \"critical\""},
    {"thresholds",
     "{\"check\": {\"name\": \"up\", \"ttl\": \"5s\",\n"
     "\"failures_before_warning\": 3, \"failures_before_critical\": 2}}",
     "web.json:2: check \"up\": failures_before_warning: 3 is above "
     "failures_before_critical, which is 2"},
    {"deregister",
     "{\"check\": {\"name\": \"up\", \"ttl\": \"5s\", "
     "\"deregister_critical_service_after\": \"10m\"}}",
     "web.json:1: check: deregister_critical_service_after needs a "
     "service_id"},
    {"reserved id", "{\"check\": {\"id\": \"serfHealth\", \"ttl\": \"5s\"}}",
     "web.json:1: check \"serfHealth\": id: \"serfHealth\" is reserved; "
     "choose another"},
    {"double service",
     "{\"services\": [{\"name\": \"web\"}, {\"name\": \"web\"}]}",
     "web.json: two services have the id \"web\"; give each an id of its own"},
    {"double check",
     "{\"services\": [{\"name\": \"a\", \"check\": {\"id\": \"x\", \"ttl\": "
     "\"5s\"}}, {\"name\": \"b\", \"check\": {\"id\": \"x\", \"ttl\": "
     "\"5s\"}}]}",
     "web.json: two checks have the id \"x\"; give each an id of its own"},
    {"list",
     "[{\"service\": {\"name\": \"a\"}},\n {\"service\": {}},\n"
     " {\"service\": {\"port\": 1}}]",
     "web.json:3: [2].service: name is missing"},
    {"not an object", "[1]",
     "web.json:1: [0]: must be an object, not a number"},
    {"sidecar proxy",
     "{\"service\": {\"name\": \"web\", \"connect\": {\"sidecar_service\": "
     "{}}}}",
     "web.json:1: service \"web\": connect.sidecar_service: service mesh "
     "sidecars are not supported; register the proxy as a service of its own"},
};

START_TEST(bad_file_is_refused_in_words)
{
    struct definitions *defs = NULL;
    struct err err;

    ck_assert_int_eq(definitions_parse(DEFINITION_FILE, "web.json",
                                       slice_str(bad[_i].text), &defs, &err),
                     ST_INVALID);
    ck_assert_ptr_null(defs);
    ck_assert_msg(strcmp(err.text, bad[_i].error) == 0,
                  "%s:\n  %s\n  was expected, but it says\n  %s", bad[_i].name,
                  bad[_i].error, err.text);
}
END_TEST

/* What is accepted, as it is written back: defaults are left out. */
static const struct {
    const char *name;
    enum definition_form form;
    const char *text;
    const char *written;
} good[] = {
    {"name alone", DEFINITION_FILE, "{\"service\": {\"name\": \"web\"}}",
     "{\"name\":\"web\",\"id\":\"web\"}"},
    {"API spelling", DEFINITION_SERVICE,
     "{\"Name\": \"web\", \"ID\": \"w1\", \"EnableTagOverride\": true, "
     "\"Tags\": null, \"TaggedAddresses\": {\"lan\": {\"Address\": "
     "\"10.0.0.1\", \"Port\": 80}}}",
     "{\"name\":\"web\",\"id\":\"w1\",\"tagged_addresses\":{\"lan\":"
     "{\"address\":\"10.0.0.1\",\"port\":80}},\"enable_tag_override\":true}"},
    {"python-consul spelling", DEFINITION_SERVICE,
     "{\"name\": \"web\", \"enabletagoverride\": true, \"check\": {}}",
     "{\"name\":\"web\",\"id\":\"web\",\"enable_tag_override\":true}"},
    {"double tags", DEFINITION_SERVICE,
     "{\"name\": \"web\", \"tags\": [\"a\", \"b\", \"a\"]}",
     "{\"name\":\"web\",\"id\":\"web\",\"tags\":[\"a\",\"b\"]}"},
    {"first port is the default", DEFINITION_SERVICE,
     "{\"name\": \"web\", \"ports\": [{\"name\": \"a\", \"port\": 1}, "
     "{\"name\": \"b\", \"port\": 1}]}",
     "{\"name\":\"web\",\"id\":\"web\",\"ports\":[{\"name\":\"a\",\"port\":1,"
     "\"default\":true},{\"name\":\"b\",\"port\":1}]}"},
    {"check and checks", DEFINITION_SERVICE,
     "{\"name\": \"web\", \"check\": {\"ttl\": \"10s\"}, \"checks\": "
     "[{\"TCP\": \"[::1]:80\", \"Interval\": 2000000000, "
     "\"FailuresBeforeCritical\": 2}]}",
     "{\"name\":\"web\",\"id\":\"web\",\"checks\":[{\"id\":\"service:web:1\","
     "\"name\":\"Service 'web' check\",\"service_id\":\"web\",\"ttl\":\"10s\","
     "\"failures_before_warning\":0},{\"id\":\"service:web:2\",\"name\":"
     "\"Service 'web' check\",\"service_id\":\"web\",\"interval\":\"2s\","
     "\"timeout\":\"10s\",\"failures_before_warning\":2,"
     "\"failures_before_critical\":2,\"tcp\":\"[::1]:80\"}]}"},
    {"http in full", DEFINITION_SERVICE,
     "{\"name\": \"web\", \"check\": {\"http\": \"https://a/b\", \"interval\": "
     "\"1m30s\", \"method\": \"POST\", \"header\": {\"A\": [\"b\", \"c\"], "
     "\"Host\": [\"x\"]}, \"body\": \"{}\", \"tls_skip_verify\": true}}",
     "{\"name\":\"web\",\"id\":\"web\",\"checks\":[{\"id\":\"service:web\","
     "\"name\":\"Service 'web' check\",\"service_id\":\"web\",\"interval\":"
     "\"1m30s\",\"timeout\":\"10s\",\"failures_before_warning\":0,\"http\":"
     "\"https://a/b\",\"method\":\"POST\",\"header\":{\"A\":[\"b\",\"c\"],"
     "\"Host\":[\"x\"]},\"body\":\"{}\",\"tls_skip_verify\":true}]}"},
    {"Consul's spellings", DEFINITION_SERVICE,
     "{\"Name\": \"web\", \"Checks\": [{\"CheckID\": \"a\", \"GRPC\": "
     "\"[::1]:1/p.S\", \"GRPCUseTLS\": true, \"TLSServerName\": \"x\", "
     "\"Interval\": \"5s\", \"Namespace\": \"default\"}, {\"CheckID\": \"b\", "
     "\"H2Ping\": \":2\", \"H2PingUseTLS\": false, \"Interval\": \"5s\"}, "
     "{\"check_id\": \"c\", \"UDP\": \"h:3\", \"Interval\": \"5s\", "
     "\"OutputMaxSize\": 100}, {\"id\": \"d\", \"OSService\": \"a@b.service\", "
     "\"Interval\": \"5s\"}, {\"CheckID\": \"e\", \"AliasService\": \"db\", "
     "\"AliasNode\": \"n2\"}, {\"CheckID\": \"f\", \"TCP\": \"h:4\", "
     "\"TCPUseTLS\": true, \"TLSSkipVerify\": true, \"Interval\": \"5s\"}]}",
     "{\"name\":\"web\",\"id\":\"web\",\"checks\":["
     "{\"id\":\"a\",\"name\":\"Service 'web' check\",\"service_id\":\"web\","
     "\"interval\":\"5s\",\"timeout\":\"10s\",\"failures_before_warning\":0,"
     "\"grpc\":\"[::1]:1/p.S\",\"grpc_use_tls\":true,"
     "\"tls_server_name\":\"x\"},"
     "{\"id\":\"b\",\"name\":\"Service 'web' check\",\"service_id\":\"web\","
     "\"interval\":\"5s\",\"timeout\":\"10s\",\"failures_before_warning\":0,"
     "\"h2ping\":\":2\",\"h2ping_use_tls\":false},"
     "{\"id\":\"c\",\"name\":\"Service 'web' check\",\"service_id\":\"web\","
     "\"interval\":\"5s\",\"timeout\":\"10s\",\"failures_before_warning\":0,"
     "\"output_max_size\":100,\"udp\":\"h:3\"},"
     "{\"id\":\"d\",\"name\":\"Service 'web' check\",\"service_id\":\"web\","
     "\"interval\":\"5s\",\"timeout\":\"10s\",\"failures_before_warning\":0,"
     "\"os_service\":\"a@b.service\"},"
     "{\"id\":\"e\",\"name\":\"Service 'web' check\",\"service_id\":\"web\","
     "\"failures_before_warning\":0,\"alias_service\":\"db\","
     "\"alias_node\":\"n2\"},"
     "{\"id\":\"f\",\"name\":\"Service 'web' check\",\"service_id\":\"web\","
     "\"interval\":\"5s\",\"timeout\":\"10s\",\"failures_before_warning\":0,"
     "\"tcp\":\"h:4\",\"tcp_use_tls\":true,\"tls_skip_verify\":true}]}"},
    {"our extensions", DEFINITION_SERVICE,
     "{\"name\": \"web\", \"check\": {\"http\": \"http://a\", \"interval\": "
     "\"5s\", \"success_codes\": [\"200-299\", \"302\"], \"tls_ca_file\": "
     "\"/ca\", \"flap_max\": 3, \"start_period\": \"20s\", "
     "\"initial_delay\": \"0s\", \"first_result_counts\": false}}",
     "{\"name\":\"web\",\"id\":\"web\",\"checks\":[{\"id\":\"service:web\","
     "\"name\":\"Service 'web' check\",\"service_id\":\"web\","
     "\"interval\":\"5s\",\"timeout\":\"10s\",\"start_period\":\"20s\","
     "\"initial_delay\":\"0s\",\"failures_before_warning\":0,"
     "\"first_result_counts\":false,\"flap_max\":3,\"flap_window\":\"1m0s\","
     "\"flap_hold\":\"1m0s\",\"http\":\"http://a\",\"success_codes\":"
     "[\"200-299\",\"302\"],\"tls_ca_file\":\"/ca\"}]}"},
    {"exec", DEFINITION_SERVICE,
     "{\"name\": \"web\", \"check\": {\"ScriptArgs\": [\"/bin/true\"], "
     "\"interval\": \"500ms\"}}",
     "{\"name\":\"web\",\"id\":\"web\",\"checks\":[{\"id\":\"service:web\","
     "\"name\":\"Service 'web' check\",\"service_id\":\"web\",\"interval\":"
     "\"1s\",\"timeout\":\"30s\",\"failures_before_warning\":0,\"args\":"
     "[\"/bin/true\"]}]}"},
};

START_TEST(good_definition_comes_back)
{
    struct definitions *defs = NULL;
    struct definitions *again = NULL;
    struct buf first;
    struct buf second;
    struct err err;

    buf_init(&first, LIMIT_DEFINITION_BYTES);
    buf_init(&second, LIMIT_DEFINITION_BYTES);
    ck_assert_msg(definitions_parse(good[_i].form, "web.json",
                                    slice_str(good[_i].text), &defs,
                                    &err) == ST_OK,
                  "%s: %s", good[_i].name, err.text);
    ck_assert_int_eq(service_def_write(definitions_service(defs, 0), &first),
                     ST_OK);
    ck_assert_msg(strcmp(buf_cstr(&first), good[_i].written) == 0,
                  "%s:\n  %s\n  was expected, but it is\n  %s", good[_i].name,
                  good[_i].written, buf_cstr(&first));
    ck_assert_int_eq(definitions_parse(DEFINITION_SERVICE, "-",
                                       buf_slice(&first), &again, &err),
                     ST_OK);
    ck_assert_int_eq(service_def_write(definitions_service(again, 0), &second),
                     ST_OK);
    ck_assert_str_eq(buf_cstr(&first), buf_cstr(&second));
    definitions_unref(defs);
    definitions_unref(again);
    buf_release(&first);
    buf_release(&second);
}
END_TEST

START_TEST(file_may_hold_many)
{
    static const char text[] =
        "[{\"service\": {\"name\": \"a\"}, \"checks\": [{\"name\": \"disk\", "
        "\"args\": [\"df\"], \"interval\": \"1m\"}]},\n"
        " {\"services\": [{\"name\": \"b\"}, {\"name\": \"c\"}], "
        "\"check\": {\"id\": \"b2\", \"service_id\": \"b\", \"ttl\": "
        "\"5s\"}}]";
    struct definitions *defs = NULL;
    struct err err;

    ck_assert_int_eq(
        definitions_parse(DEFINITION_FILE, "x", slice_str(text), &defs, &err),
        ST_OK);
    ck_assert_uint_eq(definitions_services_count(defs), 3);
    ck_assert_uint_eq(definitions_checks_count(defs), 2);
    ck_assert_str_eq(definitions_check(defs, 0)->id, "disk");
    ck_assert_ptr_null(definitions_check(defs, 0)->args.items[1]);
    ck_assert_str_eq(definitions_check(defs, 1)->service_id, "b");
    ck_assert_str_eq(definitions_check(defs, 1)->name, "b2");
    definitions_unref(defs);
}
END_TEST

START_TEST(tags_that_dns_cannot_carry_are_told)
{
    static const char text[] =
        "{\"Name\": \"web\", \"Tags\": [\"v1\", \"a.b-c\", \"k=v\", \"l=w\"]}";
    struct definitions *defs = NULL;
    struct err err;

    ck_assert_int_eq(definitions_parse(DEFINITION_SERVICE, "-", slice_str(text),
                                       &defs, &err),
                     ST_OK);
    ck_assert_uint_eq(definitions_warnings_count(defs), 1);
    ck_assert_str_eq(definitions_warning(defs, 0),
                     "service \"web\": Tags[2]: \"k=v\" is not made of DNS "
                     "labels, so DNS cannot be asked for it");
    definitions_unref(defs);
}
END_TEST

START_TEST(doubtful_things_are_warned_about)
{
    static const char text[] = "{\"Name\": \"we b\", \"Colour\": 1,\n"
                               "\"Check\": {\"TTL\": \"5s\", \"Notess\": 1}}";
    struct definitions *defs = NULL;
    struct err err;

    ck_assert_int_eq(definitions_parse(DEFINITION_SERVICE, "-", slice_str(text),
                                       &defs, &err),
                     ST_OK);
    ck_assert_uint_eq(definitions_warnings_count(defs), 3);
    ck_assert_str_eq(definitions_warning(defs, 0),
                     "service \"we b\": Name: \"we b\" is not a DNS label, so "
                     "DNS cannot answer for it; use letters, digits and -");
    ck_assert_str_eq(definitions_warning(defs, 1),
                     "service \"we b\": Colour: unknown field, ignored");
    ck_assert_str_eq(definitions_warning(defs, 2),
                     "service \"we b\": Check.Notess: unknown field, ignored; "
                     "did you mean \"notes\"?");
    definitions_unref(defs);
}
END_TEST

/* What Consul takes and makes fit. */
static const struct {
    const char *text;
    const char *warning;
} fitted[] = {
    {"{\"Name\": \"a\", \"TCP\": \"a:1\", \"Interval\": \"10ms\"}",
     "check \"a\": interval: raised to the minimum of 1s"},
    {"{\"Name\": \"a\", \"TTL\": \"9s\", \"ServiceID\": \"s\", "
     "\"DeregisterCriticalServiceAfter\": \"10s\"}",
     "check \"a\": deregister_critical_service_after: raised to the minimum of "
     "1m0s"},
    {"{\"Name\": \"a\", \"TTL\": \"9s\", \"OutputMaxSize\": 5000}",
     "check \"a\": output_max_size: lowered to the maximum of 4096"},
    {"{\"Name\": \"a\", \"AliasService\": \"b\", \"Interval\": \"10s\"}",
     "check \"a\": interval: ignored, an alias follows what it stands for at "
     "once"},
};

START_TEST(what_is_out_of_range_is_made_to_fit)
{
    struct definitions *defs = NULL;
    struct err err;

    ck_assert_int_eq(definitions_parse(DEFINITION_CHECK, "-",
                                       slice_str(fitted[_i].text), &defs, &err),
                     ST_OK);
    ck_assert_uint_eq(definitions_warnings_count(defs), 1);
    ck_assert_str_eq(definitions_warning(defs, 0), fitted[_i].warning);
    definitions_unref(defs);
}
END_TEST

static const struct {
    const char *written;
    const char *target;
} targets[] = {
    {"10.0.0.1:80", "10.0.0.1:80"},
    {"[::1]:80", "[::1]:80"},
    {"::1:80", "[::1]:80"},
    {":80", "localhost:80"},
    {"db.example:5432", "db.example:5432"},
};

START_TEST(targets_by_row)
{
    struct definitions *defs = NULL;
    struct err err;
    char text[128];

    (void)snprintf(text, sizeof(text),
                   "{\"Name\": \"a\", \"TCP\": \"%s\", \"Interval\": \"1s\"}",
                   targets[_i].written);
    ck_assert_int_eq(
        definitions_parse(DEFINITION_CHECK, "-", slice_str(text), &defs, &err),
        ST_OK);
    ck_assert_str_eq(definitions_check(defs, 0)->target, targets[_i].target);
    definitions_unref(defs);
}
END_TEST

START_TEST(limits_hold)
{
    struct definitions *defs = NULL;
    struct err err;
    size_t len = LIMIT_DEFINITION_BYTES + 1;
    char *text = malloc(len);

    ck_assert_ptr_nonnull(text);
    memset(text, ' ', len);
    ck_assert_int_eq(definitions_parse(DEFINITION_FILE, "big.json",
                                       slice_of(text, len), &defs, &err),
                     ST_TOO_BIG);
    ck_assert_str_eq(err.text, "big.json: has 1048577 bytes, at most 1048576 "
                               "are allowed");
    free(text);
}
END_TEST

static const struct {
    const char *url;
    bool good;
} urls[] = {
    {"http://a", true},
    {"http://a:80/b?c#d", true},
    {"https://a.b?c", true},
    {"http://user:secret@a:8/", true},
    {"http://[::1]", true},
    {"http://[::1]:80/x", true},
    {"http://[fe80::1%eth0]:80/", true},
    {"http://u@[::1]:80/", true},
    {"http://[::1", false},
    {"http://[::1/]", false},
    {"http://[::1]x/", false},
    {"http://[::1]:/", false},
    {"http://[]/", false},
    {"http://[a]/", false},
    {"http://[127.0.0.1]/", false},
    {"http://::1/", false},
    {"http://a]/", false},
    {"http://a:/", false},
    {"http://a:x/", false},
    {"http://a:0/", false},
    {"http://a:65535/", true},
    {"http://a:65536/", false},
    {"http://a:99999999999999999999/", false},
    {"http://", false},
    {"http:///x", false},
    {"http://u@", false},
    {"http://u@/x", false},
    {"http://a b/", false},
    {"HTTP://a", false},
    {"ftp://a", false},
};

START_TEST(urls_of_checks_by_row)
{
    struct definitions *defs = NULL;
    struct err err = {0};
    char text[128];
    enum status st;

    (void)snprintf(text, sizeof(text),
                   "{\"Name\": \"a\", \"HTTP\": \"%s\", \"Interval\": \"1s\"}",
                   urls[_i].url);
    st = definitions_parse(DEFINITION_CHECK, "-", slice_str(text), &defs, &err);
    ck_assert_msg((st == ST_OK) == urls[_i].good, "%s: %s", urls[_i].url,
                  err.text);
    definitions_unref(defs);
}
END_TEST

UNIT_MAIN("definition", {
    tcase_add_loop_test(tc, bad_file_is_refused_in_words, 0, COUNT_OF(bad));
    tcase_add_loop_test(tc, good_definition_comes_back, 0, COUNT_OF(good));
    tcase_add_test(tc, file_may_hold_many);
    tcase_add_test(tc, doubtful_things_are_warned_about);
    tcase_add_test(tc, tags_that_dns_cannot_carry_are_told);
    tcase_add_loop_test(tc, what_is_out_of_range_is_made_to_fit, 0,
                        COUNT_OF(fitted));
    tcase_add_loop_test(tc, targets_by_row, 0, COUNT_OF(targets));
    tcase_add_loop_test(tc, urls_of_checks_by_row, 0, COUNT_OF(urls));
    tcase_add_test(tc, limits_hold);
})
