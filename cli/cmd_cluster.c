#include "cli/cmd_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/check.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/table.h"
#include "cli/view.h"

static int finish(const char *command, struct client *client, struct args *args,
                  enum cli_exit code, const struct err *err)
{
    if (code != CLI_OK) {
        (void)fprintf(stderr, "muster %s: %s\n", command, err->text);
    }
    client_free(client);
    args_release(args);
    return (int)code;
}

/* --- members -------------------------------------------------------------- */

static const char *member_status(long long status)
{
    switch (status) {
    case 1:
        return "alive";
    case 2:
        return "leaving";
    case 3:
        return "left";
    default:
        return "failed";
    }
}

static void print_members(const json_t *members)
{
    static const char *const heads[] = {"NODE", "ADDRESS", "STATUS", "TYPE",
                                        "DC"};
    struct table t;
    const json_t *m;
    size_t i;

    table_init(&t, heads, sizeof(heads) / sizeof(heads[0]));
    json_array_foreach(members, i, m)
    {
        const json_t *tags = json_object_get(m, "Tags");
        const char *status = member_status(view_number(m, "Status"));

        table_add(&t, TABLE_PLAIN, view_text(m, "Name"));
        table_add(&t, TABLE_PLAIN,
                  view_endpoint(&t.arena, view_text(m, "Addr"),
                                view_number(m, "Port")));
        table_add(&t, strcmp(status, "alive") ? TABLE_BAD : TABLE_GOOD, status);
        table_add(&t, TABLE_PLAIN,
                  strcmp(view_text(tags, "role"), "consul") ? "client"
                                                            : "server");
        table_add(&t, TABLE_PLAIN, view_text(tags, "dc"));
    }
    table_print(&t);
    table_release(&t);
}

int cmd_members(int argc, char **argv)
{
    struct client_flags flags = {0};
    bool json = false;
    const struct arg_option options[] = {
        {.name = "json",
         .kind = ARG_BOOL,
         .boolean = &json,
         .help = "print JSON"},
        CLIENT_OPTIONS(&flags),
    };
    const struct arg_spec spec = {
        .command = "members",
        .about = "List the agents of the datacenter, and whether they live.\n"
                 "Exits with 3 when no agent answers.",
        .examples = "muster members\nmuster members --json",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
    };
    struct args args;
    struct client *client;
    struct err err;
    json_t *members = NULL;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    client = client_new(&flags);
    code = (int)client_get(client, "/v1/agent/members", &members, &err);
    if (code == CLI_OK) {
        json ? view_print_json(members) : print_members(members);
    }
    json_decref(members);
    return finish("members", client, &args, (enum cli_exit)code, &err);
}

/* --- catalog -------------------------------------------------------------- */

static void print_names(const json_t *found)
{
    const char *key;
    json_t *value;
    size_t i;

    json_array_foreach(found, i, value)
    {
        const char *name = json_is_string(value) ? json_string_value(value)
                                                 : view_text(value, "Node");

        (void)printf("%s\n", name);
    }
    json_object_foreach((json_t *)found, key, value)
    {
        (void)printf("%s\n", key);
    }
}

int cmd_catalog(int argc, char **argv)
{
    static const struct {
        const char *what;
        const char *path;
    } lists[] = {{"datacenters", "/v1/catalog/datacenters"},
                 {"nodes", "/v1/catalog/nodes"},
                 {"services", "/v1/catalog/services"}};
    struct client_flags flags = {0};
    const struct arg_option options[] = {CLIENT_OPTIONS(&flags)};
    const struct arg_spec spec = {
        .command = "catalog",
        .positionals = "datacenters|nodes|services",
        .about = "List names of the catalogue, one a line. (\"muster nodes\" "
                 "and \"muster services\" tell\nmore.)\nExits with 3 when no "
                 "agent answers.",
        .examples = "muster catalog services\nmuster catalog nodes",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 1,
    };
    struct args args;
    struct client *client;
    struct err err;
    json_t *found = NULL;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    client = client_new(&flags);
    code = CLI_USAGE;
    (void)err_set(&err, ST_INVALID,
                  "\"%s\" is no list; there are datacenters, "
                  "nodes, services",
                  args.positionals[0]);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (strcmp(lists[i].what, args.positionals[0]) == 0) {
            code = (int)client_get(client, lists[i].path, &found, &err);
        }
    }
    if (code == CLI_OK) {
        print_names(found);
    }
    json_decref(found);
    return finish("catalog", client, &args, (enum cli_exit)code, &err);
}

