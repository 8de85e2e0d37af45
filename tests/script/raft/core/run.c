/*
 * run.c - raft_core_script: the bare core, message by message (script.h).
 *
 *     members N [LIMIT VALUE]...  start N voters afresh. Limits: append-bytes,
 *                         inflight, inflight-bytes, uncommitted
 *     start ID            again; a new ID waits until it is added
 *     crash ID            what was not synced is lost
 *     lay ID TERM...      a member that is down has entries of these terms
 *     lay-hard ID TERM VOTE COMMIT
 *     hold, sync, free ID its disk's syncs do not end; but for one; until now
 *     stand, go ID        its state machine applies nothing; until now
 *     compact ID INDEX    its log forgets what it has applied
 *
 *     elect ID            its clock jumps past its election time-out
 *     pass MS             time goes on for all
 *
 *     cut A [B]           messages from A to B get lost; or all from and to A
 *     heal
 *     delay A B           messages from A to B are kept in a bag
 *     bag A B             it is shown
 *     let A B [NTH]       the NTH of it arrives; without NTH: each
 *     again A B NTH       it arrives and stays
 *     lose A B NTH
 *     flow A B            no bag any more; what is in it arrives
 *     say FROM TO ...     a made-up message: words.h
 *
 *     propose ID NAME [BYTES]
 *     change ID CHANGES   words.h
 *     read ID NAME
 *     transfer ID TO
 *     lost ID PEER        the transport says that the peer is gone
 *
 *     state               role, term, last entry and commit of each
 *     log ID              the terms of its entries
 *     conf ID             who belongs, as it has applied
 *     progress ID         what a leader knows of the others
 *
 * Names are numbers. Heartbeats are shown only when they carry a read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "cores.h"
#include "words.h"

#define WORDS_MAX 24

struct run {
    struct script script;
    struct cores *cores;
};

struct words {
    char *list[WORDS_MAX];
    size_t count;
};

/* 0 when the word is not there. */
static uint64_t number(const struct words *w, size_t at)
{
    return at < w->count ? strtoull(w->list[at], NULL, 10) : 0;
}

static bool is_id(uint64_t id)
{
    return id >= 1 && id <= CORES_MAX;
}

static void refused(struct run *r, uint64_t id, enum status st)
{
    if (st) {
        script_say(&r->script, "%" PRIu64 " refuses: %s", id, status_text(st));
    }
}

/* ---- members ---- */

static bool set_limit(struct raft_config *c, const char *name, uint64_t value)
{
    static const struct {
        const char *name;
        size_t offset;
    } limits[] = {
        {"append-bytes", offsetof(struct raft_config, append_bytes_max)},
        {"inflight", offsetof(struct raft_config, inflight_max)},
        {"inflight-bytes", offsetof(struct raft_config, inflight_bytes_max)},
        {"uncommitted", offsetof(struct raft_config, uncommitted_max)}};

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (strcmp(name, limits[i].name) == 0) {
            *(size_t *)(void *)((char *)c + limits[i].offset) = (size_t)value;
            return true;
        }
    }
    return false;
}

static bool do_members(struct run *r, const struct words *w)
{
    struct raft_config limits = {.heartbeat_ms = 100,
                                 .election_ms = 1000,
                                 .append_bytes_max = 1000,
                                 .inflight_max = 16,
                                 .uncommitted_max = 1000};

    for (size_t i = 2; i < w->count; i += 2) {
        if (!set_limit(&limits, w->list[i], number(w, i + 1))) {
            return false;
        }
    }
    cores_free(r->cores);
    r->cores = cores_new(&limits, (size_t)number(w, 1), &r->script);
    return true;
}

static bool do_start(struct run *r, const struct words *w)
{
    cores_start(r->cores, number(w, 1));
    return true;
}

static bool do_crash(struct run *r, const struct words *w)
{
    cores_crash(r->cores, number(w, 1));
    return true;
}

static bool do_lay(struct run *r, const struct words *w)
{
    uint64_t terms[WORDS_MAX];

    for (size_t i = 2; i < w->count; i++) {
        terms[i - 2] = number(w, i);
    }
    cores_lay_log(r->cores, number(w, 1), terms, w->count - 2);
    return true;
}

static bool do_lay_hard(struct run *r, const struct words *w)
{
    cores_lay_hard(
        r->cores, number(w, 1),
        (struct raft_hard){number(w, 2), number(w, 3), number(w, 4)});
    return true;
}

static bool do_hold(struct run *r, const struct words *w)
{
    cores_hold(r->cores, number(w, 1), true);
    return true;
}

static bool do_free(struct run *r, const struct words *w)
{
    cores_hold(r->cores, number(w, 1), false);
    return true;
}

