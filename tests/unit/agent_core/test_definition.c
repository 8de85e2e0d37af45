#include "agent/core/definition.h"

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
     "web.json:2: service \"web\": colour: unknown field; remove it or see "
     "muster help for the fields of a definition"},
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
     "http, tcp, ttl and args"},
    {"two check types",
     "{\"service\": {\"name\": \"web\", \"check\": {\"interval\": \"1s\", "
     "\"tcp\": \"a:1\", \"http\": \"http://a\"}}}",
     "web.json:1: service \"web\": check: more than one type; a check has "
     "exactly one of http, tcp, ttl and args"},
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
    {"grpc", "{\"check\": {\"name\": \"up\", \"grpc\": \"a:1\"}}",
     "web.json:1: check \"up\": grpc: this type of check is not supported; "
     "use http, tcp, ttl or args"},
    {"url", "{\"check\": {\"name\": \"up\", \"http\": \"a:1\"}}",
     "web.json:1: check \"up\": http: \"a:1\" is not a URL; it must begin "
     "with http:// or https:// and a host"},
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
     "\"deregister_critical_service_after\": \"10s\"}}",
     "web.json:1: check \"up\": deregister_critical_service_after: is below "
     "the minimum of 1m0s"},
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

UNIT_MAIN("definition", {
    tcase_add_loop_test(tc, bad_file_is_refused_in_words, 0, COUNT_OF(bad));
    tcase_add_loop_test(tc, good_definition_comes_back, 0, COUNT_OF(good));
    tcase_add_test(tc, file_may_hold_many);
    tcase_add_test(tc, doubtful_things_are_warned_about);
    tcase_add_test(tc, limits_hold);
})
