#include "agent/core/coord.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <strings.h>
#include <uthash.h>

#include "agent/core/fields.h"
#include "base/core/check.h"
#include "base/core/limits.h"

#define SMOOTH     0.3 /* Weight of a new round trip. */
#define NEWS_PART  0.2 /* Of what was said. */
#define NEWS_US    500.0
#define RTT_US_MAX 60000000.0

/* What a node says. */
struct place {
    UT_hash_handle hh; /* By the key's bytes. */
    UT_hash_handle hn; /* By the node's name in lower case. */
    char *key;
    char lower[256];
    struct arena arena;
    const char *node;
    size_t count;
    const char *members[COORD_MEMBERS_MAX];
    double rtt_us[COORD_MEMBERS_MAX];
    bool given;      /* Nothing was measured: `at` is what somebody said. */
    struct coord at; /* If the landmarks are fresh. */
};

struct coords {
    char *dc;
    struct place *places;
    struct place *by_name;
    int64_t index;
};

/* ---- Distances ---------------------------------------------------- */

/* Newton's iteration: cores do without the library of mathematics. */
static double root_of(double square)
{
    double root = square > 1 ? square : 1;

    for (int i = 0; i < 64 && square > 0; i++) {
        root = (root + square / root) / 2;
    }
    return square > 0 ? root : 0;
}

double coord_distance(const struct coord *a, const struct coord *b)
{
    double sum = 0;

    for (int i = 0; i < COORD_DIMS; i++) {
        sum += (a->vec[i] - b->vec[i]) * (a->vec[i] - b->vec[i]);
    }
    return root_of(sum) + a->height + b->height;
}

/* ---- What is said by others --------------------------------------- */

#define SECONDS_MAX 3600.0

static bool is_seconds(const json_t *value)
{
    double s = json_number_value(value);

    return json_is_number(value) && s >= -SECONDS_MAX && s <= SECONDS_MAX;
}

static bool read_vec(const json_t *vec, struct coord *out)
{
    for (size_t i = 0; i < COORD_DIMS; i++) {
        const json_t *value = json_array_get(vec, i);

        if (!is_seconds(value)) {
            return false;
        }
        out->vec[i] = json_number_value(value);
    }
    return json_array_size(vec) == COORD_DIMS;
}

static const json_t *member(const json_t *object, const char *name)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        if (strcasecmp(key, name) == 0) {
            return value;
        }
    }
    return NULL;
}

static enum status read_told(struct arena *a, const json_t *json,
                             const char **out_node, struct coord *out,
                             struct err *err)
{
    const json_t *node = member(json, "Node");
    const json_t *coord = member(json, "Coord");
    const json_t *height = member(coord, "Height");
    const json_t *adjustment = member(coord, "Adjustment");
    struct coord at = {0};

    if (!json_is_string(node) || json_string_length(node) == 0 ||
        json_string_length(node) > 255) {
        return err_set(err, ST_INVALID, "Node: the name of a node is missing");
    }
    if (!read_vec(member(coord, "Vec"), &at)) {
        return err_set(err, ST_INVALID,
                       "Coord.Vec: must be %d numbers, in seconds", COORD_DIMS);
    }
    if ((height != NULL && !is_seconds(height)) ||
        (adjustment != NULL && !is_seconds(adjustment))) {
        return err_set(err, ST_INVALID,
                       "Coord.Height and Coord.Adjustment: must be seconds");
    }
    at.height = json_number_value(height) + json_number_value(adjustment);
    at.height = at.height > 0 ? at.height : 0;
    *out_node = arena_strdup(a, slice_str(json_string_value(node)));
    *out = at;
    return ST_OK;
}

enum status coord_read(struct arena *a, struct slice body,
                       const char **out_node, struct coord *out_coord,
                       struct err *err)
{
    struct field_reader r = {.arena = a, .text = body, .err = err};
    json_t *json = NULL;
    enum status st = fields_json(&r, LIMIT_DEFINITION_BYTES, &json);

