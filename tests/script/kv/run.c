/*
 * run.c - runs stories of the store: commands, and what comes of them.
 *
 *     kv_script FILE...            compare
 *     kv_script --rewrite FILE...  fill in what comes out
 *
 * A block is commands, a line "----", and the output expected, up to an empty
 * line. The store lives on from block to block. Commands:
 *
 *     get KEY [END] [limit= rev= order= target= min_mod= max_mod= min_create=
 *             max_create=] [keys_only] [count_only]
 *     put KEY VALUE [lease=] [times=] [prev_kv] [ignore_value] [ignore_lease]
 *     del KEY [END] [prev_kv]
 *     txn                 and lines of it:
 *       if version|create|mod|value|lease KEY =|!=|<|> OPERAND [to=END]
 *       then|else get|put|del ... | txn ... end | nothing
 *       end
 *     compact REV [physical]      grant TTL ID       revoke ID
 *     renew ID                    ttl ID [keys]      leases
 *     lead | follow               leadership comes, goes
 *     expired                     what the leader finds expired
 *     alarm ACTION MEMBER KIND
 *     watch NAME KEY [END] [rev=] [prev_kv] [noput] [nodelete]
 *     unwatch NAME | pause NAME | resume NAME | synced NAME
 *     hash [REV]
 *     fill PREFIX COUNT VALUE     that many puts, each its own revision
 *     pass MS                     time passes
 *     commit                      what is pending becomes durable
 *     crash                       open again from what is durable, and apply
 *                                 what is missing again
 *     work                        background work, to its end
 *     rows                        how many rows the table `key` has
 *
 * After each command, watchers that have something to say say it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/pb.h"
#include "script/kv/show.h"
#include "script/kv/words.h"
#include "unit/store_kv/memory_table.h"

enum {
    WATCHERS_MAX = 16,
    ENTRIES_MAX = 20000,
    LINES_MAX = 4000
};

struct named {
    char name[32];
    struct watcher *watcher;
};

struct story {
    struct memory_table table;
    struct kv *kv;
    struct kv_config config;
    uint64_t now_ms;
    struct slice log[ENTRIES_MAX]; /* All entries, for `crash`. */
    size_t log_count;
    struct named watchers[WATCHERS_MAX];
    struct kv_reply reply;
    struct arena arena; /* Of the whole story. */
    struct buf out;
};

