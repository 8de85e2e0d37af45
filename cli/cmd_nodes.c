#include "cli/cmd_nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/table.h"
#include "cli/view.h"

struct nodes_flags {
    struct client_flags client;
    bool json;
};

/* --- all nodes ------------------------------------------------------------ */

/* The checks of `node` itself, out of those of the whole catalogue. */
static json_t *node_checks(const json_t *checks, const char *node)
{
    json_t *own = json_array();
    json_t *check;
    size_t i;

    json_array_foreach(checks, i, check)
    {
        if (strcmp(view_text(check, "Node"), node) == 0 &&
            *view_text(check, "ServiceID") == '\0') {
            (void)json_array_append(own, check);
        }
    }
    return own;
}

static const char *meta_text(struct arena *arena, json_t *meta)
{
    const char *joined = "";
    const char *key;
    json_t *value;

    json_object_foreach(meta, key, value)
    {
        const char *text = json_string_value(value);

        joined = arena_printf(arena, "%s%s%s=%s", joined, *joined ? ", " : "",
                              key, text ? text : "?");
    }
    return *joined ? joined : "-";
}

static void print_nodes(const json_t *nodes)
{
    static const char *const heads[] = {"NODE", "ADDRESS", "HEALTH",
                                        "DATACENTER", "META"};
    struct table t;
    const json_t *node;
    size_t i;

    table_init(&t, heads, sizeof(heads) / sizeof(heads[0]));
    json_array_foreach(nodes, i, node)
    {
        enum view_health health =
            view_health_of(json_object_get(node, "Checks"), NULL);

        table_add(&t, TABLE_PLAIN, view_text(node, "Node"));
        table_add(&t, TABLE_PLAIN, view_text(node, "Address"));
        table_add(&t, view_health_paint(health), view_health_word(health));
        table_add(&t, TABLE_PLAIN, view_text(node, "Datacenter"));
        table_add(&t, TABLE_PLAIN,
                  meta_text(&t.arena, json_object_get(node, "Meta")));
    }
    table_print(&t);
    table_release(&t);
}

/* Another agent has the name of the one that was asked: not a row of the table
 * tells, all of them are of others. Whoever may not read it is told nothing. */
static void note_name_in_use(struct client *client)
{
    struct err err;
    json_t *self = NULL;
    const json_t *stats;

    if (client_get(client, "/v1/agent/self", &self, &err) != CLI_OK) {
        return;
    }
    stats = json_object_get(json_object_get(self, "Stats"), "muster");
    if (strcmp(view_text(stats, "node_name_in_use"), "true") == 0) {
        (void)fprintf(stderr,
                      "muster nodes: \"%s\" is another agent (node id %s): the "
                      "one that was asked has the same\nname, and registers "
                      "nothing until the other one has gone; or give it "
                      "another name with --node\n",
                      view_text(json_object_get(self, "Config"), "NodeName"),
                      view_text(stats, "node_name_owner"));
    }
    json_decref(self);
}

static enum cli_exit list_nodes(struct client *client,
                                const struct nodes_flags *f, struct err *err)
{
    json_t *nodes = NULL;
    json_t *checks = NULL;
    json_t *node;
    size_t i;
    enum cli_exit code = client_get(client, "/v1/catalog/nodes", &nodes, err);

    if (code == CLI_OK) {
        code = client_get(client, "/v1/health/state/any", &checks, err);
    }
    if (code == CLI_OK) {
        json_array_foreach(nodes, i, node)
        {
            (void)json_object_set_new(
                node, "Checks", node_checks(checks, view_text(node, "Node")));
        }
        f->json ? view_print_json(nodes) : print_nodes(nodes);
        note_name_in_use(client);
    }
    json_decref(checks);
    json_decref(nodes);
    return code;
}

/* --- one node ------------------------------------------------------------- */

static void add_service(struct table *t, const json_t *service,
                        const char *node_address, const json_t *checks)
{
    const char *id = view_text(service, "ID");
    const char *address = view_text(service, "Address");
    enum view_health health = view_health_of(checks, id);

    table_add(t, TABLE_PLAIN, id);
    table_add(t, TABLE_PLAIN, view_text(service, "Service"));
    table_add(t, TABLE_PLAIN,
              view_endpoint(&t->arena, *address ? address : node_address,
                            view_number(service, "Port")));
    table_add(t, view_health_paint(health), view_health_word(health));
    table_add(t, TABLE_PLAIN,
              view_join(&t->arena, json_object_get(service, "Tags")));
}

static void print_node(const json_t *found, const json_t *checks)
{
    static const char *const heads[] = {"ID", "SERVICE", "ADDRESS", "HEALTH",
                                        "TAGS"};
    const char *address = view_text(json_object_get(found, "Node"), "Address");
    struct table t;
    const char *id;
    json_t *service;

    table_init(&t, heads, sizeof(heads) / sizeof(heads[0]));
    json_object_foreach(json_object_get(found, "Services"), id, service)
    {
        add_service(&t, service, address, checks);
    }
    table_print(&t);
    table_release(&t);
}

static enum cli_exit get_node(struct client *client, const char *form,
                              const char *name, json_t **out_json,
                              struct err *err)
{
    char *quoted = client_quote(name);
    char *path = NULL;
    enum cli_exit code;

    if (asprintf(&path, "%s%s", form, quoted) < 0) {
        abort();
    }
    code = client_get(client, path, out_json, err);
    free(path);
    free(quoted);
    return code;
}

static enum cli_exit show_node(struct client *client, const char *name,
                               const struct nodes_flags *f, struct err *err)
{
    json_t *found = NULL;
    json_t *checks = NULL;
    enum cli_exit code =
        get_node(client, "/v1/catalog/node/", name, &found, err);

    if (code == CLI_OK && !json_is_object(found)) {
        (void)err_set(err, ST_NOT_FOUND, "no node is called \"%s\"", name);
        code = CLI_NOT_FOUND;
    }
    if (code == CLI_OK) {
        code = get_node(client, "/v1/health/node/", name, &checks, err);
    }
    if (code == CLI_OK && f->json) {
        (void)json_object_set(found, "Checks", checks);
        view_print_json(found);
    } else if (code == CLI_OK) {
        print_node(found, checks);
    }
    json_decref(checks);
    json_decref(found);
    return code;
}

static enum cli_exit run(struct command_run *r)
{
    return r->args->positionals_count > 0
               ? show_node(r->client, r->subject, r->flags, &r->err)
               : list_nodes(r->client, r->flags, &r->err);
}

int cmd_nodes(int argc, char **argv)
{
    struct nodes_flags f = {0};
    const struct arg_option options[] = {
        {.name = "json",
         .kind = ARG_BOOL,
         .boolean = &f.json,
         .help = "print JSON"},
        CLIENT_OPTIONS(&f.client),
    };
    const struct arg_spec spec = {
        .command = "nodes",
        .positionals = "[NAME]",
        .about = "List the hosts of the catalogue, or the services of one.\n"
                 "Exits with 4 when there is no such host, with 3 when no "
                 "agent answers.",
        .examples = "muster nodes\nmuster nodes $(hostname -s)\n"
                    "muster nodes --json",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_max = 1,
    };

    return command_main(&spec, argc, argv, &f.client, &f, run);
}