    if (!st) {
        st = read_told(a, json, out_node, out_coord, err);
    }
    json_decref(json);
    return st;
}

struct slice coord_write(struct arena *a, const char *node,
                         const struct coord *at)
{
    struct jsonw w;
    struct buf out;
    struct slice copy;

    buf_init(&out, LIMIT_RECORD_BYTES);
    jsonw_init(&w, &out, JSONW_COMPACT);
    jsonw_object(&w);
    jsonw_key_text(&w, "node", node);
    jsonw_key(&w, "vec");
    jsonw_list(&w);
    for (int i = 0; i < COORD_DIMS; i++) {
        jsonw_raw(&w, arena_printf(a, "%.9f", at->vec[i]));
    }
    jsonw_list_end(&w);
    jsonw_key(&w, "height");
    jsonw_raw(&w, arena_printf(a, "%.9f", at->height));
    jsonw_object_end(&w);
    CHECK(jsonw_finish(&w) == ST_OK);
    copy = arena_copy(a, buf_slice(&out));
    buf_release(&out);
    return copy;
}

/* ---- Landmarks ---------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first names of members that anybody has measured; how many. */
static size_t find_landmarks(const struct coords *c, const char **out)
{
    const char *names[COORD_DIMS + COORD_MEMBERS_MAX];
    size_t count = 0;
    const struct place *p;

    for (p = c->places; p != NULL; p = p->hh.next) {
        size_t kept = 0;

        for (size_t i = 0; i < p->count; i++) {
            names[count++] = p->members[i];
        }
        qsort(names, count, sizeof(names[0]), compare_names);
        for (size_t i = 0; i < count && kept < COORD_DIMS; i++) {
            if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0) {
                names[kept++] = names[i];
            }
        }
        count = kept;
    }
    memcpy(out, names, count * sizeof(names[0]));
    return count;
}

static double rtt_of(const struct place *p, const char *member)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->members[i], member) == 0) {
            return p->rtt_us[i];
        }
    }
    return -1;
}

static void place_node(struct place *p, const char *const *landmarks,
                       size_t count)
{
    double scale = root_of((double)count) * 1e6;
    double sum = 0;
    double least = RTT_US_MAX;

    for (size_t i = 0; i < p->count; i++) {
        sum += p->rtt_us[i];
        least = p->rtt_us[i] < least ? p->rtt_us[i] : least;
    }
    p->at = (struct coord){.height = least / 2 / 1e6};
    for (size_t i = 0; i < count; i++) {
        double rtt = rtt_of(p, landmarks[i]);

        p->at.vec[i] = (rtt < 0 ? sum / (double)p->count : rtt) / scale;
    }
}

static void place_all(struct coords *c)
{
    const char *landmarks[COORD_DIMS];
    size_t count = find_landmarks(c, landmarks);

    for (struct place *p = c->places; p != NULL; p = p->hh.next) {
        if (!p->given) {
            place_node(p, landmarks, count);
        }
    }
}

/* ---- The table ---------------------------------------------------- */

struct coords *coords_new(const char *dc)
{
    struct coords *c = calloc(1, sizeof(*c));

    CHECK(c != NULL);
    c->dc = strdup(dc);
    CHECK(c->dc != NULL);
    return c;
}

static void place_free(struct coords *c, struct place *p)
{
    HASH_DEL(c->places, p);
    HASH_DELETE(hn, c->by_name, p);
    arena_release(&p->arena);
    free(p->key);
    free(p);
}

static void forget_all(struct coords *c)
{
    struct place *p;
    struct place *next;

    HASH_ITER(hh, c->places, p, next)
    {
        place_free(c, p);
    }
}

void coords_free(struct coords *c)
{
    if (c == NULL) {
        return;
    }
    forget_all(c);
    free(c->dc);
    free(c);
}

struct slice coords_folder(const struct coords *c, struct arena *a)
{
    return record_folder(a, c->dc, "coord");
}

