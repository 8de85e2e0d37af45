#include "agent/core/guard.h"

#include <stdlib.h>
#include <strings.h>

#include "base/core/check.h"

enum {
    SERVICE_MIN = 3,  /* Healthy instances that a service must have had. */
    SERVICES_MAX = 64 /* That are watched while it is active. */
};

const struct guard_limits guard_limits_default = {
    .min_nodes = 5,
    .percent = 25,
    .window_ms = 60000,
    .max_ms = (uint64_t)15 * 60000,
};

/* A node that has lost its lease, or its records in the store. */
struct loss {
    char *name; /* Lower case. */
    uint64_t lost_ms;
    bool held;
};

struct guard {
    struct guard_limits limits;
    enum guard_mode mode;
    enum guard_cause cause;
    uint64_t began_ms;
    struct loss *losses; /* Sorted by name. */
    size_t count;
    size_t cap;
    size_t held;
    char *services[SERVICES_MAX]; /* That had nothing left. */
    size_t services_count;
    bool emptied;
    uint64_t activations;
    char why[256];
};

static const char *const mode_texts[] = {
    [GUARD_AUTO] = "auto", [GUARD_ON] = "on", [GUARD_OFF] = "off"};

const char *guard_mode_text(enum guard_mode mode)
{
    return mode_texts[mode];
}

bool guard_mode_parse(const char *text, enum guard_mode *out_mode)
{
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, mode_texts[i]) == 0) {
            *out_mode = (enum guard_mode)i;
            return true;
        }
    }
    return false;
}

struct guard *guard_new(const struct guard_limits *limits, enum guard_mode mode)
{
    struct guard *g = calloc(1, sizeof(*g));

    CHECK(g != NULL);
    g->mode = mode;
    guard_set_limits(g, limits);
    return g;
}

static void services_clear(struct guard *g)
{
    for (size_t i = 0; i < g->services_count; i++) {
        free(g->services[i]);
    }
    g->services_count = 0;
}

void guard_free(struct guard *g)
{
    if (g == NULL) {
        return;
    }
    for (size_t i = 0; i < g->count; i++) {
        free(g->losses[i].name);
    }
    free(g->losses);
    services_clear(g);
    free(g);
}

void guard_set_limits(struct guard *g, const struct guard_limits *limits)
{
    CHECK(limits->percent >= 1);
    CHECK(limits->percent <= 100);
    CHECK(limits->window_ms > 0);
    g->limits = *limits;
}

struct guard_status guard_status(const struct guard *g)
{
    return (struct guard_status){
        .mode = g->mode,
        .cause = g->cause,
        .why = g->cause == GUARD_CAUSE_NONE ? "" : g->why,
        .began_ms = g->began_ms,
        .held = g->held,
        .store_emptied = g->emptied,
        .activations = g->activations,
    };
}

static bool is_active(const struct guard *g)
{
    return g->cause != GUARD_CAUSE_NONE;
}

/* ---- Losses ------------------------------------------------------- */

