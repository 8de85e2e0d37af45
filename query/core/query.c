#include "query/core/query.h"

#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/limits.h"
#include "query/core/model.h"

#define HIDDEN "<hidden>" /* What lists show instead of a token. */

bool query_is_template(const struct query *q)
{
    return *q->def.template_type != '\0';
}

const struct query_def *query_def(const struct query *q)
{
    return &q->def;
}

/* ---- Texts, one by one -------------------------------------------- */

/* What is done with each text of a definition. */
typedef enum status (*text_fn)(void *ctx, const char *text,
                               const char **out_text, struct err *err);

struct walk {
    text_fn fn;
    void *ctx;
    struct arena *arena;
    struct err *err;
};

static enum status walk_text(const struct walk *w, const char **text)
{
    return w->fn(w->ctx, *text, text, w->err);
}

static enum status walk_texts(const struct walk *w, struct texts *texts)
{
    const char **items = arena_zalloc(w->arena, texts->count, sizeof(*items));
    enum status st = ST_OK;

    for (size_t i = 0; i < texts->count && !st; i++) {
        items[i] = texts->items[i];
        st = walk_text(w, &items[i]);
    }
    texts->items = items;
    return st;
}

static enum status walk_pairs(const struct walk *w, struct pairs *pairs)
{
    struct pair *items = arena_zalloc(w->arena, pairs->count, sizeof(*items));
    enum status st = ST_OK;

    for (size_t i = 0; i < pairs->count && !st; i++) {
        items[i] = pairs->items[i];
        st = walk_text(w, &items[i].key);
        if (!st) {
            st = walk_text(w, &items[i].value);
        }
    }
    pairs->items = items;
    return st;
}

/* All that a template fills in. */
static enum status walk_service(const struct walk *w, struct query_def *d)
{
    const char **texts[] = {&d->service, &d->near};
    struct texts *lists[] = {&d->datacenters, &d->ignore_checks, &d->tags};
    struct pairs *maps[] = {&d->node_meta, &d->service_meta};
    enum status st = ST_OK;

    for (size_t i = 0; i < 2 && !st; i++) {
        st = walk_text(w, texts[i]);
    }
    for (size_t i = 0; i < 3 && !st; i++) {
        st = walk_texts(w, lists[i]);
    }
    for (size_t i = 0; i < 2 && !st; i++) {
        st = walk_pairs(w, maps[i]);
    }
    return st;
}

/* ---- A template's words -------------------------------------------- */

struct rendering {
    struct query_words words;
    struct arena *arena;
};

static enum status expand_text(void *ctx, const char *text,
                               const char **out_text, struct err *err)
{
    const struct rendering *r = ctx;

    return query_expand(&r->words, text, r->arena, out_text, err);
}

static void read_words(const struct query *q, const char *name, struct arena *a,
                       struct query_words *out_words)
{
    struct slice full = slice_str(name);
    size_t prefix = strlen(q->def.name);
    uint64_t work = LIMIT_QUERY_WORK;

    prefix = prefix < full.len ? prefix : full.len;
    *out_words = (struct query_words){
        .full = full,
        .prefix = slice_str(q->def.name),
        .suffix = slice_skip(full, prefix),
    };
    if (q->regex != NULL &&
        !regex_find(q->regex, full, a, out_words->groups, &work)) {
        memset(out_words->groups, 0, sizeof(out_words->groups));
    }
}

static void remove_empty(struct texts *tags, struct arena *a)
{
    const char **kept = arena_zalloc(a, tags->count, sizeof(*kept));
    size_t count = 0;

    for (size_t i = 0; i < tags->count; i++) {
        if (*tags->items[i] != '\0') {
            kept[count++] = tags->items[i];
        }
    }
    *tags = (struct texts){.items = kept, .count = count};
}

enum status query_render(const struct query *q, const char *name,
                         struct arena *a, struct query_def *out_def,
                         struct err *err)
{
    struct rendering r = {.arena = a};
    struct walk w = {.fn = expand_text, .ctx = &r, .arena = a, .err = err};
    struct query_def def = q->def;
    enum status st = ST_OK;

    if (query_is_template(q)) {
        read_words(q, name, a, &r.words);
        st = walk_service(&w, &def);
        if (!st && def.remove_empty_tags) {
            remove_empty(&def.tags, a);
        }
    }
    if (!st) {
        *out_def = def;
    }
    return st;
}

