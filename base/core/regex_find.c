/*
 * The search that remembers groups: the same states side by side, but each with
 * the places where its groups began and ended, in the order in which a
 * backtracking search would try them.
 */
#include "base/core/regex_model.h"

#define NOWHERE UINT32_MAX

/* States in order, each with a row of places. */
struct rows {
    struct regex_threads threads;
    uint32_t *places; /* By item: `width` of them. */
};

/* What is still to be entered: a step, or, after a SAVE and all behind it, a
 * place to put back. */
struct todo {
    uint32_t step; /* NOWHERE: put `was` back into `slot`. */
    uint32_t slot;
    uint32_t was;
};

struct search {
    const struct regex *r;
    uint32_t width;
    struct rows now;
    struct rows next;
    struct todo *stack;
    uint32_t *row; /* Of the state that is being entered. */
    uint32_t *best;
    bool found;
};

static struct rows new_rows(struct arena *a, const struct regex *r,
                            uint32_t width)
{
    return (struct rows){
        .threads = {.items = arena_zalloc(a, r->count, sizeof(uint32_t)),
                    .place = arena_zalloc(a, r->count, sizeof(uint32_t))},
        .places = arena_alloc(a, (size_t)r->count * width * sizeof(uint32_t)),
    };
}

static bool add(struct search *s, struct rows *to, uint32_t step)
{
    struct regex_threads *t = &to->threads;
    uint32_t place = t->place[step];

    if (place < t->count && t->items[place] == step) {
        return false;
    }
    memcpy(to->places + (size_t)t->count * s->width, s->row,
           s->width * sizeof(uint32_t));
    t->place[step] = t->count;
    t->items[t->count++] = step;
    return true;
}

static uint32_t target(uint32_t step, int32_t by)
{
    return (uint32_t)((int64_t)step + by);
}

/* What follows without reading, the first way on top. */
static size_t follow(struct search *s, uint32_t step, struct regex_place at,
                     uint32_t offset, size_t depth)
{
    const struct regex_step *x = &s->r->steps[step];

    if (x->op <= REGEX_ALL || x->op == REGEX_MATCH) {
        return depth;
    }
    if (x->op == REGEX_SPLIT) {
        s->stack[depth++] = (struct todo){.step = target(step, x->y)};
        s->stack[depth++] = (struct todo){.step = target(step, x->x)};
    } else if (x->op == REGEX_JUMP) {
        s->stack[depth++] = (struct todo){.step = target(step, x->x)};
    } else if (x->op == REGEX_SAVE) {
        uint32_t slot = (uint32_t)x->x;

        s->stack[depth++] =
            (struct todo){.step = NOWHERE, .slot = slot, .was = s->row[slot]};
        s->row[slot] = offset;
        s->stack[depth++] = (struct todo){.step = step + 1};
    } else if (regex_holds(x->op, at)) {
        s->stack[depth++] = (struct todo){.step = step + 1};
    }
    return depth;
}

/* Each step is added once and puts two things on the stack at most. */
static void enter(struct search *s, struct rows *to, uint32_t step,
                  struct regex_place at, uint32_t offset)
{
    size_t depth = 0;

    s->stack[depth++] = (struct todo){.step = step};
    while (depth > 0) {
        struct todo todo = s->stack[--depth];

        if (todo.step == NOWHERE) {
            s->row[todo.slot] = todo.was;
        } else if (add(s, to, todo.step)) {
            depth = follow(s, todo.step, at, offset, depth);
        }
    }
}

static void take_match(struct search *s, const uint32_t *row, uint32_t offset)
{
    memcpy(s->best, row, s->width * sizeof(*row));
    s->best[1] = offset;
    s->found = true;
}

/* All states over one code point, in order. What comes after a match would be
 * tried later, and counts no more. */
static void advance(struct search *s, int32_t c, struct regex_place behind,
                    uint32_t here, uint32_t there)
{
    s->next.threads.count = 0;
    for (uint32_t i = 0; i < s->now.threads.count; i++) {
        uint32_t step = s->now.threads.items[i];
        const uint32_t *row = s->now.places + (size_t)i * s->width;

        if (s->r->steps[step].op == REGEX_MATCH) {
            take_match(s, row, here);
            return;
        }
        if (c >= 0 && s->r->steps[step].op <= REGEX_ALL &&
            regex_reads(s->r, &s->r->steps[step], c)) {
            memcpy(s->row, row, s->width * sizeof(*row));
            enter(s, &s->next, step + 1, behind, there);
        }
    }
}

static void begin_here(struct search *s, struct regex_place at, uint32_t offset)
{
    for (uint32_t i = 0; i < s->width; i++) {
        s->row[i] = NOWHERE;
    }
    s->row[0] = offset;
    enter(s, &s->now, 0, at, offset);
}

static void give(const struct search *s, struct slice text,
                 struct slice groups[REGEX_GROUPS_MAX])
{
    for (uint32_t i = 0; i < REGEX_GROUPS_MAX; i++) {
        bool took_part = 2 * i + 1 < s->width && s->best[2 * i] != NOWHERE &&
                         s->best[2 * i + 1] != NOWHERE;

        groups[i] = took_part ? slice_of(text.data + s->best[2 * i],
                                         s->best[2 * i + 1] - s->best[2 * i])
                              : (struct slice){0};
    }
}

bool regex_find(const struct regex *r, struct slice text, struct arena *a,
                struct slice groups[REGEX_GROUPS_MAX], uint64_t *work)
{
    struct search s = {.r = r, .width = 2 * r->groups};
    struct slice rest = text;
    struct regex_place at = {.before = -1};
    uint32_t offset = 0;

    s.now = new_rows(a, r, s.width);
    s.next = new_rows(a, r, s.width);
    s.stack = arena_alloc(a, (2 * (size_t)r->count + 2) * sizeof(*s.stack));
    s.row = arena_alloc(a, s.width * sizeof(uint32_t));
    s.best = arena_alloc(a, s.width * sizeof(uint32_t));
    at.after = regex_read(r, &rest);
    for (;;) {
        int32_t c = at.after;
        uint32_t there = (uint32_t)(text.len - rest.len);
        struct rows swap;

        if (!s.found) { /* A match may begin anywhere, the first one counts. */
            begin_here(&s, at, offset);
        }
        if (s.now.threads.count == 0 || *work <= s.now.threads.count) {
            *work = s.now.threads.count == 0 ? *work : 0;
            break;
        }
        *work -= s.now.threads.count;
        at = (struct regex_place){.before = c, .after = regex_read(r, &rest)};
        advance(&s, c, at, offset, there);
        if (c < 0) {
            break;
        }
        offset = there;
        swap = s.now;
        s.now = s.next;
        s.next = swap;
    }
    if (s.found && *work > 0) {
        give(&s, text, groups);
    }
    return s.found && *work > 0;
}

size_t regex_steps(const struct regex *r)
{
    return r->count;
}
