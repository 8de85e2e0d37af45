#include "agent/core/catalog.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/core/check.h"
#include "base/core/rng.h"
#include "suite.h"

/* ---- A store in memory that says what happened -------------------- */

enum {
    NODES = 4,
    SERVICES = 3,
    IDS = 2,
    TAGS = 3
};

struct row {
    bool exists;
    char key[128];
    char value[512];
    int64_t create;
    int64_t mod;
};

struct model {
    int64_t revision;
    struct row nodes[NODES];
    struct row lives[NODES];
    struct row checks[NODES];
    struct row instances[SERVICES][NODES][IDS];
    unsigned tag[SERVICES][NODES][IDS];
    enum check_status instance_status[SERVICES][NODES][IDS];
    enum check_status node_status[NODES];
    /* When the result of each scope changed last. */
    int64_t services_index;
    int64_t service_index[SERVICES];
};

static struct catalog_event put(struct model *m, struct row *r)
{
    m->revision++;
    r->create = r->exists ? r->create : m->revision;
    r->exists = true;
    r->mod = m->revision;
    return (struct catalog_event){.key = slice_str(r->key),
                                  .value = slice_str(r->value),
                                  .create_revision = r->create,
                                  .mod_revision = r->mod};
}

static struct catalog_event del(struct model *m, struct row *r)
{
    m->revision++;
    r->exists = false;
    return (struct catalog_event){
        .key = slice_str(r->key), .deleted = true, .mod_revision = m->revision};
}

static void touch_node(struct model *m, unsigned n)
{
    for (unsigned s = 0; s < SERVICES; s++) {
        for (unsigned i = 0; i < IDS; i++) {
            if (m->instances[s][n][i].exists) {
                m->service_index[s] = m->revision;
            }
        }
    }
}

/* Bit set of the tags of a service, and whether it exists. */
static unsigned tags_of(const struct model *m, unsigned s)
{
    unsigned tags = 0;

    for (unsigned n = 0; n < NODES; n++) {
        for (unsigned i = 0; i < IDS; i++) {
            if (m->instances[s][n][i].exists) {
                tags |= 1U << m->tag[s][n][i] | 1U << TAGS;
            }
        }
    }
    return tags;
}

static const char *word(enum check_status status)
{
    return check_status_text(status);
}

static struct catalog_event change_node(struct model *m, struct rng *rng,
                                        unsigned n)
{
    struct row *r = &m->nodes[n];
    struct catalog_event e;

    (void)snprintf(r->key, sizeof(r->key), "/muster/v1/dc1/node/n%u", n);
    (void)snprintf(
        r->value, sizeof(r->value),
        "{\"name\":\"N%u\",\"id\":\"u%u\",\"address\":\"10.0.0.%u\"}", n, n,
        (unsigned)rng_below(rng, 200) + 1);
    e = r->exists && rng_below(rng, 4) == 0 ? del(m, r) : put(m, r);
    touch_node(m, n);
    return e;
}

static struct catalog_event change_live(struct model *m, struct rng *rng,
                                        unsigned n)
{
    struct row *r = &m->lives[n];
    struct catalog_event e;
    bool was = r->exists;

    (void)snprintf(r->key, sizeof(r->key), "/muster/v1/dc1/live/n%u", n);
    (void)snprintf(r->value, sizeof(r->value), "{\"node_id\":\"u%u\"}", n);
    e = r->exists && rng_below(rng, 2) == 0 ? del(m, r) : put(m, r);
    if (was != r->exists) {
        touch_node(m, n);
    }
    return e;
}

static struct catalog_event change_check(struct model *m, struct rng *rng,
                                         unsigned n)
{
    struct row *r = &m->checks[n];
    struct catalog_event e;

    m->node_status[n] = (enum check_status)rng_below(rng, 3);
    (void)snprintf(r->key, sizeof(r->key), "/muster/v1/dc1/ncheck/n%u/disk", n);
    (void)snprintf(r->value, sizeof(r->value),
                   "{\"node\":\"n%u\",\"check\":{\"id\":\"disk\",\"status\":"
                   "\"%s\"}}",
                   n, word(m->node_status[n]));
    e = r->exists && rng_below(rng, 3) == 0 ? del(m, r) : put(m, r);
    touch_node(m, n);
    return e;
}

static struct catalog_event change_instance(struct model *m, struct rng *rng,
                                            unsigned s, unsigned n)
{
    unsigned i = (unsigned)rng_below(rng, IDS);
    struct row *r = &m->instances[s][n][i];
    unsigned before = tags_of(m, s);
    struct catalog_event e;

    (void)snprintf(r->key, sizeof(r->key), "/muster/v1/dc1/inst/s%u/n%u/i%u", s,
                   n, i);
    m->tag[s][n][i] = (unsigned)rng_below(rng, TAGS);
    m->instance_status[s][n][i] = (enum check_status)rng_below(rng, 3);
    (void)snprintf(r->value, sizeof(r->value),
                   "{\"node\":\"n%u\",\"service\":\"s%u\",\"id\":\"i%u\","
                   "\"tags\":[\"t%u\"]"
                   ",\"checks\":[{\"id\":\"c\",\"status\":\"%s\"}]}",
                   n, s, i, m->tag[s][n][i], word(m->instance_status[s][n][i]));
    e = r->exists && rng_below(rng, 3) == 0 ? del(m, r) : put(m, r);
    m->service_index[s] = m->revision;
    if (tags_of(m, s) != before) {
        m->services_index = m->revision;
    }
    return e;
}

