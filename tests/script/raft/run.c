/*
 * run.c - runs raft scripts: what befalls a group of members, and its trace.
 *
 *     raft_script FILE...            compare
 *     raft_script --rewrite FILE...  fill in what comes out
 *
 * A block is commands, a line "----", and the trace expected, up to an empty
 * line. The group lives on from block to block. Commands:
 *
 *     members N           start a group afresh
 *     elect ID            its clock jumps past its election time-out
 *     pass MS             time goes on for all
 *     propose ID NAME     NAME is a number that identifies the entry
 *     read ID NAME
 *     cut A B             messages from A to B get lost; "cut A" cuts A off
 *     heal
 *     crash ID            the power goes; what was not synced is lost
 *     start ID            again
 *     hold ID             its disk's syncs do not end
 *     sync ID             ... but for one
 *     free ID             ... until now
 *     state               role, term, last entry and commit of each
 *
 * Heartbeats are shown only when they carry a read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/bytes.h"
#include "base/core/check.h"
#include "group.h"

#define SCRIPT_BYTES_MAX (1024 * 1024)

struct run {
    struct group *group;
    uint64_t count;
    struct buf out; /* The trace of this block. */
};

static void on_line(void *ctx, const char *line)
{
    struct run *r = ctx;

    CHECK(buf_addf(&r->out, "%s\n", line) == ST_OK);
}

static void do_members(struct run *r, uint64_t count)
{
    struct group_config config = {.members_count = (size_t)count,
                                  .seed = 1,
                                  .on_line = on_line,
                                  .line_ctx = r};

    if (r->group != NULL) {
        group_free(r->group);
    }
    r->group = group_new(&config);
    r->count = count;
    for (uint64_t id = 1; id <= count; id++) {
        group_start(r->group, id);
    }
}

static void do_cut(struct run *r, uint64_t a, uint64_t b)
{
    if (b != 0) {
        group_cut(r->group, a, b);
        return;
    }
    for (uint64_t id = 1; id <= r->count; id++) {
        group_cut(r->group, a, id);
        group_cut(r->group, id, a);
    }
}

static const char *role_name(enum raft_role role)
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

static void do_state(struct run *r)
{
    for (uint64_t id = 1; id <= r->count; id++) {
        struct raft_status s;

        if (!group_is_up(r->group, id)) {
            CHECK(buf_addf(&r->out, "%" PRIu64 " is down\n", id) == ST_OK);
            continue;
        }
        s = group_status(r->group, id);
        CHECK(buf_addf(&r->out,
                       "%" PRIu64 " %s term %" PRIu64 ", last %" PRIu64
                       ", commit %" PRIu64 "\n",
                       id, role_name(s.role), s.hard.term, s.last_index,
                       s.hard.commit) == ST_OK);
    }
}

static void refused(struct run *r, uint64_t id, enum status st)
{
    if (st) {
        CHECK(buf_addf(&r->out, "%" PRIu64 " refuses: %s\n", id,
                       status_text(st)) == ST_OK);
    }
}

/* false: not a command. */
static bool obey(struct run *r, const char *line)
{
    char word[16] = "";
    uint64_t a = 0;
    uint64_t b = 0;
    int fields = sscanf(line, "%15s %" SCNu64 " %" SCNu64, word, &a, &b);

    if (fields < 1 || (r->group == NULL && strcmp(word, "members") != 0)) {
        return false;
    }
    if (strcmp(word, "members") == 0) {
        do_members(r, a);
    } else if (strcmp(word, "elect") == 0) {
        group_elect(r->group, a);
    } else if (strcmp(word, "pass") == 0) {
        group_pass(r->group, a);
    } else if (strcmp(word, "propose") == 0) {
        refused(r, a, group_propose(r->group, a, b));
    } else if (strcmp(word, "read") == 0) {
        refused(r, a, group_read(r->group, a, b));
    } else if (strcmp(word, "cut") == 0) {
        do_cut(r, a, b);
    } else if (strcmp(word, "heal") == 0) {
        group_heal(r->group);
    } else if (strcmp(word, "crash") == 0) {
        group_crash(r->group, a, 0);
    } else if (strcmp(word, "start") == 0) {
        group_start(r->group, a);
    } else if (strcmp(word, "hold") == 0) {
        group_hold_disk(r->group, a);
    } else if (strcmp(word, "sync") == 0) {
        group_sync_disk(r->group, a);
    } else if (strcmp(word, "free") == 0) {
        group_free_disk(r->group, a);
    } else if (strcmp(word, "state") == 0) {
        do_state(r);
    } else {
        return false;
    }
    return true;
}

/* Copies the script to *again, each block's trace replaced by what comes out.
 * false: a line is not a command. */
static bool run_script(struct run *r, FILE *in, const char *path,
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
            CHECK(buf_add(again, buf_slice(&r->out)) == ST_OK);
            buf_clear(&r->out);
            in_trace = true;
        } else if (line[0] != '#' && line[0] != '\n' && !obey(r, line)) {
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

static bool do_file(const char *path, bool rewrite)
{
    struct run r = {0};
    struct buf old;
    struct buf now;
    FILE *in = fopen(path, "r");
    bool good;

    if (in == NULL) {
        perror(path);
        return false;
    }
    buf_init(&r.out, SCRIPT_BYTES_MAX);
    buf_init(&old, SCRIPT_BYTES_MAX + 1);
    buf_init(&now, SCRIPT_BYTES_MAX);
    good = read_all(in, &old) && run_script(&r, in, path, &now);
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
    if (r.group != NULL) {
        group_free(r.group);
    }
    buf_release(&r.out);
    buf_release(&old);
    buf_release(&now);
    return good;
}

int main(int argc, char **argv)
{
    bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    int first = rewrite ? 2 : 1;
    bool good = true;

    if (argc <= first) {
        (void)fprintf(stderr, "usage: raft_script [--rewrite] FILE...\n");
        return 2;
    }
    for (int i = first; i < argc; i++) {
        good = do_file(argv[i], rewrite) && good;
    }
    return good ? 0 : 1;
}
