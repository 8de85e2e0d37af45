/*
 * ctl_snapshot.c - `muster ctl snapshot save|status|restore`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/ctl.h"
#include "cli/ctl_download.h"
#include "cli/exit.h"
#include "store/io/restore.h"
#include "store/io/snapshot_file.h"

static int failed(const char *command, const struct err *err)
{
    (void)fprintf(stderr, "muster %s: %s\n", command, err->text);
    return CLI_FAILED;
}

/* --- save --- */

int ctl_snapshot_save(int argc, char **argv)
{
    struct ctl_target target = {0};
    const struct arg_option options[] = {CTL_TARGET_OPTIONS(&target)};
    const struct arg_spec spec = {
        .command = "ctl snapshot save",
        .positionals = "FILE",
        .about = "Take a snapshot of one member into a file that restore and "
                 "etcdctl understand. It holds all that the member had applied "
                 "when it was asked. The file is there whole or not at all.",
        .examples = "muster ctl snapshot save backup.db\n"
                    "muster ctl snapshot save --endpoints "
                    "https://10.0.0.1:2379 --cacert ca.pem backup.db\n",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 1,
        .env_prefix = "ETCDCTL_",
    };
    struct err err = {""};
    struct args args;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    code = ctl_download(&target, args.positionals[0], &err);
    if (code == CLI_OK) {
        (void)printf("Snapshot saved at %s\n", args.positionals[0]);
    } else {
        (void)failed(spec.command, &err);
    }
    args_release(&args);
    return code;
}

/* --- status --- */

enum {
    COLUMNS = 4,
    CELL_BYTES = 32
};

static const char *const heads[COLUMNS] = {"HASH", "REVISION", "TOTAL KEYS",
                                           "TOTAL SIZE"};

/* As etcdctl: thousands, one digit behind the point below ten. */
static void print_size(uint64_t bytes, char out[CELL_BYTES])
{
    static const char *const units[] = {"B",  "kB", "MB", "GB",
                                        "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1000) {
        value /= 1000;
        unit++;
    }
    value = (double)(uint64_t)(value * 10 + 0.5) / 10;
    (void)snprintf(out, CELL_BYTES,
                   unit > 0 && value < 10 ? "%.1f %s" : "%.0f %s", value,
                   units[unit]);
}

static void print_cells(const struct snapshot_summary *s,
                        char cells[COLUMNS][CELL_BYTES])
{
    (void)snprintf(cells[0], CELL_BYTES, "%x", s->hash);
    (void)snprintf(cells[1], CELL_BYTES, "%" PRId64, s->revision);
    (void)snprintf(cells[2], CELL_BYTES, "%" PRIu64, s->rows);
    print_size(s->bytes, cells[3]);
}

static void print_line(const int widths[COLUMNS])
{
    for (size_t i = 0; i < COLUMNS; i++) {
        (void)putchar('+');
        for (int j = 0; j < widths[i] + 2; j++) {
            (void)putchar('-');
        }
    }
    (void)puts("+");
}

/* As etcdctl's: heads in the middle, numbers to the right. */
static void print_table(char cells[COLUMNS][CELL_BYTES])
{
    int widths[COLUMNS];

    for (size_t i = 0; i < COLUMNS; i++) {
        int head = (int)strlen(heads[i]);
        int cell = (int)strlen(cells[i]);

        widths[i] = head > cell ? head : cell;
    }
    print_line(widths);
    for (size_t i = 0; i < COLUMNS; i++) {
        int gap = widths[i] - (int)strlen(heads[i]);

        (void)printf("| %*s%s%*s ", gap / 2, "", heads[i], gap - gap / 2, "");
    }
    (void)puts("|");
    print_line(widths);
    for (size_t i = 0; i < COLUMNS; i++) {
        (void)printf("| %*s ", widths[i], cells[i]);
    }
    (void)puts("|");
    print_line(widths);
}

static int print_status(const struct snapshot_summary *s, const char *form)
{
    char cells[COLUMNS][CELL_BYTES];

    print_cells(s, cells);
    if (strcmp(form, "table") == 0) {
        print_table(cells);
    } else if (strcmp(form, "json") == 0) {
        (void)printf("{\"hash\":%" PRIu32 ",\"revision\":%" PRId64
                     ",\"totalKey\":%" PRIu64 ",\"totalSize\":%" PRIu64 "}\n",
                     s->hash, s->revision, s->rows, s->bytes);
    } else {
        (void)printf("%s, %s, %s, %s\n", cells[0], cells[1], cells[2],
                     cells[3]);
    }
    return CLI_OK;
}

