#include "cli/cmd_services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/table.h"
#include "cli/view.h"

struct services_flags {
    struct client_flags client;
    const char *tag;
    bool passing;
    bool json;
};

static char *health_path(const char *service, const struct services_flags *f)
{
    char *name = client_quote(service);
    char *tag = f->tag ? client_quote(f->tag) : NULL;
    char *path = NULL;

    if (asprintf(&path, "/v1/health/service/%s?%s%s%s", name,
                 f->passing ? "passing&" : "", tag ? "tag=" : "",
                 tag ? tag : "") < 0) {
        abort();
    }
    free(tag);
    free(name);
    return path;
}

static enum cli_exit get_instances(struct client *client, const char *service,
                                   const struct services_flags *f,
                                   json_t **out_instances, struct err *err)
{
    char *path = health_path(service, f);
    enum cli_exit code = client_get(client, path, out_instances, err);

    free(path);
    return code;
}

/* --- one service ---------------------------------------------------------- */

/* What a failing check said; "" when all is well. */
static const char *first_complaint(const json_t *checks)
{
    const json_t *check;
    size_t i;

    json_array_foreach(checks, i, check)
    {
        if (strcmp(view_text(check, "Status"), "passing") != 0) {
            const char *output = view_text(check, "Output");

            return *output ? output : view_text(check, "Name");
        }
    }
    return "";
}

static void add_instance(struct table *t, const json_t *instance)
{
    const json_t *node = json_object_get(instance, "Node");
    const json_t *service = json_object_get(instance, "Service");
    const json_t *checks = json_object_get(instance, "Checks");
    enum view_health health = view_health_of(checks, NULL);
    const char *address = view_text(service, "Address");

    if (*address == '\0') {
        address = view_text(node, "Address");
    }
    table_add(t, TABLE_PLAIN, view_text(service, "ID"));
    table_add(t, TABLE_PLAIN, view_text(node, "Node"));
    table_add(t, TABLE_PLAIN,
              view_endpoint(&t->arena, address, view_number(service, "Port")));
    table_add(t, view_health_paint(health), view_health_word(health));
    table_add(t, TABLE_PLAIN,
              view_join(&t->arena, json_object_get(service, "Tags")));
    table_add(t, TABLE_PLAIN, first_complaint(checks));
}

static void print_instances(const json_t *instances)
{
    static const char *const heads[] = {"ID",     "NODE", "ADDRESS",
                                        "HEALTH", "TAGS", "COMPLAINT"};
    struct table t;
    const json_t *instance;
    size_t i;

    table_init(&t, heads, sizeof(heads) / sizeof(heads[0]));
    json_array_foreach(instances, i, instance)
    {
        add_instance(&t, instance);
    }
    table_print(&t);
    table_release(&t);
}

static enum cli_exit show_service(struct client *client, const char *name,
                                  const struct services_flags *f,
                                  struct err *err)
{
    json_t *instances = NULL;
    enum cli_exit code = get_instances(client, name, f, &instances, err);

    if (code != CLI_OK) {
        return code;
    }
    if (f->json) {
        view_print_json(instances);
    } else if (json_array_size(instances) > 0) {
        print_instances(instances);
    }
    if (json_array_size(instances) == 0) {
        (void)err_set(err, ST_NOT_FOUND, "no %sinstance of \"%s\"%s%s",
                      f->passing ? "passing " : "", name,
                      f->tag ? " with tag " : "", f->tag ? f->tag : "");
        code = CLI_NOT_FOUND;
    }
    json_decref(instances);
    return code;
}

/* --- all services --------------------------------------------------------- */

static json_t *summary_of(const char *name, json_t *tags,
                          const json_t *instances)
{
    json_int_t counts[VIEW_HEALTH_COUNT] = {0};
    const json_t *instance;
    size_t i;

    json_array_foreach(instances, i, instance)
    {
        counts[view_health_of(json_object_get(instance, "Checks"), NULL)]++;
    }
    return json_pack(
        "{s:s, s:O, s:I, s:I, s:I, s:I, s:I}", "Name", name, "Tags", tags,
        "Instances", (json_int_t)json_array_size(instances), "Passing",
        counts[VIEW_PASSING], "Warning", counts[VIEW_WARNING], "Critical",
        counts[VIEW_CRITICAL], "Maintenance", counts[VIEW_MAINTENANCE]);
}