/* --- maint ---------------------------------------------------------------- */

struct maint_flags {
    struct client_flags client;
    bool enable;
    bool disable;
    const char *reason;
    const char *service;
};

static enum cli_exit maint_set(struct client *client,
                               const struct maint_flags *f, struct err *err)
{
    char *service = client_quote(f->service ? f->service : "");
    char *reason = client_quote(f->reason ? f->reason : "");
    char *path = NULL;
    enum cli_exit code;

    if (asprintf(&path, "/v1/agent/%s%s?enable=%s&reason=%s",
                 f->service ? "service/maintenance/" : "maintenance", service,
                 f->enable ? "true" : "false", reason) < 0) {
        abort();
    }
    code = client_put(client, path, (struct slice){0}, err);
    if (code == CLI_OK) {
        (void)printf("%s maintenance is %s\n", f->service ? f->service : "node",
                     f->enable ? "enabled" : "disabled");
    }
    free(path);
    free(reason);
    free(service);
    return code;
}

static enum cli_exit maint_show(struct client *client, struct err *err)
{
    json_t *checks = NULL;
    const char *id;
    json_t *check;
    enum cli_exit code = client_get(client, "/v1/agent/checks", &checks, err);

    json_object_foreach(checks, id, check)
    {
        if (strcmp(id, "_node_maintenance") == 0) {
            (void)printf("Node:\n  Name:   %s\n  Reason: %s\n",
                         view_text(check, "Node"), view_text(check, "Notes"));
        } else if (strncmp(id, "_service_maintenance:", 21) == 0) {
            (void)printf("Service:\n  ID:     %s\n  Reason: %s\n", id + 21,
                         view_text(check, "Notes"));
        }
    }
    json_decref(checks);
    return code;
}

int cmd_maint(int argc, char **argv)
{
    struct maint_flags f = {0};
    const struct arg_option options[] = {
        {.name = "enable",
         .kind = ARG_BOOL,
         .boolean = &f.enable,
         .help = "take it out of DNS and of passing lists"},
        {.name = "disable",
         .kind = ARG_BOOL,
         .boolean = &f.disable,
         .help = "let it back"},
        {.name = "reason",
         .kind = ARG_STRING,
         .string = &f.reason,
         .metavar = "TEXT",
         .help = "with --enable: why, for others to read"},
        {.name = "service",
         .kind = ARG_STRING,
         .string = &f.service,
         .metavar = "ID",
         .help = "this service instead of the whole host"},
        CLIENT_OPTIONS(&f.client),
    };
    const struct arg_spec spec = {
        .command = "maint",
        .about = "Begin or end the maintenance of this host or of one of its "
                 "services; it outlives\nrestarts. Without a flag: show what "
                 "is in maintenance.\nExits with 4 when there is no such "
                 "service, with 3 when no agent answers.",
        .examples = "muster maint --enable --reason \"new disks\"\n"
                    "muster maint --disable\n"
                    "muster maint --enable --service web-1",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
    };
    struct args args;
    struct client *client;
    struct err err;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    client = client_new(&f.client);
    if (f.enable && f.disable) {
        (void)err_set(&err, ST_INVALID, "--enable or --disable, not both");
        code = CLI_USAGE;
    } else if (f.enable || f.disable) {
        code = (int)maint_set(client, &f, &err);
    } else {
        code = (int)maint_show(client, &err);
    }
    return finish("maint", client, &args, (enum cli_exit)code, &err);
}