static struct catalog_event random_event(struct model *m, struct rng *rng)
{
    unsigned n = (unsigned)rng_below(rng, NODES);

    switch (rng_below(rng, 6)) {
    case 0:
        return change_node(m, rng, n);
    case 1:
        return change_live(m, rng, n);
    case 2:
        return change_check(m, rng, n);
    default:
        return change_instance(m, rng, (unsigned)rng_below(rng, SERVICES), n);
    }
}

/* ---- Comparing ---------------------------------------------------- */

static enum health_sum health_of(const struct model *m, unsigned s, unsigned n,
                                 unsigned i)
{
    enum check_status worst = m->instance_status[s][n][i];

    if (!m->nodes[n].exists || !m->lives[n].exists) {
        return HEALTH_CRITICAL;
    }
    if (m->checks[n].exists && m->node_status[n] > worst) {
        worst = m->node_status[n];
    }
    return (enum health_sum)worst;
}

struct seen {
    const struct model *m;
    const struct catalog *c;
    unsigned service;
    size_t count;
    unsigned tags;
};

static bool see_instance(void *ctx, const struct catalog_instance *inst)
{
    struct seen *seen = ctx;
    unsigned n = (unsigned)(inst->record.node[1] - '0');
    unsigned i = (unsigned)(inst->record.id[1] - '0');
    const struct row *r = &seen->m->instances[seen->service][n][i];

    ck_assert(r->exists);
    ck_assert_int_eq(inst->mod_revision, r->mod);
    ck_assert_int_eq(inst->create_revision, r->create);
    ck_assert_int_eq(catalog_instance_health(seen->c, inst),
                     health_of(seen->m, seen->service, n, i));
    seen->count++;
    return true;
}

static bool see_tag(void *ctx, struct slice tag)
{
    struct seen *seen = ctx;

    seen->tags |= 1U << (tag.data[1] - '0');
    return true;
}

static void compare_service(const struct model *m, const struct catalog *c,
                            unsigned s)
{
    char name[3] = {'s', (char)('0' + s), '\0'};
    const struct catalog_service *service = catalog_service(c, name);
    struct seen seen = {.m = m, .c = c, .service = s};
    unsigned tags = tags_of(m, s);
    size_t wanted = 0;

    for (unsigned n = 0; n < NODES; n++) {
        for (unsigned i = 0; i < IDS; i++) {
            wanted += m->instances[s][n][i].exists;
        }
    }
    ck_assert_int_eq(service != NULL, wanted > 0);
    if (service == NULL) {
        return;
    }
    catalog_each_instance(service, see_instance, &seen);
    catalog_each_tag(service, see_tag, &seen);
    ck_assert_uint_eq(seen.count, wanted);
    ck_assert_uint_eq(seen.tags | 1U << TAGS, tags);
}

static void compare(const struct model *m, const struct catalog *c)
{
    size_t known = 0;

    for (unsigned n = 0; n < NODES; n++) {
        char name[3] = {'N', (char)('0' + n), '\0'};
        const struct catalog_node *node = catalog_node(c, name);

        known += m->nodes[n].exists;
        ck_assert_int_eq(node != NULL && node->known, m->nodes[n].exists);
        ck_assert_int_eq(node != NULL && node->live, m->lives[n].exists);
    }
    ck_assert_uint_eq(catalog_nodes_count(c), known);
    ck_assert_int_eq(catalog_revision(c), m->revision);
    for (unsigned s = 0; s < SERVICES; s++) {
        compare_service(m, c, s);
    }
}

static uint64_t index_of(const struct catalog *c, unsigned s)
{
    char name[3] = {'s', (char)('0' + s), '\0'};

    return catalog_index(
        c, (struct catalog_scope){.kind = SCOPE_SERVICE, .name = name});
}

static void compare_indexes(const struct model *m, const struct catalog *c)
{
    for (unsigned s = 0; s < SERVICES; s++) {
        uint64_t wanted = m->service_index[s] > 0 ? m->service_index[s] : 1;

        ck_assert_uint_eq(index_of(c, s), wanted);
    }
    ck_assert_uint_eq(
        catalog_index(c, (struct catalog_scope){.kind = SCOPE_SERVICES}),
        m->services_index > 0 ? m->services_index : 1);
}

/* ---- Random stories ----------------------------------------------- */

/* The catalogue follows the store event by event; an old snapshot kept from
 * some steps ago still says what it said. */