static void story_open(struct story *s)
{
    struct err err;

    if (kv_open(&s->config, &s->table.port, &s->kv, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

static void story_init(struct story *s)
{
    memset(s, 0, sizeof(*s));
    memory_table_init(&s->table);
    s->config = kv_config_default();
    s->now_ms = 1000;
    kv_reply_init(&s->reply);
    buf_init(&s->out, SIZE_MAX);
    story_open(s);
    kv_lead(s->kv, s->now_ms);
}

static void unwatch_all(struct story *s)
{
    for (size_t i = 0; i < WATCHERS_MAX; i++) {
        watch_free(s->watchers[i].watcher);
        s->watchers[i].watcher = NULL;
    }
}

static void story_release(struct story *s)
{
    unwatch_all(s);
    kv_free(s->kv);
    memory_table_release(&s->table);
    kv_reply_release(&s->reply);
    buf_release(&s->out);
    arena_release(&s->arena);
}

/* ----------------------------------------------------------------- entries */

static void story_apply(struct story *s, size_t i)
{
    struct kv_entry e = {.index = i + 1, .term = 2, .data = s->log[i]};

    kv_apply(s->kv, &e, s->now_ms, &s->reply);
}

static void story_propose(struct story *s, enum kv_kind kind,
                          struct slice request)
{
    struct buf entry;

    CHECK(s->log_count < ENTRIES_MAX);
    buf_init(&entry, SIZE_MAX);
    kv_entry_pack(&entry, s->log_count + 7, kind, request);
    s->log[s->log_count] = arena_copy(&s->arena, buf_slice(&entry));
    buf_release(&entry);
    story_apply(s, s->log_count++);
}

static void story_range(struct story *s, struct slice request)
{
    struct kv_range *range;

    kv_range_start(s->kv, request, &s->reply, &range);
    while (range != NULL && !kv_range_step(range)) {
        ;
    }
    kv_range_free(range);
}

static void story_request(struct story *s, const struct words *w,
                          struct lines *lines)
{
    struct buf request;
    enum kv_kind kind;
    struct slice bytes;

    buf_init(&request, SIZE_MAX);
    kind = words_pack(&s->arena, w, lines, &request);
    bytes = buf_slice(&request);
    kv_reply_reset(&s->reply);
    s->reply.error = kv_check(s->kv, kind, bytes);
    if (!s->reply.error && kv_over_quota(s->kv, kind, bytes)) {
        s->reply.error = KV_NO_SPACE;
    }
    if (s->reply.error == KV_OK) {
        if (kind == KV_RANGE) {
            story_range(s, bytes);
        } else if (kind == KV_TXN && kv_txn_facts(bytes).read_only) {
            kv_txn_read(s->kv, bytes, &s->reply);
        } else {
            story_propose(s, kind, bytes);
        }
    }
    show_reply(kind, &s->reply, &s->out);
    buf_release(&request);
}

static void story_fill(struct story *s, const struct words *w)
{
    struct buf request;

    buf_init(&request, SIZE_MAX);
    for (int64_t i = 0; i < word_int(w->list[2]); i++) {
        char key[64];

        (void)snprintf(key, sizeof(key), "%s%05lld",
                       (const char *)w->list[1].data, (long long)i);
        buf_clear(&request);
        pb_bytes(&request, 1, slice_str(key));
        pb_bytes(&request, 2, w->list[3]);
        story_propose(s, KV_PUT, buf_slice(&request));
    }
    buf_release(&request);
    CHECK(buf_addf(&s->out, "revision %lld\n", (long long)kv_revision(s->kv)) ==
          ST_OK);
}

/* Watchers do not live through it. */
static void story_crash(struct story *s)
{
    uint64_t applied;

    unwatch_all(s);
    kv_free(s->kv);
    story_open(s);
    applied = kv_index(s->kv);
    for (size_t i = 0; i < s->log_count; i++) {
        story_apply(s, i); /* The first ones are skipped. */
    }
    kv_lead(s->kv, s->now_ms);
    CHECK(buf_addf(&s->out, "durable up to %llu, now %llu, revision %lld\n",
                   (unsigned long long)applied,
                   (unsigned long long)kv_index(s->kv),
                   (long long)kv_revision(s->kv)) == ST_OK);
}

/* ---------------------------------------------------------------- watchers */

static struct named *watcher_named(struct story *s, struct slice name)
{
    for (size_t i = 0; i < WATCHERS_MAX; i++) {
        if (word_is(name, s->watchers[i].name) &&
            s->watchers[i].watcher != NULL) {
            return &s->watchers[i];
        }
    }
    for (size_t i = 0; i < WATCHERS_MAX; i++) {
        if (s->watchers[i].watcher == NULL) {
            (void)snprintf(s->watchers[i].name, sizeof(s->watchers[i].name),
                           "%s", (const char *)name.data);
            return &s->watchers[i];
        }
    }
    abort();
}

static void story_watch(struct story *s, const struct words *w)
{
    struct named *n = watcher_named(s, w->list[1]);
    struct watch_spec spec = {.key = w->list[2],
                              .start_revision = words_int(w, "rev", 0),
                              .no_put = words_have(w, "noput"),
                              .no_delete = words_have(w, "nodelete"),
                              .prev_kv = words_have(w, "prev_kv"),
                              .owner = n};

    if (w->count > 3 && memchr(w->list[3].data, '=', w->list[3].len) == NULL &&
        !word_is(w->list[3], "noput") && !word_is(w->list[3], "nodelete") &&
        !word_is(w->list[3], "prev_kv")) {
        spec.range_end =
            word_is(w->list[3], "*") ? slice_of("", 1) : w->list[3];
    }
    CHECK(n->watcher == NULL);
    if (!watch_range_ok(spec.key, spec.range_end)) {
        CHECK(buf_add_str(&s->out, "range is empty\n") == ST_OK);
        return;
    }
    n->watcher = watch_add(s->kv, &spec);
}

static void story_listen(struct story *s)
{
    struct watcher *w;

    while ((w = watch_ready(s->kv)) != NULL) {
        struct named *n = watch_owner(w);
        struct watch_notice notice;

        watch_next(w, &notice);
        show_notice(n->name, &notice, &s->out);
        if (notice.type == WATCH_COMPACTED) {
            watch_free(w);
            n->watcher = NULL;
        }
    }
}

/* -------------------------------------------------------------- commands */

static void cmd_watch_control(struct story *s, const struct words *w)
{
    struct named *n = watcher_named(s, w->list[1]);

    if (word_is(w->list[0], "unwatch")) {
        watch_free(n->watcher);
        n->watcher = NULL;
    } else if (word_is(w->list[0], "pause")) {
        watch_pause(n->watcher);
    } else if (word_is(w->list[0], "resume")) {
        watch_resume(n->watcher);
    } else {
        CHECK(buf_addf(&s->out, "%s\n",
                       watch_synced(n->watcher) ? "synced" : "not synced") ==
              ST_OK);
    }
}

static void cmd_ttl(struct story *s, const struct words *w)
{
    struct buf request;

    buf_init(&request, SIZE_MAX);
    pb_int(&request, 1, word_int(w->list[1]));
    pb_bool(&request, 2, words_have(w, "keys"));
    kv_lease_time_to_live(s->kv, buf_slice(&request), s->now_ms, &s->reply);
    show_reply(KV_LEASE_GRANT, &s->reply, &s->out);
    buf_release(&request);
}

static void cmd_expired(struct story *s)
{
    int64_t ids[16];
    size_t count = kv_leases_expired(s->kv, s->now_ms, ids, 16);

    for (size_t i = 0; i < count; i++) {
        CHECK(buf_addf(&s->out, "%lld\n", (long long)ids[i]) == ST_OK);
    }
}

static void story_work(struct story *s)
{
    while (kv_work(s->kv)) {
        ;
    }
}

static void cmd_hash(struct story *s, const struct words *w)
{
    struct kv_hash *h = kv_hash_start(
        s->kv, w->count > 1 ? word_int(w->list[1]) : 0, &s->reply);

    while (h != NULL && !kv_hash_step(h)) {
        story_work(s);
        memory_table_commit(&s->table, s->kv);
    }
    kv_hash_free(h);
    show_reply(KV_LEASE_GRANT, &s->reply, &s->out);
}

static void cmd_renew(struct story *s, const struct words *w)
{
    int64_t ttl = kv_lease_renew(s->kv, word_int(w->list[1]), s->now_ms);

    CHECK(buf_addf(&s->out, "ttl %lld\n", (long long)ttl) == ST_OK);
}

static void cmd_rows(struct story *s)
{
    CHECK(buf_addf(&s->out, "%zu rows\n", s->table.tables[TABLE_KEY].count) ==
          ST_OK);
}

static void story_command(struct story *s, const struct words *w,
                          struct lines *lines)
{
    struct slice verb = w->list[0];

    if (word_is(verb, "watch")) {
        story_watch(s, w);
    } else if (word_is(verb, "unwatch") || word_is(verb, "pause") ||
               word_is(verb, "resume") || word_is(verb, "synced")) {
        cmd_watch_control(s, w);
    } else if (word_is(verb, "pass")) {
        s->now_ms += (uint64_t)word_int(w->list[1]);
    } else if (word_is(verb, "commit")) {
        memory_table_commit(&s->table, s->kv);
    } else if (word_is(verb, "crash")) {
        story_crash(s);
    } else if (word_is(verb, "work")) {
        story_work(s);
    } else if (word_is(verb, "rows")) {
        cmd_rows(s);
    } else if (word_is(verb, "fill")) {
        story_fill(s, w);
    } else if (word_is(verb, "size")) {
        s->table.size = (uint64_t)word_int(w->list[1]);
    } else if (word_is(verb, "ttl")) {
        cmd_ttl(s, w);
    } else if (word_is(verb, "renew")) {
        cmd_renew(s, w);
    } else if (word_is(verb, "leases")) {
        kv_lease_list(s->kv, &s->reply);
        show_reply(KV_LEASE_GRANT, &s->reply, &s->out);
    } else if (word_is(verb, "expired")) {
        cmd_expired(s);
    } else if (word_is(verb, "lead")) {
        kv_lead(s->kv, s->now_ms);
    } else if (word_is(verb, "follow")) {
        kv_follow(s->kv);
    } else if (word_is(verb, "hash")) {
        cmd_hash(s, w);
    } else {
        story_request(s, w, lines);
    }
    story_listen(s);
    kv_verify(s->kv);
}

/* ------------------------------------------------------------------ files */

static bool line_is(struct slice line, const char *text)
{
    return slice_eq(line, slice_str(text));
}

/* One block's commands. Comments and their output go on to `written`. */
static void block_run(struct story *s, struct lines *lines, struct buf *written)
{
    buf_clear(&s->out);
    while (lines->at < lines->count) {
        size_t first = lines->at;
        struct slice line = lines->list[lines->at++];

        if (line_is(line, "----")) {
            break;
        }
        if (line.len > 0 && line.data[0] != '#') {
            struct words w = words_split(&s->arena, line);

            if (w.count > 0) {
                story_command(s, &w, lines);
            }
        }
        for (size_t i = first; i < lines->at; i++) {
            CHECK(buf_add(written, lines->list[i]) == ST_OK);
            CHECK(buf_add_str(written, "\n") == ST_OK);
        }
    }
}

/* Compare the block's output with what stands there, and take both past it.
 * false: they differ. */
static bool block_compare(const struct story *s, struct lines *lines,
                          struct buf *written)
{
    struct buf expected;
    size_t first = lines->at;
    bool same;

    buf_init(&expected, SIZE_MAX);
    while (lines->at < lines->count && lines->list[lines->at].len > 0) {
        CHECK(buf_add(&expected, lines->list[lines->at++]) == ST_OK);
        CHECK(buf_add_str(&expected, "\n") == ST_OK);
    }
    same = slice_eq(buf_slice(&expected), buf_slice(&s->out));
    if (!same) {
        fprintf(stderr, "after line %zu: expected\n%.*sbut got\n%.*s", first,
                (int)expected.len, (const char *)expected.data, (int)s->out.len,
                (const char *)s->out.data);
    }
    CHECK(buf_add_str(written, "----\n") == ST_OK);
    CHECK(buf_add(written, buf_slice(&s->out)) == ST_OK);
    while (lines->at < lines->count && lines->list[lines->at].len == 0) {
        lines->at++;
    }
    if (lines->at < lines->count) {
        CHECK(buf_add_str(written, "\n") == ST_OK);
    }
    buf_release(&expected);
    return same;
}

static bool story_tell(struct lines *lines, struct buf *written)
{
    struct story *s = malloc(sizeof(*s));
    bool same = true;

    CHECK(s != NULL);
    story_init(s);
    while (lines->at < lines->count) {
        block_run(s, lines, written);
        same &= block_compare(s, lines, written);
    }
    story_release(s);
    free(s);
    return same;
}

static struct slice file_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *bytes = malloc(1 << 20);
    size_t len;

    if (f == NULL) {
        perror(path);
        exit(2);
    }
    CHECK(bytes != NULL);
    len = fread(bytes, 1, 1 << 20, f);
    (void)fclose(f);
    return slice_of(bytes, len);
}

static void file_write(const char *path, struct slice bytes)
{
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(bytes.data, 1, bytes.len, f) != bytes.len ||
        fclose(f) != 0) {
        perror(path);
        exit(2);
    }
}

static struct lines lines_of(struct slice text)
{
    struct lines lines = {.list = calloc(LINES_MAX, sizeof(struct slice))};
    size_t start = 0;

    CHECK(lines.list != NULL);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n') {
            CHECK(lines.count < LINES_MAX);
            lines.list[lines.count++] = slice_of(text.data + start, i - start);
            start = i + 1;
        }
    }
    return lines;
}

int main(int argc, char **argv)
{
    bool rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    int first = rewrite ? 2 : 1;
    bool same = true;

    if (first >= argc) {
        fprintf(stderr, "usage: %s [--rewrite] FILE...\n", argv[0]);
        return 2;
    }
    for (int i = first; i < argc; i++) {
        struct slice text = file_read(argv[i]);
        struct lines lines = lines_of(text);
        struct buf written;

        buf_init(&written, SIZE_MAX);
        same &= story_tell(&lines, &written);
        if (rewrite) {
            file_write(argv[i], buf_slice(&written));
        }
        buf_release(&written);
        free(lines.list);
        free((void *)text.data);
    }
    return same || rewrite ? 0 : 1;
}