/* ---- Checking ------------------------------------------------------ */

static enum status check_basics(const struct query_def *d, struct err *err)
{
    if (*d->name == '\0' && *d->template_type == '\0' && *d->session == '\0') {
        return err_set(err, ST_INVALID, "Must be bound to a session");
    }
    if (strcmp(d->token, HIDDEN) == 0) {
        return err_set(err, ST_INVALID,
                       "Bad Token '" HIDDEN "', it looks like a query "
                       "definition with a redacted token was submitted");
    }
    if (*d->service == '\0') {
        return err_set(err, ST_INVALID, "Must provide a Service name to query");
    }
    if (d->nearest_n < 0) {
        return err_set(err, ST_INVALID, "Bad NearestN '%lld', must be >= 0",
                       (long long)d->nearest_n);
    }
    if (d->connect) {
        return err_set(err, ST_INVALID,
                       "Connect is not supported: there is no service mesh");
    }
    return ST_OK;
}

static enum status read_template(struct query *q, struct err *err)
{
    const struct query_def *d = &q->def;
    struct regex *regex = NULL;
    enum status st;

    if (*d->template_type == '\0') {
        return ST_OK;
    }
    if (strcmp(d->template_type, QUERY_TEMPLATE) != 0) {
        return err_set(err, ST_INVALID,
                       "Bad Template.Type '%.64s'; use \"" QUERY_TEMPLATE "\"",
                       d->template_type);
    }
    if (*d->template_regexp == '\0') {
        return ST_OK;
    }
    st = regex_compile(&q->arena, slice_str(d->template_regexp), &regex, err);
    if (st) {
        return err_prefix(err, st, "Bad Template.Regexp");
    }
    if (regex_steps(regex) > LIMIT_QUERY_STEPS) {
        return err_set(err, ST_TOO_BIG,
                       "Bad Template.Regexp: more than %d steps when its "
                       "repetitions are written out",
                       LIMIT_QUERY_STEPS);
    }
    q->regex = regex;
    return ST_OK;
}

/* Whether its texts can be filled in at all. */
static enum status try_out(const struct query *q, struct err *err)
{
    struct arena scratch = {0};
    struct query_def def;
    enum status st = query_render(q, q->def.name, &scratch, &def, err);

    arena_release(&scratch);
    return st ? err_prefix(err, st, "Bad format in the template") : ST_OK;
}

/* ---- Life ---------------------------------------------------------- */

static enum status copy_text(void *ctx, const char *text, const char **out_text,
                             struct err *err)
{
    (void)err;
    *out_text = arena_strdup(ctx, slice_str(text));
    return ST_OK;
}

static void copy_def(struct query *q, const struct query_def *def)
{
    struct walk w = {
        .fn = copy_text, .ctx = &q->arena, .arena = &q->arena, .err = NULL};
    struct query_def *d = &q->def;
    const char **texts[] = {
        &d->id,  &d->name,          &d->session,        &d->token,
        &d->ttl, &d->template_type, &d->template_regexp};

    *d = *def;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CHECK(walk_text(&w, texts[i]) == ST_OK);
    }
    CHECK(walk_service(&w, d) == ST_OK);
}

enum status query_new(const struct query_def *def, struct query **out_query,
                      struct err *err)
{
    struct query *q;
    enum status st = check_basics(def, err);

    if (st) {
        return st;
    }
    q = calloc(1, sizeof(*q));
    CHECK(q != NULL);
    atomic_init(&q->refs, 1);
    copy_def(q, def);
    st = read_template(q, err);
    if (!st) {
        st = try_out(q, err);
    }
    if (st) {
        query_unref(q);
        return st;
    }
    *out_query = q;
    return ST_OK;
}

struct query *query_ref(const struct query *q)
{
    struct query *same = (struct query *)q; /* Counting is no change of it. */

    (void)atomic_fetch_add_explicit(&same->refs, 1, memory_order_relaxed);
    return same;
}

void query_unref(const struct query *q)
{
    struct query *same = (struct query *)q;

    if (same == NULL ||
        atomic_fetch_sub_explicit(&same->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    arena_release(&same->arena);
    free(same);
}
