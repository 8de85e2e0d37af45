#include "cli/cmd_validate.h"

#include <jansson.h>
#include <stdio.h>

#include "cli/args.h"
#include "cli/exit.h"
#include "cli/files.h"
#include "cli/view.h"

struct validation {
    bool json;
    json_t *results;
    size_t bad;
};

static json_t *warnings_of(const struct definitions *d)
{
    json_t *warnings = json_array();

    for (size_t i = 0; i < definitions_warnings_count(d); i++) {
        (void)json_array_append_new(warnings,
                                    json_string(definitions_warning(d, i)));
    }
    return warnings;
}

static size_t checks_of(const struct definitions *d)
{
    size_t count = definitions_checks_count(d);

    for (size_t i = 0; i < definitions_services_count(d); i++) {
        count += definitions_service(d, i)->checks_count;
    }
    return count;
}

static void report_good(struct validation *v, const char *path,
                        const struct definitions *d)
{
    size_t services = definitions_services_count(d);
    size_t checks = checks_of(d);

    if (v->json) {
        (void)json_array_append_new(
            v->results,
            json_pack("{s:s, s:b, s:I, s:I, s:o}", "File", path, "Valid", 1,
                      "Services", (json_int_t)services, "Checks",
                      (json_int_t)checks, "Warnings", warnings_of(d)));
        return;
    }
    for (size_t i = 0; i < definitions_warnings_count(d); i++) {
        (void)printf("warning: %s\n", definitions_warning(d, i));
    }
    (void)printf("%s: valid: %zu service%s, %zu check%s\n", path, services,
                 services == 1 ? "" : "s", checks, checks == 1 ? "" : "s");
}

static void report_bad(struct validation *v, const char *path,
                       const struct err *err)
{
    v->bad++;
    if (v->json) {
        (void)json_array_append_new(v->results,
                                    json_pack("{s:s, s:b, s:s}", "File", path,
                                              "Valid", 0, "Error", err->text));
        return;
    }
    (void)fprintf(stderr, "error: %s\n", err->text);
}

/* One bad file does not keep the others from being looked at. */
static enum status on_file(const char *path, void *arg, struct err *err)
{
    struct validation *v = arg;
    struct definitions *d = NULL;

    if (files_load(path, &d, err)) {
        report_bad(v, path, err);
    } else {
        report_good(v, path, d);
    }
    definitions_unref(d);
    return ST_OK;
}

int cmd_validate(int argc, char **argv)
{
    struct validation v = {0};
    const struct arg_option options[] = {
        {.name = "json",
         .kind = ARG_BOOL,
         .boolean = &v.json,
         .help = "print JSON"},
    };
    const struct arg_spec spec = {
        .command = "validate",
        .positionals = "FILE...",
        .about = "Check sidecar files, or folders of them, as an agent would "
                 "when it reads them.\nNeeds no agent. Exits with 1 when one "
                 "is not valid.",
        .examples = "muster validate /etc/muster/services.d\n"
                    "muster validate web.json db.json\n"
                    "muster validate - <web.json",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = ARG_POSITIONAL_MAX,
    };
    struct args args;
    struct err err;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    v.results = json_array();
    for (size_t i = 0; i < args.positionals_count; i++) {
        if (files_each(args.positionals[i], on_file, &v, &err)) {
            report_bad(&v, args.positionals[i], &err);
        }
    }
    if (v.json) {
        view_print_json(v.results);
    }
    json_decref(v.results);
    args_release(&args);
    return v.bad > 0 ? CLI_FAILED : CLI_OK;
}
