/*
 * run.c - runs stories of an agent and its store: what is registered here, what
 * others write, what the agent writes then, and whose polls that wakes. In
 * virtual time.
 *
 *     store_script FILE...            compare
 *     store_script --rewrite FILE...  fill in what comes out
 *
 * A block is commands, a line "----", and the output expected, up to an empty
 * line. The world lives on from block to block. The host is "edge" in dc1; keys
 * are without "/muster/v1/dc1/". Commands:
 *
 *     register JSON            a service, here
 *     api METHOD PATH          another request to the agent
 *     flap N CHECK             it warns and passes, N changes; each with "work"
 *     write KEY JSON           somebody else's write
 *     delete KEY
 *     pass TIME                time goes by
 *     lost, attached           the lease is lost, and stands again
 *     away, here               the store does not answer, and does again
 *     refuse TEXT, accept      it refuses keys that have TEXT in them
 *     unseen, seen             the replica lags behind, and has it all
 *     keep, restore            the store's content, kept and gone back to
 *     read                     the whole catalogue is read again
 *     work                     the agent writes until it has to wait
 *     watch SCOPE...           services, nodes, state, service:N, checks:N,
 *                              node:N: polls that wait from now on
 *     woken                    which of them have been woken; they wait again
 *     list SERVICE...          what the catalogue shows
 *     keys                     what the store holds
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/core/duration.h"
#include "base/core/check.h"
#include "fake_store.h"
#include "tests/script/driver.h"

#define ROOT "/muster/v1/dc1/"

enum {
    SCOPES_MAX = 16,
    TXNS_MAX = 1000, /* Of one "work": it never ends otherwise. */
};

struct watched {
    char *text;
    uint64_t index;
};

struct kept {
    char *key;
    char *value;
};

struct run {
    struct fake f;
    struct buf *out;
    struct watched watched[SCOPES_MAX];
    size_t watched_count;
    struct kept kept[FAKE_ROWS];
    size_t kept_count;
    struct catalog *lagging; /* What the replica shows; NULL: all. */
    char *refuses;
    bool away;
};

static void say(struct run *r, const char *text)
{
    CHECK(buf_add_str(r->out, text) == ST_OK);
}

static const char *short_key(const char *key)
{
    size_t len = strlen(ROOT);

    return strncmp(key, ROOT, len) == 0 ? key + len : key;
}

static const char *full_key(struct arena *a, const char *key)
{
    return arena_printf(a, ROOT "%s", key);
}

/* ---- What the agent writes --------------------------------------------- */

static bool is_refused(const struct run *r, const struct sync_txn *txn)
{
    for (size_t i = 0; r->refuses != NULL && i < txn->ops_count; i++) {
        if (memmem(txn->ops[i].key.data, txn->ops[i].key.len, r->refuses,
                   strlen(r->refuses)) != NULL) {
            return true;
        }
    }
    return false;
}

static enum sync_result carry_out(struct run *r, const struct sync_txn *txn)
{
    if (r->away) {
        return SYNC_FAILED;
    }
    return is_refused(r, txn) ? SYNC_REFUSED : fake_txn(&r->f, txn);
}

static void say_txn(struct run *r, const struct sync_txn *txn)
{
    for (size_t i = 0; i < txn->ops_count; i++) {
        const struct sync_op *op = &txn->ops[i];
        char key[512];

        (void)snprintf(key, sizeof(key), "%.*s", (int)op->key.len,
                       (const char *)op->key.data);
        say(r, i == 0 ? "" : ", ");
        say(r, op->kind == SYNC_PUT ? "put " : "delete ");
        say(r, short_key(key));
    }
}

static void say_wait(struct run *r, uint64_t wake_ms)
{
    char text[DURATION_TEXT];

    if (wake_ms == UINT64_MAX) {
        say(r, "waits\n");
        return;
    }
    CHECK(buf_addf(r->out, "waits %s\n",
                   duration_format((wake_ms - r->f.now.now_ms) / 1000 * 1000,
                                   text)) == ST_OK);
}

static void work(struct run *r)
{
    static const char *const results[] = {[SYNC_WRITTEN] = "",
                                          [SYNC_GUARDED] = ": guarded",
                                          [SYNC_REFUSED] = ": refused",
                                          [SYNC_FAILED] = ": no answer"};

    for (int i = 0; i < TXNS_MAX; i++) {
        struct arena a = {0};
        struct sync_txn txn;
        uint64_t wake_ms;
        enum sync_result result;
        const struct catalog *shown = r->lagging ? r->lagging : r->f.catalog;

        if (sync_next(r->f.sync, r->f.local, shown, r->f.now.now_ms, &a, &txn,
                      &wake_ms) == SYNC_WAIT) {
            say_wait(r, wake_ms);
            arena_release(&a);
            return;
        }
        result = carry_out(r, &txn);
        say_txn(r, &txn);
        say(r, results[result]);
        say(r, "\n");
        sync_done(r->f.sync, result, r->f.revision, r->f.now.now_ms);
        arena_release(&a);
    }
    CHECK(!"it never waits");
}

