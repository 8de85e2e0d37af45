/*
 * Prepared queries: kept, and carried out.
 */
#include "cli/cmd_query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/core/limits.h"
#include "cli/command.h"
#include "cli/view.h"

struct query_flags {
    struct client_flags client;
    bool json;
};

static const struct query_flags *flags_of(const struct command_run *r)
{
    return r->flags;
}

static const char *path_of(struct command_run *r, const char *what,
                           const char *end)
{
    char *quoted = client_quote(what);
    const char *path = arena_printf(&r->arena, "/v1/query/%s%s", quoted, end);

    free(quoted);
    return path;
}

/* ---- Which one ------------------------------------------------------ */

/* By name in any case, or by id. NULL: none; borrowed from `list`. */
static const json_t *find(const json_t *list, const char *name)
{
    const json_t *q;
    size_t i;

    json_array_foreach(list, i, q)
    {
        if (strcasecmp(view_text(q, "Name"), name) == 0 ||
            strcmp(view_text(q, "ID"), name) == 0) {
            return q;
        }
    }
    return NULL;
}

static enum cli_exit get_list(struct command_run *r, json_t **out_list)
{
    return client_get(r->client, "/v1/query", out_list, &r->err);
}

/* One reference in *out_query. */
static enum cli_exit get_one(struct command_run *r, json_t **out_query)
{
    json_t *list = NULL;
    enum cli_exit code = get_list(r, &list);
    const json_t *q = code == CLI_OK ? find(list, r->subject) : NULL;

    if (code == CLI_OK && q == NULL) {
        (void)err_set(&r->err, ST_NOT_FOUND,
                      "there is no query \"%.200s\"; see muster query list",
                      r->subject);
        code = CLI_NOT_FOUND;
    }
    if (code == CLI_OK) {
        *out_query = json_incref((json_t *)q);
    }
    json_decref(list);
    return code;
}

/* ---- Reading -------------------------------------------------------- */

static const char *or_dash(const char *text)
{
    return *text == '\0' ? "-" : text;
}

static void print_list(struct command_run *r, const json_t *list)
{
    static const char *const heads[] = {"NAME",     "SERVICE", "TAGS",
                                        "FAILOVER", "TTL",     "ID"};
    struct table t;
    const json_t *q;
    size_t i;

    table_init(&t, heads, sizeof(heads) / sizeof(heads[0]));
    json_array_foreach(list, i, q)
    {
        const json_t *service = json_object_get(q, "Service");
        const json_t *failover = json_object_get(service, "Failover");
        bool is_template =
            *view_text(json_object_get(q, "Template"), "Type") != '\0';

        table_addf(&t, TABLE_PLAIN, "%s%s", view_text(q, "Name"),
                   is_template ? "*" : "");
        table_add(&t, TABLE_PLAIN, view_text(service, "Service"));
        table_add(&t, TABLE_PLAIN,
                  view_join(&r->arena, json_object_get(service, "Tags")));
        table_addf(
            &t, TABLE_PLAIN, "%lld, %s", view_number(failover, "NearestN"),
            view_join(&r->arena, json_object_get(failover, "Datacenters")));
        table_add(&t, TABLE_PLAIN,
                  or_dash(view_text(json_object_get(q, "DNS"), "TTL")));
        table_add(&t, TABLE_PLAIN, view_text(q, "ID"));
    }
    table_print(&t);
    table_release(&t);
}

static enum cli_exit query_list(struct command_run *r)
{
    json_t *list = NULL;
    enum cli_exit code = get_list(r, &list);

    if (code == CLI_OK && flags_of(r)->json) {
        view_print_json(list);
    } else if (code == CLI_OK) {
        print_list(r, list);
    }
    json_decref(list);
    return code;
}

static enum cli_exit query_read(struct command_run *r)
{
    json_t *q = NULL;
    enum cli_exit code = get_one(r, &q);

    if (code == CLI_OK) {
        view_print_json(q);
    }
    json_decref(q);
    return code;
}

static enum cli_exit query_explain(struct command_run *r)
{
    json_t *reply = NULL;
    enum cli_exit code = client_get(
        r->client, path_of(r, r->subject, "/explain"), &reply, &r->err);

    if (code == CLI_OK) {
        view_print_json(json_object_get(reply, "Query"));
    }
    json_decref(reply);
    return code;
}

/* ---- Executing ------------------------------------------------------ */

static void print_result(struct command_run *r, const json_t *reply)
{
    static const char *const heads[] = {"ID", "NODE", "ADDRESS", "HEALTH",
                                        "TAGS"};
    struct table t;
    const json_t *entry;
    size_t i;

    table_init(&t, heads, sizeof(heads) / sizeof(heads[0]));
    json_array_foreach(json_object_get(reply, "Nodes"), i, entry)
    {
        const json_t *node = json_object_get(entry, "Node");
        const json_t *service = json_object_get(entry, "Service");
        const char *address = view_text(service, "Address");
        enum view_health health =
            view_health_of(json_object_get(entry, "Checks"), NULL);

        table_add(&t, TABLE_PLAIN, view_text(service, "ID"));
        table_add(&t, TABLE_PLAIN, view_text(node, "Node"));
        table_add(&t, TABLE_PLAIN,
                  view_endpoint(&r->arena,
                                *address != '\0' ? address
                                                 : view_text(node, "Address"),
                                view_number(service, "Port")));
        table_add(&t, view_health_paint(health), view_health_word(health));
        table_add(&t, TABLE_PLAIN,
                  view_join(&r->arena, json_object_get(service, "Tags")));
    }
    table_print(&t);
    table_release(&t);
    if (view_number(reply, "Failovers") > 0) {
        (void)printf("Found in %s.\n", view_text(reply, "Datacenter"));
    }
}

