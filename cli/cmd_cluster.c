#include "cli/cmd_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/table.h"
#include "cli/view.h"

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

/* `wanted` NULL: whatever its status. */
static void print_members(const json_t *members, const char *wanted)
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

        if (wanted != NULL && strcmp(wanted, status) != 0) {
            continue;
        }
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

struct members_flags {
    struct client_flags client;
    bool json;
    bool unused; /* Consul's flags that would change nothing. */
    const char *status;
};

static enum cli_exit members(struct command_run *r)
{
    const struct members_flags *f = r->flags;
    json_t *found = NULL;
    enum cli_exit code =
        client_get(r->client, "/v1/agent/members", &found, &r->err);

    if (code == CLI_OK) {
        f->json ? view_print_json(found) : print_members(found, f->status);
    }
    json_decref(found);
    return code;
}

int cmd_members(int argc, char **argv)
{
    struct members_flags f = {0};
    const struct arg_option options[] = {
        {.name = "json",
         .kind = ARG_BOOL,
         .boolean = &f.json,
         .help = "print JSON"},
        {.name = "status",
         .kind = ARG_STRING,
         .string = &f.status,
         .metavar = "WORD",
         .help = "alive or failed: only these"},
        {.name = "wan",
         .kind = ARG_BOOL,
         .boolean = &f.unused,
         .hidden = true,
         .help = "there is no gossip; the same list"},
        {.name = "detailed",
         .kind = ARG_BOOL,
         .boolean = &f.unused,
         .hidden = true,
         .help = "there is no more to tell"},
        CLIENT_OPTIONS(&f.client),
    };
    const struct arg_spec spec = {
        .command = "members",
        .about = "List the agents of the datacenter, and whether they live.\n"
                 "Exits with 3 when no agent answers.",
        .examples = "muster members\nmuster members --json",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
    };

    return command_main(&spec, argc, argv, &f.client, &f, members);
}

/* --- catalog -------------------------------------------------------------- */

struct catalog_flags {
    struct client_flags client;
    const char *service;
    const char *node;
    const char *near;
    struct arg_list node_meta;
    bool tags;
};

/* Nodes come once for each instance of a service. */
static void print_names(const json_t *found, bool with_tags)
{
    struct arena arena = {0};
    const char *before = "";
    const char *key;
    json_t *value;
    size_t i;

    json_array_foreach(found, i, value)
    {
        const char *name = json_is_string(value) ? json_string_value(value)
                                                 : view_text(value, "Node");

        if (strcmp(name, before) != 0) {
            (void)printf("%s\n", name);
        }
        before = name;
    }
    json_object_foreach((json_t *)found, key, value)
    {
        if (with_tags) {
            (void)printf("%-24s %s\n", key,
                         view_join(&arena, json_is_object(value)
                                               ? json_object_get(value, "Tags")
                                               : value));
        } else {
            (void)printf("%s\n", key);
        }
    }
    arena_release(&arena);
}

static const char *quoted(struct command_run *r, const char *text)
{
    char *q = client_quote(text);
    const char *copy = arena_strdup(&r->arena, slice_str(q));

    free(q);
    return copy;
}

static const char *nodes_path(struct command_run *r,
                              const struct catalog_flags *f)
{
    const char *path = f->service == NULL
                           ? "/v1/catalog/nodes?"
                           : arena_printf(&r->arena, "/v1/catalog/service/%s?",
                                          quoted(r, f->service));

    if (f->near != NULL) {
        path = arena_printf(&r->arena, "%snear=%s&", path, quoted(r, f->near));
    }
    for (size_t i = 0; i < f->node_meta.count; i++) {
        char *pair = strdup(f->node_meta.items[i]);
        char *equals = pair == NULL ? NULL : strchr(pair, '=');

        if (equals != NULL) {
            *equals = ':'; /* As the API wants it. */
        }
        path = arena_printf(&r->arena, "%snode-meta=%s&", path,
                            quoted(r, pair == NULL ? "" : pair));
        free(pair);
    }
    return path;
}

/* The services of one node are in an object by id; by name they may repeat. */
static enum cli_exit services_of_node(struct command_run *r, const char *node,
                                      bool with_tags)
{
    json_t *found = NULL;
    json_t *by_name = json_object();
    const char *id;
    json_t *service;
    enum cli_exit code = client_get(
        r->client,
        arena_printf(&r->arena, "/v1/catalog/node/%s", quoted(r, node)), &found,
        &r->err);

    if (code == CLI_OK && json_is_null(found)) {
        (void)err_set(&r->err, ST_NOT_FOUND, "there is no node \"%s\"", node);
        code = CLI_NOT_FOUND;
    }
    json_object_foreach(json_object_get(found, "Services"), id, service)
    {
        (void)json_object_set(by_name, view_text(service, "Service"), service);
    }
    if (code == CLI_OK) {
        print_names(by_name, with_tags);
    }
    json_decref(by_name);
    json_decref(found);
    return code;
}

static enum cli_exit catalog(struct command_run *r)
{
    const struct catalog_flags *f = r->flags;
    json_t *found = NULL;
    const char *path;
    enum cli_exit code;