/* ---- Readers ------------------------------------------------------------ */

static struct catalog_scope scope_of(const char *text)
{
    static const struct {
        const char *word;
        enum catalog_scope_kind kind;
    } words[] = {{"services", SCOPE_SERVICES}, {"nodes", SCOPE_NODES},
                 {"state", SCOPE_STATE},       {"service:", SCOPE_SERVICE},
                 {"checks:", SCOPE_CHECKS},    {"node:", SCOPE_NODE}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i].word);
        bool named = words[i].word[len - 1] == ':';

        if (strncmp(text, words[i].word, len) == 0 &&
            (named || text[len] == '\0')) {
            return (struct catalog_scope){.kind = words[i].kind,
                                          .name = named ? text + len : NULL};
        }
    }
    CHECK(!"no such scope");
    UNREACHABLE();
}

static void watch(struct run *r, const char *text)
{
    struct watched *w = &r->watched[r->watched_count++];

    CHECK(r->watched_count <= SCOPES_MAX);
    w->text = strdup(text);
    w->index = catalog_index(r->f.catalog, scope_of(text));
}

/* As a poll decides: an index that went down is another store's. */
static void woken(struct run *r)
{
    bool any = false;

    for (size_t i = 0; i < r->watched_count; i++) {
        struct watched *w = &r->watched[i];
        uint64_t index = catalog_index(r->f.catalog, scope_of(w->text));

        if (index != w->index) {
            say(r, any ? " " : "woken: ");
            say(r, w->text);
            say(r, index < w->index ? " (back)" : "");
            any = true;
        }
        w->index = index;
    }
    say(r, any ? "\n" : "nobody\n");
}

static bool list_instance(void *ctx, const struct catalog_instance *i)
{
    struct run *r = ctx;

    CHECK(buf_addf(r->out, " %s/%s:%u %s", i->record.node, i->record.id,
                   i->record.port,
                   health_sum_text(catalog_instance_health(r->f.catalog, i))) ==
          ST_OK);
    return true;
}

static void list(struct run *r, const char *name)
{
    const struct catalog_service *s = catalog_service(r->f.catalog, name);

    say(r, name);
    say(r, ":");
    if (s == NULL) {
        say(r, " nobody");
    } else {
        catalog_each_instance(s, list_instance, r);
    }
    say(r, "\n");
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void keys(struct run *r)
{
    const char *names[FAKE_ROWS];
    size_t count = 0;

    for (size_t i = 0; i < FAKE_ROWS && r->f.rows[i].key != NULL; i++) {
        if (r->f.rows[i].exists) {
            names[count++] = short_key(r->f.rows[i].key);
        }
    }
    qsort(names, count, sizeof(*names), compare_texts);
    for (size_t i = 0; i < count; i++) {
        say(r, names[i]);
        say(r, "\n");
    }
}

/* ---- The store ----------------------------------------------------------- */

static void forget_kept(struct run *r)
{
    for (size_t i = 0; i < r->kept_count; i++) {
        free(r->kept[i].key);
        free(r->kept[i].value);
    }
    r->kept_count = 0;
}

static void keep(struct run *r)
{
    forget_kept(r);
    for (size_t i = 0; i < FAKE_ROWS && r->f.rows[i].key != NULL; i++) {
        if (r->f.rows[i].exists) {
            r->kept[r->kept_count++] =
                (struct kept){.key = strdup(r->f.rows[i].key),
                              .value = strdup(r->f.rows[i].value)};
        }
    }
}

/* All there is, at `revision`. */
static void full_read(struct run *r, int64_t revision)
{
    struct catalog_event events[FAKE_ROWS];
    struct catalog_changes changes;
    struct arena a = {0};
    struct catalog *next;
    size_t count = 0;

    for (size_t i = 0; i < FAKE_ROWS && r->f.rows[i].key != NULL; i++) {
        const struct fake_row *row = &r->f.rows[i];

        if (row->exists) {
            events[count++] = (struct catalog_event){
                .key = slice_str(row->key),
                .value = slice_of(row->value, row->value_len),
                .create_revision = row->create,
                .mod_revision = row->mod};
        }
    }
    next = catalog_replace(r->f.catalog, events, count, revision, &a, &changes);
    catalog_unref(r->f.catalog);
    r->f.catalog = next;
    arena_release(&a);
}

/* A backup is put in: revisions go back, too. */
static void restore(struct run *r)
{
    for (size_t i = 0; i < FAKE_ROWS; i++) {
        r->f.rows[i].exists = false;
    }
    r->f.revision = 2;
    for (size_t i = 0; i < r->kept_count; i++) {
        for (size_t k = 0; k < FAKE_ROWS && r->f.rows[k].key != NULL; k++) {
            struct fake_row *row = &r->f.rows[k];

            if (strcmp(row->key, r->kept[i].key) == 0) {
                free(row->value);
                row->value = strdup(r->kept[i].value);
                row->value_len = strlen(row->value);
                row->exists = true;
                row->create = 2;
                row->mod = 2;
            }
        }
    }
    full_read(r, 2);
}

static void lag(struct run *r, bool lags)
{
    catalog_unref(r->lagging);
    r->lagging = lags ? catalog_ref(r->f.catalog) : NULL;
}

/* ---- Commands ------------------------------------------------------------ */

static void refuse(struct run *r, const char *text)
{
    free(r->refuses);
    r->refuses = text == NULL ? NULL : strdup(text);
}

static bool plain_command(struct run *r, const char *word)
{
    const struct fake_row *live = fake_get(&r->f, ROOT "live/edge");

    if (strcmp(word, "work") == 0) {
        work(r);
    } else if (strcmp(word, "lost") == 0) {
        sync_detached(r->f.sync);
    } else if (strcmp(word, "attached") == 0) {
        CHECK(live != NULL);
        sync_attached(r->f.sync, live->create, r->f.now.now_ms);
    } else if (strcmp(word, "away") == 0 || strcmp(word, "here") == 0) {
        r->away = word[0] == 'a';
    } else if (strcmp(word, "accept") == 0) {
        refuse(r, NULL);
    } else if (strcmp(word, "unseen") == 0 || strcmp(word, "seen") == 0) {
        lag(r, word[0] == 'u');
    } else if (strcmp(word, "keep") == 0) {
        keep(r);
    } else if (strcmp(word, "restore") == 0) {
        restore(r);
    } else if (strcmp(word, "read") == 0) {
        full_read(r, r->f.revision);
    } else if (strcmp(word, "woken") == 0) {
        woken(r);
    } else if (strcmp(word, "keys") == 0) {
        keys(r);
    } else {
        return false;
    }
    return true;
}

static void each_word(struct run *r, char *rest,
                      void (*fn)(struct run *r, const char *word))
{
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        fn(r, word);
    }
}