/* Where `name` is, or belongs. */
static size_t place_of(const struct guard *g, const char *name)
{
    size_t low = 0;
    size_t high = g->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcasecmp(g->losses[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_at(const struct guard *g, size_t place, const char *name)
{
    return place < g->count && strcasecmp(g->losses[place].name, name) == 0;
}

static void loss_add(struct guard *g, const char *name, uint64_t now_ms)
{
    size_t place = place_of(g, name);

    if (is_at(g, place, name)) {
        g->losses[place].lost_ms = now_ms;
        return;
    }
    if (g->count == g->cap) {
        g->cap = g->cap == 0 ? 16 : 2 * g->cap;
        g->losses = realloc(g->losses, g->cap * sizeof(*g->losses));
        CHECK(g->losses != NULL);
    }
    memmove(&g->losses[place + 1], &g->losses[place],
            (g->count - place) * sizeof(*g->losses));
    g->losses[place] = (struct loss){.name = strdup(name), .lost_ms = now_ms};
    CHECK(g->losses[place].name != NULL);
    g->count++;
}

static void loss_remove(struct guard *g, size_t place)
{
    g->held -= g->losses[place].held;
    free(g->losses[place].name);
    g->count--;
    memmove(&g->losses[place], &g->losses[place + 1],
            (g->count - place) * sizeof(*g->losses));
}

static void loss_forget(struct guard *g, const char *name)
{
    size_t place = place_of(g, name);

    if (is_at(g, place, name)) {
        loss_remove(g, place);
    }
}

static bool is_lost(const struct guard *g, const char *name)
{
    return is_at(g, place_of(g, name), name);
}

/* Older than the window, and believed. */
static void forget_old(struct guard *g, uint64_t now_ms)
{
    for (size_t i = g->count; i > 0; i--) {
        const struct loss *l = &g->losses[i - 1];

        if (!l->held && now_ms - l->lost_ms >= g->limits.window_ms) {
            loss_remove(g, i - 1);
        }
    }
}

/* ---- What is missing ---------------------------------------------- */

/* `part` of part and rest is more than a percentage of `by` hundredths. */
static bool is_more(size_t part, size_t rest, uint64_t percent)
{
    return (uint64_t)part * 100 > percent * (uint64_t)(part + rest);
}

/* The instances of a service, healthy and such as only lack their node. */
struct tally {
    const struct guard *guard;
    const struct catalog *catalog;
    size_t healthy;
    size_t lost;
};

static bool count_instance(void *ctx, const struct catalog_instance *i)
{
    struct tally *t = ctx;
    enum health_sum sum = catalog_instance_health(t->catalog, i);
    const struct catalog_node *n = catalog_node(t->catalog, i->record.node);

    if (n == NULL || !n->known) {
        return true;
    }
    if (n->live || n->record.external) {
        t->healthy += sum == HEALTH_PASSING || sum == HEALTH_WARNING;
    } else if (is_lost(t->guard, i->record.node)) {
        /* Its own checks, that is: what it was before its node went. */
        sum = catalog_instance_alone(t->catalog, i);
        t->lost += sum == HEALTH_PASSING || sum == HEALTH_WARNING;
    }
    return true;
}

static struct tally tally_of(const struct guard *g,
                             const struct catalog *catalog, const char *service)
{
    struct tally t = {.guard = g, .catalog = catalog};
    const struct catalog_service *s = catalog_service(catalog, service);

    if (s != NULL) {
        catalog_each_instance(s, count_instance, &t);
    }
    return t;
}

/* Names of services on nodes that were lost just now, each once. */
struct suspects {
    struct arena *arena;
    const char **names;
    size_t count;
    size_t cap;
};

static bool suspect(void *ctx, const struct catalog_instance *i)
{
    struct suspects *s = ctx;

    if (s->count == s->cap) {
        size_t cap = s->cap == 0 ? 64 : 2 * s->cap;
        const char **names = arena_alloc(s->arena, cap * sizeof(*names));

        if (s->count > 0) {
            memcpy(names, s->names, s->count * sizeof(*names));
        }
        s->names = names;
        s->cap = cap;
    }
    s->names[s->count++] = i->record.service;
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void watch_service(struct guard *g, const char *name)
{
    for (size_t i = 0; i < g->services_count; i++) {
        if (strcmp(g->services[i], name) == 0) {
            return;
        }
    }
    if (g->services_count < SERVICES_MAX) {
        g->services[g->services_count] = strdup(name);
        CHECK(g->services[g->services_count] != NULL);
        g->services_count++;
    }
}

/* Services that have nothing left since `nodes` went. */
static void find_services(struct guard *g, const struct catalog *catalog,
                          struct texts nodes, struct arena *a)
{
    struct suspects s = {.arena = a};

    for (size_t i = 0; i < nodes.count; i++) {
        catalog_each_node_instance(catalog, nodes.items[i], suspect, &s);
    }
    if (s.count > 0) {
        qsort(s.names, s.count, sizeof(*s.names), compare_names);
    }
    for (size_t i = 0; i < s.count; i++) {
        struct tally t;

        if (i > 0 && strcmp(s.names[i - 1], s.names[i]) == 0) {
            continue;
        }
        t = tally_of(g, catalog, s.names[i]);
        if (t.healthy == 0 && t.lost >= SERVICE_MIN) {
            watch_service(g, s.names[i]);
        }
    }
}

/* ---- Beginning and ending ----------------------------------------- */

static struct texts hold_all(struct guard *g, struct arena *a)
{
    const char **names = arena_alloc(a, g->count * sizeof(*names));
    size_t count = 0;

    for (size_t i = 0; i < g->count; i++) {
        if (!g->losses[i].held) {
            g->losses[i].held = true;
            g->held++;
            names[count++] = arena_strdup(a, slice_str(g->losses[i].name));
        }
    }
    return (struct texts){.items = names, .count = count};
}

static struct texts release_all(struct guard *g, struct arena *a)
{
    const char **names = arena_alloc(a, g->count * sizeof(*names));
    size_t count = 0;

    while (g->count > 0) {
        if (g->losses[g->count - 1].held) {
            names[count++] =
                arena_strdup(a, slice_str(g->losses[g->count - 1].name));
        }
        loss_remove(g, g->count - 1);
    }
    CHECK(g->held == 0);
    return (struct texts){.items = names, .count = count};
}

static void begin(struct guard *g, enum guard_cause cause, const char *why,
                  uint64_t now_ms, struct guard_work *out)
{
    size_t len = strlen(why);

    len = len < sizeof(g->why) ? len : sizeof(g->why) - 1;
    memcpy(g->why, why, len);
    g->why[len] = '\0';
    g->cause = cause;
    g->began_ms = now_ms;
    g->activations++;
    out->said = g->why;
}

static void end(struct guard *g, const char *why, struct arena *a,
                struct guard_work *out)
{
    out->release = release_all(g, a);
    g->cause = GUARD_CAUSE_NONE;
    g->emptied = false;
    services_clear(g);
    out->said = why;
}

static void maybe_begin(struct guard *g, const struct catalog *catalog,
                        uint64_t now_ms, struct arena *a,
                        struct guard_work *out)
{
    size_t live = catalog_live_count(catalog);

    if (g->mode == GUARD_ON) {
        begin(g, GUARD_CAUSE_OPERATOR, "the operator has switched it on",
              now_ms, out);
    } else if (g->emptied) {
        begin(g, GUARD_CAUSE_EMPTIED,
              arena_printf(a, "the store has lost %zu nodes that it had",
                           g->count),
              now_ms, out);
    } else if (g->count >= g->limits.min_nodes &&
               is_more(g->count, live, g->limits.percent)) {
        begin(g, GUARD_CAUSE_NODES,
              arena_printf(a, "%zu of %zu nodes lost their lease within %llu s",
                           g->count, g->count + live,
                           (unsigned long long)g->limits.window_ms / 1000),
              now_ms, out);
    } else if (g->services_count > 0) {
        begin(g, GUARD_CAUSE_SERVICE,
              arena_printf(a,
                           "the service \"%.100s\" has lost all its healthy "
                           "instances with the leases of their nodes",
                           g->services[0]),
              now_ms, out);
    }
}

/* Whether less than half of what triggers it is missing. */
static bool is_over(const struct guard *g, const struct catalog *catalog)
{
    size_t all = g->held + catalog_live_count(catalog);

    if (g->held > 0 &&
        (uint64_t)g->held * 200 >= (uint64_t)g->limits.percent * all) {
        return false;
    }
    for (size_t i = 0; i < g->services_count; i++) {
        struct tally t = tally_of(g, catalog, g->services[i]);

        if (t.lost > 0 && t.healthy < t.lost) {
            return false;
        }
    }
    return true;
}

/* After the losses are noted: begin, go on, or end. */
static void decide(struct guard *g, const struct catalog *catalog,
                   uint64_t now_ms, struct arena *a, struct guard_work *out)
{
    if (!is_active(g) && g->mode != GUARD_OFF) {
        maybe_begin(g, catalog, now_ms, a, out);
    }
    if (!is_active(g)) {
        out->refill = false;
        g->emptied = false;
        services_clear(g);
        return;
    }
    out->hold = hold_all(g, a);
    if (g->mode != GUARD_AUTO) {
        return;
    }
    if (now_ms - g->began_ms >= g->limits.max_ms) {
        end(g, "its time is up: what is lost is taken for dead", a, out);
    } else if (is_over(g, catalog)) {
        end(g, "enough is back", a, out);
    }
}

/* ---- What happens ------------------------------------------------- */

/* One without an agent is back once its record is. */
static bool is_away(const struct catalog_node *n)
{
    return n != NULL && n->known && !n->live &&
           (!n->record.external || n->ghost);
}

/* What has become of the nodes of `lives`; those that have lost their lease
 * just now go into `out_lost`. Returns how many have lost their record. */
static size_t look_at(struct guard *g, const struct guard_input *in,
                      uint64_t now_ms, struct arena *a, struct texts *out_lost)
{
    const char **lost = arena_alloc(a, in->lives.count * sizeof(*lost));
    size_t lost_count = 0;
    size_t gone = 0;

    for (size_t i = 0; i < in->lives.count; i++) {
        const char *name = in->lives.items[i];
        const struct catalog_node *before = catalog_node(in->before, name);
        const struct catalog_node *after = catalog_node(in->after, name);
        bool known_before = before != NULL && before->known;

        if (is_away(after)) {
            if (known_before && before->live && in->gap_ms < g->limits.max_ms) {
                loss_add(g, name, now_ms);
                lost[lost_count++] = name;
            }
        } else {
            gone += known_before && (after == NULL || !after->known);
            loss_forget(g, name);
        }
    }
    *out_lost = (struct texts){.items = lost, .count = lost_count};
    return gone;
}

static bool is_emptied(const struct guard *g, const struct guard_input *in,
                       size_t gone)
{
    size_t before = catalog_nodes_count(in->before);

    if (gone == 0) {
        return false;
    }
    if (in->replaced && is_more(gone, before - gone, g->limits.percent)) {
        return true;
    }
    return catalog_nodes_count(in->after) == 0 &&
           catalog_instances_count(in->after) == 0;
}

static void note_gone(struct guard *g, const struct guard_input *in,
                      uint64_t now_ms)
{
    for (size_t i = 0; i < in->lives.count; i++) {
        const char *name = in->lives.items[i];
        const struct catalog_node *before = catalog_node(in->before, name);
        const struct catalog_node *after = catalog_node(in->after, name);

        if (before != NULL && before->known &&
            (after == NULL || !after->known)) {
            loss_add(g, name, now_ms);
        }
    }
}

void guard_update(struct guard *g, const struct guard_input *in,
                  uint64_t now_ms, struct arena *a, struct guard_work *out_work)
{
    struct texts lost;
    size_t gone;

    *out_work = (struct guard_work){0};
    if (in->lives.count == 0) {
        return;
    }
    forget_old(g, now_ms);
    gone = look_at(g, in, now_ms, a, &lost);
    if (g->mode != GUARD_OFF && is_emptied(g, in, gone)) {
        note_gone(g, in, now_ms);
        g->emptied = true;
        out_work->refill = true;
    } else if (g->mode == GUARD_AUTO) {
        find_services(g, in->after, lost, a);
    }
    decide(g, in->after, now_ms, a, out_work);
}

void guard_tick(struct guard *g, const struct catalog *catalog, uint64_t now_ms,
                struct arena *a, struct guard_work *out_work)
{
    *out_work = (struct guard_work){0};
    forget_old(g, now_ms);
    if (is_active(g)) {
        decide(g, catalog, now_ms, a, out_work);
    }
}

uint64_t guard_due_ms(const struct guard *g)
{
    return is_active(g) && g->mode == GUARD_AUTO
               ? g->began_ms + g->limits.max_ms
               : UINT64_MAX;
}

void guard_set_mode(struct guard *g, enum guard_mode mode,
                    const struct catalog *catalog, uint64_t now_ms,
                    struct arena *a, struct guard_work *out_work)
{
    *out_work = (struct guard_work){0};
    if (mode == g->mode) {
        return;
    }
    g->mode = mode;
    forget_old(g, now_ms);
    if (mode == GUARD_OFF && is_active(g)) {
        end(g, "the operator has switched it off", a, out_work);
    } else if (mode == GUARD_ON || is_active(g)) {
        g->began_ms = now_ms; /* Its time counts from here. */
        decide(g, catalog, now_ms, a, out_work);
    }
}
