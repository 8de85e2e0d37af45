#include "cli/cmd_rtt.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/core/coord.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/view.h"

static double number(const json_t *value)
{
    return json_number_value(value);
}

/* False: that node is not among them. */
static bool find(const json_t *nodes, const char *name, struct coord *out)
{
    const json_t *node;
    size_t i;

    json_array_foreach(nodes, i, node)
    {
        const json_t *at = json_object_get(node, "Coord");
        const json_t *vec = json_object_get(at, "Vec");

        if (strcasecmp(view_text(node, "Node"), name) != 0) {
            continue;
        }
        *out = (struct coord){.height = number(json_object_get(at, "Height"))};
        for (size_t k = 0; k < COORD_DIMS; k++) {
            out->vec[k] = number(json_array_get(vec, k));
        }
        return true;
    }
    return false;
}

static enum cli_exit own_name(struct client *client, struct arena *arena,
                              const char **out_name, struct err *err)
{
    json_t *self = NULL;
    enum cli_exit code = client_get(client, "/v1/agent/self", &self, err);

    *out_name = arena_strdup(
        arena,
        slice_str(view_text(json_object_get(self, "Config"), "NodeName")));
    json_decref(self);
    return code;
}

static enum cli_exit print_distance(struct client *client, const char *from,
                                    const char *to, struct err *err)
{
    const char *const names[] = {from, to};
    struct coord at[2];
    json_t *nodes = NULL;
    enum cli_exit code =
        client_get(client, "/v1/coordinate/nodes", &nodes, err);

    for (size_t i = 0; i < 2 && code == CLI_OK; i++) {
        if (!find(nodes, names[i], &at[i])) {
            (void)err_set(err, ST_NOT_FOUND,
                          "node \"%s\" has not measured its round trips; "
                          "agents do when they have been up for a while",
                          names[i]);
            code = CLI_NOT_FOUND;
        }
    }
    if (code == CLI_OK) {
        (void)printf("Estimated %s <-> %s rtt: %.3f ms\n", from, to,
                     coord_distance(&at[0], &at[1]) * 1000);
    }
    json_decref(nodes);
    return code;
}

int cmd_rtt(int argc, char **argv)
{
    struct client_flags flags = {0};
    const struct arg_option options[] = {CLIENT_OPTIONS(&flags)};
    const struct arg_spec spec = {
        .command = "rtt",
        .positionals = "NODE [NODE]",
        .about = "Print the estimated round trip between two nodes, or between "
                 "a node and this host.\nExits with 4 when one of them has not "
                 "measured its own.",
        .examples = "muster rtt edge-07\nmuster rtt edge-07 edge-08",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 2,
    };
    struct arena arena = {0};
    struct args args;
    struct client *client;
    const char *to;
    struct err err;
    enum cli_exit code = CLI_OK;
    int wrong;

    if (!args_parse(&args, &spec, argc, argv, &wrong)) {
        return wrong;
    }
    client = client_new(&flags);
    if (args.positionals_count == 2) {
        to = args.positionals[1];
    } else {
        code = own_name(client, &arena, &to, &err);
    }
    if (code == CLI_OK) {
        code = print_distance(client, args.positionals[0], to, &err);
    }
    if (code != CLI_OK) {
        (void)fprintf(stderr, "muster rtt: %s\n", err.text);
    }
    client_free(client);
    arena_release(&arena);
    args_release(&args);
    return (int)code;
}