static void pass(struct run *r, const char *text)
{
    uint64_t ms;

    CHECK(duration_parse(slice_str(text), &ms) == ST_OK);
    r->f.now.now_ms += ms;
    r->f.now.wall_ms += (int64_t)ms;
    local_tick(r->f.local, r->f.now);
}

static void request(struct run *r, const char *line, const char *body)
{
    struct api_outcome o;

    fake_ask(&r->f, line, body, &o);
    CHECK(o.kind == API_REPLY);
    CHECK(o.status == 200);
    api_outcome_release(&o);
}

/* Says how many of the changes were written. */
static void flap(struct run *r, char *rest)
{
    long times = strtol(strsep(&rest, " "), NULL, 10);
    unsigned before = r->f.txns;
    struct buf *out = r->out;
    struct buf unsaid;

    buf_init(&unsaid, 1UL << 20);
    r->out = &unsaid;
    for (long i = 0; i < times; i++) {
        struct arena a = {0};

        request(r,
                arena_printf(&a, "PUT /v1/agent/check/%s/%s",
                             i % 2 == 0 ? "warn" : "pass", rest),
                "");
        work(r);
        arena_release(&a);
    }
    r->out = out;
    buf_release(&unsaid);
    CHECK(buf_addf(out, "%ld changes, %u written\n", times,
                   r->f.txns - before) == ST_OK);
}

static void write_command(struct run *r, char *rest, bool deletes)
{
    struct arena a = {0};
    const char *key = strsep(&rest, " ");

    CHECK(deletes == (rest == NULL));
    fake_put(&r->f, full_key(&a, key), rest);
    arena_release(&a);
}

static void on_command(void *run, char *line)
{
    struct run *r = run;
    char *rest = line;
    const char *word = strsep(&rest, " ");

    if (rest == NULL) {
        CHECK(plain_command(r, word));
    } else if (strcmp(word, "register") == 0) {
        request(r, "PUT /v1/agent/service/register", rest);
    } else if (strcmp(word, "api") == 0) {
        request(r, rest, "");
    } else if (strcmp(word, "flap") == 0) {
        flap(r, rest);
    } else if (strcmp(word, "write") == 0 || strcmp(word, "delete") == 0) {
        write_command(r, rest, word[0] == 'd');
    } else if (strcmp(word, "pass") == 0) {
        pass(r, rest);
    } else if (strcmp(word, "refuse") == 0) {
        refuse(r, rest);
    } else if (strcmp(word, "watch") == 0) {
        each_word(r, rest, watch);
    } else if (strcmp(word, "list") == 0) {
        each_word(r, rest, list);
    } else {
        CHECK(!"no such command");
    }
}

static void *on_begin(struct buf *out)
{
    struct run *r = calloc(1, sizeof(*r));

    CHECK(r != NULL);
    fake_start(&r->f);
    r->out = out;
    return r;
}

static void on_end(void *run)
{
    struct run *r = run;

    for (size_t i = 0; i < r->watched_count; i++) {
        free(r->watched[i].text);
    }
    forget_kept(r);
    lag(r, false);
    refuse(r, NULL);
    fake_stop(&r->f);
    free(r);
}

int main(int argc, char **argv)
{
    static const struct script_player player = {
        .begin = on_begin, .command = on_command, .end = on_end};

    return script_main(argc, argv, &player);
}
