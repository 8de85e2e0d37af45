/*
 * run.c - raft_script: what befalls a group of whole members (script.h).
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
#include "script.h"

struct run {
    struct script script;
    struct group *group;
    uint64_t count;
};

static void on_line(void *ctx, const char *line)
{
    struct run *r = ctx;

    script_say(&r->script, "%s", line);
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

static void do_state(struct run *r)
{
    for (uint64_t id = 1; id <= r->count; id++) {
        struct raft_status s;

        if (!group_is_up(r->group, id)) {
            script_say(&r->script, "%" PRIu64 " is down", id);
            continue;
        }
        s = group_status(r->group, id);
        script_say(&r->script,
                   "%" PRIu64 " %s term %" PRIu64 ", last %" PRIu64
                   ", commit %" PRIu64,
                   id, script_role(s.role), s.hard.term, s.last_index,
                   s.hard.commit);
    }
}

static void refused(struct run *r, uint64_t id, enum status st)
{
    if (st) {
        script_say(&r->script, "%" PRIu64 " refuses: %s", id, status_text(st));
    }
}

/* false: not a command. */
static bool obey(void *ctx, const char *line)
{
    struct run *r = ctx;
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

static void end(void *ctx)
{
    struct run *r = ctx;

    if (r->group != NULL) {
        group_free(r->group);
    }
    r->group = NULL;
}

int main(int argc, char **argv)
{
    struct run r = {.script = {.obey = obey, .end = end}};

    r.script.ctx = &r;
    return script_main(&r.script, argc, argv);
}