static bool do_sync(struct run *r, const struct words *w)
{
    cores_sync(r->cores, number(w, 1));
    return true;
}

static bool do_stand(struct run *r, const struct words *w)
{
    cores_stand_still(r->cores, number(w, 1), true);
    return true;
}

static bool do_go(struct run *r, const struct words *w)
{
    cores_stand_still(r->cores, number(w, 1), false);
    return true;
}

static bool do_compact(struct run *r, const struct words *w)
{
    cores_compact(r->cores, number(w, 1), number(w, 2));
    return true;
}

/* ---- time and network ---- */

static bool do_elect(struct run *r, const struct words *w)
{
    cores_elect(r->cores, number(w, 1));
    return true;
}

static bool do_pass(struct run *r, const struct words *w)
{
    cores_pass(r->cores, number(w, 1));
    return true;
}

static bool do_cut(struct run *r, const struct words *w)
{
    uint64_t a = number(w, 1);

    if (w->count > 2) {
        cores_cut(r->cores, a, number(w, 2));
        return true;
    }
    for (uint64_t id = 1; id <= CORES_MAX; id++) {
        cores_cut(r->cores, a, id);
        cores_cut(r->cores, id, a);
    }
    return true;
}

static bool do_heal(struct run *r, const struct words *w)
{
    (void)w;
    cores_heal(r->cores);
    return true;
}

static bool do_delay(struct run *r, const struct words *w)
{
    cores_delay(r->cores, number(w, 1), number(w, 2), true);
    return true;
}

static bool do_bag(struct run *r, const struct words *w)
{
    cores_list(r->cores, number(w, 1), number(w, 2));
    return true;
}

static bool do_let(struct run *r, const struct words *w)
{
    uint64_t a = number(w, 1);
    uint64_t b = number(w, 2);

    if (w->count > 3) {
        return cores_let(r->cores, a, b, (size_t)number(w, 3), CORES_ARRIVES);
    }
    while (cores_let(r->cores, a, b, 1, CORES_ARRIVES)) {
    }
    return true;
}

static bool do_again(struct run *r, const struct words *w)
{
    return cores_let(r->cores, number(w, 1), number(w, 2), (size_t)number(w, 3),
                     CORES_ARRIVES_AND_STAYS);
}

static bool do_lose(struct run *r, const struct words *w)
{
    return cores_let(r->cores, number(w, 1), number(w, 2), (size_t)number(w, 3),
                     CORES_IS_LOST);
}

static bool do_flow(struct run *r, const struct words *w)
{
    cores_delay(r->cores, number(w, 1), number(w, 2), false);
    return do_let(r, w);
}

static bool do_say(struct run *r, const struct words *w)
{
    struct words_message m = {.msg = {.from = number(w, 1)}};

    m.msg.to = number(w, 2);
    if (!is_id(m.msg.to) || !cores_is_up(r->cores, m.msg.to)) {
        return false;
    }
    m.msg.term = raft_status(cores_raft(r->cores, m.msg.to)).hard.term;
    if (!words_message(w->list + 3, w->count - 3,
                       raft_conf(cores_raft(r->cores, m.msg.to)), &m)) {
        return false;
    }
    cores_say(r->cores, &m.msg);
    return true;
}

/* ---- wishes ---- */

static bool do_propose(struct run *r, const struct words *w)
{
    uint64_t id = number(w, 1);

    refused(r, id,
            cores_propose(r->cores, id, number(w, 2),
                          w->count > 3 ? (size_t)number(w, 3) : 8));
    return true;
}

static bool do_change(struct run *r, const struct words *w)
{
    struct raft_changes unused;
    char text[80] = "";
    size_t len = 0;

    for (size_t i = 2; i < w->count && len < sizeof(text); i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
                                i > 2 ? " " : "", w->list[i]);
    }
    if (len >= sizeof(text) || !words_changes(text, &unused)) {
        return false;
    }
    refused(r, number(w, 1), cores_change(r->cores, number(w, 1), text));
    return true;
}

static bool do_read(struct run *r, const struct words *w)
{
    refused(r, number(w, 1), cores_read(r->cores, number(w, 1), number(w, 2)));
    return true;
}

static bool do_transfer(struct run *r, const struct words *w)
{
    refused(r, number(w, 1),
            cores_transfer(r->cores, number(w, 1), number(w, 2)));
    return true;
}

static bool do_lost(struct run *r, const struct words *w)
{
    cores_lose_peer(r->cores, number(w, 1), number(w, 2));
    return true;
}

/* ---- looking in ---- */