static enum cli_exit query_execute(struct command_run *r)
{
    json_t *reply = NULL;
    enum cli_exit code = client_get(
        r->client, path_of(r, r->subject, "/execute"), &reply, &r->err);

    if (code == CLI_OK && flags_of(r)->json) {
        view_print_json(reply);
    } else if (code == CLI_OK &&
               json_array_size(json_object_get(reply, "Nodes")) == 0) {
        (void)err_set(&r->err, ST_NOT_FOUND,
                      "\"%.200s\" finds no instance of service \"%.200s\"",
                      r->subject, view_text(reply, "Service"));
        code = CLI_NOT_FOUND;
    } else if (code == CLI_OK) {
        print_result(r, reply);
    }
    json_decref(reply);
    return code;
}

/* ---- Writing -------------------------------------------------------- */

static enum cli_exit load(struct command_run *r, json_t **out_query)
{
    bool is_input = strcmp(r->subject, "-") == 0;
    FILE *file = is_input ? stdin : fopen(r->subject, "re");
    json_error_t error;

    if (file == NULL) {
        (void)err_set(&r->err, ST_IO, "%s: cannot be read", r->subject);
        return CLI_FAILED;
    }
    *out_query = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    if (!is_input) {
        (void)fclose(file);
    }
    if (*out_query == NULL) {
        (void)err_set(&r->err, ST_INVALID, "%s:%d: not JSON: %s",
                      is_input ? "standard input" : r->subject, error.line,
                      error.text);
        return CLI_FAILED;
    }
    return CLI_OK;
}

/* The id of the query that is to be replaced, or NULL. */
static enum cli_exit find_old(struct command_run *r, const json_t *query,
                              const char **out_id)
{
    const char *name = view_text(query, "ID");
    json_t *list = NULL;
    enum cli_exit code = get_list(r, &list);
    const json_t *old;

    name = *name != '\0' ? name : view_text(query, "Name");
    old = code == CLI_OK && *name != '\0' ? find(list, name) : NULL;
    *out_id = old == NULL
                  ? NULL
                  : arena_strdup(&r->arena, slice_str(view_text(old, "ID")));
    json_decref(list);
    return code;
}

static enum cli_exit put(struct command_run *r, const json_t *query,
                         const char *old)
{
    char *text = json_dumps(query, JSON_COMPACT);
    const char *path = old == NULL ? "/v1/query" : path_of(r, old, "");
    json_t *reply = NULL;
    enum cli_exit code =
        client_call(r->client, old == NULL ? "POST" : "PUT", path,
                    slice_str(text), old == NULL ? &reply : NULL, &r->err);

    if (code == CLI_OK) {
        (void)printf("%s %s\n", old == NULL ? "made" : "changed",
                     old == NULL ? view_text(reply, "ID") : old);
    }
    json_decref(reply);
    free(text);
    return code;
}

static enum cli_exit query_apply(struct command_run *r)
{
    json_t *query = NULL;
    const char *old = NULL;
    enum cli_exit code = load(r, &query);

    if (code == CLI_OK) {
        code = find_old(r, query, &old);
    }
    if (code == CLI_OK) {
        code = put(r, query, old);
    }
    json_decref(query);
    return code;
}

static enum cli_exit query_delete(struct command_run *r)
{
    json_t *q = NULL;
    enum cli_exit code = get_one(r, &q);

    if (code == CLI_OK) {
        code =
            client_call(r->client, "DELETE", path_of(r, view_text(q, "ID"), ""),
                        (struct slice){0}, NULL, &r->err);
    }
    if (code == CLI_OK) {
        (void)printf("deleted %s\n", view_text(q, "ID"));
    }
    json_decref(q);
    return code;
}

/* ---- The command ---------------------------------------------------- */

static const struct command_verb verbs[] = {
    {"list", false, query_list},      {"read", true, query_read},
    {"apply", true, query_apply},     {"delete", true, query_delete},
    {"execute", true, query_execute}, {"explain", true, query_explain},
};

static enum cli_exit run(struct command_run *r)
{
    return command_verb_run(r, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

int cmd_query(int argc, char **argv)
{
    struct query_flags f = {0};
    const struct arg_option options[] = {
        {.name = "json",
         .kind = ARG_BOOL,
         .boolean = &f.json,
         .help = "list and execute print the API's JSON"},
        CLIENT_OPTIONS(&f.client),
    };
    const struct arg_spec spec = {
        .command = "query",
        .positionals = "list | read NAME | apply FILE | delete NAME | execute "
                       "NAME | explain NAME",
        .about = "Keep prepared queries in the store, and carry them out. NAME "
                 "may be an id. apply makes the query of a JSON file (or of "
                 "standard input, \"-\"), or changes the one of its name. "
                 "explain shows what a template makes of a name. Names with a "
                 "* are templates; FAILOVER is how many of the nearest "
                 "datacenters are tried, and which then.",
        .examples = "  echo '{\"Name\": \"front\", \"Service\": {\"Service\": "
                    "\"web\", \"OnlyPassing\": true}}' | muster query apply -\n"
                    "  muster query execute front\n"
                    "  muster query list\n"
                    "  muster query delete front\n",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 2,
    };

    return command_main(&spec, argc, argv, &f.client, &f, run);
}
