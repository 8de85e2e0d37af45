#include "script.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"

#define SCRIPT_BYTES_MAX (1024 * 1024)

void script_say(struct script *s, const char *format, ...)
{
    char text[256];
    va_list args;

    if (s->quiet) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    CHECK(buf_addf(&s->out, "%s\n", text) == ST_OK);
}

static bool obey(struct script *s, const char *line)
{
    static const char quietly[] = "quietly ";
    bool good;

    s->quiet = strncmp(line, quietly, sizeof(quietly) - 1) == 0;
    good = s->obey(s->ctx, s->quiet ? line + sizeof(quietly) - 1 : line);
    s->quiet = false;
    return good;
}

/* Copies the script to *again, each block's trace replaced by what comes out.
 * false: a line is not a command. */
static bool run_script(struct script *s, FILE *in, const char *path,
                       struct buf *again)
{
    char line[512];
    unsigned number = 0;
    bool in_trace = false;

    while (fgets(line, sizeof(line), in) != NULL) {
        number++;
        if (in_trace && line[0] != '\n') {
            continue; /* The old trace. */
        }
        in_trace = false;
        CHECK(buf_add_str(again, line) == ST_OK);
        if (strcmp(line, "----\n") == 0) {
            CHECK(buf_add(again, buf_slice(&s->out)) == ST_OK);
            buf_clear(&s->out);
            in_trace = true;
        } else if (line[0] != '#' && line[0] != '\n' && !obey(s, line)) {
            (void)fprintf(stderr, "%s:%u: not a command: %s", path, number,
                          line);
            return false;
        }
    }
    return true;
}

/* Show the first line that differs. */
static void show_difference(const char *path, struct slice old,
                            struct slice now)
{
    unsigned number = 1;
    size_t start = 0;
    size_t at = 0;

    while (at < old.len && at < now.len && old.data[at] == now.data[at]) {
        if (old.data[at++] == '\n') {
            number++;
            start = at;
        }
    }
    (void)fprintf(stderr,
                  "%s:%u: differs\n  expected: %.*s\n  came out: %.*s\n", path,
                  number, (int)strcspn((const char *)old.data + start, "\n"),
                  (const char *)old.data + start,
                  (int)strcspn((const char *)now.data + start, "\n"),
                  (const char *)now.data + start);
}

static bool read_all(FILE *in, struct buf *out)
{
    uint8_t *space;

    CHECK(buf_reserve(out, SCRIPT_BYTES_MAX, &space) == ST_OK);
    out->len = fread(space, 1, SCRIPT_BYTES_MAX, in);
    rewind(in);
    return out->len < SCRIPT_BYTES_MAX;
}

static bool write_all(const char *path, struct slice bytes)
{
    FILE *f = fopen(path, "w");
    bool good = f != NULL && fwrite(bytes.data, 1, bytes.len, f) == bytes.len;

    return f != NULL && fclose(f) == 0 && good;
}

static bool do_file(struct script *s, const char *path, bool rewrite)
{
    struct buf old;
    struct buf now;
    FILE *in = fopen(path, "r");
    bool good;

    if (in == NULL) {
        perror(path);
        return false;
    }
    buf_init(&s->out, SCRIPT_BYTES_MAX);
    buf_init(&old, SCRIPT_BYTES_MAX + 1);
    buf_init(&now, SCRIPT_BYTES_MAX);
    good = read_all(in, &old) && run_script(s, in, path, &now);
    (void)fclose(in);
    if (good && !slice_eq(buf_slice(&old), buf_slice(&now))) {
        (void)buf_cstr(&old);
        (void)buf_cstr(&now);
        if (rewrite) {
            good = write_all(path, buf_slice(&now));
        } else {
            show_difference(path, buf_slice(&old), buf_slice(&now));
            good = false;
        }
    }
    s->end(s->ctx);
    buf_release(&s->out);
    buf_release(&old);
    buf_release(&now);
    return good;
}

const char *script_role(enum raft_role role)
{
    switch (role) {
    case RAFT_FOLLOWER:
        return "follows";
    case RAFT_PRE_CANDIDATE:
        return "asks around";
    case RAFT_CANDIDATE:
        return "stands";
    case RAFT_LEADER:
        return "leads";
    }
    UNREACHABLE();
}

int script_main(struct script *s, int argc, char **argv)
{
    bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    int first = rewrite ? 2 : 1;
    bool good = true;

    if (argc <= first) {
        (void)fprintf(stderr, "usage: %s [--rewrite] FILE...\n", argv[0]);
        return 2;
    }
    for (int i = first; i < argc; i++) {
        good = do_file(s, argv[i], rewrite) && good;
    }
    return good ? 0 : 1;
}