/* A node's name is percent-encoded as in all keys, and in lower case. */
struct slice coords_key(const struct coords *c, struct arena *a,
                        const char *node)
{
    struct record_key key = {.kind = RECORD_NODE, .node = node};
    struct slice of_node = record_key_write(a, c->dc, &key);
    struct slice nodes = record_folder(a, c->dc, "node");
    struct slice name = slice_skip(of_node, nodes.len);
    struct slice folder = coords_folder(c, a);

    return slice_str(arena_printf(a, "%.*s%.*s", (int)folder.len,
                                  (const char *)folder.data, (int)name.len,
                                  (const char *)name.data));
}

static struct place *find(const struct coords *c, struct slice key)
{
    struct place *p = NULL;

    HASH_FIND(hh, c->places, key.data, (unsigned)key.len, p);
    return p;
}

static void lower_name(const char *node, char out[256])
{
    size_t len = 0;

    for (; node[len] != '\0' && len < 255; len++) {
        out[len] = (char)tolower((unsigned char)node[len]);
    }
    out[len] = '\0';
}

static struct place *find_name(const struct coords *c, const char *node)
{
    char lower[256];
    struct place *p = NULL;

    lower_name(node, lower);
    HASH_FIND(hn, c->by_name, lower, (unsigned)strlen(lower), p);
    return p;
}

/* False: it is not what we write. */
static bool read_place(struct place *p, const json_t *json)
{
    const json_t *node = json_object_get(json, "node");
    const json_t *rtts = json_object_get(json, "rtt_us");
    const char *member;
    json_t *value;

    if (!json_is_string(node) || json_string_length(node) > 255) {
        return false;
    }
    p->node = arena_strdup(&p->arena, slice_str(json_string_value(node)));
    if (json_object_get(json, "vec") != NULL) {
        const json_t *height = json_object_get(json, "height");

        p->given = true;
        p->at.height = json_number_value(height);
        return read_vec(json_object_get(json, "vec"), &p->at) &&
               is_seconds(height) && p->at.height >= 0;
    }
    json_object_foreach((json_t *)rtts, member, value)
    {
        double rtt = json_number_value(value);

        if (p->count == COORD_MEMBERS_MAX || strlen(member) > 127 ||
            !json_is_number(value) || rtt < 0 || rtt > RTT_US_MAX) {
            return false;
        }
        p->members[p->count] = arena_strdup(&p->arena, slice_str(member));
        p->rtt_us[p->count++] = rtt;
    }
    return p->count > 0;
}

static void put_place(struct coords *c, const struct catalog_event *e)
{
    struct place *p = calloc(1, sizeof(*p));
    struct err err;
    struct field_reader r = {.arena = &p->arena, .text = e->value, .err = &err};
    json_t *json = NULL;
    bool good;

    CHECK(p != NULL);
    good = fields_json(&r, LIMIT_RECORD_BYTES, &json) == ST_OK &&
           read_place(p, json) &&
           slice_eq(coords_key(c, &p->arena, p->node), e->key);
    json_decref(json);
    if (!good) {
        arena_release(&p->arena);
        free(p);
        return;
    }
    p->key = strndup((const char *)e->key.data, e->key.len);
    CHECK(p->key != NULL);
    HASH_ADD_KEYPTR(hh, c->places, p->key, (unsigned)strlen(p->key), p);
    lower_name(p->node, p->lower);
    HASH_ADD_KEYPTR(hn, c->by_name, p->lower, (unsigned)strlen(p->lower), p);
}

static int by_key(const struct place *a, const struct place *b)
{
    return strcmp(a->key, b->key);
}