/* --- event ---------------------------------------------------------------- */

int cmd_event(int argc, char **argv)
{
    struct client_flags flags = {0};
    const char *name = NULL;
    const char *node = NULL;
    const char *service = NULL;
    const char *tag = NULL;
    const struct arg_option options[] = {
        {.name = "name",
         .kind = ARG_STRING,
         .string = &name,
         .metavar = "NAME",
         .help = "of the event; needed"},
        {.name = "node",
         .kind = ARG_STRING,
         .string = &node,
         .metavar = "REGEX",
         .help = "only for hosts whose name matches"},
        {.name = "service",
         .kind = ARG_STRING,
         .string = &service,
         .metavar = "REGEX",
         .help = "only for hosts with a service that matches"},
        {.name = "tag",
         .kind = ARG_STRING,
         .string = &tag,
         .metavar = "REGEX",
         .help = "of that service"},
        CLIENT_OPTIONS(&flags),
    };
    const struct arg_spec spec = {
        .command = "event",
        .positionals = "[PAYLOAD]",
        .about = "Tell all who listen (\"muster watch --type event\"). Events "
                 "are kept for an hour.\nExits with 3 when no agent answers.",
        .examples = "muster event --name deploy v2\n"
                    "muster event --name deploy --node '^web' v2",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_max = 1,
    };
    struct args args;
    struct client *client;
    struct err err;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    client = client_new(&flags);
    if (name == NULL) {
        (void)err_set(&err, ST_INVALID, "an event needs --name");
        code = CLI_USAGE;
    } else {
        const char *parts[] = {name, node ? node : "", service ? service : "",
                               tag ? tag : ""};
        char *quoted[4];
        char *path = NULL;
        json_t *reply = NULL;
        struct slice bytes;

        for (int i = 0; i < 4; i++) {
            quoted[i] = client_quote(parts[i]);
        }
        if (asprintf(&path, "/v1/event/fire/%s?node=%s&service=%s&tag=%s",
                     quoted[0], quoted[1], quoted[2], quoted[3]) < 0) {
            abort();
        }
        code = (int)client_ask(
            client, "PUT", path,
            slice_str(args.positionals_count ? args.positionals[0] : ""),
            &bytes, &err);
        if (code == CLI_OK) {
            reply = json_loadb((const char *)bytes.data, bytes.len, 0, NULL);
            (void)printf("Event ID: %s\n", view_text(reply, "ID"));
        }
        json_decref(reply);
        free(path);
        for (int i = 0; i < 4; i++) {
            free(quoted[i]);
        }
    }
    return finish("event", client, &args, (enum cli_exit)code, &err);
}

/* --- info ----------------------------------------------------------------- */

/* Texts, in groups. */
static void print_stats(json_t *stats)
{
    const char *group;
    const char *key;
    json_t *values;
    json_t *value;

    json_object_foreach(stats, group, values)
    {
        if (json_is_string(values)) {
            (void)printf("%s = %s\n", group, json_string_value(values));
            continue;
        }
        (void)printf("%s:\n", group);
        json_object_foreach(values, key, value)
        {
            (void)printf("\t%s = %s\n", key,
                         json_is_string(value) ? json_string_value(value)
                                               : "?");
        }
    }
}

int cmd_info(int argc, char **argv)
{
    struct client_flags flags = {0};
    const struct arg_option options[] = {CLIENT_OPTIONS(&flags)};
    const struct arg_spec spec = {
        .command = "info",
        .about = "Print what this host's agent says about itself.\n"
                 "Exits with 3 when no agent answers.",
        .examples = "muster info",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
    };
    struct args args;
    struct client *client;
    struct err err;
    json_t *self = NULL;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    client = client_new(&flags);
    code = (int)client_get(client, "/v1/agent/self", &self, &err);
    print_stats(json_object_get(self, "Stats"));
    json_decref(self);
    return finish("info", client, &args, (enum cli_exit)code, &err);
}