    if (strcmp(r->subject, "nodes") == 0) {
        path = nodes_path(r, f);
    } else if (strcmp(r->subject, "services") == 0) {
        if (f->node != NULL) {
            return services_of_node(r, f->node, f->tags);
        }
        path = "/v1/catalog/services";
    } else if (strcmp(r->subject, "datacenters") == 0) {
        path = "/v1/catalog/datacenters";
    } else {
        (void)err_set(&r->err, ST_INVALID,
                      "\"%s\" is no list; there are datacenters, "
                      "nodes, services",
                      r->subject);
        return CLI_USAGE;
    }
    code = client_get(r->client, path, &found, &r->err);
    if (code == CLI_OK) {
        print_names(found, f->tags);
    }
    json_decref(found);
    return code;
}

int cmd_catalog(int argc, char **argv)
{
    struct catalog_flags f = {0};
    const struct arg_option options[] = {
        {.name = "service",
         .kind = ARG_STRING,
         .string = &f.service,
         .metavar = "NAME",
         .help = "nodes: those that have this service"},
        {.name = "near",
         .kind = ARG_STRING,
         .string = &f.near,
         .metavar = "NODE",
         .help = "nodes: the nearest to this one first"},
        {.name = "node-meta",
         .kind = ARG_LIST,
         .list = &f.node_meta,
         .metavar = "KEY=VALUE",
         .help = "nodes: those with this"},
        {.name = "node",
         .kind = ARG_STRING,
         .string = &f.node,
         .metavar = "NODE",
         .help = "services: those of this node"},
        {.name = "tags",
         .kind = ARG_BOOL,
         .boolean = &f.tags,
         .help = "services: with their tags"},
        CLIENT_OPTIONS(&f.client),
    };
    const struct arg_spec spec = {
        .command = "catalog",
        .positionals = "datacenters|nodes|services",
        .about = "List names of the catalogue, one a line. (\"muster nodes\" "
                 "and \"muster services\" tell\nmore.)\nExits with 3 when no "
                 "agent answers.",
        .examples = "muster catalog services --tags\n"
                    "muster catalog nodes --service web --near _agent",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 1,
    };

    return command_main(&spec, argc, argv, &f.client, &f, catalog);
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

static enum cli_exit maint(struct command_run *r)
{
    const struct maint_flags *f = r->flags;

    if (f->enable && f->disable) {
        (void)err_set(&r->err, ST_INVALID, "--enable or --disable, not both");
        return CLI_USAGE;
    }
    return f->enable || f->disable ? maint_set(r->client, f, &r->err)
                                   : maint_show(r->client, &r->err);
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

    return command_main(&spec, argc, argv, &f.client, &f, maint);
}

/* --- event ---------------------------------------------------------------- */

struct event_flags {
    struct client_flags client;
    const char *name;
    const char *node;
    const char *service;
    const char *tag;
};

static const char *event_path(struct arena *arena, const struct event_flags *f)
{
    const char *parts[] = {f->name, f->node ? f->node : "",
                           f->service ? f->service : "", f->tag ? f->tag : ""};
    char *quoted[4];
    const char *path;

    for (int i = 0; i < 4; i++) {
        quoted[i] = client_quote(parts[i]);
    }
    path = arena_printf(arena, "/v1/event/fire/%s?node=%s&service=%s&tag=%s",
                        quoted[0], quoted[1], quoted[2], quoted[3]);
    for (int i = 0; i < 4; i++) {
        free(quoted[i]);
    }
    return path;
}

static enum cli_exit event(struct command_run *r)
{
    const struct event_flags *f = r->flags;
    json_t *reply = NULL;
    enum cli_exit code;

    if (f->name == NULL) {
        (void)err_set(&r->err, ST_INVALID, "an event needs --name");
        return CLI_USAGE;
    }
    code = client_call(r->client, "PUT", event_path(&r->arena, f),
                       slice_str(r->subject), &reply, &r->err);
    if (code == CLI_OK) {
        (void)printf("Event ID: %s\n", view_text(reply, "ID"));
    }
    json_decref(reply);
    return code;
}

int cmd_event(int argc, char **argv)
{
    struct event_flags f = {0};
    const struct arg_option options[] = {
        {.name = "name",
         .kind = ARG_STRING,
         .string = &f.name,
         .metavar = "NAME",
         .help = "of the event; needed"},
        {.name = "node",
         .kind = ARG_STRING,
         .string = &f.node,
         .metavar = "REGEX",
         .help = "only for hosts whose name matches"},
        {.name = "service",
         .kind = ARG_STRING,
         .string = &f.service,
         .metavar = "REGEX",
         .help = "only for hosts with a service that matches"},
        {.name = "tag",
         .kind = ARG_STRING,
         .string = &f.tag,
         .metavar = "REGEX",
         .help = "of that service"},
        CLIENT_OPTIONS(&f.client),
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

    return command_main(&spec, argc, argv, &f.client, &f, event);
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

static enum cli_exit info(struct command_run *r)
{
    json_t *self = NULL;
    enum cli_exit code =
        client_get(r->client, "/v1/agent/self", &self, &r->err);

    print_stats(json_object_get(self, "Stats"));
    json_decref(self);
    return code;
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

    return command_main(&spec, argc, argv, &flags, NULL, info);
}
