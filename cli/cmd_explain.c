#include "cli/cmd_explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/table.h"
#include "cli/view.h"

struct explain_flags {
    struct client_flags client;
    const char *type;
    const char *asker;
    bool json;
};

/* A name with a dot is asked of DNS, one without is a service. */
static char *explain_path(const char *name, const struct explain_flags *f)
{
    char *quoted = client_quote(name);
    char *type = client_quote(f->type ? f->type : "");
    char *asker = client_quote(f->asker ? f->asker : "");
    bool is_dns = strchr(name, '.') != NULL;
    char *path = NULL;

    if (asprintf(&path, "/v1/explain/%s%s%stype=%s&client=%s",
                 is_dns ? "dns?name=" : "", quoted, is_dns ? "&" : "?", type,
                 asker) < 0) {
        abort();
    }
    free(asker);
    free(type);
    free(quoted);
    return path;
}

/* The worst of what is not passing (the API tells it first), or what DNS says.
 */
static const char *reason_of(const json_t *instance)
{
    const json_t *why = json_object_get(instance, "Why");
    const char *first = json_string_value(json_array_get(why, 0));

    return first ? first : view_text(json_object_get(instance, "DNS"), "Why");
}

static void print_answer(const json_t *explained)
{
    const json_t *dns = json_object_get(explained, "DNS");
    const json_t *replica = json_object_get(explained, "Replica");

    if (*view_text(dns, "Trouble") != '\0') {
        (void)printf("DNS: %s\n", view_text(dns, "Trouble"));
        return;
    }
    (void)printf("%s %s: %s, %lld of %lld records, %lld bytes, TTL %lld s (%s)"
                 "; the replica is %lld ms old\n\n",
                 view_text(dns, "Name"), view_text(dns, "Type"),
                 view_text(dns, "Code"), view_number(dns, "Sent"),
                 view_number(dns, "Decided"), view_number(dns, "Bytes"),
                 view_number(dns, "TTL"), view_text(dns, "TTLSource"),
                 view_number(replica, "AgeMs"));
    if (*view_text(dns, "Query") != '\0') {
        (void)printf("the prepared query \"%s\", of service \"%s\"\n\n",
                     view_text(dns, "Query"), view_text(explained, "Service"));
    }
}

static void print_explained(const json_t *explained)
{
    static const char *const heads[] = {"ID", "NODE", "HEALTH", "DNS", "WHY"};
    struct table t;
    const json_t *i;
    size_t k;

    print_answer(explained);
    table_init(&t, heads, sizeof(heads) / sizeof(heads[0]));
    json_array_foreach(json_object_get(explained, "Instances"), k, i)
    {
        const json_t *dns = json_object_get(i, "DNS");
        bool in = json_is_true(json_object_get(dns, "In"));

        table_add(&t, TABLE_PLAIN, view_text(i, "ID"));
        table_add(&t, TABLE_PLAIN, view_text(i, "Node"));
        table_add(&t,
                  json_is_true(json_object_get(i, "Passing")) ? TABLE_GOOD
                                                              : TABLE_BAD,
                  view_text(i, "Status"));
        table_add(&t, in ? TABLE_GOOD : TABLE_BAD, in ? "in" : "out");
        table_add(&t, TABLE_PLAIN, reason_of(i));
    }
    table_print(&t);
    table_release(&t);
}

static enum cli_exit explain(struct command_run *r)
{
    const struct explain_flags *f = r->flags;
    char *path = explain_path(r->subject, f);
    json_t *explained = NULL;
    enum cli_exit code = client_get(r->client, path, &explained, &r->err);

    free(path);
    if (code == CLI_OK && f->json) {
        view_print_json(explained);
    } else if (code == CLI_OK) {
        print_explained(explained);
    }
    json_decref(explained);
    return code;
}

int cmd_explain(int argc, char **argv)
{
    struct explain_flags f = {0};
    const struct arg_option options[] = {
        {.name = "type",
         .kind = ARG_STRING,
         .string = &f.type,
         .metavar = "TYPE",
         .help = "of the DNS question (SRV)"},
        {.name = "client",
         .kind = ARG_STRING,
         .string = &f.asker,
         .metavar = "ADDR",
         .help = "who would ask (127.0.0.1)"},
        {.name = "json",
         .kind = ARG_BOOL,
         .boolean = &f.json,
         .help = "print JSON"},
        CLIENT_OPTIONS(&f.client),
    };
    const struct arg_spec spec = {
        .command = "explain",
        .positionals = "SERVICE|DNS-NAME",
        .about = "Tell for each instance of a service whether it is in the "
                 "answers, and why or why not.",
        .examples = "muster explain web\n"
                    "muster explain v3.web.service.consul --type A "
                    "--client 10.0.0.9",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 1,
    };

    return command_main(&spec, argc, argv, &f.client, &f, explain);
}
