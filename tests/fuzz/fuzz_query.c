/*
 * A prepared query and a name (parted by a line feed) may be anything. Reading
 * must not crash, a refusal must come with words; what is accepted is found by
 * its name, fills itself in within bounds, twice the same, and chooses or does
 * not.
 */
#include "agent/core/query_record.h"
#include "base/core/check.h"
#include "base/core/limits.h"
#include "fuzz.h"
#include "query/core/choose.h"
#include "query/core/table.h"

static void choose(const struct query_def *def)
{
    const struct slice tags[] = {slice_str("v1"), slice_str("a")};
    const struct query_pair meta = {slice_str("k"), slice_str("v")};
    const struct query_check check = {slice_str("c"), QUERY_CRITICAL};
    const struct query_candidate c = {.tags = tags,
                                      .tags_count = 2,
                                      .node_meta = &meta,
                                      .node_meta_count = 1,
                                      .service_meta = &meta,
                                      .service_meta_count = 1,
                                      .health = QUERY_CRITICAL,
                                      .checks = &check,
                                      .checks_count = 1};

    CHECK_IF(query_chooses(def, &c), def->ignore_checks.count > 0);
}

static void execute(const struct query *q, const char *name, struct arena *a)
{
    struct query_def def;
    struct query_def again;
    struct err err = {0};

    if (query_render(q, name, a, &def, &err)) {
        CHECK(err.text[0] != '\0');
        return;
    }
    CHECK(query_render(q, name, a, &again, &err) == ST_OK);
    CHECK(strcmp(def.service, again.service) == 0);
    CHECK_IF(query_is_template(q), strlen(def.service) <= LIMIT_QUERY_TEXT);
    choose(&def);
}

static void ask(const struct query *q, const char *name, struct arena *a)
{
    struct query_table *t = query_table_new(&q, 1);
    const struct query *found = query_table_find(t, name);

    CHECK(found == NULL || found == q);
    CHECK_IF(*query_def(q)->name != '\0',
             query_table_find(t, query_def(q)->name) == q);
    (void)query_table_below(t, name);
    if (found != NULL) {
        execute(q, name, a);
    }
    query_table_unref(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    const uint8_t *line = size == 0 ? NULL : memchr(data, '\n', size);
    size_t len = line == NULL ? 0 : (size_t)(line - data);
    struct arena a = {0};
    struct query_def def;
    struct query *q = NULL;
    struct err err = {0};
    const char *name = arena_strdup(&a, slice_of(data, len));

    text = slice_skip(text, line == NULL ? 0 : len + 1);
    if (query_def_read(&a, text, &def, &err)) {
        CHECK(err.text[0] != '\0');
    } else {
        def.id = "0-id";
        if (query_new(&def, &q, &err)) {
            CHECK(err.text[0] != '\0');
        } else {
            ask(q, name, &a);
        }
        query_unref(q);
    }
    arena_release(&a);
    return 0;
}