static void add_summary(struct table *t, const json_t *s)
{
    long long all = view_number(s, "Instances");
    long long passing = view_number(s, "Passing");
    long long critical = view_number(s, "Critical");

    table_add(t, TABLE_PLAIN, view_text(s, "Name"));
    table_addf(t, TABLE_PLAIN, "%lld", all);
    table_addf(t, passing == all ? TABLE_GOOD : TABLE_PLAIN, "%lld", passing);
    table_addf(t, view_number(s, "Warning") > 0 ? TABLE_FAIR : TABLE_PLAIN,
               "%lld", view_number(s, "Warning"));
    table_addf(t, critical > 0 ? TABLE_BAD : TABLE_PLAIN, "%lld", critical);
    table_addf(t, TABLE_PLAIN, "%lld", view_number(s, "Maintenance"));
    table_add(t, TABLE_PLAIN, view_join(&t->arena, json_object_get(s, "Tags")));
}

static void print_summaries(const json_t *summaries)
{
    static const char *const heads[] = {"NAME",    "INSTANCES", "PASSING",
                                        "WARNING", "CRITICAL",  "MAINTENANCE",
                                        "TAGS"};
    struct table t;
    const json_t *s;
    size_t i;

    table_init(&t, heads, sizeof(heads) / sizeof(heads[0]));
    json_array_foreach(summaries, i, s)
    {
        add_summary(&t, s);
    }
    table_print(&t);
    table_release(&t);
}

static bool has_tag(const json_t *tags, const char *tag)
{
    const json_t *word;
    size_t i;

    json_array_foreach(tags, i, word)
    {
        const char *text = json_string_value(word);

        if (text != NULL && strcmp(text, tag) == 0) {
            return true;
        }
    }
    return false;
}

static enum cli_exit collect(struct client *client, json_t *services,
                             const struct services_flags *f, json_t *summaries,
                             struct err *err)
{
    const char *name;
    json_t *tags;

    json_object_foreach(services, name, tags)
    {
        json_t *instances = NULL;
        enum cli_exit code;

        if (f->tag != NULL && !has_tag(tags, f->tag)) {
            continue;
        }
        code = get_instances(client, name, f, &instances, err);
        if (code != CLI_OK) {
            return code;
        }
        if (!f->passing || json_array_size(instances) > 0) {
            (void)json_array_append_new(summaries,
                                        summary_of(name, tags, instances));
        }
        json_decref(instances);
    }
    return CLI_OK;
}

static enum cli_exit list_services(struct client *client,
                                   const struct services_flags *f,
                                   struct err *err)
{
    json_t *services = NULL;
    json_t *summaries = json_array();
    enum cli_exit code =
        client_get(client, "/v1/catalog/services", &services, err);

    if (code == CLI_OK) {
        code = collect(client, services, f, summaries, err);
    }
    if (code == CLI_OK && f->json) {
        view_print_json(summaries);
    } else if (code == CLI_OK) {
        print_summaries(summaries);
    }
    json_decref(summaries);
    json_decref(services);
    return code;
}

static enum cli_exit run(struct command_run *r)
{
    return r->args->positionals_count > 0
               ? show_service(r->client, r->subject, r->flags, &r->err)
               : list_services(r->client, r->flags, &r->err);
}

int cmd_services(int argc, char **argv)
{
    struct services_flags f = {0};
    const struct arg_option options[] = {
        {.name = "passing",
         .kind = ARG_BOOL,
         .boolean = &f.passing,
         .help = "only instances that are served"},
        {.name = "tag",
         .kind = ARG_STRING,
         .string = &f.tag,
         .metavar = "TAG",
         .help = "only instances with this tag"},
        {.name = "json",
         .kind = ARG_BOOL,
         .boolean = &f.json,
         .help = "print JSON"},
        CLIENT_OPTIONS(&f.client),
    };
    const struct arg_spec spec = {
        .command = "services",
        .positionals = "[NAME]",
        .about = "List the services of the catalogue, or the instances of one "
                 "with their health.\nExits with 4 when there is no such "
                 "instance, with 3 when no agent answers.",
        .examples = "muster services\nmuster services web\n"
                    "muster services web --passing --tag v2\n"
                    "muster services --json",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_max = 1,
    };

    return command_main(&spec, argc, argv, &f.client, &f, run);
}