static bool do_state(struct run *r, const struct words *w)
{
    (void)w;
    for (uint64_t id = 1; id <= CORES_MAX; id++) {
        struct raft_status s;

        if (!cores_is_up(r->cores, id)) {
            continue;
        }
        s = raft_status(cores_raft(r->cores, id));
        script_say(&r->script,
                   "%" PRIu64 " %s term %" PRIu64 ", last %" PRIu64
                   ", commit %" PRIu64,
                   id, script_role(s.role), s.hard.term, s.last_index,
                   s.hard.commit);
    }
    return true;
}

static bool do_log(struct run *r, const struct words *w)
{
    uint64_t id = number(w, 1);
    const struct raft *raft = cores_raft(r->cores, id);
    struct raft_status s = raft_status(raft);
    char text[200] = "";
    size_t len = 0;

    for (uint64_t i = s.first_index; i <= s.last_index && len < 150; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, " %" PRIu64,
                                raft_term_at(raft, i));
    }
    script_say(&r->script, "%" PRIu64 " has from %" PRIu64 " on:%s", id,
               s.first_index, text);
    return true;
}

static bool do_conf(struct run *r, const struct words *w)
{
    char text[200];

    words_conf(raft_conf(cores_raft(r->cores, number(w, 1))), text,
               sizeof(text));
    script_say(&r->script, "%" PRIu64 " knows %s", number(w, 1), text);
    return true;
}

static bool do_progress(struct run *r, const struct words *w)
{
    for (uint64_t id = 1; id <= CORES_MAX; id++) {
        struct raft_progress p;

        if (raft_progress(cores_raft(r->cores, number(w, 1)), id, &p)) {
            script_say(&r->script,
                       "%" PRIu64 " knows that %" PRIu64 " has %" PRIu64 "%s",
                       number(w, 1), id, p.match,
                       p.active ? "" : ", and is silent");
        }
    }
    return true;
}

/* ---- commands ---- */

/* `up`: the first argument is a member, which runs (1) or is down (0). */
static const struct {
    const char *word;
    bool (*act)(struct run *r, const struct words *w);
    size_t count_min; /* Of words. */
    int up;
} commands[] = {
    {"members", do_members, 2, -1},  {"start", do_start, 2, 0},
    {"crash", do_crash, 2, 1},       {"lay", do_lay, 3, 0},
    {"lay-hard", do_lay_hard, 5, 0}, {"hold", do_hold, 2, 1},
    {"free", do_free, 2, 1},         {"sync", do_sync, 2, 1},
    {"stand", do_stand, 2, 1},       {"go", do_go, 2, 1},
    {"compact", do_compact, 3, 1},   {"elect", do_elect, 2, 1},
    {"pass", do_pass, 2, -1},        {"cut", do_cut, 2, -1},
    {"heal", do_heal, 1, -1},        {"delay", do_delay, 3, -1},
    {"bag", do_bag, 3, -1},          {"let", do_let, 3, -1},
    {"again", do_again, 4, -1},      {"lose", do_lose, 4, -1},
    {"flow", do_flow, 3, -1},        {"say", do_say, 4, -1},
    {"propose", do_propose, 3, 1},   {"change", do_change, 3, 1},
    {"read", do_read, 3, 1},         {"transfer", do_transfer, 3, 1},
    {"lost", do_lost, 3, 1},         {"state", do_state, 1, -1},
    {"log", do_log, 2, 1},           {"conf", do_conf, 2, 1},
    {"progress", do_progress, 2, 1},
};

static struct words split(char *line)
{
    struct words w = {.count = 0};
    char *rest = line;
    char *word;

    while (w.count < WORDS_MAX &&
           (word = strtok_r(rest, " \n", &rest)) != NULL) {
        w.list[w.count++] = word;
    }
    return w;
}

static bool fits(const struct run *r, const struct words *w, size_t at)
{
    uint64_t id = number(w, 1);

    if (w->count < commands[at].count_min ||
        (r->cores == NULL && commands[at].act != do_members)) {
        return false;
    }
    return commands[at].up < 0 ||
           (is_id(id) && cores_is_up(r->cores, id) == (commands[at].up == 1));
}

static bool obey(void *ctx, const char *line)
{
    struct run *r = ctx;
    char copy[512];
    struct words w;

    (void)snprintf(copy, sizeof(copy), "%s", line);
    w = split(copy);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (w.count > 0 && strcmp(w.list[0], commands[i].word) == 0) {
            return fits(r, &w, i) && commands[i].act(r, &w);
        }
    }
    return false;
}

static void end(void *ctx)
{
    struct run *r = ctx;

    cores_free(r->cores);
    r->cores = NULL;
}

int main(int argc, char **argv)
{
    struct run r = {.script = {.obey = obey, .end = end}};

    r.script.ctx = &r;
    return script_main(&r.script, argc, argv);
}
