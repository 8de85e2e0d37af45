#include "cli/cmd_lookup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/core/bytes.h"
#include "base/core/err.h"
#include "cli/args.h"
#include "cli/exit.h"

#define LINE_SOCKET   "/run/muster/agent.lines"
#define REQUEST_BYTES 65536

struct lookup_flags {
    const char *path;
    const char *token;
    struct arg_list tags;
    bool passing;
    bool watch;
};

/* Descriptor, or -1. */
static int dial(const char *path, struct err *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(to.sun_path)) {
        (void)err_set(err, ST_INVALID, "%s: too long for a socket's path",
                      path);
        return -1;
    }
    memcpy(to.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to))) {
        (void)err_set(err, ST_IO,
                      "no agent answers at %s: %s (choose with "
                      "--line-socket; \"socket\" is another one)",
                      path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    return fd;
}

/* A word of the request; see agent/core/lines.h. */
static enum status add_word(struct buf *out, const char *key, const char *text)
{
    enum status st = buf_add_str(out, key);

    for (; *text != '\0' && !st; text++) {
        unsigned char c = (unsigned char)*text;

        st = c <= ' ' || c == '%' || c == 0x7f ? buf_addf(out, "%%%02X", c)
                                               : buf_add_u8(out, c);
    }
    return st;
}

static enum status make_request(const struct lookup_flags *f, const char *name,
                                struct buf *out)
{
    enum status st = add_word(out, f->watch ? "WATCH " : "LOOKUP ", name);

    for (size_t i = 0; i < f->tags.count && !st; i++) {
        st = add_word(out, " tag=", f->tags.items[i]);
    }
    if (!st && f->token) {
        st = add_word(out, " token=", f->token);
    }
    return st ? st : buf_add_str(out, f->passing ? " passing\n" : "\n");
}

static bool send_all(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);

        if (sent < 0 && errno != EINTR) {
            return false;
        }
        bytes = slice_skip(bytes, sent < 0 ? 0 : (size_t)sent);
    }
    return true;
}

/* Print lines up to the end of the block, or of all blocks. */
static enum cli_exit print_blocks(FILE *in, const struct lookup_flags *f,
                                  const char *name, struct err *err)
{
    static const char trouble[] = "error: ";
    enum cli_exit code = CLI_UNREACHABLE;
    size_t count = 0;
    char *line = NULL;
    size_t room = 0;
    ssize_t len;

    (void)err_set(err, ST_IO, "the agent has ended the connection");
    while ((len = getline(&line, &room, in)) > 0) {
        if (strncmp(line, trouble, sizeof(trouble) - 1) == 0) {
            line[len - 1] = '\0';
            (void)err_set(err, ST_INVALID, "%s", line + sizeof(trouble) - 1);
            code = CLI_FAILED;
            break;
        }
        if (len == 1 && !f->watch) {
            code = count > 0 ? CLI_OK : CLI_NOT_FOUND;
            (void)err_set(err, ST_NOT_FOUND, "no such instance of \"%s\"",
                          name);
            break;
        }
        if (fputs(line, stdout) < 0 || (len == 1 && fflush(stdout))) {
            code = CLI_OK; /* Whoever reads has had enough. */
            break;
        }
        count++;
    }
    free(line);
    return code;
}

static enum cli_exit lookup(const struct lookup_flags *f, const char *name,
                            struct err *err)
{
    enum cli_exit code = CLI_USAGE;
    struct buf request;
    FILE *in = NULL;
    int fd = -1;

    buf_init(&request, REQUEST_BYTES);
    if (make_request(f, name, &request)) {
        (void)err_set(err, ST_TOO_BIG, "name and tags are too long");
        goto out;
    }
    code = CLI_UNREACHABLE;
    fd = dial(f->path, err);
    if (fd < 0) {
        goto out;
    }
    in = fdopen(fd, "r");
    if (in == NULL || !send_all(fd, buf_slice(&request))) {
        (void)err_set(err, ST_IO, "%s: %s", f->path, strerror(errno));
        goto out;
    }
    code = print_blocks(in, f, name, err);
out:
    if (in) {
        (void)fclose(in);
    } else if (fd >= 0) {
        (void)close(fd);
    }
    buf_release(&request);
    return code;
}

int cmd_lookup(int argc, char **argv)
{
    struct lookup_flags f = {0};
    const struct arg_option options[] = {
        {.name = "tag",
         .kind = ARG_LIST,
         .list = &f.tags,
         .metavar = "TAG",
         .help = "only instances with this tag; repeatable: with all of them"},
        {.name = "passing",
         .kind = ARG_BOOL,
         .boolean = &f.passing,
         .help = "only instances whose checks all pass"},
        {.name = "watch",
         .kind = ARG_BOOL,
         .boolean = &f.watch,
         .help = "print all of them again, and an empty line, whenever they "
                 "change"},
        {.name = "line-socket",
         .kind = ARG_STRING,
         .string = &f.path,
         .metavar = "PATH",
         .env = "MUSTER_LINE_SOCKET",
         .fallback = LINE_SOCKET,
         .help = "the agent's line socket"},
        {.name = "token",
         .kind = ARG_STRING,
         .string = &f.token,
         .metavar = "SECRET",
         .env = "MUSTER_TOKEN",
         .help = "who asks, if the agent has access control"},
    };
    const struct arg_spec spec = {
        .command = "lookup",
        .positionals = "SERVICE",
        .about = "Print the instances of a service for scripts, a line each: "
                 "address, port, weight, status, node, id. Exit code 4: there "
                 "are none.",
        .examples = "muster lookup web --passing\n"
                    "muster lookup web --watch | while read -r ip port rest; "
                    "do echo \"$ip $port\"; done\n"
                    "printf 'LOOKUP web passing\\n' | nc -NU "
                    "/run/muster/agent.lines",
        .options = options,
        .options_count = sizeof(options) / sizeof(options[0]),
        .positionals_min = 1,
        .positionals_max = 1,
    };
    struct args args;
    struct err err;
    int code;

    if (!args_parse(&args, &spec, argc, argv, &code)) {
        return code;
    }
    code = (int)lookup(&f, args.positionals[0], &err);
    if (code != CLI_OK) {
        (void)fprintf(stderr, "muster lookup: %s\n", err.text);
    }
    args_release(&args);
    return code;
}