START_TEST(catalog_follows_the_store)
{
    struct model *m = calloc(1, sizeof(*m));
    struct model *old_model = calloc(1, sizeof(*m));
    struct catalog *c = catalog_new("dc1");
    struct catalog *old = catalog_ref(c);
    struct rng rng;

    ck_assert_ptr_nonnull(m);
    ck_assert_ptr_nonnull(old_model);
    rng_init(&rng, 1 + (uint64_t)_i);
    for (int step = 0; step < 2000; step++) {
        struct arena a = {0};
        struct catalog_changes changes;
        struct catalog_event e = random_event(m, &rng);
        struct catalog *next =
            catalog_apply(c, &e, 1, m->revision, &a, &changes);

        ck_assert_uint_eq(changes.problems_count, 0);
        catalog_unref(c);
        c = next;
        compare(m, c);
        compare_indexes(m, c);
        if (step % 100 == 50) {
            compare(old_model, old);
            catalog_unref(old);
            old = catalog_ref(c);
            *old_model = *m;
        }
        arena_release(&a);
    }
    catalog_unref(c);
    catalog_unref(old);
    free(m);
    free(old_model);
}
END_TEST

static size_t all_rows(const struct model *m, struct catalog_event *events)
{
    const struct row *rows = m->nodes;
    size_t total = NODES * 3 + SERVICES * NODES * IDS;
    size_t count = 0;

    /* The rows lie behind each other in struct model. */
    for (size_t i = 0; i < total; i++) {
        if (rows[i].exists) {
            events[count++] = (struct catalog_event){
                .key = slice_str(rows[i].key),
                .value = slice_str(rows[i].value),
                .create_revision = rows[i].create,
                .mod_revision = rows[i].mod,
            };
        }
    }
    return count;
}

/* Missed events, then a full read: the content is right, what did not change
 * keeps its index, what did has a newer one. */
START_TEST(full_read_catches_up)
{
    struct model *m = calloc(1, sizeof(*m));
    struct catalog *c = catalog_new("dc1");
    struct catalog_event events[64];
    struct rng rng;

    ck_assert_ptr_nonnull(m);
    rng_init(&rng, 100 + (uint64_t)_i);
    for (int round = 0; round < 100; round++) {
        struct arena a = {0};
        struct catalog_changes changes;
        struct model before = *m;
        struct catalog *next;
        size_t missed = rng_below(&rng, 6);

        for (size_t i = 0; i < missed; i++) {
            (void)random_event(m, &rng);
        }
        if (m->revision == 0) {
            (void)random_event(m, &rng);
        }
        next = catalog_replace(c, events, all_rows(m, events), m->revision, &a,
                               &changes);
        compare(m, next);
        for (unsigned s = 0; s < SERVICES && before.revision > 0; s++) {
            if (before.service_index[s] == m->service_index[s]) {
                ck_assert_uint_eq(index_of(next, s), index_of(c, s));
            }
        }
        if (missed == 0 && before.revision > 0) {
            ck_assert_uint_eq(changes.services.count, 0);
            ck_assert_uint_eq(changes.nodes.count, 0);
        }
        catalog_unref(c);
        c = next;
        arena_release(&a);
    }
    catalog_unref(c);
    free(m);
}
END_TEST

/* Marks kept with a replica bring every index back. */
START_TEST(marks_survive_a_restart)
{
    struct model *m = calloc(1, sizeof(*m));
    struct catalog *c = catalog_new("dc1");
    struct catalog *again;
    struct catalog *empty = catalog_new("dc1");
    struct catalog_mark kept[256];
    char names[256][32];
    size_t kept_count = 0;
    struct catalog_event events[64];
    struct catalog_changes changes;
    struct arena a = {0};
    struct rng rng;

    ck_assert_ptr_nonnull(m);
    rng_init(&rng, 7 + (uint64_t)_i);
    for (int step = 0; step < 300; step++) {
        struct catalog_event e = random_event(m, &rng);
        struct catalog *next =
            catalog_apply(c, &e, 1, m->revision, &a, &changes);

        catalog_unref(c);
        c = next;
        for (size_t i = 0; i < changes.marks_count; i++) {
            size_t at = 0;

            while (at < kept_count &&
                   strcmp(names[at], changes.marks[i].scope) != 0) {
                at++;
            }
            ck_assert_uint_lt(at, 256);
            (void)snprintf(names[at], sizeof(names[at]), "%s",
                           changes.marks[i].scope);
            kept[at] = (struct catalog_mark){names[at], changes.marks[i].index};
            kept_count += at == kept_count;
        }
    }
    again = catalog_replace(empty, events, all_rows(m, events), m->revision, &a,
                            &changes);
    catalog_restore_marks(again, kept, kept_count);
    compare_indexes(m, again);
    catalog_unref(c);
    catalog_unref(again);
    catalog_unref(empty);
    arena_release(&a);
    free(m);
}
END_TEST

UNIT_MAIN("catalog", {
    tcase_add_loop_test(tc, catalog_follows_the_store, 0, 5);
    tcase_add_loop_test(tc, full_read_catches_up, 0, 10);
    tcase_add_loop_test(tc, marks_survive_a_restart, 0, 10);
})