bool coords_apply(struct coords *c, const struct catalog_event *events,
                  size_t events_count, bool full)
{
    struct arena a = {0};
    struct slice folder = coords_folder(c, &a);
    bool changed = full && c->places != NULL;

    if (full) {
        forget_all(c);
    }
    for (size_t i = 0; i < events_count; i++) {
        const struct catalog_event *e = &events[i];
        struct place *old;

        if (!slice_starts(e->key, folder)) {
            continue;
        }
        old = find(c, e->key);
        if (old != NULL) {
            place_free(c, old);
        }
        if (!e->deleted) {
            put_place(c, e);
        }
        c->index = e->mod_revision > c->index ? e->mod_revision : c->index;
        changed = true;
    }
    if (changed) {
        HASH_SORT(c->places, by_key);
        place_all(c);
    }
    arena_release(&a);
    return changed;
}

bool coords_find(const struct coords *c, const char *node,
                 struct coord *out_coord)
{
    const struct place *p = c == NULL ? NULL : find_name(c, node);

    if (p != NULL) {
        *out_coord = p->at;
    }
    return p != NULL;
}

uint64_t coords_index(const struct coords *c)
{
    return c == NULL || c->index < 1 ? 1 : (uint64_t)c->index;
}

void coords_each(const struct coords *c, coords_fn fn, void *ctx)
{
    if (c == NULL) {
        return;
    }
    for (const struct place *p = c->places; p != NULL; p = p->hh.next) {
        fn(ctx, p->node, &p->at);
    }
}

/* ---- Measuring ---------------------------------------------------- */

void coord_track_begin(struct coord_track *t)
{
    for (size_t i = 0; i < t->count; i++) {
        t->members[i].seen = false;
    }
}

void coord_track_add(struct coord_track *t, const char *member, uint64_t rtt_us)
{
    size_t at = 0;
    struct coord_member *m;

    while (at < t->count && strcmp(t->members[at].name, member) != 0) {
        at++;
    }
    if (at == COORD_MEMBERS_MAX || strlen(member) >= sizeof(m->name)) {
        return;
    }
    m = &t->members[at];
    if (at == t->count) {
        t->count++;
        memcpy(m->name, member, strlen(member) + 1);
        m->rtt_us = (double)rtt_us;
    }
    m->rtt_us += SMOOTH * ((double)rtt_us - m->rtt_us);
    m->seen = true;
}

void coord_track_end(struct coord_track *t)
{
    size_t kept = 0;

    for (size_t i = 0; i < t->count; i++) {
        if (t->members[i].seen) {
            t->members[kept++] = t->members[i];
        }
    }
    t->count = kept;
}

static bool differs(double now, double said)
{
    double by = now > said ? now - said : said - now;

    return by > NEWS_US && by > NEWS_PART * said;
}

static bool is_news(const struct coord_track *t, const struct place *said)
{
    if (said == NULL || said->count != t->count) {
        return true;
    }
    for (size_t i = 0; i < t->count; i++) {
        double rtt = rtt_of(said, t->members[i].name);

        if (rtt < 0 || differs(t->members[i].rtt_us, rtt)) {
            return true;
        }
    }
    return false;
}

bool coord_track_news(const struct coord_track *t, const struct coords *c,
                      const char *node, struct arena *a,
                      struct slice *out_value)
{
    struct jsonw w;
    struct buf out;

    if (t->count == 0 || !is_news(t, find_name(c, node))) {
        return false;
    }
    buf_init(&out, LIMIT_RECORD_BYTES);
    jsonw_init(&w, &out, JSONW_COMPACT);
    jsonw_object(&w);
    jsonw_key_text(&w, "node", node);
    jsonw_key(&w, "rtt_us");
    jsonw_object(&w);
    for (size_t i = 0; i < t->count; i++) {
        jsonw_key_uint(&w, t->members[i].name,
                       (uint64_t)(t->members[i].rtt_us + 0.5));
    }
    jsonw_object_end(&w);
    jsonw_object_end(&w);
    CHECK(jsonw_finish(&w) == ST_OK);
    *out_value = arena_copy(a, buf_slice(&out));
    buf_release(&out);
    return true;
}