static int show_status(const char *command, const char *path, const char *form)
{
    struct snapshot_summary summary;
    struct snapshot_file file = {0};
    struct err err = {""};
    enum status st = snapshot_file_open(path, &file, &err);

    if (st == ST_OK) {
        st = snapshot_file_check_sum(&file, &err);
    }
    if (st == ST_OK) {
        st = snapshot_file_sum_up(&file, &summary, &err);
    }
    snapshot_file_close(&file);
    return st ? failed(command, &err) : print_status(&summary, form);
}

static bool is_form(const char *form)
{
    return strcmp(form, "simple") == 0 || strcmp(form, "table") == 0 ||
           strcmp(form, "json") == 0;
}

int ctl_snapshot_status(int argc, char **argv)
{
    const char *form = NULL;
    const char *short_form = NULL;
    const struct arg_option options[] = {
        {.name = "write-out",
         .kind = ARG_STRING,
         .string = &form,
         .metavar = "FORM",
         .fallback = "simple",
         .help = "simple, table or json; also -w"},
        {.name = "w",
         .kind = ARG_STRING,
         .string = &short_form,
         .metavar = "FORM",
         .help = "the same",
         .hidden = true},
    };
    const struct arg_spec spec = {
        .command = "ctl snapshot status",
        .positionals = "FILE",
        .about = "Read a snapshot through, check its sum if it has one, and "
                 "print its hash, revision, rows and size.",
        .examples = "muster ctl snapshot status backup.db\n"
                    "muster ctl snapshot status backup.db -w table\n",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 1,
        .env_prefix = "ETCDCTL_",
    };
    struct args args;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    form = short_form == NULL ? form : short_form;
    if (is_form(form)) {
        code = show_status(spec.command, args.positionals[0], form);
    } else {
        (void)fprintf(stderr,
                      "muster %s: --write-out: \"%s\" is not simple, table or "
                      "json\n",
                      spec.command, form);
        code = CLI_USAGE;
    }
    args_release(&args);
    return code;
}

/* --- restore --- */

static int restore(const char *command, const char *file,
                   const struct member_config *config, bool skip)
{
    struct restore_facts facts;
    struct err err = {""};
    enum status st =
        store_restore(file, config, skip ? RESTORE_SKIP_SUM : RESTORE_CHECK_SUM,
                      &facts, &err);

    if (st) {
        return failed(command, &err);
    }
    (void)printf("restored %" PRIu64 " rows, revision %" PRId64
                 ", for member %" PRIx64 " of cluster %" PRIx64 "\n",
                 facts.rows, facts.revision, facts.member_id, facts.cluster_id);
    return CLI_OK;
}

/* Long, but a list. */
int ctl_snapshot_restore(int argc, char **argv)
{
    struct member_config c;
    bool skip = false;
    const struct arg_option options[] = {
        {.name = "data-dir",
         .kind = ARG_STRING,
         .string = &c.data_dir,
         .metavar = "DIR",
         .help = "to be made; it must not exist (NAME.etcd)"},
        {.name = "name",
         .kind = ARG_STRING,
         .string = &c.name,
         .metavar = "NAME",
         .fallback = "default",
         .help = "the member's name"},
        {.name = "initial-cluster",
         .kind = ARG_STRING,
         .string = &c.initial_cluster,
         .metavar = "NAME=URL,...",
         .help = "the members of the new cluster (this one alone)"},
        {.name = "initial-cluster-token",
         .kind = ARG_STRING,
         .string = &c.initial_cluster_token,
         .metavar = "TEXT",
         .fallback = "etcd-cluster",
         .help = "keeps clusters with the same URLs apart"},
        {.name = "initial-advertise-peer-urls",
         .kind = ARG_STRING,
         .string = &c.initial_advertise_peer_urls,
         .metavar = "URL,...",
         .fallback = "http://localhost:2380",
         .help = "what other members are told"},
        {.name = "skip-hash-check",
         .kind = ARG_BOOL,
         .boolean = &skip,
         .help = "do without the sum of `snapshot save`, for a copy of a "
                 "database"},
    };
    const struct arg_spec spec = {
        .command = "ctl snapshot restore",
        .positionals = "FILE",
        .about = "Make the data directory of a member of a new cluster: keys, "
                 "history and leases are the snapshot's, members and log are "
                 "new. Do so for every member, with the same file and "
                 "--initial-cluster; then start them.",
        .examples =
            "muster ctl snapshot restore backup.db --data-dir "
            "/var/lib/muster/store\n"
            "muster ctl snapshot restore backup.db --name a "
            "--initial-cluster a=http://10.0.0.1:2380,b=http://10.0.0.2:2380 "
            "--initial-advertise-peer-urls http://10.0.0.1:2380\n",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 1,
        .env_prefix = "ETCDCTL_",
    };
    struct args args;
    int code;

    member_config_init(&c);
    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    code = restore(spec.command, args.positionals[0], &c, skip);
    args_release(&args);
    return code;
}
