/* Prepared queries of the datacenter at hand. */
#include <stdlib.h>

#include "base/core/check.h"
#include "query/core/table.h"
#include "run.h"

static struct texts texts_of(struct run *r, char *text)
{
    struct texts texts = {0};

    texts.items = split(r, text, &texts.count);
    return texts;
}

/* "k:v,k2:v2" */
static struct pairs pairs_of(struct run *r, char *text)
{
    struct texts texts = texts_of(r, text);
    struct pair *pairs =
        arena_alloc(&r->words, (texts.count + 1) * sizeof(*pairs));

    for (size_t i = 0; i < texts.count; i++) {
        char *colon = strchr(texts.items[i], ':');

        CHECK(colon != NULL);
        *colon = '\0';
        pairs[i] = (struct pair){texts.items[i], colon + 1};
    }
    return (struct pairs){pairs, texts.count};
}

static void read_field(struct run *r, struct query_def *def, const char *key,
                       char *value)
{
    if (strcmp(key, "name") == 0) {
        def->name = value;
    } else if (strcmp(key, "service") == 0) {
        def->service = value;
    } else if (strcmp(key, "tags") == 0) {
        def->tags = texts_of(r, value);
    } else if (strcmp(key, "near") == 0) {
        def->near = value;
    } else if (strcmp(key, "ttl") == 0) {
        def->ttl = value;
        def->ttl_ms = 1000 * (uint64_t)atoi(value);
    } else if (strcmp(key, "passing") == 0) {
        def->only_passing = *value == '1';
    } else if (strcmp(key, "dcs") == 0) {
        def->datacenters = texts_of(r, value);
    } else if (strcmp(key, "nearest") == 0) {
        def->nearest_n = atoi(value);
    } else if (strcmp(key, "node_meta") == 0) {
        def->node_meta = pairs_of(r, value);
    } else if (strcmp(key, "meta") == 0) {
        def->service_meta = pairs_of(r, value);
    } else if (strcmp(key, "ignore") == 0) {
        def->ignore_checks = texts_of(r, value);
    } else if (strcmp(key, "template") == 0) {
        def->template_type = QUERY_TEMPLATE;
        def->template_regexp = value;
    } else {
        say(r, "unknown field\n");
    }
}

static void publish(struct run *r)
{
    struct site *s = r->site;
    struct query_table *t = query_table_new(s->queries, s->queries_count);

    dns_model_set_queries(s->model, s->queries_count > 0 ? t : NULL);
    query_table_unref(t);
}

static void drop(struct site *s, const char *id)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->queries_count; i++) {
        if (strcmp(query_def(s->queries[i])->id, id) == 0) {
            query_unref(s->queries[i]);
        } else {
            s->queries[kept++] = s->queries[i];
        }
    }
    s->queries_count = kept;
}

void do_query(struct run *r, char **words, size_t count)
{
    struct query_def def = {.id = words[1],
                            .name = "",
                            .session = "",
                            .token = "",
                            .template_type = "",
                            .template_regexp = "",
                            .service = "",
                            .near = "",
                            .ttl = ""};
    struct query *q = NULL;
    struct err err = {0};

    drop(r->site, words[1]);
    for (size_t i = 2; i < count; i++) {
        char *equals = strchr(words[i], '=');

        CHECK(equals != NULL);
        *equals = '\0';
        read_field(r, &def, words[i], equals + 1);
    }
    if (count > 2 && query_new(&def, &q, &err)) {
        say(r, arena_printf(&r->words, "%s\n", err.text));
    } else if (q != NULL) {
        CHECK(r->site->queries_count < QUERIES_MAX);
        r->site->queries[r->site->queries_count++] = q;
    }
    publish(r);
}

void do_distance(struct run *r, const char *name, const char *us)
{
    for (size_t i = 0; i < r->others_count; i++) {
        if (strcmp(r->names[i], name) == 0) {
            dns_model_set_distance(r->home.model, i, (uint32_t)atoi(us));
        }
    }
}

void queries_end(struct site *s)
{
    while (s->queries_count > 0) {
        query_unref(s->queries[--s->queries_count]);
    }
}
